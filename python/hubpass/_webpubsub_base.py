"""What the sync and the async client of Azure Web PubSub have in common: how they are made, and their status."""

from __future__ import annotations

from hubpass import _native
from hubpass._client_base import ServiceClientBase

# Type checkers know the name; to import it from `typing` would double the time that the package takes to import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from typing import TypeAlias

    from typing_extensions import Self

    from hubpass._annotations import AccessKeyCredential, AsyncTokenCredential, ClientStatus, TokenCredential
    from hubpass.models import Event

    AnyCredential: TypeAlias = AccessKeyCredential | TokenCredential | AsyncTokenCredential

API_VERSION = "2024-12-01"
"""The version of the service's operations that the core speaks."""


class OwnCredential:
    """Stands for a credential that the client has made itself, and shows nothing of it."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Say what it stands for."""
        return "<credential made by the client [redacted]>"


class Configuration:
    """What programs read from ``client._config`` of Microsoft's SDK."""

    __slots__ = ("api_version", "credential", "endpoint", "hub")

    def __init__(self, endpoint: str, hub: str, credential: AnyCredential | OwnCredential) -> None:
        self.endpoint = endpoint
        self.hub = hub
        self.credential = credential
        self.api_version = API_VERSION

    def __repr__(self) -> str:
        """Show all but the credential, whose own text may tell too much."""
        return f"<configuration endpoint={self.endpoint!r} hub={self.hub!r} api_version={self.api_version!r}>"


