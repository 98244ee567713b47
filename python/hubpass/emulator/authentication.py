"""Ties tokens to requests: which audience a request needs and where its bearer stands."""

from __future__ import annotations

import re
from typing import NoReturn

from starlette.requests import HTTPConnection

from hubpass.emulator.audiences import RequestTarget, is_client_audience, is_rest_audience, own_authorities
from hubpass.emulator.service import Service
from hubpass.emulator.tokens import Claims, Refusal, RefusedError, bearer_from_header, verified_claims

# The name pattern of the public REST specification. A client's hub key may begin with an application name and
# `_`.
_HUB_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_`,.\[\]]{0,127}")
_HUB_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_`,.\[\]]{0,256}")


def client_hub(connection: HTTPConnection) -> str:
    """The hub as the client wrote it; raises `RefusedError` (400) unless there is exactly one."""
    hub = single_query_value(connection, "hub", required=True)
    if hub is None or not _HUB_KEY.fullmatch(hub):
        _refuse_query("The query parameter hub is not a valid hub name.")
    return hub


def rest_hub(hub: str, application: str | None) -> str:
    """The hub key that a REST request addresses; raises `RefusedError` (400) for names that cannot exist."""
    for name in (hub, application):
        if name is not None and not _HUB_NAME.fullmatch(name):
            _refuse_query("The hub or application is not a valid name.")
    return (f"{application}_{hub}" if application else hub).lower()


def client_claims(service: Service, connection: HTTPConnection, hub: str, *, query_allowed: bool) -> Claims:
    """The claims of a client's token.

    Browsers cannot set headers on a WebSocket, so there, and only there (`query_allowed`), the last
    `access_token` of the query counts when the `Authorization` header is missing.
    """
    token = bearer_from_header(connection.headers.getlist("authorization"))
    in_query = connection.query_params.getlist("access_token")
    if token is None and in_query and query_allowed:
        token = in_query[-1] or None
    target = _target(service, connection)
    return verified_claims(
        token,
        service.keys,
        service.clock.now(),
        lambda audience: is_client_audience(audience, target, hub),
        limit_length=True,
    )


def rest_claims(service: Service, connection: HTTPConnection) -> Claims:
    """The claims of a REST token, whose audience is the URL of this request."""
    target = _target(service, connection)
    return verified_claims(
        bearer_from_header(connection.headers.getlist("authorization")),
        service.keys,
        service.clock.now(),
        lambda audience: is_rest_audience(audience, target),
        limit_length=False,
    )


def single_query_value(connection: HTTPConnection, name: str, *, required: bool) -> str | None:
    """The value of a query parameter that may stand there only once; raises `RefusedError` (400)."""
    values = connection.query_params.getlist(name)
    if len(values) > 1:
        _refuse_query(f"The query parameter {name} is given {len(values)} times.")
    if required and not values:
        _refuse_query(f"The query parameter {name} is missing.")
    return values[0] if values else None


def _target(service: Service, connection: HTTPConnection) -> RequestTarget:
    hosts, ports = own_authorities(service.address, connection.headers.get("host", ""))
    scope = connection.scope
    return RequestTarget(
        scheme=service.address.scheme,
        hosts=hosts,
        ports=ports,
        path=scope["path"],
        raw_path=scope["raw_path"].partition(b"?")[0].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
    )


def _refuse_query(text: str) -> NoReturn:
    raise RefusedError(Refusal(400, text, body=text))
