"""`POST /api/hubs/{hub}/:generateToken`: the service makes a client token for an Entra identity.

Source: the public REST specification of Azure Web PubSub (Azure/azure-rest-api-specs, `specification/webpubsub`).
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hubpass.emulator.interception import call_of
from hubpass.emulator.rest_errors import refuse_rest
from hubpass.emulator.routes import Match
from hubpass.emulator.service import Service
from hubpass.emulator.web_pubsub_authentication import entra_caller, rest_hub
from hubpass.emulator.web_pubsub_identity import is_group_name
from hubpass.emulator.web_pubsub_query import check_version, query_value
from hubpass.emulator.web_pubsub_tokens import TokenOrder

_DEFAULT_MINUTES = 60
_MOST_MINUTES = 2**31 - 1


async def generate_token(service: Service, request: Request, match: Match) -> Response:
    """A token with the user, roles and groups of the query, for an identity that may generate one."""
    call = call_of(request.scope)
    call.hub = match.parameters["hub"].lower()
    entra_caller(service, request, match)
    hub = rest_hub(match)
    check_version(request)
    _check_client_type(query_value(request, "clientType"))
    groups = request.query_params.getlist("group")
    if not all(is_group_name(group) for group in groups):
        refuse_rest(400, "Error.BadRequest", "The query parameter group is not a valid group name.")
    call.user_id = query_value(request, "userId") or None
    order = TokenOrder(
        audience=f"{service.web_pubsub.address.url}/client/hubs/{hub}",
        user_id=call.user_id,
        roles=request.query_params.getlist("role"),
        groups=groups,
        lifetime=60 * _minutes(query_value(request, "minutesToExpire")),
    )
    token = service.web_pubsub.issuer.issue(order, call.object_id or "", service.clock.now())
    return JSONResponse({"token": token})


def _check_client_type(client_type: str | None) -> None:
    """Only the default type has clients here; the name ignores case."""
    wanted = (client_type or "Default").lower()
    if wanted == "mqtt":
        refuse_rest(501, "Error.NotImplemented", "The local Azure does not support MQTT clients.")
    if wanted != "default":
        refuse_rest(400, "Error.BadRequest", "The query parameter clientType must be Default or MQTT.")


def _minutes(text: str | None) -> int:
    if text is None:
        return _DEFAULT_MINUTES
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST_MINUTES):
        refuse_rest(400, "Error.BadRequest", "The query parameter minutesToExpire must be a positive integer.")
    return int(text)
