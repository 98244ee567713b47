"""The REST data plane: sending to a hub.

Source: the public REST specification of Azure SignalR Service (Azure/azure-signalr, `docs/swagger`).
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hubpass.emulator.authentication import rest_caller, rest_hub, single_query_value
from hubpass.emulator.interception import call_of
from hubpass.emulator.request_body import BodyEndedError, BodyTooLongError, read_body
from hubpass.emulator.rest_errors import check_api_version, refuse_rest
from hubpass.emulator.routes import Match
from hubpass.emulator.service import Service, log
from hubpass.emulator.strict_json import parse_json

_MAX_BODY_BYTES = 1024 * 1024


async def send_to_all(service: Service, request: Request, match: Match) -> Response:
    """Send an invocation to every client of the hub except the excluded connections: 202 without a body."""
    call = call_of(request.scope)
    hub = match.parameters["hub"]
    call.hub = hub.lower()
    rest_caller(service, request, match)
    application = single_query_value(request, "application", required=False) or None
    key = rest_hub(hub, application)
    call.hub = key
    check_api_version(single_query_value(request, "api-version", required=False))
    _check_content_type(request.headers.get("content-type", ""))
    target, arguments = _parse_message(await read_rest_body(request))
    call.target = target
    excluded = frozenset(request.query_params.getlist("excluded"))
    delivered = service.connections.broadcast(key, target, arguments, excluded)
    call.action = f"sent to {delivered}"
    if delivered == 0:
        log.info("Hub %s has no connected client to send to.", key)
    return Response(status_code=202)


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
