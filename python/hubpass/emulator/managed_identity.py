"""The managed identity endpoint that Azure App Service, Functions and Container Apps give to an app.

Source: "How to use managed identities for App Service and Azure Functions", section "REST endpoint reference",
of Microsoft's documentation.
"""

from __future__ import annotations

import hmac

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from hubpass.emulator.directory import ManagedIdentity
from hubpass.emulator.dispatch import Dispatch
from hubpass.emulator.identity_selection import IdentityNotFoundError, Kind, SelectionError, selected_identity
from hubpass.emulator.interception import InjectFaults, RecordCalls, call_of
from hubpass.emulator.routes import IDENTITY_ROUTES, Match
from hubpass.emulator.service import Service

# Azure's infrastructure keeps the tokens of managed identities for a day.
DEFAULT_LIFETIME = 24 * 3600
_API_VERSION = "2019-08-01"
_SELECTORS: dict[str, Kind] = {
    "client_id": "client_id",
    "object_id": "object_id",
    "principal_id": "object_id",
    "mi_res_id": "resource_id",
}
_NOT_FOUND = "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId."


def identity_plane(service: Service) -> ASGIApp:
    """The ASGI application of the managed identity port."""
    dispatch = Dispatch(service, IDENTITY_ROUTES, {"managed_identity": _give_token})
    return RecordCalls(InjectFaults(dispatch, service), service, IDENTITY_ROUTES)


class _IdentityError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


async def _give_token(service: Service, request: Request, _: Match) -> Response:
    call = call_of(request.scope)
    try:
        resource, identity = _checked(service, request)
    except _IdentityError as error:
        call.action, call.reason = "refused", error.message
        return JSONResponse(
            {"statusCode": error.status, "message": error.message, "correlationId": None},
            status_code=error.status,
        )
    principal = identity.principal
    call.object_id = principal.object_id
    call.action = f"token for {resource}"
    now = service.clock.now()
    lifetime = DEFAULT_LIFETIME if service.token_lifetime is None else service.token_lifetime
    return JSONResponse(
        {
            "access_token": service.issuer.issue(principal, resource, now, lifetime),
            "expires_on": str(int(now) + lifetime),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": principal.client_id.upper(),
        }
    )


def _checked(service: Service, request: Request) -> tuple[str, ManagedIdentity]:
    """The resource and the identity that a good request names."""
    given = request.headers.get("x-identity-header", "")
    if not hmac.compare_digest(given.encode(), service.identity_header.encode()):
        raise _IdentityError(401, "The header X-IDENTITY-HEADER is missing or wrong.")
    if _one(request, "api-version") != _API_VERSION:
        raise _IdentityError(400, f"The query parameter api-version must be {_API_VERSION}.")
    resource = _one(request, "resource")
    if not resource or resource.endswith("/.default"):
        raise _IdentityError(400, "The query parameter resource must be a resource, without /.default.")
    return resource, _identity(service, request)


def _identity(service: Service, request: Request) -> ManagedIdentity:
    """The system-assigned identity, unless the query names another one."""
    try:
        return selected_identity(service.directory, request.query_params, _SELECTORS)[0]
    except IdentityNotFoundError:
        raise _IdentityError(400, _NOT_FOUND) from None
    except SelectionError as error:
        raise _IdentityError(400, str(error)) from None


def _one(request: Request, name: str) -> str:
    values = request.query_params.getlist(name)
    if len(values) != 1:
        raise _IdentityError(400, f"The query parameter {name} is needed once.")
    return values[0]
