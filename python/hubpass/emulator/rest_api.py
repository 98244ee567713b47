"""The REST data plane: sending to a hub and to a group, and putting users into groups.

Source: the public REST specification of Azure SignalR Service (Azure/azure-signalr, `docs/swagger`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hubpass.emulator.authentication import rest_caller, rest_hub, single_query_value
from hubpass.emulator.connections import Connection
from hubpass.emulator.interception import call_of
from hubpass.emulator.request_body import BodyEndedError, BodyTooLongError, read_body
from hubpass.emulator.rest_errors import check_api_version, refuse_rest
from hubpass.emulator.routes import Match
from hubpass.emulator.service import Service, log
from hubpass.emulator.strict_json import parse_json
from hubpass.emulator.user_groups import LONGEST_MEMORY

_MAX_BODY_BYTES = 1024 * 1024
_LONGEST_GROUP = 1024
# A 32-bit number in the specification.
_TTL = re.compile(r"[0-9]{1,9}")


async def send_to_all(service: Service, request: Request, match: Match) -> Response:
    """Send an invocation to every client of the hub except the excluded connections: 202 without a body."""
    hub = _admit(service, request, match)
    return await _send(service, request, service.connections.of_hub, hub)


async def send_to_group(service: Service, request: Request, match: Match) -> Response:
    """Send an invocation to the clients of a group except the excluded connections: 202, also if there are none."""
    hub, group = _admit(service, request, match), _group(match)
    return await _send(service, request, lambda key: service.connections.of_group(key, group), hub)


async def add_user_to_group(service: Service, request: Request, match: Match) -> Response:
    """Put a user into a group: 200.

    Without `ttl` its connections of today and of a year are in it, with `ttl=0` those that are there, otherwise also
    those that come within so many seconds.
    """
    hub, group, user = _admit(service, request, match), _group(match), match.parameters["user"]
    if not user.strip():
        refuse_rest(400, "Error.BadRequest", "The user id is blank.")
    present = service.connections.add_user_to_group(hub, user, group, _seconds(request))
    call = call_of(request.scope)
    call.user_id, call.target, call.action = user, group, f"added {present}"
    return Response(status_code=200)


def _admit(service: Service, request: Request, match: Match) -> str:
    """The hub key of a request whose bearer, hub and api-version are good."""
    call = call_of(request.scope)
    hub = match.parameters["hub"]
    call.hub = hub.lower()
    rest_caller(service, request, match)
    application = single_query_value(request, "application", required=False) or None
    call.hub = key = rest_hub(hub, application)
    check_api_version(single_query_value(request, "api-version", required=False))
    return key


async def _send(service: Service, request: Request, receivers: Callable[[str], list[Connection]], hub: str) -> Response:
    call = call_of(request.scope)
    _check_content_type(request.headers.get("content-type", ""))
    target, arguments = _parse_message(await read_rest_body(request))
    call.target = target
    excluded = frozenset(request.query_params.getlist("excluded"))
    # Who is there is decided when the message is complete, and not when its first bytes came.
    delivered = service.connections.deliver(receivers(hub), target, arguments, excluded)
    call.action = f"sent to {delivered}"
    if delivered == 0:
        log.info("Hub %s has no connected client to send to.", hub)
    return Response(status_code=202)


def _group(match: Match) -> str:
    """The name of the group: 1 to 1,024 characters as .NET counts them, not all of them blanks."""
    group = match.parameters["group"]
    if not group.strip() or len(group.encode("utf-16-le", "surrogatepass")) // 2 > _LONGEST_GROUP:
        refuse_rest(400, "Error.BadRequest", "The group name is not valid.")
    return group


def _seconds(request: Request) -> float:
    """The query's `ttl`, or the longest that the service remembers."""
    ttl = single_query_value(request, "ttl", required=False)
    if ttl is None:
        return LONGEST_MEMORY
    if not _TTL.fullmatch(ttl):
        refuse_rest(400, "Error.BadRequest", "The query parameter ttl is not a number of seconds, zero or more.")
    return float(ttl)


def _check_content_type(content_type: str) -> None:
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [part.partition("=")[2].strip('"') for part in parameters if part.startswith("charset=")]
    if media_type != "application/json" or any(charset != "utf-8" for charset in charsets):
        refuse_rest(415, "Error.UnsupportedMediaType", "The local Azure reads application/json in UTF-8 only.")


async def read_rest_body(request: Request) -> bytes:
    """The body; raises `RefusedError` if it is not complete (400) or larger than 1 MiB (413)."""
    try:
        return await read_body(request, _MAX_BODY_BYTES)
    except BodyEndedError:
        refuse_rest(400, "Error.BadRequest", "The body ended before it was complete.")
    except BodyTooLongError:
        refuse_rest(413, "Error.PayloadTooLarge", f"The body may have at most {_MAX_BODY_BYTES} bytes.")


def _parse_message(body: bytes) -> tuple[str, list[Any]]:
    """Target and arguments; the service ignores the case of the two names."""
    try:
        message = parse_json(body.decode("utf-8"))
    except ValueError:
        refuse_rest(400, "Error.BadRequest", "The body is not valid JSON in UTF-8.")
    if not isinstance(message, dict):
        refuse_rest(400, "Error.BadRequest", "The body is not a JSON object.")
    fields = {name.lower(): value for name, value in message.items()}
    target, arguments = fields.get("target"), fields.get("arguments")
    if not isinstance(target, str) or not target:
        refuse_rest(400, "Error.BadRequest", "The body needs a target that is a text.")
    if arguments is not None and not isinstance(arguments, list):
        refuse_rest(400, "Error.BadRequest", "The arguments must be an array or null.")
    return target, arguments or []
