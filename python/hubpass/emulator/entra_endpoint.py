"""The local Entra: the token endpoint for client credentials, OpenID metadata, and the signing keys.

Sources: "OAuth 2.0 client credentials flow on the Microsoft identity platform" and "Microsoft Entra
authentication and authorization error codes" of Microsoft's documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from hubpass.emulator.client_authentication import authenticated, needed
from hubpass.emulator.dispatch import Dispatch
from hubpass.emulator.entra_errors import EntraError, error_answer
from hubpass.emulator.identity_routes import KUBERNETES_ROUTES
from hubpass.emulator.interception import InjectFaults, RecordCalls, call_of
from hubpass.emulator.kubernetes_issuer import kubernetes_keys, kubernetes_metadata
from hubpass.emulator.resources import check_resource, requested_resource
from hubpass.emulator.routes import ENTRA_ROUTES, Match
from hubpass.emulator.service import Service

DEFAULT_LIFETIME = 3599
_MAX_BODY_BYTES = 64 * 1024
_FORM = "application/x-www-form-urlencoded"


def entra_plane(service: Service) -> ASGIApp:
    """The ASGI application of the authority's port."""
    handlers = {
        "token": _give_token,
        "openid_metadata": _metadata,
        "signing_keys": _signing_keys,
        "kubernetes_metadata": kubernetes_metadata,
        "kubernetes_keys": kubernetes_keys,
    }
    routes = (*ENTRA_ROUTES, *KUBERNETES_ROUTES)
    dispatch = Dispatch(service, routes, handlers)
    return RecordCalls(InjectFaults(dispatch, service), service, routes)


async def _give_token(service: Service, request: Request, match: Match) -> Response:
    call = call_of(request.scope)
    try:
        tenant_id = _tenant(service, match)
        form = await _form(request)
        _check_grant(form)
        client = authenticated(service, call, tenant_id, form)
        audience = requested_resource(needed(form, "scope"))
        check_resource(service.directory, tenant_id, audience)
        service.identity.refusals.check()
    except EntraError as error:
        call.action, call.reason = "refused", str(error)
        return _error_answer(service, request, error)
    lifetime = DEFAULT_LIFETIME if service.token_lifetime is None else service.token_lifetime
    call.action = f"token for {audience}"
    token = service.issuer.issue(client.principal, audience, service.clock.now(), lifetime)
    answer = {
        "token_type": "Bearer",
        "expires_in": lifetime,
        "ext_expires_in": lifetime,
        "access_token": token,
    }
    return JSONResponse(answer, headers={"cache-control": "no-store, no-cache", "pragma": "no-cache"})


async def _metadata(service: Service, request: Request, match: Match) -> Response:
    """The OpenID metadata; as with Entra, the one of version 1.0 names the issuer of resource tokens."""
    try:
        tenant_id = _tenant(service, match)
    except EntraError as error:
        return _error_answer(service, request, error)
    version = match.parameters.get("version", "")
    base = f"{service.issuer.authority}/{tenant_id}"
    return JSONResponse(
        {
            "issuer": f"{base}{version}" if version else service.issuer.issuer(tenant_id),
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            "jwks_uri": f"{base}/discovery{version}/keys",
            "response_types_supported": ["token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "tenant_region_scope": None,
        }
    )


async def _signing_keys(service: Service, request: Request, match: Match) -> Response:
    try:
        _tenant(service, match)
    except EntraError as error:
        return _error_answer(service, request, error)
    return JSONResponse(service.issuer.key_set())


def _tenant(service: Service, match: Match) -> str:
    tenant_id = match.parameters["tenant"].lower()
    if not service.directory.has_tenant(tenant_id):
        raise EntraError("invalid_request", 90002, f"Tenant '{tenant_id}' not found.")
    return tenant_id


async def _form(request: Request) -> dict[str, str]:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_BODY_BYTES:
                raise EntraError("invalid_request", 900561, "The request body is too large.")
    except ClientDisconnect:
        raise EntraError("invalid_request", 900144, "The request body is not complete.") from None
    if content_type != _FORM:
        raise EntraError("invalid_request", 900144, f"The request body must be {_FORM}.")
    pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    form = dict(pairs)
    if len(form) != len(pairs):
        raise EntraError("invalid_request", 9000411, "A parameter of the request is duplicated.")
    return form


def _check_grant(form: Mapping[str, str]) -> None:
    if needed(form, "grant_type") != "client_credentials":
        raise EntraError(
            "unsupported_grant_type",
            70003,
            "The app requested an unsupported grant type; use client_credentials.",
        )


def _error_answer(service: Service, request: Request, error: EntraError) -> JSONResponse:
    return error_answer(request, error, service.clock.now(), service.redactor, service.issuer.authority)
