"""The REST data plane of Web PubSub for servers: sending, groups, and single connections.

Sources: the public REST specification of Azure Web PubSub (Azure/azure-rest-api-specs, `specification/webpubsub`), and
the recordings of the official SDK's tests (Azure/azure-sdk-for-python) for what happens to targets that do not exist.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from hubpass.emulator.interception import call_of
from hubpass.emulator.rest_api import read_rest_body
from hubpass.emulator.rest_errors import error_response, refuse_rest
from hubpass.emulator.routes import Match
from hubpass.emulator.service import Service
from hubpass.emulator.strict_json import parse_json
from hubpass.emulator.web_pubsub_authentication import rest_caller, rest_hub
from hubpass.emulator.web_pubsub_connections import WebPubSubConnection
from hubpass.emulator.web_pubsub_identity import is_group_name
from hubpass.emulator.web_pubsub_messages import Data, Message
from hubpass.emulator.web_pubsub_query import check_version, query_value

_LONGEST_TTL = 300
_CLOSED_BY_SERVER = "Closed by a server."


async def send_to_all(service: Service, request: Request, match: Match) -> Response:
    """Send to every client of the hub: 202."""
    hub = _admit(service, request, match)
    return await _send(service, request, service.web_pubsub.connections.of_hub(hub), None)


async def send_to_group(service: Service, request: Request, match: Match) -> Response:
    """Send to the clients of a group: 202, also if there are none."""
    hub, group = _admit(service, request, match), _group(match)
    call_of(request.scope).target = group
    return await _send(service, request, service.web_pubsub.connections.of_group(hub, group), group)


async def send_to_user(service: Service, request: Request, match: Match) -> Response:
    """Send to the clients of a user: 202, also if there are none."""
    hub, user = _admit(service, request, match), match.parameters["user"]
    call_of(request.scope).target = user
    return await _send(service, request, service.web_pubsub.connections.of_user(hub, user), None)


async def send_to_connection(service: Service, request: Request, match: Match) -> Response:
    """Send to one client: 202, also if there is no such client."""
    hub, connection_id = _admit(service, request, match), match.parameters["connection"]
    call_of(request.scope).target = connection_id
    connection = service.web_pubsub.connections.get(hub, connection_id)
    return await _send(service, request, [] if connection is None else [connection], None)


async def add_to_group(service: Service, request: Request, match: Match) -> Response:
    """Put a connection into a group: 200, or 404 if there is no such connection."""
    hub, group = _admit(service, request, match), _group(match)
    connection = service.web_pubsub.connections.get(hub, match.parameters["connection"])
    if connection is None:
        return error_response(404, "Error.Connection.NotExisted", "There is no such connection.")
    service.web_pubsub.connections.join(connection, group)
    return Response(status_code=200)


async def remove_from_group(service: Service, request: Request, match: Match) -> Response:
    """Take a connection out of a group: 204, also if it was not in it."""
    hub, group = _admit(service, request, match), _group(match)
    connection = service.web_pubsub.connections.get(hub, match.parameters["connection"])
    if connection is not None:
        service.web_pubsub.connections.leave(connection, group)
    return Response(status_code=204)


async def connection_exists(service: Service, request: Request, match: Match) -> Response:
    """200 if there is such a connection, 404 if not."""
    hub = _admit(service, request, match)
    found = service.web_pubsub.connections.get(hub, match.parameters["connection"])
    return _existence(found is not None, "Connection")


async def group_exists(service: Service, request: Request, match: Match) -> Response:
    """200 if there is a connection in the group, 404 if not."""
    hub, group = _admit(service, request, match), _group(match)
    return _existence(bool(service.web_pubsub.connections.of_group(hub, group)), "Group")


async def user_exists(service: Service, request: Request, match: Match) -> Response:
    """200 if the user has a connection, 404 if not."""
    hub = _admit(service, request, match)
    return _existence(bool(service.web_pubsub.connections.of_user(hub, match.parameters["user"])), "User")


async def close_connection(service: Service, request: Request, match: Match) -> Response:
    """End a connection: 204, also if there is none. The reason of the query reaches the client."""
    hub = _admit(service, request, match)
    reason = query_value(request, "reason") or _CLOSED_BY_SERVER
    connection = service.web_pubsub.connections.get(hub, match.parameters["connection"])
    if connection is not None:
        service.web_pubsub.connections.close(connection, reason)
    return Response(status_code=204)


def _admit(service: Service, request: Request, match: Match) -> str:
    """The hub of a request whose bearer, hub and api-version are good."""
    call = call_of(request.scope)
    call.hub = match.parameters["hub"].lower()
    rest_caller(service, request, match)
    hub = rest_hub(match)
    check_version(request)
    return hub


async def _send(
    service: Service, request: Request, receivers: list[WebPubSubConnection], group: str | None
) -> Response:
    _check_options(request)
    data = await _data(request)
    excluded = frozenset(request.query_params.getlist("excluded"))
    delivered = service.web_pubsub.connections.deliver(receivers, Message(data, group), excluded)
    call_of(request.scope).action = f"sent to {delivered}"
    return Response(status_code=202)


def _check_options(request: Request) -> None:
    """Refuse a filter, which is not supported, and a time to live that cannot be one.

    A good time to live has no effect: a message is for those who are connected when it is sent.
    """
    if "filter" in request.query_params:
        refuse_rest(501, "Error.NotImplemented", "The local Azure does not support the query parameter filter.")
    ttl = query_value(request, "messageTtlSeconds")
    if ttl is not None and not (ttl.isascii() and ttl.isdigit() and int(ttl) <= _LONGEST_TTL):
        refuse_rest(400, "Error.BadRequest", f"messageTtlSeconds must be from 0 to {_LONGEST_TTL}.")


async def _data(request: Request) -> Data:
    """The body as its content type says; without one it is binary."""
    media_type, *parameters = (part.strip().lower() for part in request.headers.get("content-type", "").split(";"))
    charsets = {part.partition("=")[2].strip('"') for part in parameters if part.startswith("charset=")}
    if media_type not in {"application/json", "text/plain", "application/octet-stream", ""} or charsets - {"utf-8"}:
        refuse_rest(
            415,
            "Error.UnsupportedMediaType",
            "The content type must be application/json, text/plain or application/octet-stream, texts in UTF-8.",
        )
    body = await read_rest_body(request)
    if media_type in {"application/octet-stream", ""}:
        return Data.of_binary(body)
    try:
        text = body.decode()
        return Data.of_text(text) if media_type == "text/plain" else Data.of_json(parse_json(text), text)
    except ValueError:
        refuse_rest(400, "Error.BadRequest", "The body is not what its content type says.")


def _group(match: Match) -> str:
    group = match.parameters["group"]
    if not is_group_name(group):
        refuse_rest(400, "Error.BadRequest", "The group name is not valid.")
    return group


def _existence(exists: bool, kind: str) -> Response:
    if exists:
        return Response(status_code=200)
    return error_response(404, f"Warning.{kind}.NotExisted", f"The {kind.lower()} does not exist.")
