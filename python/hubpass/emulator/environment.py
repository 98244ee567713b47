"""The local Azure as environment variables: what Azure's own tools would have set for an application."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubpass.emulator.process import Emulator

# Everything that names a service or an identity. What another Azure has left there would disagree with the local one.
_NAMES = (
    "AZURE_SIGNALR_CONNECTIONSTRING",
    "AzureSignalRConnectionString",
    "Azure__SignalR__ConnectionString",
    "AZURE_WEBPUBSUB_CONNECTIONSTRING",
    "AZURE_WEBPUBSUB_HOST",
    "WebPubSubConnectionString",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "IDENTITY_SERVER_THUMBPRINT",
    "IMDS_ENDPOINT",
    "MSI_ENDPOINT",
    "MSI_SECRET",
    "AZURE_CLIENT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    "AZURE_TENANT_ID",
)
_PREFIXES = ("AzureSignalRConnectionString__", "WebPubSubConnectionString__")

CONTROL_URL = "HUBPASS_EMULATOR_CONTROL_URL"
CONTROL_TOKEN = "HUBPASS_EMULATOR_CONTROL_TOKEN"  # noqa: S105 - the name of a variable


def settings(emulator: Emulator) -> dict[str, str]:
    """The variables that let an application use both services with its managed identity, and no key at all.

    ``from_env`` reads them. The control API's address and token are among them, for tests that run in another process.
    """
    return {
        "AZURE_SIGNALR_CONNECTIONSTRING": emulator.managed_identity_connection_string,
        "AZURE_WEBPUBSUB_CONNECTIONSTRING": emulator.web_pubsub_managed_identity_connection_string,
        "IDENTITY_ENDPOINT": emulator.identity_endpoint,
        "IDENTITY_HEADER": emulator.identity_header,
        CONTROL_URL: emulator.control_url,
        CONTROL_TOKEN: emulator.control_token,
    }


def with_settings(environment: Mapping[str, str], emulator: Emulator) -> dict[str, str]:
    """The same environment with the local Azure in the place of any other."""
    kept = {name: value for name, value in environment.items() if name not in _NAMES and not name.startswith(_PREFIXES)}
    return {**kept, **settings(emulator)}
