"""The token endpoint of the agent of Azure Arc, which challenges its callers. The sources are those of `arc_agent`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hubpass.emulator.identity_selection import Kind
from hubpass.emulator.imds import MachineError, check_headers, refused, single, token_answer
from hubpass.emulator.interception import call_of
from hubpass.emulator.routes import Match
from hubpass.emulator.service import Service

_VERSIONS = frozenset({"2019-11-01", "2020-06-01"})
# Clients know one parameter for resource ids here, and want to be told which identity they got.
_SELECTORS: dict[str, Kind] = {"client_id": "client_id", "object_id": "object_id", "msi_res_id": "resource_id"}


async def arc_token(service: Service, request: Request, _: Match) -> Response:
    """A challenge for a request without a secret, a token for one that has read it from the file."""
    try:
        _check_version(request)
        authorization = request.headers.get("authorization")
        if authorization is None:
            call = call_of(request.scope)
            call.action, call.reason = "challenged", "the request carries no secret"
            return Response(status_code=401, headers={"www-authenticate": service.identity.arc.new_challenge()})
        _check_secret(service, authorization)
        answer, kind = token_answer(service, request, _SELECTORS)
    except MachineError as error:
        return refused(request.scope, error)
    parameter = next((name for name, named in _SELECTORS.items() if named == kind), None)
    if parameter is not None:
        answer[parameter] = request.query_params[parameter]
    return JSONResponse(answer)


def _check_version(request: Request) -> None:
    check_headers(request)
    if single(request, "api-version") not in _VERSIONS:
        known = ", ".join(sorted(_VERSIONS))
        raise MachineError(400, "invalid_request", f"The api-version must be one of {known}.")


def _check_secret(service: Service, authorization: str) -> None:
    if not service.identity.arc.accepts(authorization):
        raise MachineError(403, "unauthorized_client", "The secret is not that of an unanswered challenge.")
