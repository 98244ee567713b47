"""The identities of the local Entra: tenants, applications with a secret, and managed identities."""

from __future__ import annotations

import hmac
import secrets
import uuid
from dataclasses import dataclass, field

from hubpass.emulator.redaction import Redactor


@dataclass(frozen=True)
class Principal:
    """Whom a token speaks for. Roles are given to `object_id`; all three are texts of GUIDs."""

    tenant_id: str
    client_id: str
    object_id: str


@dataclass(frozen=True)
class Application:
    """A registered application and its client secret."""

    principal: Principal
    client_secret: str = field(repr=False)

    def has_secret(self, secret: str) -> bool:
        """Whether `secret` is this application's."""
        return hmac.compare_digest(self.client_secret.encode(), secret.encode())


@dataclass(frozen=True)
class ManagedIdentity:
    """An identity that Azure gives to an app; a user-assigned one is a resource with a path of its own."""

    principal: Principal
    resource_id: str | None


class Directory:
    """Everything that can get a token. The service belongs to `tenant_id`, its home tenant."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self.tenant_id = str(uuid.uuid4())
        self._applications: dict[str, Application] = {}
        self.default_application = self.add_application()
        self.system_assigned = ManagedIdentity(_new_principal(self.tenant_id), None)
        self.user_assigned = ManagedIdentity(
            _new_principal(self.tenant_id),
            f"/subscriptions/{uuid.uuid4()}/resourcegroups/local/providers"
            "/Microsoft.ManagedIdentity/userAssignedIdentities/local",
        )

    def add_application(self, tenant_id: str | None = None) -> Application:
        """Register an application, in the home tenant or in another one, which thereby comes to exist."""
        principal = _new_principal((tenant_id or self.tenant_id).lower())
        application = Application(principal, _new_secret())
        self._redactor.learn(application.client_secret)
        self._applications[principal.client_id] = application
        return application

    def has_tenant(self, tenant_id: str) -> bool:
        """Whether there is such a tenant; GUIDs ignore case."""
        known = {application.principal.tenant_id for application in self._applications.values()}
        return tenant_id.lower() in known

    def application(self, tenant_id: str, client_id: str) -> Application | None:
        """The application of that tenant, or None."""
        found = self._applications.get(client_id.lower())
        return found if found is not None and found.principal.tenant_id == tenant_id.lower() else None

    def default_principals(self) -> tuple[Principal, ...]:
        """The identities that exist from the start and get the roles of the start."""
        return (
            self.default_application.principal,
            self.system_assigned.principal,
            self.user_assigned.principal,
        )


def _new_principal(tenant_id: str) -> Principal:
    return Principal(tenant_id, str(uuid.uuid4()), str(uuid.uuid4()))


def _new_secret() -> str:
    """A secret that looks like Entra's: 40 characters, with a tilde that forms must not damage."""
    text = secrets.token_urlsafe(32)
    return f"{text[:3]}8Q~{text[3:37]}"
