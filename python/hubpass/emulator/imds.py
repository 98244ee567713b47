"""The Azure Instance Metadata Service of one machine, as far as it gives tokens to managed identities.

Sources: "How to use managed identities for Azure resources on an Azure VM to acquire an access token" and "Azure
Instance Metadata Service" of Microsoft's documentation. Numbers are texts in its answers, as they are in Azure.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from hubpass.emulator.entra_errors import EntraError
from hubpass.emulator.entra_tokens import BACKDATED_SECONDS
from hubpass.emulator.identity_selection import IdentityNotFoundError, Kind, SelectionError, selected_identity
from hubpass.emulator.interception import call_of
from hubpass.emulator.managed_identity import DEFAULT_LIFETIME
from hubpass.emulator.resources import check_resource
from hubpass.emulator.routes import Match
from hubpass.emulator.service import Service

# The first version that gives tokens; every later one does so as well.
_FIRST_VERSION = "2018-02-01"
_SELECTORS: dict[str, Kind] = {
    "client_id": "client_id",
    "object_id": "object_id",
    "msi_res_id": "resource_id",
    "mi_res_id": "resource_id",
}


class LimitRequests:
    """Refuses requests for tokens beyond the limits; those that a fault holds or delays count as running."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if call_of(scope).route != "imds_token":
            await self._app(scope, receive, send)
            return
        limits = self._service.identity.imds_limits
        reason = limits.enter()
        if reason is not None:
            answer = refused(scope, MachineError(429, "too_many_requests", reason))
            await answer(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            limits.leave()


class MachineError(Exception):
    """An error answer of IMDS or of the agent of Azure Arc."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status, self.error, self.description = status, error, description


async def imds_token(service: Service, request: Request, _: Match) -> Response:
    """A token of the identity that the query names."""
    try:
        check_headers(request)
        _check_version(request)
        return JSONResponse(token_answer(service, request, _SELECTORS)[0])
    except MachineError as error:
        return refused(request.scope, error)


def _check_version(request: Request) -> None:
    # Versions are dates, so the later one is the greater text.
    if single(request, "api-version") < _FIRST_VERSION:
        raise MachineError(400, "invalid_request", f"The api-version must be {_FIRST_VERSION} or later.")


def check_headers(request: Request) -> None:
    """Refuse what a server was tricked into sending: such a request has no `Metadata` header, or a forwarded one."""
    if request.headers.getlist("metadata") != ["true"]:
        raise MachineError(400, "bad_request_102", "Required metadata header not specified")
    if "x-forwarded-for" in request.headers:
        raise MachineError(400, "invalid_request", "The header X-Forwarded-For is not allowed.")


def single(request: Request, name: str) -> str:
    """A parameter that must be there once."""
    values = request.query_params.getlist(name)
    if len(values) != 1 or not values[0]:
        raise MachineError(400, "invalid_request", f"The query parameter {name} is needed once.")
    return values[0]


def token_answer(service: Service, request: Request, selectors: dict[str, Kind]) -> tuple[dict[str, str], Kind | None]:
    """The JSON of an answer with a token, and what the identity was named by; raises `MachineError`."""
    resource = single(request, "resource")
    try:
        identity, kind = selected_identity(service.directory, request.query_params, selectors)
        principal = identity.principal
        check_resource(service.directory, principal.tenant_id, resource)
    except IdentityNotFoundError:
        raise MachineError(400, "invalid_request", "Identity not found") from None
    except SelectionError as error:
        raise MachineError(400, "invalid_request", str(error)) from None
    except EntraError as error:
        raise MachineError(400, error.error, str(error)) from None
    call = call_of(request.scope)
    call.object_id, call.action = principal.object_id, f"token for {resource}"
    now = service.clock.now()
    lifetime = DEFAULT_LIFETIME if service.token_lifetime is None else service.token_lifetime
    answer = {
        "access_token": service.issuer.issue(principal, resource, now, lifetime),
        "client_id": principal.client_id,
        "expires_in": str(lifetime),
        "expires_on": str(int(now) + lifetime),
        "ext_expires_in": str(lifetime),
        "not_before": str(int(now) - BACKDATED_SECONDS),
        "resource": resource,
        "token_type": "Bearer",
    }
    return answer, kind


def refused(scope: Scope, error: MachineError) -> JSONResponse:
    """The answer to a refused request, which the journal explains."""
    call = call_of(scope)
    call.action, call.reason = "refused", error.description
    return JSONResponse({"error": error.error, "error_description": error.description}, status_code=error.status)
