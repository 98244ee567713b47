"""How the credentials are made for which the machine vouches, or whoever has signed in on it."""

from __future__ import annotations

from hubpass import _native
from hubpass.identity._base import CredentialBase, keywords

# Type checkers know the names; to import them from `typing` would double the time that the package takes to import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping


class ManagedIdentityBase(CredentialBase):
    """The managed identity of the platform that the process runs on.

    The environment says which one that is: App Service, Functions and Container Apps (``IDENTITY_ENDPOINT``,
    ``IDENTITY_HEADER``), Azure Arc (``IDENTITY_ENDPOINT``, ``IMDS_ENDPOINT``), workload identity of Kubernetes
    (``AZURE_AUTHORITY_HOST``, ``AZURE_TENANT_ID``, ``AZURE_FEDERATED_TOKEN_FILE``). If it says nothing, it is the
    Instance Metadata Service of a virtual machine, at 169.254.169.254 or ``AZURE_POD_IDENTITY_AUTHORITY_HOST``; in a
    chain that is found out within a second. No proxy is ever used.

    Args:
        client_id: The client id of a user-assigned identity. Default: the system-assigned one.
        identity_config: ``{"object_id": ...}`` or ``{"resource_id": ...}`` (or ``"client_id"``) in its place.
        ca_file: As of :class:`ClientSecretCredential`.

    Raises:
        InvalidArgumentError: More than one identity is named, or an argument cannot be used.
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        client_id: str | None = None,
        identity_config: Mapping[str, str] | None = None,
        ca_file: str | os.PathLike[str] | None = None,
    ) -> None:
        self._native = _native.Credential.managed_identity(
            client_id, identity_config, keywords(ca_file=ca_file), self._is_async
        )


class WorkloadIdentityBase(CredentialBase):
    """Workload identity of Kubernetes: the cluster writes a file that Entra takes for a proof.

    The file is read anew for each token, because the cluster replaces it.

    Args:
        tenant_id: The tenant. Default: ``AZURE_TENANT_ID``.
        client_id: The client id of the identity. Default: ``AZURE_CLIENT_ID``.
        token_file_path: The file. Default: ``AZURE_FEDERATED_TOKEN_FILE``.
        authority: As of :class:`ClientSecretCredential`.
        additionally_allowed_tenants: As of :class:`ClientSecretCredential`.
        disable_instance_discovery: As of :class:`ClientSecretCredential`.
        ca_file: As of :class:`ClientSecretCredential`.

    Raises:
        InvalidArgumentError: One of the three is neither passed nor in the environment.
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        tenant_id: str | None = None,
        client_id: str | None = None,
        token_file_path: str | os.PathLike[str] | None = None,
        authority: str | None = None,
        additionally_allowed_tenants: Iterable[str] | None = None,
        disable_instance_discovery: bool = True,
        ca_file: str | os.PathLike[str] | None = None,
    ) -> None:
        del disable_instance_discovery
        common = keywords(authority, additionally_allowed_tenants, ca_file)
        self._native = _native.Credential.workload_identity(
            tenant_id, client_id, token_file_path, common, self._is_async
        )


class AzureCliBase(CredentialBase):
    """Whoever has signed in with ``az login``.

    The tool is looked for in the absolute directories of ``PATH``, runs without a shell, and is killed with all that it
    has started when its time is up. Tokens are kept, unlike azure-identity's.

    Args:
        tenant_id: The tenant. Default: the account's own.
        subscription: The name or id of a subscription, whose account is used. Default: the current one.
        additionally_allowed_tenants: As of :class:`ClientSecretCredential`.
        process_timeout: How many seconds the tool may take.

    Raises:
        InvalidArgumentError: An argument cannot be used.
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        tenant_id: str = "",
        subscription: str | None = None,
        additionally_allowed_tenants: Iterable[str] | None = None,
        process_timeout: float = 10,
    ) -> None:
        common = keywords(additionally_allowed_tenants=additionally_allowed_tenants)
        self._native = _native.Credential.azure_cli(tenant_id, subscription, process_timeout, common, self._is_async)


class AzureDeveloperCliBase(CredentialBase):
    """Whoever has signed in with ``azd auth login``. The tool is run as that of :class:`AzureCliCredential`.

    Args:
        tenant_id: The tenant. Default: the account's own.
        additionally_allowed_tenants: As of :class:`ClientSecretCredential`.
        process_timeout: How many seconds the tool may take.

    Raises:
        InvalidArgumentError: An argument cannot be used.
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        tenant_id: str = "",
        additionally_allowed_tenants: Iterable[str] | None = None,
        process_timeout: float = 10,
    ) -> None:
        common = keywords(additionally_allowed_tenants=additionally_allowed_tenants)
        self._native = _native.Credential.azure_developer_cli(tenant_id, process_timeout, common, self._is_async)