class WebPubSubServiceClientBase(ServiceClientBase):
    """The constructor and the status of both clients; the public classes document them."""

    __slots__ = ("_credential",)

    _native: _native.WebPubSubClient
    _credential: AnyCredential | OwnCredential

    def __init__(
        self,
        endpoint: str,
        hub: str,
        credential: AccessKeyCredential | TokenCredential | AsyncTokenCredential | None = None,
        *,
        client_endpoint: str | None = None,
        server_endpoint: str | None = None,
        scope: str | None = None,
        ca_file: str | os.PathLike[str] | None = None,
        timeout: float | None = None,
        on_event: Callable[[Event], object] | None = None,
    ) -> None:
        keywords = {
            "authority": None,
            "ca_file": ca_file,
            "on_event": on_event,
            "scope": scope,
            "timeout": timeout,
        }
        self._credential = OwnCredential() if credential is None else credential
        try:
            self._native = _native.WebPubSubClient(
                endpoint, hub, credential, client_endpoint, server_endpoint, keywords, self._is_async
            )
        finally:
            # Error reporters show the variables of each frame of a traceback; no key may be among those of this one,
            # wherever it was passed by mistake.
            del endpoint, hub, credential, client_endpoint, server_endpoint, keywords
            del ca_file, on_event, scope, timeout

    @classmethod
    def from_connection_string(
        cls,
        connection_string: str,
        hub: str,
        *,
        authority: str | None = None,
        scope: str | None = None,
        ca_file: str | os.PathLike[str] | None = None,
        timeout: float | None = None,
        on_event: Callable[[Event], object] | None = None,
    ) -> Self:
        """Make a client from a connection string, as the Azure portal shows it under *Keys*.

        With ``AccessKey=`` it signs with that key. With ``AuthType=azure.msi`` (managed identity),
        ``AuthType=azure.app`` (``ClientId``, ``TenantId``, and ``ClientSecret`` or ``ClientCertPath``) or
        ``AuthType=azure`` (:class:`hubpass.identity.DefaultAzureCredential`) it uses Entra and needs no key; for any
        other identity pass a credential to the constructor. A ``ClientCertPath`` beside ``ClientSecret`` is ignored
        with a warning.

        The rules are those of Microsoft's SDK (azure-messaging-webpubsubservice 1.3), which has no ``AuthType``. A key
        that stands twice or is misspelt is refused; another unknown key is ignored with a warning.

        Args:
            connection_string: ``Endpoint=https://...;AccessKey=...;Version=1.0;``, with ``Port``, ``ClientEndpoint``
                and ``ServerEndpoint`` if they are needed.
            hub: As in the constructor.
            authority: The https address of the Entra authority. Default: ``AZURE_AUTHORITY_HOST``, or the public
                cloud's, ``https://login.microsoftonline.com``.
            scope: As in the constructor.
            ca_file: As in the constructor.
            timeout: As in the constructor.
            on_event: As in the constructor.

        Raises:
            ConfigurationError: The connection string cannot be used. The error names keys and never values.
            InvalidArgumentError: Another argument cannot be used.
        """
        keywords = {
            "authority": authority,
            "ca_file": ca_file,
            "on_event": on_event,
            "scope": scope,
            "timeout": timeout,
        }
        client = cls.__new__(cls)
        try:
            client._native = _native.WebPubSubClient.from_connection_string(  # noqa: SLF001 - a client of the same class
                connection_string, hub, keywords, cls._is_async
            )
        finally:
            # As in the constructor.
            del connection_string, hub, keywords
            del authority, ca_file, on_event, scope, timeout
        client._credential = OwnCredential()  # noqa: SLF001 - a client of the same class
        return client

    @classmethod
    def from_env(
        cls,
        hub: str,
        *,
        credential: TokenCredential | AsyncTokenCredential | None = None,
        authority: str | None = None,
        scope: str | None = None,
        ca_file: str | os.PathLike[str] | None = None,
        timeout: float | None = None,
        on_event: Callable[[Event], object] | None = None,
    ) -> Self:
        """Make a client from the environment variables that Azure's own tools set.

        A connection string in ``AZURE_WEBPUBSUB_CONNECTIONSTRING`` (Service Connector) or ``WebPubSubConnectionString``
        (Azure Functions). Or an address: in ``AZURE_WEBPUBSUB_HOST`` (Service Connector), with the identity in
        ``AZURE_WEBPUBSUB_CLIENTID``, ``_TENANTID`` and ``_CLIENTSECRET``; or in
        ``WebPubSubConnectionString__serviceUri`` (Azure Functions), with ``...__clientId``, ``...__tenantId``,
        ``...__clientSecret`` and ``...__credential=managedidentity``. Without any of these it is the platform's managed
        identity.

        Args:
            hub: As in the constructor.
            credential: A credential to use in the place of the identity that the environment names.
            authority: As in :meth:`from_connection_string`.
            scope: As in the constructor.
            ca_file: As in the constructor.
            timeout: As in the constructor.
            on_event: As in the constructor.

        Raises:
            ConfigurationError: No variable is set (``settings_missing``, which lists them all), two disagree
                (``settings_conflict``, which names both), or one cannot be used. Errors never repeat values.
            InvalidArgumentError: An argument cannot be used.
        """
        keywords = {
            "authority": authority,
            "ca_file": ca_file,
            "on_event": on_event,
            "scope": scope,
            "timeout": timeout,
        }
        client = cls.__new__(cls)
        held = OwnCredential() if credential is None else credential
        client._credential = held  # noqa: SLF001 - a client of the same class
        try:
            client._native = _native.WebPubSubClient.from_env(  # noqa: SLF001 - a client of the same class
                hub, credential, keywords, cls._is_async
            )
        finally:
            # As in the constructor.
            del hub, credential, keywords, held
            del authority, ca_file, on_event, scope, timeout
        return client

    def for_hub(self, hub: str) -> Self:
        """Make a client for another hub, which shares this one's credential, key and connections.

        Each of the two is closed on its own.

        Raises:
            InvalidArgumentError: The hub name cannot be used (``invalid_hub``).
            ClientClosedError: This client is closed.
        """
        client = super().for_hub(hub)
        client._credential = self._credential  # noqa: SLF001 - a client of the same class
        return client

    def status(self) -> ClientStatus:
        """Say what the client holds and plans, without secrets: for health checks and metrics.

        With an access key ``mode`` is ``"access_key"``, ``ready`` tells whether the client is open, and there is
        nothing more to say. With Entra ``mode`` is ``"entra"``, ``ready`` tells whether a client token would take no
        more than one request to the service, because an Entra token is in hand, and there are: ``credential`` (its
        name), ``age``, ``renews_in`` and ``expires_in`` of the Entra token (seconds, or ``None`` without one), and
        ``last_error`` of the credential (``None`` after a success).
        """
        return self._native.status()

    @property
    def endpoint(self) -> str:
        """The service's address: scheme, host, the port if it is not the scheme's own, and the path if it has one."""
        return self._native.endpoint

    @property
    def hub(self) -> str:
        """The hub's name as it was given. The service ignores case, and tokens agree with URLs."""
        return self._native.hub

    @property
    def _config(self) -> Configuration:
        """What programs written for Microsoft's SDK read."""
        return Configuration(self.endpoint, self.hub, self._credential)
