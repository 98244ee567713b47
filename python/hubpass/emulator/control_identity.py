"""The part of the control API that is about how identities prove themselves and where their tokens come from."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hubpass.emulator.application_certificates import new_certificate
from hubpass.emulator.arc_agent import ARC_CHALLENGES
from hubpass.emulator.client_credentials import ClientSecret, Credentials, FederatedCredential, registered
from hubpass.emulator.control_orders import (
    OrderError,
    flag,
    number,
    order_route,
    positive_or_none,
    read_order,
    text,
    text_or_none,
    texts,
)
from hubpass.emulator.developer_tools import TOOL_MODES, TOOLS
from hubpass.emulator.directory import Application, NotMultiTenantError, Principal
from hubpass.emulator.entra_errors import ON_ORDER
from hubpass.emulator.identity_routes import ARC_PATH
from hubpass.emulator.service import Service


def identity_control_routes(service: Service) -> list[Route]:
    """The routes for the control port, whose guard stands in front of them."""
    control = _IdentityControl(service)
    return [
        order_route("/identity/reset", "POST", control.reset),
        order_route("/identity/tenants", "POST", control.add_tenant),
        order_route("/identity/consents", "POST", control.consent),
        order_route("/identity/user-assigned", "POST", control.add_user_assigned),
        order_route("/identity/secrets", "POST", control.add_secret),
        order_route("/identity/certificates", "POST", control.add_certificate),
        order_route("/identity/certificates/remove", "POST", control.remove_certificate),
        order_route("/identity/federated-credentials", "POST", control.add_federated_credential),
        order_route("/identity/federated-credentials/remove", "POST", control.remove_federated_credentials),
        order_route("/identity/service-account-tokens", "POST", control.service_account_token),
        order_route("/identity/kubernetes-key/rotate", "POST", control.rotate_kubernetes_key),
        order_route("/identity/assertion-policy", "POST", control.set_assertion_policy),
        order_route("/identity/token-refusals", "POST", control.refuse_tokens),
        order_route("/identity/imds-limits", "POST", control.set_imds_limits),
        order_route("/identity/arc-challenge", "POST", control.set_arc_challenge),
        order_route("/identity/developer-tools", "POST", control.install_developer_tools),
        order_route("/identity/developer-tools/mode", "POST", control.set_developer_tool),
    ]


def identity_endpoints(service: Service) -> dict[str, str]:
    """What a client must know of the machine, the cluster and the developer; without any secret."""
    identity, directory = service.identity, service.directory
    return {
        "imds_endpoint": identity.machine.url,
        "arc_endpoint": f"{identity.machine.url}{ARC_PATH}",
        "arc_directory": str(identity.arc.directory),
        "kubernetes_issuer": identity.kubernetes.url,
        "subscription_id": directory.subscription_id,
        "developer_object_id": directory.developer.object_id,
    }


class _IdentityControl:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def reset(self, _: Request) -> Response:
        self._service.identity.reset()
        self._service.directory.reset()
        return self._done({})

    async def add_tenant(self, request: Request) -> Response:
        tenant_id = text_or_none(await read_order(request, "tenant_id"), "tenant_id")
        return self._done(
            {"tenant_id": self._service.directory.add_tenant(tenant_id and _guid(tenant_id, "tenant_id"))}
        )

    async def consent(self, request: Request) -> Response:
        order = await read_order(request, "client_id", "tenant_id", "roles")
        tenant_id, roles = _guid(text(order, "tenant_id"), "tenant_id"), self._roles(order)
        try:
            principal = self._service.directory.consent(self._application(order), tenant_id)
        except NotMultiTenantError:
            raise OrderError("the application is not a multi-tenant one: add_application(multi_tenant=True)") from None
        self._assign(principal, roles)
        return self._done({"object_id": principal.object_id})

    async def add_user_assigned(self, request: Request) -> Response:
        order = await read_order(request, "name", "roles")
        roles = self._roles(order)
        identity = self._service.directory.add_user_assigned(text(order, "name"))
        self._assign(identity.principal, roles)
        return self._done(
            {
                "client_id": identity.principal.client_id,
                "object_id": identity.principal.object_id,
                "resource_id": identity.resource_id or "",
            }
        )

    async def add_secret(self, request: Request) -> Response:
        order = await read_order(request, "client_id", "valid_for")
        application, valid_for = self._application(order), positive_or_none(order, "valid_for")
        expires = None if valid_for is None else self._service.clock.now() + valid_for
        secret = self._service.directory.new_secret()
        application.credentials.secrets.append(ClientSecret(secret, expires))
        return self._done({"client_secret": secret})

    async def add_certificate(self, request: Request) -> Response:
        order = await read_order(request, "client_id", "valid_for", "password", "with_authority", "registered")
        application, password = self._application(order), text_or_none(order, "password")
        valid_for = number(order.get("valid_for"))
        directory = self._service.identity.files.subdirectory("certificates")
        if password is not None:
            self._service.redactor.learn(password)
        files = new_certificate(
            directory,
            self._service.clock.now(),
            valid_for=valid_for,
            password=password,
            with_authority=flag(order, "with_authority"),
        )
        certificate = registered(files.certificate)
        if flag(order, "registered"):
            application.credentials.certificates.append(certificate)
        return self._done(
            {
                "thumbprint": certificate.thumbprint,
                "sha256_thumbprint": certificate.sha256_thumbprint,
                "pem_file": str(files.pem_file),
                "pkcs12_file": str(files.pkcs12_file),
                "certificate_file": str(files.certificate_file),
            }
        )

    async def remove_certificate(self, request: Request) -> Response:
        order = await read_order(request, "client_id", "thumbprint")
        credentials, thumbprint = self._application(order).credentials, text(order, "thumbprint").upper()
        kept = [one for one in credentials.certificates if one.thumbprint != thumbprint]
        if len(kept) == len(credentials.certificates):
            raise OrderError("the application has no certificate of that thumbprint", 404)
        credentials.certificates[:] = kept
        return self._done({})

    async def add_federated_credential(self, request: Request) -> Response:
        order = await read_order(request, "client_id", "issuer", "subject", "audience")
        issuer = text_or_none(order, "issuer") or self._service.identity.kubernetes.url
        credential = FederatedCredential(issuer, text(order, "subject"), text(order, "audience"))
        self._credentials(order).federated.append(credential)
        return self._done({})

    async def remove_federated_credentials(self, request: Request) -> Response:
        order = await read_order(request, "client_id")
        self._credentials(order).federated.clear()
        return self._done({})

    async def service_account_token(self, request: Request) -> Response:
        order = await read_order(request, "namespace", "name", "audience", "valid_for")
        token = self._service.identity.kubernetes.issue(
            text(order, "namespace"),
            text(order, "name"),
            text(order, "audience"),
            self._service.clock.now(),
            number(order.get("valid_for")),
        )
        return self._done({"token": token})

    async def rotate_kubernetes_key(self, _: Request) -> Response:
        self._service.identity.kubernetes.rotate_key()
        return self._done({})

    async def set_assertion_policy(self, request: Request) -> Response:
        order = await read_order(request, "refuse_replays", "longest_life")
        longest_life = positive_or_none(order, "longest_life")
        self._service.identity.assertions.set(refuse_replays=flag(order, "refuse_replays"), longest_life=longest_life)
        return self._done({})

    async def refuse_tokens(self, request: Request) -> Response:
        order = await read_order(request, "number", "times")
        wanted, times = order.get("number"), _count(order, "times", least=0)
        if wanted not in ON_ORDER:
            raise OrderError(f"number must be one of {', '.join(str(one) for one in ON_ORDER)}")
        if times == 0:
            self._service.identity.refusals.clear()
        else:
            self._service.identity.refusals.add(wanted, times)
        return self._done({})

    async def set_imds_limits(self, request: Request) -> Response:
        order = await read_order(request, "requests_per_second", "concurrent_requests")
        self._service.identity.imds_limits.set(
            _count(order, "requests_per_second", least=1), _count(order, "concurrent_requests", least=1)
        )
        return self._done({})

    async def set_arc_challenge(self, request: Request) -> Response:
        challenge = (await read_order(request, "challenge")).get("challenge")
        if challenge not in ARC_CHALLENGES:
            raise OrderError(f"challenge must be one of {', '.join(ARC_CHALLENGES)}")
        self._service.identity.arc.challenge = challenge
        return self._done({})

    async def install_developer_tools(self, _: Request) -> Response:
        return self._done({"directory": str(self._service.identity.tools.install())})

    async def set_developer_tool(self, request: Request) -> Response:
        order = await read_order(request, "tool", "mode")
        tool, mode = order.get("tool"), order.get("mode")
        if tool not in TOOLS:
            raise OrderError(f"tool must be one of {', '.join(TOOLS)}")
        if mode not in TOOL_MODES:
            raise OrderError(f"mode must be one of {', '.join(TOOL_MODES)}")
        self._service.identity.tools.modes[tool] = mode
        return self._done({})

    def _application(self, order: dict[str, Any]) -> Application:
        application = self._service.directory.application(text(order, "client_id"))
        if application is None:
            raise OrderError("client_id is not that of an application", 404)
        return application

    def _credentials(self, order: dict[str, Any]) -> Credentials:
        credentials = self._service.directory.credentials(text(order, "client_id"))
        if credentials is None:
            raise OrderError("client_id is not that of an application or a user-assigned identity", 404)
        return credentials

    def _roles(self, order: dict[str, Any]) -> list[str]:
        roles = texts(order, "roles")
        unknown = set(roles) - set(self._service.permissions.role_names())
        if unknown:
            raise OrderError(f"unknown roles: {', '.join(sorted(unknown))}")
        return roles

    def _assign(self, principal: Principal, roles: list[str]) -> None:
        for role in roles:
            self._service.permissions.assign(principal.object_id, role)

    def _done(self, answer: dict[str, str]) -> JSONResponse:
        self._service.changes.notify()
        return JSONResponse(answer)


def _guid(value: str, name: str) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise OrderError(f"{name} must be a GUID") from None


def _count(order: dict[str, Any], name: str, *, least: int) -> int:
    value = order.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise OrderError(f"{name} must be a whole number of at least {least}")
    return value
