"""The data plane: the service's public port, for clients and for servers."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from hubpass.emulator.access_key_api import give_access_key
from hubpass.emulator.client_negotiate import negotiate
from hubpass.emulator.client_requests import RequestTransports
from hubpass.emulator.client_websocket import serve_websocket
from hubpass.emulator.dispatch import Dispatch
from hubpass.emulator.interception import AllowBrowsers, InjectFaults, RecordCalls
from hubpass.emulator.path_decoding import DecodePaths
from hubpass.emulator.rest_api import add_user_to_group, send_to_all, send_to_group
from hubpass.emulator.routes import SERVICE_ROUTES, Match
from hubpass.emulator.service import Service


def data_plane(service: Service) -> ASGIApp:
    """The ASGI application of the service's public port."""
    requests = RequestTransports()
    handlers = {
        "negotiate": negotiate,
        "server_sent_events": requests.stream,
        "poll": requests.poll,
        "client_send": requests.send,
        "client_stop": requests.stop,
        "send": send_to_all,
        "send_to_group": send_to_group,
        "add_user_to_group": add_user_to_group,
        "health": _health,
        "access_key": give_access_key,
    }
    dispatch = Dispatch(service, SERVICE_ROUTES, handlers, serve_websocket)
    return DecodePaths(RecordCalls(AllowBrowsers(InjectFaults(dispatch, service)), service, SERVICE_ROUTES))


async def _health(_: Service, __: Request, ___: Match) -> Response:
    """The service is healthy as long as it answers; no token is needed."""
    return Response(status_code=200)
