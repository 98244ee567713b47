"""The local Entra: the token endpoint for client credentials, OpenID metadata, and the signing keys.

Sources: "OAuth 2.0 client credentials flow on the Microsoft identity platform" and "Microsoft Entra
authentication and authorization error codes" of Microsoft's documentation.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import datetime, timezone
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from hubpass.emulator.directory import Application
from hubpass.emulator.dispatch import Dispatch
from hubpass.emulator.interception import InjectFaults, RecordCalls, call_of
from hubpass.emulator.journal import Call
from hubpass.emulator.routes import ENTRA_ROUTES, Match
from hubpass.emulator.service import Service

DEFAULT_LIFETIME = 3599
_MAX_BODY_BYTES = 64 * 1024
_FORM = "application/x-www-form-urlencoded"
_DEFAULT_SCOPE = "/.default"
_RESOURCE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^\s]+|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def entra_plane(service: Service) -> ASGIApp:
    """The ASGI application of the authority's port."""
    handlers = {"token": _give_token, "openid_metadata": _metadata, "signing_keys": _signing_keys}
    dispatch = Dispatch(service, ENTRA_ROUTES, handlers)
    return RecordCalls(InjectFaults(dispatch, service), service, ENTRA_ROUTES)


class _EntraError(Exception):
    """An error answer: the OAuth 2.0 error, and Entra's number and text for it."""

    def __init__(self, error: str, number: int, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.error, self.number, self.text, self.status = error, number, text, status


async def _give_token(service: Service, request: Request, match: Match) -> Response:
    call = call_of(request.scope)
    try:
        tenant_id = _tenant(service, match)
        form = await _form(request)
        _check_grant(form)
        application = _authenticated(service, call, tenant_id, form)
        audience = _audience(_needed(form, "scope"))
    except _EntraError as error:
        call.action, call.reason = "refused", f"AADSTS{error.number}: {error.text}"
        return _error_answer(service, request, error)
    lifetime = DEFAULT_LIFETIME if service.token_lifetime is None else service.token_lifetime
    call.action = f"token for {audience}"
    token = service.issuer.issue(application.principal, audience, service.clock.now(), lifetime)
    answer = {
        "token_type": "Bearer",
        "expires_in": lifetime,
        "ext_expires_in": lifetime,
        "access_token": token,
    }
    return JSONResponse(answer, headers={"cache-control": "no-store, no-cache", "pragma": "no-cache"})


def _authenticated(service: Service, call: Call, tenant_id: str, form: Mapping[str, str]) -> Application:
    """The application whose id and secret the form gives."""
    client_id, secret = _needed(form, "client_id"), form.get("client_secret", "")
    application = service.directory.application(tenant_id, client_id)
    if application is None:
        raise _EntraError(
            "unauthorized_client",
            700016,
            f"Application with identifier '{client_id}' was not found in the directory '{tenant_id}'.",
        )
    call.object_id = application.principal.object_id
    if not secret:
        raise _EntraError(
            "invalid_client",
            7000218,
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            401,
        )
    if not application.has_secret(secret):
        raise _EntraError(
            "invalid_client",
            7000215,
            f"Invalid client secret provided for app '{client_id}'. The value of the secret is needed, not its ID.",
            401,
        )
    return application


async def _metadata(service: Service, request: Request, match: Match) -> Response:
    """The OpenID metadata; as with Entra, the one of version 1.0 names the issuer of resource tokens."""
    try:
        tenant_id = _tenant(service, match)
    except _EntraError as error:
        return _error_answer(service, request, error)
    version = match.parameters.get("version", "")
    base = f"{service.issuer.authority}/{tenant_id}"
    return JSONResponse(
        {
            "issuer": f"{base}{version}" if version else service.issuer.issuer(tenant_id),
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
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
    except _EntraError as error:
        return _error_answer(service, request, error)
    return JSONResponse(service.issuer.key_set())


def _tenant(service: Service, match: Match) -> str:
    tenant_id = match.parameters["tenant"].lower()
    if not service.directory.has_tenant(tenant_id):
        raise _EntraError("invalid_request", 90002, f"Tenant '{tenant_id}' not found.")
    return tenant_id


async def _form(request: Request) -> dict[str, str]:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_BODY_BYTES:
                raise _EntraError("invalid_request", 900561, "The request body is too large.")
    except ClientDisconnect:
        raise _EntraError("invalid_request", 900144, "The request body is not complete.") from None
    if content_type != _FORM:
        raise _EntraError("invalid_request", 900144, f"The request body must be {_FORM}.")
    pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    form = dict(pairs)
    if len(form) != len(pairs):
        raise _EntraError("invalid_request", 9000411, "A parameter of the request is duplicated.")
    return form


def _check_grant(form: Mapping[str, str]) -> None:
    if _needed(form, "grant_type") != "client_credentials":
        raise _EntraError(
            "unsupported_grant_type",
            70003,
            "The app requested an unsupported grant type; use client_credentials.",
        )


def _audience(scope: str) -> str:
    """The resource in front of `/.default`; a slash at its end is kept, as Entra does."""
    resource = scope.removesuffix(_DEFAULT_SCOPE)
    if resource == scope or not _RESOURCE.fullmatch(resource):
        raise _EntraError(
            "invalid_scope",
            70011,
            f"The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid: "
            f"client credentials need one resource with {_DEFAULT_SCOPE}.",
        )
    return resource


def _needed(form: Mapping[str, str], name: str) -> str:
    value = form.get(name, "")
    if not value:
        raise _EntraError(
            "invalid_request", 900144, f"The request body must contain the following parameter: '{name}'."
        )
    return value


def _error_answer(service: Service, request: Request, error: _EntraError) -> JSONResponse:
    trace_id = str(uuid.uuid4())
    moment = datetime.fromtimestamp(service.clock.now(), timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
    try:
        correlation_id = str(uuid.UUID(request.headers.get("client-request-id", "")))
    except ValueError:
        correlation_id = str(uuid.uuid4())
    return JSONResponse(
        {
            "error": error.error,
            "error_description": (
                f"AADSTS{error.number}: {service.redactor.text(error.text)} Trace ID: {trace_id} "
                f"Correlation ID: {correlation_id} Timestamp: {moment}"
            ),
            "error_codes": [error.number],
            "timestamp": moment,
            "trace_id": trace_id,
            "correlation_id": correlation_id,
            "error_uri": f"{service.issuer.authority}/error?code={error.number}",
        },
        status_code=error.status,
        headers={"cache-control": "no-store, no-cache", "pragma": "no-cache"},
    )
