"""What is wrong with a role, a network, an address or a certificate, and what to do about it."""

import azure.core.exceptions
import pytest

from emulator.support import Azure
from entra.clients import Client, credential_of, entra_client, requests
from hubpass import DeadlineExceededError, HubpassError, NetworkBlockedError, PermissionMissingError, ServiceError
from signalr.client_kind import ClientKind

ACTION = "Microsoft.SignalRService/SignalR/auth/accessKey/action"


def elsewhere(kind: ClientKind, azure: Azure, endpoint: str, **options: object) -> Client:
    """A client of another address, with a token that is good."""
    return Client(kind.make(endpoint, credential=credential_of(kind, azure.entra_token()), **options).raw)


def test_a_missing_role(client_kind: ClientKind, azure: Azure) -> None:
    object_id = azure.emulator.object_id
    azure.control.remove_role(object_id)
    with pytest.raises(PermissionMissingError) as caught:
        entra_client(client_kind, azure).negotiate("ada")
    error = caught.value
    assert (error.code, error.status) == ("permission_missing", 403)
    assert isinstance(error, azure_error("HttpResponseError"))
    assert ACTION in error.message
    assert object_id in error.message
    for part in (
        '"SignalR App Server"',
        '"SignalR Service Owner"',
        f'az role assignment create --role "SignalR App Server" --assignee {object_id} --scope',
        "30 minutes",
    ):
        assert part in error.hint


def azure_error(name: str) -> type[Exception]:
    found: type[Exception] = getattr(azure.core.exceptions, name)
    return found


@pytest.mark.parametrize("role", ["SignalR App Server", "SignalR Service Owner"])
def test_the_roles_that_the_hint_names_are_enough(client_kind: ClientKind, azure: Azure, role: str) -> None:
    azure.control.remove_role(azure.emulator.object_id)
    azure.control.assign_role(azure.emulator.object_id, role)
    entra_client(client_kind, azure).warm_up()


def test_a_role_that_is_not_enough(client_kind: ClientKind, azure: Azure) -> None:
    azure.control.remove_role(azure.emulator.object_id)
    azure.control.assign_role(azure.emulator.object_id, "SignalR REST API Owner")
    with pytest.raises(PermissionMissingError):
        entra_client(client_kind, azure).warm_up()


def test_an_identity_whose_token_tells_no_object_id(client_kind: ClientKind, azure: Azure) -> None:
    """The token is not ours to understand; the message does without."""
    azure.control.fail_next("access_key", status=403, body="{}")
    client = Client(client_kind.make(azure.endpoint, credential=credential_of(client_kind, "opaque")).raw)
    with pytest.raises(PermissionMissingError) as caught:
        client.warm_up()
    assert "the identity lacks" in caught.value.message
    assert "--assignee <object id>" in caught.value.hint
    assert "opaque" not in str(caught.value)


def test_network_rules(client_kind: ClientKind, azure: Azure) -> None:
    azure.control.set_network_denied(True)
    with pytest.raises(NetworkBlockedError) as caught:
        entra_client(client_kind, azure).warm_up()
    assert (caught.value.code, caught.value.status) == ("network_blocked", 403)
    assert "az signalr network-rule update" in caught.value.hint
    assert not isinstance(caught.value, PermissionMissingError)


def test_a_token_that_the_service_does_not_accept(client_kind: ClientKind, azure: Azure) -> None:
    application = azure.control.add_application(tenant_id="00000000-0000-0000-0000-00000000000a")
    token = azure.entra_token(
        application.tenant_id, client_id=application.client_id, client_secret=application.client_secret
    )
    with pytest.raises(ServiceError) as caught:
        Client(client_kind.make(azure.endpoint, credential=credential_of(client_kind, token)).raw).warm_up()
    assert (caught.value.code, caught.value.status) == ("unauthorized", 401)
    assert isinstance(caught.value, azure_error("ClientAuthenticationError"))
    assert "tenant" in caught.value.hint
    assert requests(azure, "access_key") == 2


def test_an_address_that_is_no_service(client_kind: ClientKind, azure: Azure) -> None:
    emulator = azure.emulator
    with pytest.raises(ServiceError) as caught:
        elsewhere(client_kind, azure, emulator.authority, ca_file=emulator.ca_file).warm_up()
    assert (caught.value.code, caught.value.status) == ("not_found", 404)
    assert isinstance(caught.value, azure_error("ResourceNotFoundError"))
    assert "Endpoint" in caught.value.hint


def test_a_certificate_that_is_not_trusted(client_kind: ClientKind, azure: Azure) -> None:
    with pytest.raises(ServiceError) as caught:
        elsewhere(client_kind, azure, azure.emulator.authority).warm_up()
    assert caught.value.code == "tls_failed"
    assert isinstance(caught.value, azure_error("ServiceRequestError"))
    assert "ca_file=" in caught.value.hint


def test_a_port_that_speaks_no_tls(client_kind: ClientKind, azure: Azure) -> None:
    with pytest.raises(ServiceError) as caught:
        elsewhere(client_kind, azure, azure.endpoint.replace("http:", "https:")).warm_up()
    assert caught.value.code == "tls_failed"
    assert "port" in caught.value.hint


def test_a_name_that_does_not_resolve(client_kind: ClientKind, azure: Azure) -> None:
    with pytest.raises(ServiceError) as caught:
        elsewhere(client_kind, azure, "https://no-such-service.invalid").warm_up()
    assert caught.value.code == "name_resolution_failed"
    assert "no-such-service.invalid" in caught.value.message
    assert "Endpoint" in caught.value.hint


def test_a_port_where_nobody_listens(client_kind: ClientKind, azure: Azure) -> None:
    with pytest.raises(ServiceError) as caught:
        elsewhere(client_kind, azure, "http://127.0.0.1:9").warm_up()
    assert caught.value.code == "connection_failed"
    assert "127.0.0.1" in caught.value.message


def test_a_plain_http_address_gets_no_token(client_kind: ClientKind, azure: Azure) -> None:
    with pytest.warns(match="plain http"):
        client = elsewhere(client_kind, azure, "http://service.example")
    with pytest.raises(HubpassError) as caught:
        client.warm_up()
    assert caught.value.code == "insecure_endpoint"


def test_a_service_that_does_not_answer(client_kind: ClientKind, azure: Azure) -> None:
    azure.control.fail_next("access_key", hold=True)
    with pytest.raises(DeadlineExceededError) as caught:
        entra_client(client_kind, azure).warm_up(timeout=0.3)
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, azure_error("ServiceRequestError"))


def test_the_server_endpoint_is_the_one_that_is_asked(client_kind: ClientKind, azure: Azure) -> None:
    client = elsewhere(client_kind, azure, "https://front.example", server_endpoint=azure.endpoint)
    answer = client.negotiate("ada")
    assert answer.url.startswith("https://front.example/client/")
    assert requests(azure, "access_key") == 1
