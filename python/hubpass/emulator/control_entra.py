"""The part of the control API that is about Entra: temporary keys, roles, applications, local authentication."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hubpass.emulator.connection_strings import application_connection_string
from hubpass.emulator.control_answer import ControlAnswer
from hubpass.emulator.control_orders import (
    OrderError,
    flag,
    order_route,
    positive_or_none,
    read_order,
    text,
    text_or_none,
    texts,
)
from hubpass.emulator.permissions import BuiltInRoleError, UnknownRoleError
from hubpass.emulator.service import Service, log
from hubpass.emulator.temporary_keys import KidInUseError


def entra_control_routes(service: Service) -> list[Route]:
    """The routes for the control port, whose guard stands in front of them."""
    control = _EntraControl(service)
    return [
        order_route("/temporary-keys/rotate", "POST", control.rotate),
        order_route("/temporary-keys/revoke", "POST", control.revoke),
        order_route("/temporary-keys/policy", "POST", control.set_policy),
        order_route("/roles/define", "POST", control.define_role),
        order_route("/roles/assign", "POST", control.assign_role),
        order_route("/roles/remove", "POST", control.remove_role),
        order_route("/applications", "POST", control.add_application),
        order_route("/token-lifetime", "POST", control.set_token_lifetime),
        order_route("/local-auth", "POST", control.set_local_auth),
        order_route("/network-acl", "POST", control.set_network_acl),
    ]


def entra_state(service: Service) -> dict[str, Any]:
    """The part of the state that is about Entra; without any secret."""
    return {
        "temporary_keys": service.temporary_keys.describe(),
        "key_life": service.temporary_keys.life,
        "key_issue_for": service.temporary_keys.issue_for,
        "roles": service.permissions.assignments(),
        "local_auth_disabled": service.local_auth_disabled,
        "network_denied": service.network_denied,
        "token_lifetime": service.token_lifetime,
    }


class _EntraControl:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def rotate(self, request: Request) -> Response:
        kid = text_or_none(await read_order(request, "kid"), "kid")
        try:
            key = self._service.temporary_keys.rotate(kid)
        except KidInUseError:
            raise OrderError("there is a key with that kid already", 409) from None
        log.info("A new temporary access key is given out from now on.")
        return ControlAnswer({"kid": key.kid})

    async def revoke(self, request: Request) -> Response:
        kid = text_or_none(await read_order(request, "kid"), "kid")
        revoked = self._service.temporary_keys.revoke(kid)
        if kid is not None and revoked == 0:
            raise OrderError("no key of that kid is alive", 404)
        log.info("Temporary access keys revoked: %s.", revoked)
        return ControlAnswer({"revoked": revoked})

    async def set_policy(self, request: Request) -> Response:
        order = await read_order(request, "life", "issue_for")
        life, issue_for = positive_or_none(order, "life"), positive_or_none(order, "issue_for")
        self._service.temporary_keys.set_policy(life, issue_for)
        return self._state()

    async def define_role(self, request: Request) -> Response:
        order = await read_order(request, "role", "actions")
        try:
            self._service.permissions.define(text(order, "role"), texts(order, "actions"))
        except BuiltInRoleError:
            raise OrderError("a built-in role cannot be redefined") from None
        return self._state()

    async def assign_role(self, request: Request) -> Response:
        order = await read_order(request, "object_id", "role")
        try:
            self._service.permissions.assign(text(order, "object_id"), text(order, "role"))
        except UnknownRoleError:
            names = ", ".join(self._service.permissions.role_names())
            raise OrderError(f"role must be one of {names}") from None
        return self._state()

    async def remove_role(self, request: Request) -> Response:
        order = await read_order(request, "object_id", "role")
        role = text_or_none(order, "role")
        removed = self._service.permissions.remove(text(order, "object_id"), role)
        if role is not None and removed == 0:
            raise OrderError("the identity has no such role", 404)
        return ControlAnswer({"removed": removed})

    async def add_application(self, request: Request) -> Response:
        order = {"multi_tenant": False, **await read_order(request, "tenant_id", "roles", "multi_tenant")}
        tenant_id, roles = text_or_none(order, "tenant_id"), texts(order, "roles")
        unknown = set(roles) - set(self._service.permissions.role_names())
        if unknown:
            raise OrderError(f"unknown roles: {', '.join(sorted(unknown))}")
        try:
            tenant_id = None if tenant_id is None else str(uuid.UUID(tenant_id))
        except ValueError:
            raise OrderError("tenant_id must be a GUID") from None
        application = self._service.directory.add_application(tenant_id, multi_tenant=flag(order, "multi_tenant"))
        principal = application.principal
        for role in roles:
            self._service.permissions.assign(principal.object_id, role)
        self._service.changes.notify()
        return ControlAnswer(
            {
                "tenant_id": principal.tenant_id,
                "client_id": principal.client_id,
                "object_id": principal.object_id,
                "client_secret": application.client_secret,
                "connection_string": application_connection_string(self._service, application),
            }
        )

    async def set_token_lifetime(self, request: Request) -> Response:
        seconds = positive_or_none(await read_order(request, "seconds"), "seconds")
        if seconds is not None and seconds != int(seconds):
            raise OrderError("seconds must be whole")
        self._service.token_lifetime = None if seconds is None else int(seconds)
        self._service.changes.notify()
        return self._state()

    async def set_local_auth(self, request: Request) -> Response:
        self._service.local_auth_disabled = flag(await read_order(request, "disabled"), "disabled")
        self._service.changes.notify()
        return self._state()

    async def set_network_acl(self, request: Request) -> Response:
        self._service.network_denied = flag(await read_order(request, "denied"), "denied")
        self._service.changes.notify()
        return self._state()

    def _state(self) -> ControlAnswer:
        return ControlAnswer(entra_state(self._service))
