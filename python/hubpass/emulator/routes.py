"""The routes of the data plane, by the names under which faults and the journal know them.

A route that the emulator lacks is refused with the list of those that it has, so that nobody takes silence
for success.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

UNSUPPORTED = "unsupported"


@dataclass(frozen=True)
class Route:
    """One supported route. `methods` of a WebSocket route is empty."""

    name: str
    methods: tuple[str, ...]
    pattern: re.Pattern[str]
    shown_as: str


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


ROUTES = (
    Route("negotiate", ("POST",), re.compile(r"/client/negotiate"), "POST /client/negotiate?hub="),
    Route("connect", (), re.compile(r"/client/?"), "WebSocket /client/?hub="),
    Route(
        "send",
        ("POST",),
        re.compile(r"/api/hubs/(?P<hub>[^/]+)/:send"),
        "POST /api/hubs/{hub}/:send?api-version=",
    ),
    Route("health", ("HEAD", "GET"), re.compile(r"/api/health"), "HEAD /api/health"),
)
ROUTE_NAMES = tuple(route.name for route in ROUTES)


def find_route(kind: str, method: str, path: str) -> Match:
    """The route of a request; `kind` is the type of the ASGI scope, `path` the decoded path."""
    allowed: tuple[str, ...] = ()
    for route in ROUTES:
        found = route.pattern.fullmatch(path)
        if found is None:
            continue
        fits = method in route.methods if kind == "http" else not route.methods
        if fits:
            return Match(route, found.groupdict())
        if kind == "http":
            allowed += route.methods
    return Match(None, {}, allowed)
