"""The application's own CORS middleware, which answers a preflight before any route sees it."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware

from hubpass.integrations._mount import Mount, log
from hubpass.integrations._origins import Origins


def log_refused_preflights(app: Starlette, mount: Mount) -> None:
    """Say which setting of the application's CORS middleware would refuse pages that the mount allows."""
    if mount.origins is None:
        return
    for middleware in app.user_middleware:
        if isinstance(middleware.cls, type) and issubclass(middleware.cls, CORSMiddleware):
            missing = ", ".join(_missing(dict(middleware.kwargs), mount.origins))
            if missing:
                log.error(
                    "The application's CORSMiddleware answers before the route %s/negotiate and would refuse pages "
                    "that its allow_origins= allows. Set add_middleware(CORSMiddleware, %s).",
                    mount.path,
                    missing,
                )


def _missing(options: dict[str, Any], origins: Origins) -> list[str]:
    # The middleware itself is asked, so that no rule of it is written here again.
    middleware = CORSMiddleware(_nothing, **options)
    refused = [origin for origin in origins if not middleware.is_allowed_origin(origin)]
    allowed = {header.lower() for header in middleware.allow_headers}
    headers = [name for name in origins.headers if name not in allowed and not middleware.allow_all_headers]
    missing = []
    if refused:
        missing.append(f"allow_origins={[*options.get('allow_origins', ()), *refused]!r}")
    if not options.get("allow_credentials", False):
        missing.append("allow_credentials=True")
    if "POST" not in middleware.allow_methods:
        missing.append('allow_methods=["POST"]')
    if headers:
        missing.append(f"allow_headers={headers!r}")
    return missing


async def _nothing(*_: object) -> None:
    """Stand where the middleware wants an application."""
