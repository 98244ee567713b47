"""The connection strings under which the service can be reached, one for each way to authenticate."""

from __future__ import annotations

from hubpass.emulator.access_keys import KeyName
from hubpass.emulator.addresses import Address, bracketed
from hubpass.emulator.directory import Application
from hubpass.emulator.service import Service


def key_connection_string(service: Service, name: KeyName) -> str:
    """With a static key, as the Azure portal shows it."""
    return f"{_endpoint(service.address)}AccessKey={service.keys.text(name)};Version=1.0;"


def application_connection_string(service: Service, application: Application) -> str:
    """With the client secret of an application."""
    principal = application.principal
    return (
        f"{_endpoint(service.address)}AuthType=azure.app;ClientId={principal.client_id};"
        f"ClientSecret={application.client_secret};TenantId={principal.tenant_id};Version=1.0;"
    )


def managed_identity_connection_string(service: Service, client_id: str | None = None) -> str:
    """With the system-assigned managed identity, or with the user-assigned one of that client id."""
    selector = "" if client_id is None else f"ClientId={client_id};"
    return f"{_endpoint(service.address)}AuthType=azure.msi;{selector}Version=1.0;"


def _endpoint(address: Address) -> str:
    """The port stands apart from the endpoint, which parsers must be able to put together."""
    return f"Endpoint={address.scheme}://{bracketed(address.host)};Port={address.port};"
