"""Ties tokens to requests of Web PubSub: where the bearer stands, which keys count, and which audience it needs."""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from hubpass.emulator.authentication import HUB_NAME, check_entra, request_target, single_query_value
from hubpass.emulator.interception import call_of
from hubpass.emulator.permissions import WEB_PUBSUB_CONNECTION_WRITE
from hubpass.emulator.rest_errors import refuse_rest
from hubpass.emulator.routes import Match
from hubpass.emulator.service import Service
from hubpass.emulator.tokens import (
    KEY_NOT_FOUND,
    Claims,
    ParsedToken,
    bearer_from_header,
    parse_token,
    refuse,
    refuse_with_text,
    verified_claims,
)
from hubpass.emulator.web_pubsub_audiences import is_client_audience, is_rest_audience
from hubpass.emulator.web_pubsub_tokens import ALGORITHM

_ENTRA_AUDIENCES = frozenset({"https://webpubsub.azure.com", "https://webpubsub.azure.com/"})


def client_hub(websocket: WebSocket, match: Match) -> str:
    """The hub of the path, else of the query; raises `RefusedError` (400) for what cannot be one."""
    hub = match.parameters.get("hub") or single_query_value(websocket, "hub", required=True) or ""
    if not HUB_NAME.fullmatch(hub):
        text = "The hub is not a valid name."
        refuse_with_text(400, text)
    return hub


def rest_hub(match: Match) -> str:
    """The hub of a REST request in lower case, since hubs ignore case; raises `RefusedError` (400)."""
    hub = match.parameters["hub"]
    if not HUB_NAME.fullmatch(hub):
        refuse_rest(400, "Error.BadRequest", "The hub is not a valid name.")
    return hub.lower()


def client_claims(service: Service, websocket: WebSocket, hub: str) -> Claims:
    """The claims of a client's token; the one of the query wins over the one of the `Authorization` header."""
    bearer = single_query_value(websocket, "access_token", required=False)
    token = parse_token(bearer or bearer_from_header(websocket.headers.getlist("authorization")))
    target = request_target(service.web_pubsub.address, websocket)
    claims = verified_claims(
        token,
        lambda parsed: _check_client_signature(service, parsed),
        service.clock.now(),
        lambda audience: is_client_audience(audience, target, hub),
    )
    if service.web_pubsub.issuer.names_key_of(token):
        _check_generator(service, websocket, service.web_pubsub.issuer.generator_of(token))
    return claims


def rest_caller(service: Service, connection: HTTPConnection, match: Match) -> None:
    """Check the bearer of a REST request: a token for this URL signed with a static key, or an Entra token."""
    token = parse_token(bearer_from_header(connection.headers.getlist("authorization")))
    if not token.is_signed_with_a_key:
        check_entra(service, connection, match, token, _ENTRA_AUDIENCES)
        return
    target = request_target(service.web_pubsub.address, connection)
    verified_claims(
        token,
        lambda parsed: _check_static_signature(service, parsed),
        service.clock.now(),
        lambda audience: is_rest_audience(audience, target),
    )


def entra_caller(service: Service, connection: HTTPConnection, match: Match) -> None:
    """Check the bearer of a request that takes Entra tokens only."""
    token = parse_token(bearer_from_header(connection.headers.getlist("authorization")))
    check_entra(service, connection, match, token, _ENTRA_AUDIENCES)


def _check_client_signature(service: Service, token: ParsedToken) -> None:
    if not service.web_pubsub.issuer.names_key_of(token):
        _check_static_signature(service, token)
    elif not service.web_pubsub.issuer.has_signed(token):
        refuse("the service's own key does not verify the signature", "The signature is invalid")


def _check_static_signature(service: Service, token: ParsedToken) -> None:
    if token.algorithm != ALGORITHM:
        refuse(f"the algorithm is not {ALGORITHM}", "The signature is invalid")
    if not service.web_pubsub.keys.verify(token.algorithm, token.signing_input, token.signature):
        refuse("no access key of the Web PubSub resource verifies the signature", KEY_NOT_FOUND)
    if service.local_auth_disabled:
        refuse("local authentication is disabled, so access keys are not accepted", KEY_NOT_FOUND)


def _check_generator(service: Service, websocket: WebSocket, object_id: str) -> None:
    """Refuse a generated token whose generator may not connect clients.

    The article "How to generate client access URL for the clients" of Azure Web PubSub asks for two data actions, one
    to generate and `clientConnection/write` to connect. Which status the lack of the second gives is not documented;
    the token itself is good, so it is 403 here, the answer to every other identity that lacks a data action.
    """
    call = call_of(websocket.scope)
    call.object_id, call.permission = object_id, WEB_PUBSUB_CONNECTION_WRITE
    if not service.permissions.allows(object_id, WEB_PUBSUB_CONNECTION_WRITE):
        refuse_rest(
            403,
            "Error.Forbidden",
            "The identity that generated the token is not allowed to connect clients.",
            reason=f"no role of the token's generator has the data action {WEB_PUBSUB_CONNECTION_WRITE}",
        )
