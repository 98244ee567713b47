"""The connection strings under which the services can be reached, one for each way to authenticate."""

from __future__ import annotations

from hubpass.emulator.access_keys import KeyName
from hubpass.emulator.addresses import Address, bracketed
from hubpass.emulator.directory import Application
from hubpass.emulator.service import Service


def key_connection_string(service: Service, name: KeyName) -> str:
    """With a static key, as the Azure portal shows it."""
    return _with_key(service.address, service.keys.text(name))


def application_connection_string(service: Service, application: Application) -> str:
    """With the client secret of an application."""
    return _with_application(service.address, application)


def managed_identity_connection_string(service: Service, client_id: str | None = None) -> str:
    """With the system-assigned managed identity, or with the user-assigned one of that client id."""
    return _with_managed_identity(service.address, client_id)


def web_pubsub_key_connection_string(service: Service, name: KeyName) -> str:
    """The same for Web PubSub, with one of its own keys."""
    return _with_key(service.web_pubsub.address, service.web_pubsub.keys.text(name))


def web_pubsub_application_connection_string(service: Service, application: Application) -> str:
    """The same for Web PubSub. Hubpass's own form: Microsoft's SDKs of Web PubSub know strings with keys only."""
    return _with_application(service.web_pubsub.address, application)


def web_pubsub_managed_identity_connection_string(service: Service) -> str:
    """The same for Web PubSub, with the system-assigned managed identity."""
    return _with_managed_identity(service.web_pubsub.address, None)


def _with_key(address: Address, key: str) -> str:
    return f"{_endpoint(address)}AccessKey={key};Version=1.0;"


def _with_application(address: Address, application: Application) -> str:
    principal = application.principal
    return (
        f"{_endpoint(address)}AuthType=azure.app;ClientId={principal.client_id};"
        f"ClientSecret={application.client_secret};TenantId={principal.tenant_id};Version=1.0;"
    )


def _with_managed_identity(address: Address, client_id: str | None) -> str:
    selector = "" if client_id is None else f"ClientId={client_id};"
    return f"{_endpoint(address)}AuthType=azure.msi;{selector}Version=1.0;"


def _endpoint(address: Address) -> str:
    """The port stands apart from the endpoint, which parsers must be able to put together."""
    return f"Endpoint={address.scheme}://{bracketed(address.host)};Port={address.port};"
