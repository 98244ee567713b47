"""What the sync and the async client of Azure SignalR Service have in common: how they are made, and their status."""

from __future__ import annotations

from hubpass import _native
from hubpass._client_base import ServiceClientBase

# Type checkers know the name; to import it from `typing` would double the time that the package takes to import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from typing_extensions import Self

    from hubpass._annotations import AccessKeyCredential, AsyncTokenCredential, ClientStatus, TokenCredential
    from hubpass.models import Event, KeyPolicy


class SignalRServiceClientBase(ServiceClientBase):
    """The constructor and the properties of both clients; the public classes document them."""

    __slots__ = ()

    _native: _native.SignalRClient

    def __init__(
        self,
        endpoint: str,
        hub: str,
        credential: AccessKeyCredential | TokenCredential | AsyncTokenCredential | None = None,
        *,
        client_endpoint: str | None = None,
        server_endpoint: str | None = None,
        application_name: str | None = None,
        scope: str | None = None,
        key_policy: KeyPolicy | None = None,
        ca_file: str | os.PathLike[str] | None = None,
        timeout: float | None = None,
        verify_keys: bool = False,
        on_event: Callable[[Event], object] | None = None,
    ) -> None:
        keywords = {
            "application_name": application_name,
            "authority": None,
            "ca_file": ca_file,
            "key_policy": key_policy,
            "on_event": on_event,
            "scope": scope,
            "timeout": timeout,
            "verify_keys": verify_keys,
        }
        try:
            self._native = _native.SignalRClient(
                endpoint, hub, credential, client_endpoint, server_endpoint, keywords, self._is_async
            )
        finally:
            # Error reporters show the variables of each frame of a traceback; no key may be among those of this one,
            # wherever it was passed by mistake.
            del endpoint, hub, credential, client_endpoint, server_endpoint, keywords
            del application_name, ca_file, key_policy, on_event, scope, timeout, verify_keys

    @classmethod
    def from_connection_string(
        cls,
        connection_string: str,
        hub: str,
        *,
        application_name: str | None = None,
        authority: str | None = None,
        scope: str | None = None,
        key_policy: KeyPolicy | None = None,
        ca_file: str | os.PathLike[str] | None = None,
        timeout: float | None = None,
        verify_keys: bool = False,
        on_event: Callable[[Event], object] | None = None,
    ) -> Self:
        """Make a client from a connection string, as the Azure portal shows it under *Keys* or *Connection strings*.

        With ``AccessKey=`` it signs with that key. With ``AuthType=azure.msi`` (managed identity),
        ``AuthType=azure.app`` (``ClientId``, ``TenantId``, and ``ClientSecret`` or ``ClientCertPath``) or
        ``AuthType=azure`` (:class:`hubpass.identity.DefaultAzureCredential`) it uses Entra and needs no key; for any
        other identity pass a credential to the constructor. A ``ClientCertPath`` beside ``ClientSecret`` is ignored
        with a warning.

        The rules are those of ``ConnectionStringParser`` in Azure/azure-signalr, with three differences: a part without
        ``=``, an unknown ``AuthType`` and a misspelt key are refused. Another unknown key is ignored with a warning.

        Args:
            connection_string: ``Endpoint=https://...;AccessKey=...;Version=1.0;``, with ``Port``, ``ClientEndpoint``
                and ``ServerEndpoint`` if they are needed.
            hub: As in the constructor.
            application_name: As in the constructor.
            authority: The https address of the Entra authority. Default: ``AZURE_AUTHORITY_HOST``, or the public
                cloud's, ``https://login.microsoftonline.com``.
            scope: As in the constructor.
            key_policy: As in the constructor.
            ca_file: As in the constructor.
            timeout: As in the constructor.
            verify_keys: As in the constructor.
            on_event: As in the constructor.

        Raises:
            ConfigurationError: The connection string cannot be used. The error names keys and never values.
            InvalidArgumentError: Another argument cannot be used.
        """
        keywords = {
            "application_name": application_name,
            "authority": authority,
            "ca_file": ca_file,
            "key_policy": key_policy,
            "on_event": on_event,
            "scope": scope,
            "timeout": timeout,
            "verify_keys": verify_keys,
        }
        client = cls.__new__(cls)
        try:
            client._native = _native.SignalRClient.from_connection_string(  # noqa: SLF001 - a client of the same class
                connection_string, hub, keywords, cls._is_async
            )
        finally:
            # As in the constructor.
            del connection_string, hub, keywords
            del application_name, authority, ca_file, key_policy, on_event, scope, timeout, verify_keys
        return client

    @classmethod
    def from_env(
        cls,
        hub: str,
        *,
        credential: TokenCredential | AsyncTokenCredential | None = None,
        application_name: str | None = None,
        authority: str | None = None,
        scope: str | None = None,
        key_policy: KeyPolicy | None = None,
        ca_file: str | os.PathLike[str] | None = None,
        timeout: float | None = None,
        verify_keys: bool = False,
        on_event: Callable[[Event], object] | None = None,
    ) -> Self:
        """Make a client from the environment variables that Azure's own tools set.

        A connection string in ``AZURE_SIGNALR_CONNECTIONSTRING`` (Service Connector), ``AzureSignalRConnectionString``
        (Azure Functions) or ``Azure__SignalR__ConnectionString`` (ASP.NET Core). Or an address in
        ``AzureSignalRConnectionString__serviceUri`` (Azure Functions), with the identity in ``...__clientId``,
        ``...__tenantId``, ``...__clientSecret`` and ``...__credential=managedidentity``; without any of these it is the
        platform's managed identity.

        Args:
            hub: As in the constructor.
            credential: A credential to use in the place of the identity that the environment names.
            application_name: As in the constructor.
            authority: As in :meth:`from_connection_string`.
            scope: As in the constructor.
            key_policy: As in the constructor.
            ca_file: As in the constructor.
            timeout: As in the constructor.
            verify_keys: As in the constructor.
            on_event: As in the constructor.

        Raises:
            ConfigurationError: No variable is set (``settings_missing``, which lists them all), two disagree
                (``settings_conflict``, which names both), or one cannot be used. Errors never repeat values.
            InvalidArgumentError: An argument cannot be used.
        """
        keywords = {
            "application_name": application_name,
            "authority": authority,
            "ca_file": ca_file,
            "key_policy": key_policy,
            "on_event": on_event,
            "scope": scope,
            "timeout": timeout,
            "verify_keys": verify_keys,
        }
        client = cls.__new__(cls)
        try:
            client._native = _native.SignalRClient.from_env(  # noqa: SLF001 - a client of the same class
                hub, credential, keywords, cls._is_async
            )
        finally:
            # As in the constructor.
            del hub, credential, keywords
            del application_name, authority, ca_file, key_policy, on_event, scope, timeout, verify_keys
        return client

    def status(self) -> ClientStatus:
        """Say what the client holds and plans, without secrets: for health checks and metrics.

        ``ready`` tells whether ``negotiate`` would be answered without waiting. With an access key ``mode`` is
        ``"access_key"``, and there is nothing more to say. With Entra it is ``"entra"``, and there are: ``credential``
        (its name), ``kid`` of the key in hand, its ``age``, ``renews_in`` and ``expires_in`` (seconds, or ``None``
        without a key), ``last_error`` (``None`` after a success) and ``counters``.
        """
        return self._native.status()

    @property
    def hub(self) -> str:
        """The hub's name in lower case: the service ignores case, and tokens must agree with URLs."""
        return self._native.hub

    @property
    def application_name(self) -> str | None:
        """The prefix that separates the hubs of several applications on one service, or ``None``."""
        return self._native.application_name
