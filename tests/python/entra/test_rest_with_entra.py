"""Sending with Entra: the token itself, and not a key, proves who we are."""

import pytest

from emulator.support import Azure
from entra.clients import Events, client_with, credential_of, entra_client, requests
from hubpass import HubpassError, PermissionMissingError, ServiceError
from signalr.client_kind import ClientKind


def test_the_entra_token_is_carried(client_kind: ClientKind, azure: Azure) -> None:
    client = entra_client(client_kind, azure)
    client.send_to_all("hello", 1, excluded=["a"])
    entry = azure.control.journal("send")[-1]
    assert (entry.status, entry.object_id, entry.kid) == (202, azure.emulator.object_id, None)
    # No key is needed for it, and none was asked for.
    assert requests(azure, "access_key") == 0
    assert client.status["ready"] is False


def test_a_401_renews_the_token_once(client_kind: ClientKind, azure: Azure) -> None:
    client = entra_client(client_kind, azure)
    client.send_to_all("first")
    azure.control.fail_next("send", status=401)
    client.send_to_all("second")
    assert requests(azure, "token") == 2
    assert [entry.status for entry in azure.control.journal("send")] == [202, 401, 202]


def test_a_401_does_not_renew_the_token_twice(client_kind: ClientKind, azure: Azure) -> None:
    client = entra_client(client_kind, azure)
    azure.control.fail_next("send", times=5, status=401)
    with pytest.raises(ServiceError) as caught:
        client.send_to_all("hello")
    assert (caught.value.code, caught.value.status) == ("unauthorized", 401)
    assert "scope=" in caught.value.hint
    assert (requests(azure, "token"), requests(azure, "send")) == (2, 2)


def test_a_401_for_the_key_renews_the_token_once(client_kind: ClientKind, azure: Azure) -> None:
    client = entra_client(client_kind, azure)
    azure.control.fail_next("access_key", status=401)
    client.warm_up()
    assert (requests(azure, "token"), requests(azure, "access_key")) == (2, 2)


def test_an_outdated_token_of_a_credential_is_asked_for_again(client_kind: ClientKind, azure: Azure) -> None:
    credential = credential_of(client_kind, "ey.no.token")
    client = client_with(client_kind, azure, credential)
    with pytest.raises(ServiceError) as caught:
        client.send_to_all("hello")
    assert caught.value.code == "unauthorized"
    assert len(credential.calls) == 2


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 503}, {"drop": True}, {"status": 403, "body": "{}"}])
def test_nothing_else_is_sent_again(client_kind: ClientKind, azure: Azure, fault: dict[str, int]) -> None:
    client = entra_client(client_kind, azure)
    azure.control.fail_next("send", **fault)  # type: ignore[arg-type]
    with pytest.raises(HubpassError):
        client.send_to_all("hello")
    assert (requests(azure, "token"), requests(azure, "send")) == (1, 1)


def test_a_missing_role(client_kind: ClientKind, azure: Azure) -> None:
    control, object_id = azure.control, azure.emulator.object_id
    control.remove_role(object_id)
    control.assign_role(object_id, "SignalR App Server")
    client = entra_client(client_kind, azure)
    with pytest.raises(PermissionMissingError) as caught:
        client.send_to_all("hello")
    error = caught.value
    assert (error.code, error.status) == ("permission_missing", 403)
    assert "send_to_all" in error.message
    assert object_id in error.message
    assert "Microsoft.SignalRService/SignalR/hub/send/action" in error.message
    assert 'az role assignment create --role "SignalR REST API Owner"' in error.hint
    assert f"--assignee {object_id}" in error.hint
    # The role for keys is there.
    client.warm_up()


@pytest.mark.parametrize("role", ["SignalR REST API Owner", "SignalR Service Owner"])
def test_the_roles_that_the_hint_names_are_enough(client_kind: ClientKind, azure: Azure, role: str) -> None:
    azure.control.remove_role(azure.emulator.object_id)
    azure.control.assign_role(azure.emulator.object_id, role)
    entra_client(client_kind, azure).send_to_all("hello")


def test_a_disabled_access_key_is_explained(client_kind: ClientKind, azure: Azure) -> None:
    azure.control.set_local_auth_disabled(True)
    client = client_kind.from_connection_string(azure.emulator.connection_string)
    with pytest.raises(ServiceError) as caught:
        client.send_to_all("hello")
    assert (caught.value.code, caught.value.status) == ("unauthorized", 401)
    assert "disableLocalAuth" in caught.value.hint
    entra = entra_client(client_kind, azure)
    entra.send_to_all("hello")
    assert azure.negotiate(entra.negotiate("ada").access_token).status_code == 200


def test_failures_of_requests_are_told(client_kind: ClientKind, azure: Azure) -> None:
    events = Events()
    client = entra_client(client_kind, azure, on_event=events)
    azure.control.fail_next("send", status=500)
    with pytest.raises(ServiceError):
        client.send_to_all("hello")
    event = events.wait_for("request_failed")
    assert event.attributes == {"operation": "send_to_all", "code": "service_unavailable", "status": 500}
    client.send_to_all("hello")
    events.wait_for("request_succeeded")
    client.send_to_all("hello")
    assert events.names == ["token_renewed", "request_failed", "request_succeeded"]
