"""The query of REST requests to Web PubSub.

Source of the versions: the public REST specification (Azure/azure-rest-api-specs, `specification/webpubsub`).
"""

from __future__ import annotations

from starlette.requests import Request

from hubpass.emulator.rest_errors import check_api_version, refuse_rest

_API_VERSIONS = ("2021-10-01", "2022-11-01", "2023-07-01", "2024-01-01", "2024-12-01")


def query_value(request: Request, name: str) -> str | None:
    """The value of a parameter that may stand there only once, or None; raises `RefusedError` (400)."""
    values = request.query_params.getlist(name)
    if len(values) > 1:
        refuse_rest(400, "Error.BadRequest", f"The query parameter {name} is given {len(values)} times.")
    return values[0] if values else None


def check_version(request: Request) -> None:
    """Refuse a request without one of the stable versions; raises `RefusedError` (400)."""
    check_api_version(query_value(request, "api-version"), _API_VERSIONS)
