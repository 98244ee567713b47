"""How credentials are made that try others in turn."""

from __future__ import annotations

from hubpass import _native
from hubpass.identity._base import CredentialBase, keywords

# Type checkers know the names; to import them from `typing` would double the time that the package takes to import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from hubpass._annotations import AsyncTokenCredential, TokenCredential


class _FromEnvironment:
    """Stands for what the environment says, where ``None`` says that it does not count."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Show what it stands for."""
        return "<from the environment>"


FROM_ENVIRONMENT = _FromEnvironment()


class ChainedBase(CredentialBase):
    """Several credentials, of which the first is taken that has something to try with.

    A member that raises :class:`~hubpass.CredentialUnavailableError` (azure-identity's included) is passed over; any
    other error ends the search. The member that gave a token is asked first from then on, until it fails. If none gives
    a token, the error lists what each of them said.

    Args:
        credentials: Credentials of this module, or any with azure-core's ``get_token`` or ``get_token_info``, in the
            order in which they are tried.

    Raises:
        InvalidArgumentError: There is none.
        ConfigurationError: One of them is no credential, or async in a chain that is not.
    """

    __slots__ = ("credentials",)

    credentials: tuple[TokenCredential | AsyncTokenCredential, ...]

    def __init__(self, *credentials: TokenCredential | AsyncTokenCredential) -> None:
        self._native = _native.Credential.chained(credentials, keywords(), self._is_async)
        self.credentials = credentials


class DefaultAzureBase(CredentialBase):
    """Whatever identity the machine offers, in the order of azure-identity.

    :class:`EnvironmentCredential`, :class:`WorkloadIdentityCredential`, :class:`ManagedIdentityCredential`,
    :class:`AzureCliCredential`, :class:`AzureDeveloperCliCredential`. azure-identity's members that Hubpass does not
    have (the shared token cache, Visual Studio Code, Azure PowerShell, the broker, and a browser if it is asked for)
    are passed over and named in the error. ``AZURE_TOKEN_CREDENTIALS`` chooses among them: ``dev``, ``prod`` or the
    name of one; the ``exclude_...`` keywords go over it, in both directions. The environment is read when the
    credential is made.

    Args:
        authority: As of :class:`ClientSecretCredential`.
        additionally_allowed_tenants: As of :class:`ClientSecretCredential`.
        exclude_environment_credential: Whether to leave :class:`EnvironmentCredential` out.
        exclude_workload_identity_credential: Whether to leave :class:`WorkloadIdentityCredential` out.
        exclude_managed_identity_credential: Whether to leave :class:`ManagedIdentityCredential` out.
        exclude_shared_token_cache_credential: About a member that Hubpass does not have.
        exclude_visual_studio_code_credential: About a member that Hubpass does not have.
        exclude_cli_credential: Whether to leave :class:`AzureCliCredential` out.
        exclude_powershell_credential: About a member that Hubpass does not have.
        exclude_developer_cli_credential: Whether to leave :class:`AzureDeveloperCliCredential` out.
        exclude_interactive_browser_credential: About a member that Hubpass does not have.
        exclude_broker_credential: About a member that Hubpass does not have.
        managed_identity_client_id: The client id of a user-assigned identity; ``None`` is the system-assigned one.
            Default: ``AZURE_CLIENT_ID``, or the system-assigned one.
        workload_identity_client_id: The same for workload identity. Default: that of the managed identity.
        workload_identity_tenant_id: The tenant for workload identity. Default: ``AZURE_TENANT_ID``.
        process_timeout: How many seconds a command-line tool may take.
        require_envvar: Whether ``AZURE_TOKEN_CREDENTIALS`` has to be set.
        disable_instance_discovery: As of :class:`ClientSecretCredential`.
        ca_file: As of :class:`ClientSecretCredential`.

    Raises:
        ConfigurationError: ``AZURE_TOKEN_CREDENTIALS`` names nothing that is known (``settings_invalid``), or is
            required and not set (``settings_missing``).
        InvalidArgumentError: Every member is excluded, or an argument cannot be used.
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        authority: str | None = None,
        additionally_allowed_tenants: Iterable[str] | None = None,
        exclude_environment_credential: bool | None = None,
        exclude_workload_identity_credential: bool | None = None,
        exclude_managed_identity_credential: bool | None = None,
        exclude_shared_token_cache_credential: bool | None = None,
        exclude_visual_studio_code_credential: bool | None = None,
        exclude_cli_credential: bool | None = None,
        exclude_powershell_credential: bool | None = None,
        exclude_developer_cli_credential: bool | None = None,
        exclude_interactive_browser_credential: bool | None = None,
        exclude_broker_credential: bool | None = None,
        managed_identity_client_id: str | _FromEnvironment | None = FROM_ENVIRONMENT,
        workload_identity_client_id: str | _FromEnvironment | None = FROM_ENVIRONMENT,
        workload_identity_tenant_id: str | None = None,
        process_timeout: float = 10,
        require_envvar: bool = False,
        disable_instance_discovery: bool = True,
        ca_file: str | os.PathLike[str] | None = None,
    ) -> None:
        del disable_instance_discovery
        exclusions = {
            "exclude_environment_credential": exclude_environment_credential,
            "exclude_workload_identity_credential": exclude_workload_identity_credential,
            "exclude_managed_identity_credential": exclude_managed_identity_credential,
            "exclude_shared_token_cache_credential": exclude_shared_token_cache_credential,
            "exclude_visual_studio_code_credential": exclude_visual_studio_code_credential,
            "exclude_cli_credential": exclude_cli_credential,
            "exclude_powershell_credential": exclude_powershell_credential,
            "exclude_developer_cli_credential": exclude_developer_cli_credential,
            "exclude_interactive_browser_credential": exclude_interactive_browser_credential,
            "exclude_broker_credential": exclude_broker_credential,
        }
        options: dict[str, object] = {
            "managed_identity_client_id": managed_identity_client_id,
            "workload_identity_client_id": workload_identity_client_id,
            "workload_identity_tenant_id": workload_identity_tenant_id,
            "process_timeout": process_timeout,
            "require_envvar": require_envvar,
        }
        options = {name: value for name, value in options.items() if value is not FROM_ENVIRONMENT}
        common = keywords(authority, additionally_allowed_tenants, ca_file)
        self._native = _native.Credential.default(exclusions, options, common, self._is_async)
