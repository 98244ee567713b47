"""Errors of the REST data plane in the form of its specification."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from starlette.responses import JSONResponse

from hubpass.emulator.tokens import Refusal, RefusedError

API_VERSIONS = ("2022-06-01", "2022-11-01", "2023-07-01", "2024-12-01")
# What an app behind a network access control list gets, which is enforced by a proxy before the service: the
# page of nginx, as users report it in public issues (moozzyk/SignalR-Client-Swift 219).
_PROXY_PAGE = (
    "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n"
    "<center><h1>403 Forbidden</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


def error_response(status: int, code: str, message: str) -> JSONResponse:
    """An error whose code is repeated in a header."""
    return JSONResponse(_body(code, message), status_code=status, headers={"x-ms-error-code": code})


def refuse_rest(status: int, code: str, message: str, reason: str | None = None) -> NoReturn:
    """Raise the refusal of a REST request; the journal shows `reason`, by default the message."""
    headers = (("x-ms-error-code", code),)
    body = json.dumps(_body(code, message))
    raise RefusedError(Refusal(status, reason or message, headers, body, "application/json"))


def refuse_network() -> NoReturn:
    """Raise the refusal of a request that the network access control list does not let through."""
    raise RefusedError(
        Refusal(403, "the network access control list denies servers", body=_PROXY_PAGE, media_type="text/html")
    )


def check_api_version(version: str | None, known: tuple[str, ...] = API_VERSIONS) -> None:
    """Refuse a request without an api-version, or with one that the service does not know."""
    names = ", ".join(known)
    if version is None:
        refuse_rest(400, "Error.BadRequest", f"The query parameter api-version is missing. Known: {names}.")
    if version not in known:
        refuse_rest(400, "Error.BadRequest", f"The api-version {version} is not supported. Known: {names}.")


def _body(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "message": message, "target": None, "details": [], "inner": None}
