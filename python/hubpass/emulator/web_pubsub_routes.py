"""The routes of the Web PubSub server.

Their names begin with `web_pubsub_`, so that a fault for SignalR's `send` never hits a call of the other service.
Source of the paths: the public REST specification (Azure/azure-rest-api-specs, `specification/webpubsub`).
"""

from __future__ import annotations

import re

from hubpass.emulator import permissions
from hubpass.emulator.routes import Route

_HUB = r"/api/hubs/(?P<hub>[^/]+)"
_CONNECTION = r"/connections/(?P<connection>[^/]+)"
_GROUP = r"/groups/(?P<group>[^/]+)"
_USER = r"/users/(?P<user>[^/]+)"
# The paths of a client that says its hub in the path or in the query.
_CLIENT = re.compile(r"/client/?|/client/hubs/(?P<hub>[^/]+)/?")
_OTHER_CLIENT = re.compile(r"/clients/(?P<protocol>mqtt|socketio)/hubs/.*")


def _rest(name: str, methods: tuple[str, ...], path: str, shown_as: str, action: str) -> Route:
    return Route(name, methods, re.compile(_HUB + path), f"{methods[0]} /api/hubs/{{hub}}{shown_as}", action)


WEB_PUBSUB_ROUTES = (
    Route("web_pubsub_connect", (), _CLIENT, "WebSocket /client/hubs/{hub} and /client/?hub="),
    # Without the upgrade to a WebSocket the same path is a bad request rather than an unknown one.
    Route("web_pubsub_connect", ("GET",), _CLIENT, ""),
    Route("web_pubsub_other_client", (), _OTHER_CLIENT, ""),
    Route("web_pubsub_other_client", ("GET", "POST"), _OTHER_CLIENT, ""),
    Route("web_pubsub_health", ("HEAD", "GET"), re.compile(r"/api/health"), "HEAD /api/health"),
    _rest(
        "web_pubsub_generate_token",
        ("POST",),
        r"/:generateToken",
        "/:generateToken",
        permissions.WEB_PUBSUB_GENERATE_TOKEN,
    ),
    _rest("web_pubsub_send_to_all", ("POST",), r"/:send", "/:send", permissions.WEB_PUBSUB_HUB_SEND),
    _rest(
        "web_pubsub_send_to_group",
        ("POST",),
        _GROUP + r"/:send",
        "/groups/{group}/:send",
        permissions.WEB_PUBSUB_GROUP_SEND,
    ),
    _rest(
        "web_pubsub_send_to_user",
        ("POST",),
        _USER + r"/:send",
        "/users/{user}/:send",
        permissions.WEB_PUBSUB_USER_SEND,
    ),
    _rest(
        "web_pubsub_send_to_connection",
        ("POST",),
        _CONNECTION + r"/:send",
        "/connections/{connection}/:send",
        permissions.WEB_PUBSUB_CONNECTION_SEND,
    ),
    _rest(
        "web_pubsub_add_to_group",
        ("PUT",),
        _GROUP + _CONNECTION,
        "/groups/{group}/connections/{connection}",
        permissions.WEB_PUBSUB_GROUP_WRITE,
    ),
    _rest(
        "web_pubsub_remove_from_group",
        ("DELETE",),
        _GROUP + _CONNECTION,
        "/groups/{group}/connections/{connection}",
        permissions.WEB_PUBSUB_GROUP_WRITE,
    ),
    _rest(
        "web_pubsub_connection_exists",
        ("HEAD",),
        _CONNECTION,
        "/connections/{connection}",
        permissions.WEB_PUBSUB_CONNECTION_READ,
    ),
    _rest(
        "web_pubsub_close_connection",
        ("DELETE",),
        _CONNECTION,
        "/connections/{connection}",
        permissions.WEB_PUBSUB_CONNECTION_WRITE,
    ),
    _rest("web_pubsub_group_exists", ("HEAD",), _GROUP, "/groups/{group}", permissions.WEB_PUBSUB_GROUP_READ),
    _rest("web_pubsub_user_exists", ("HEAD",), _USER, "/users/{user}", permissions.WEB_PUBSUB_USER_READ),
)
WEB_PUBSUB_ROUTE_NAMES = tuple(dict.fromkeys(route.name for route in WEB_PUBSUB_ROUTES))
