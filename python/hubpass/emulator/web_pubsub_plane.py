"""The data plane of Web PubSub: its public port, for clients and for servers."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from hubpass.emulator import web_pubsub_rest_api as rest_api
from hubpass.emulator.dispatch import Dispatch
from hubpass.emulator.interception import InjectFaults, RecordCalls
from hubpass.emulator.path_decoding import DecodePaths
from hubpass.emulator.routes import Match
from hubpass.emulator.service import Service
from hubpass.emulator.web_pubsub_connect import refuse_other_client, refuse_without_upgrade, serve_web_pubsub_client
from hubpass.emulator.web_pubsub_generate_token import generate_token
from hubpass.emulator.web_pubsub_routes import WEB_PUBSUB_ROUTES


def web_pubsub_plane(service: Service) -> ASGIApp:
    """The ASGI application of the port of Web PubSub."""
    handlers = {
        "web_pubsub_connect": refuse_without_upgrade,
        "web_pubsub_other_client": refuse_other_client,
        "web_pubsub_health": _health,
        "web_pubsub_generate_token": generate_token,
        "web_pubsub_send_to_all": rest_api.send_to_all,
        "web_pubsub_send_to_group": rest_api.send_to_group,
        "web_pubsub_send_to_user": rest_api.send_to_user,
        "web_pubsub_send_to_connection": rest_api.send_to_connection,
        "web_pubsub_add_to_group": rest_api.add_to_group,
        "web_pubsub_remove_from_group": rest_api.remove_from_group,
        "web_pubsub_connection_exists": rest_api.connection_exists,
        "web_pubsub_group_exists": rest_api.group_exists,
        "web_pubsub_user_exists": rest_api.user_exists,
        "web_pubsub_close_connection": rest_api.close_connection,
    }
    # Servers take 404 for "does not exist", which an operation that is merely missing here must not say.
    dispatch = Dispatch(service, WEB_PUBSUB_ROUTES, handlers, serve_web_pubsub_client, unsupported_status=501)
    return DecodePaths(RecordCalls(InjectFaults(dispatch, service), service, WEB_PUBSUB_ROUTES))


async def _health(_: Service, __: Request, ___: Match) -> Response:
    """The resource is healthy as long as it answers; no token is needed."""
    return Response(status_code=200)
