"""Who App Service Authentication ("Easy Auth") has signed in, for ``authorize=`` of any framework.

The platform writes ``X-MS-CLIENT-PRINCIPAL-ID`` into requests and removes it from what clients send ("Work with user
identities in Azure App Service authentication" of Microsoft's documentation). Where it does not stand in front of the
application, anybody can send that header: it counts only where the platform says that it does.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from hubpass.grants import Grant

__all__ = ["easy_auth"]

log = logging.getLogger("hubpass.integrations")

_HEADER = "x-ms-client-principal-id"
# App Service and Functions set it to "True" while authentication is on (their reference of environment variables).
_SETTING = "WEBSITE_AUTH_ENABLED"


def easy_auth(request: Any) -> Grant | None:
    """Grant what App Service Authentication says, or ``None`` (401) if nobody is signed in.

    With FastAPI pass ``hubpass.integrations.fastapi.easy_auth``, which is a dependency. For more than a user id, call
    this function in your own ``authorize`` and add claims or an end of the session to what it returns.

    Args:
        request: The request as the framework has it: an object with ``headers``, an ASGI scope or a WSGI environment.

    Returns:
        A grant for the id of the principal. ``None`` also where the platform does not say that authentication is on
        (``WEBSITE_AUTH_ENABLED``); the log then has an error, because the headers could be anybody's.
    """
    if os.environ.get(_SETTING, "").lower() != "true":
        log.error(
            "easy_auth lets nobody in: %s is not True, so App Service Authentication is off. Turn it on: "
            "az webapp auth update -g <group> -n <app> --enabled true",
            _SETTING,
        )
        return None
    user_id = _header(request)
    return Grant(user_id) if user_id else None


def _header(request: Any) -> str | None:
    if hasattr(request, "headers"):
        found: str | None = request.headers.get(_HEADER)
    elif "headers" in request:
        lines = [value.decode("latin-1") for name, value in request["headers"] if name.decode("latin-1") == _HEADER]
        # The platform writes one. Of several somebody else has written some.
        found = lines[0] if len(lines) == 1 else None
    else:
        found = request.get("HTTP_" + _HEADER.upper().replace("-", "_"))
    return found
