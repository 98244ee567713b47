"""Ties tokens to requests: where the bearer stands, which keys count there, and which audience it needs."""

from __future__ import annotations

import re

from starlette.requests import HTTPConnection

from hubpass.emulator.addresses import Address
from hubpass.emulator.audiences import RequestTarget, is_client_audience, is_rest_audience, own_authorities
from hubpass.emulator.interception import call_of
from hubpass.emulator.rest_errors import refuse_rest
from hubpass.emulator.routes import Match
from hubpass.emulator.service import Service
from hubpass.emulator.tokens import (
    KEY_NOT_FOUND,
    Claims,
    ParsedToken,
    bearer_from_header,
    check_key_algorithm,
    check_length,
    parse_token,
    refuse,
    refuse_with_text,
    verified_claims,
)

# The name pattern of the public REST specification. A client's hub key may begin with an application name and
# `_`.
HUB_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_`,.\[\]]{0,127}")
_ENTRA_AUDIENCES = frozenset({"https://signalr.azure.com", "https://signalr.azure.com/"})
_HUB_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_`,.\[\]]{0,256}")


def client_hub(connection: HTTPConnection) -> str:
    """The hub as the client wrote it; raises `RefusedError` (400) unless there is exactly one."""
    hub = single_query_value(connection, "hub", required=True)
    if hub is None or not _HUB_KEY.fullmatch(hub):
        refuse_with_text(400, "The query parameter hub is not a valid hub name.")
    return hub


def rest_hub(hub: str, application: str | None) -> str:
    """The hub key that a REST request addresses; raises `RefusedError` (400) for names that cannot exist."""
    for name in (hub, application):
        if name is not None and not HUB_NAME.fullmatch(name):
            refuse_with_text(400, "The hub or application is not a valid name.")
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
    check_length(token)
    target = request_target(service.address, connection)

    def check_signature(parsed: ParsedToken) -> None:
        kid = _check_client_signature(service, parsed)
        call_of(connection.scope).kid = kid

    return verified_claims(
        parse_token(token),
        check_signature,
        service.clock.now(),
        lambda audience: is_client_audience(audience, target, hub),
    )


def rest_caller(service: Service, connection: HTTPConnection, match: Match) -> None:
    """Check the bearer of a REST request: a token for this URL signed with a static key, or an Entra token."""
    token = parse_token(bearer_from_header(connection.headers.getlist("authorization")))
    if not token.is_signed_with_a_key:
        check_entra(service, connection, match, token)
        return
    target = request_target(service.address, connection)
    verified_claims(
        token,
        lambda parsed: _check_static_signature(service, parsed),
        service.clock.now(),
        lambda audience: is_rest_audience(audience, target),
    )


def entra_caller(service: Service, connection: HTTPConnection, match: Match) -> None:
    """Check the bearer of a request that takes Entra tokens only."""
    token = parse_token(bearer_from_header(connection.headers.getlist("authorization")))
    check_entra(service, connection, match, token)


def check_entra(
    service: Service,
    connection: HTTPConnection,
    match: Match,
    token: ParsedToken,
    audiences: frozenset[str] = _ENTRA_AUDIENCES,
) -> None:
    """Refuse an Entra token that is not good (401), or whose identity lacks the route's action (403)."""
    if token.is_signed_with_a_key:
        refuse("this request needs an Entra token, not one signed with a key", KEY_NOT_FOUND)
    claims = verified_claims(token, service.issuer.check_signature, service.clock.now(), audiences.__contains__)
    if claims.get("iss") != service.issuer.issuer(service.directory.tenant_id):
        refuse("the token's tenant is not the tenant of the service", "The issuer is invalid")
    object_id = str(claims["oid"])
    call_of(connection.scope).object_id = object_id
    if match.action is not None and not service.permissions.allows(object_id, match.action):
        refuse_rest(
            403,
            "Error.Forbidden",
            "The identity is not allowed to make this request.",
            reason=f"no role of the identity has the data action {match.action}",
        )


def _check_client_signature(service: Service, token: ParsedToken) -> str | None:
    """The `kid` of the temporary key that signed a client's token, or None if a static key did."""
    check_key_algorithm(token)
    kid = token.header.get("kid")
    verdict = service.temporary_keys.verify(kid, token.algorithm, token.signing_input, token.signature)
    if verdict == "valid":
        return str(kid)
    # A static key has no id in the service, and the public SDK writes a meaningless `kid` for one, so the
    # static keys are tried whatever the header says.
    if verdict == "unknown" or _has_static_signature(service, token):
        _check_static_signature(service, token)
        return None
    if verdict == "another signature":
        refuse("the temporary key does not verify the signature", "The signature is invalid")
    return refuse(f"the temporary key has {'expired' if verdict == 'expired' else 'been revoked'}", KEY_NOT_FOUND)


def _check_static_signature(service: Service, token: ParsedToken) -> None:
    check_key_algorithm(token)
    if _has_static_signature(service, token):
        if service.local_auth_disabled:
            refuse("local authentication is disabled, so access keys are not accepted", KEY_NOT_FOUND)
        return
    if service.temporary_keys.signed_any(token.algorithm, token.signing_input, token.signature):
        refuse("a temporary key signed the token: its kid is missing, or this is no client", KEY_NOT_FOUND)
    refuse("no access key verifies the signature", KEY_NOT_FOUND)


def _has_static_signature(service: Service, token: ParsedToken) -> bool:
    return service.keys.verify(token.algorithm, token.signing_input, token.signature)


def single_query_value(connection: HTTPConnection, name: str, *, required: bool) -> str | None:
    """The value of a query parameter that may stand there only once; raises `RefusedError` (400)."""
    values = connection.query_params.getlist(name)
    if len(values) > 1:
        refuse_with_text(400, f"The query parameter {name} is given {len(values)} times.")
    if required and not values:
        refuse_with_text(400, f"The query parameter {name} is missing.")
    return values[0] if values else None


def request_target(address: Address, connection: HTTPConnection) -> RequestTarget:
    """What the audience of a request to the server at `address` is compared with."""
    hosts, ports = own_authorities(address, connection.headers.get("host", ""))
    scope = connection.scope
    return RequestTarget(
        scheme=address.scheme,
        hosts=hosts,
        ports=ports,
        path=scope["path"],
        raw_path=scope["raw_path"].partition(b"?")[0].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
    )
