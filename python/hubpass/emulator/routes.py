"""The routes of each server, by the names under which faults and the journal know them.

A route that the emulator lacks is refused with the list of those that it has, so that nobody takes silence
for success.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hubpass.emulator.permissions import ACCESS_KEY, GROUP_SEND, GROUP_WRITE, HUB_SEND

UNSUPPORTED = "unsupported"


@dataclass(frozen=True)
class Route:
    """One supported route.

    `methods` of a WebSocket route is empty. `events` tells requests apart that differ in nothing but whether they
    accept `text/event-stream`; None takes both. `action` is the data action that an Entra identity needs there,
    or None where its token is of no use; such routes are for clients or for everybody, the others for
    servers. An empty `shown_as` keeps a route that only refuses out of the list of what there is.
    """

    name: str
    methods: tuple[str, ...]
    pattern: re.Pattern[str]
    shown_as: str
    action: str | None = None
    events: bool | None = None


@dataclass(frozen=True)
class Match:
    """The outcome of looking a request up: `route` is None if there is none; `allowed` tells 405 from 404."""

    route: Route | None
    parameters: dict[str, str]
    allowed: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The route's name for faults and the journal."""
        return self.route.name if self.route else UNSUPPORTED

    @property
    def action(self) -> str | None:
        """The data action of the route."""
        return self.route.action if self.route else None


SERVICE_ROUTES = (
    Route("negotiate", ("POST",), re.compile(r"/client/negotiate"), "POST /client/negotiate?hub="),
    Route("connect", (), re.compile(r"/client/?"), "WebSocket /client/?hub="),
    Route(
        "server_sent_events",
        ("GET",),
        re.compile(r"/client/?"),
        "GET /client/?hub=&id= with Accept: text/event-stream",
        events=True,
    ),
    Route("poll", ("GET",), re.compile(r"/client/?"), "GET /client/?hub=&id=", events=False),
    Route("client_send", ("POST",), re.compile(r"/client/?"), "POST /client/?hub=&id="),
    Route("client_stop", ("DELETE",), re.compile(r"/client/?"), "DELETE /client/?hub=&id="),
    Route(
        "send",
        ("POST",),
        re.compile(r"/api/hubs/(?P<hub>[^/]+)/:send"),
        "POST /api/hubs/{hub}/:send?api-version=",
        HUB_SEND,
    ),
    Route(
        "send_to_group",
        ("POST",),
        re.compile(r"/api/hubs/(?P<hub>[^/]+)/groups/(?P<group>[^/]+)/:send"),
        "POST /api/hubs/{hub}/groups/{group}/:send?api-version=",
        GROUP_SEND,
    ),
    Route(
        "add_user_to_group",
        ("PUT",),
        re.compile(r"/api/hubs/(?P<hub>[^/]+)/users/(?P<user>[^/]+)/groups/(?P<group>[^/]+)"),
        "PUT /api/hubs/{hub}/users/{user}/groups/{group}?api-version=&ttl=",
        GROUP_WRITE,
    ),
    Route("health", ("HEAD", "GET"), re.compile(r"/api/health"), "HEAD /api/health"),
    Route(
        "access_key",
        ("GET",),
        re.compile(r"/api/v1/auth/accessKey"),
        "GET /api/v1/auth/accessKey",
        ACCESS_KEY,
    ),
    Route(
        "access_key",
        ("GET",),
        re.compile(r"/api/(?P<versioned>auth)/accessKey"),
        "GET /api/auth/accessKey?api-version=",
        ACCESS_KEY,
    ),
)
ENTRA_ROUTES = (
    Route(
        "token",
        ("POST",),
        re.compile(r"/(?P<tenant>[^/]+)/oauth2/v2\.0/token"),
        "POST /{tenant}/oauth2/v2.0/token",
    ),
    Route(
        "openid_metadata",
        ("GET",),
        re.compile(r"/(?P<tenant>[^/]+)(?P<version>/v2\.0)?/\.well-known/openid-configuration"),
        "GET /{tenant}/v2.0/.well-known/openid-configuration",
    ),
    Route(
        "signing_keys",
        ("GET",),
        re.compile(r"/(?P<tenant>[^/]+)/discovery(/v2\.0)?/keys"),
        "GET /{tenant}/discovery/v2.0/keys",
    ),
)
IDENTITY_ROUTES = (
    Route("managed_identity", ("GET",), re.compile(r"/msi/token"), "GET /msi/token?api-version=&resource="),
)
ROUTE_NAMES = tuple(dict.fromkeys(route.name for route in (*SERVICE_ROUTES, *ENTRA_ROUTES, *IDENTITY_ROUTES)))


def find_route(routes: tuple[Route, ...], kind: str, method: str, path: str, *, events: bool = False) -> Match:
    """The route of a request; `kind` is the type of the ASGI scope, `path` the decoded path.

    `events` says whether the request accepts `text/event-stream`.
    """
    allowed: tuple[str, ...] = ()
    for route in routes:
        found = route.pattern.fullmatch(path)
        if found is None or route.events not in {None, events}:
            continue
        fits = method in route.methods if kind == "http" else not route.methods
        if fits:
            return Match(route, {name: text for name, text in found.groupdict().items() if text is not None})
        if kind == "http":
            allowed += route.methods
    return Match(None, {}, allowed)
