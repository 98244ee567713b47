"""The identities of the local Entra: tenants, applications, managed identities, and one developer."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field

from hubpass.emulator.client_credentials import ClientSecret, Credentials
from hubpass.emulator.redaction import Redactor

# The application that Azure CLI and Azure Developer CLI sign their users in with.
_AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
_RESOURCE_ID = (
    "/subscriptions/{subscription}/resourcegroups/local"
    "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"
)


class NotMultiTenantError(ValueError):
    """Only a multi-tenant application can be present in several tenants."""


@dataclass(frozen=True)
class Principal:
    """Whom a token speaks for. Roles are given to `object_id`; the ids are texts of GUIDs.

    `user_name` is None for applications and managed identities.
    """

    tenant_id: str
    client_id: str
    object_id: str
    user_name: str | None = None


@dataclass(frozen=True)
class Application:
    """A registered application, its first client secret, and the tenants in which it is present.

    `principal` is the one of its home tenant. A multi-tenant application has another one, with another object id, in
    each tenant that has consented to it.
    """

    principal: Principal
    client_secret: str = field(repr=False)
    credentials: Credentials
    multi_tenant: bool = False
    guests: dict[str, Principal] = field(default_factory=dict)

    def principal_in(self, tenant_id: str) -> Principal | None:
        """The application as the tenant knows it, or None where it is absent."""
        return self.principal if tenant_id == self.principal.tenant_id else self.guests.get(tenant_id)


@dataclass(frozen=True)
class ManagedIdentity:
    """An identity that Azure gives to an app; a user-assigned one is a resource with a path of its own.

    Only tokens of other issuers count as credentials of a managed identity; it has no secret and no certificate.
    """

    principal: Principal
    resource_id: str | None
    credentials: Credentials = field(default_factory=Credentials)


@dataclass(frozen=True)
class Client:
    """Whoever may ask the token endpoint: an application or a user-assigned identity, as one tenant knows it."""

    principal: Principal
    credentials: Credentials


class Directory:
    """Everything that can get a token. The service belongs to `tenant_id`, its home tenant."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self.tenant_id = str(uuid.uuid4())
        self.subscription_id = str(uuid.uuid4())
        self._tenants = {self.tenant_id}
        self._applications: dict[str, Application] = {}
        self.default_application = self.add_application()
        self.system_assigned = ManagedIdentity(_new_principal(self.tenant_id), None)
        self.user_assigned_identities: list[ManagedIdentity] = []
        self.user_assigned = self.add_user_assigned("local")
        self.developer = Principal(self.tenant_id, _AZURE_CLI, str(uuid.uuid4()), "developer@local.example")

    def add_tenant(self, tenant_id: str | None = None) -> str:
        """Let a tenant exist, with a new id or with this one, and return its id."""
        tenant_id = (tenant_id or str(uuid.uuid4())).lower()
        self._tenants.add(tenant_id)
        return tenant_id

    def add_application(self, tenant_id: str | None = None, *, multi_tenant: bool = False) -> Application:
        """Register an application, in the home tenant or in another one, which thereby comes to exist."""
        principal = _new_principal(self.add_tenant(tenant_id or self.tenant_id))
        secret = self.new_secret()
        application = Application(principal, secret, Credentials([ClientSecret(secret)]), multi_tenant)
        self._applications[principal.client_id] = application
        return application

    def add_user_assigned(self, name: str) -> ManagedIdentity:
        """Create a user-assigned identity and assign it to this machine; the first one is there from the start."""
        path = _RESOURCE_ID.format(subscription=self.subscription_id, name=name)
        identity = ManagedIdentity(_new_principal(self.tenant_id), path)
        self.user_assigned_identities.append(identity)
        return identity

    def new_secret(self) -> str:
        """A text for a client secret, which the journal and the log will not show."""
        secret = _new_secret()
        self._redactor.learn(secret)
        return secret

    def consent(self, application: Application, tenant_id: str) -> Principal:
        """Let a tenant know an application of another one; raises `NotMultiTenantError`."""
        if not application.multi_tenant:
            raise NotMultiTenantError(application.principal.client_id)
        tenant_id = self.add_tenant(tenant_id)
        present = application.principal_in(tenant_id)
        if present is None:
            present = Principal(tenant_id, application.principal.client_id, str(uuid.uuid4()))
            application.guests[tenant_id] = present
        return present

    def has_tenant(self, tenant_id: str) -> bool:
        """Whether there is such a tenant; GUIDs ignore case."""
        return tenant_id.lower() in self._tenants

    def application(self, client_id: str) -> Application | None:
        """The application of that id, whatever its tenant, or None."""
        return self._applications.get(client_id.lower())

    def credentials(self, client_id: str) -> Credentials | None:
        """The credentials of an application or a user-assigned identity, or None if there is none of that id."""
        application = self.application(client_id)
        if application is not None:
            return application.credentials
        identity = self._user_assigned(client_id)
        return None if identity is None else identity.credentials

    def client(self, tenant_id: str, client_id: str) -> Client | None:
        """The client of that id as the tenant knows it, or None where it is absent."""
        application, identity = self.application(client_id), self._user_assigned(client_id)
        if application is not None:
            principal = application.principal_in(tenant_id.lower())
            return None if principal is None else Client(principal, application.credentials)
        if identity is not None and identity.principal.tenant_id == tenant_id.lower():
            return Client(identity.principal, identity.credentials)
        return None

    def reset(self) -> None:
        """Forget tenants, applications, identities and credentials that were added since the start."""
        first = self.default_application
        self._tenants = {self.tenant_id}
        self._applications = {first.principal.client_id: first}
        self.user_assigned_identities = [self.user_assigned]
        first.guests.clear()
        for credentials in (first.credentials, self.user_assigned.credentials):
            credentials.clear()
        first.credentials.secrets.append(ClientSecret(first.client_secret))

    def default_principals(self) -> tuple[Principal, ...]:
        """The identities that exist from the start and get the roles of the start."""
        return (
            self.default_application.principal,
            self.system_assigned.principal,
            self.user_assigned.principal,
            self.developer,
        )

    def _user_assigned(self, client_id: str) -> ManagedIdentity | None:
        wanted = client_id.lower()
        return next((one for one in self.user_assigned_identities if one.principal.client_id == wanted), None)


def _new_principal(tenant_id: str) -> Principal:
    return Principal(tenant_id, str(uuid.uuid4()), str(uuid.uuid4()))


def _new_secret() -> str:
    """A secret that looks like Entra's: 40 characters, with a tilde that forms must not damage."""
    text = secrets.token_urlsafe(32)
    return f"{text[:3]}8Q~{text[3:37]}"
