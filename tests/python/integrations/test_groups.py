"""A grant with groups, to the end: whoever connects with the answer gets what is sent to them, and nobody else does."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from emulator.support import API_VERSION, Azure
from hubpass import Grant, PermissionMissingError
from hubpass.emulator import Emulator
from integrations.mounts import Framework, Mounted
from signalr.client_kind import AnyClient, ClientKind, settle

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def shared_azure() -> Iterator[Azure]:
    with Emulator() as emulator:
        azure = Azure(emulator)
        yield azure
        azure.close()


@pytest.fixture
def azure(shared_azure: Azure) -> Azure:
    shared_azure.control.reset()
    return shared_azure


def send(azure: Azure, group: str) -> None:
    """As another part of the application would, with its own library."""
    url = f"{azure.endpoint}/api/hubs/chat/groups/{group}/:send"
    headers = {"Authorization": f"Bearer {azure.rest_token(url)}"}
    body = {"target": group, "arguments": []}
    azure.http.post(f"{url}?api-version={API_VERSION}", json=body, headers=headers).raise_for_status()


def heard(azure: Azure, *tokens: str) -> list[list[str]]:
    """What clients with these tokens hear of one message to each group."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        clients = [stack.enter_context(azure.client(token)) for token in tokens]
        for group in ("red", "blue"):
            send(azure, group)
        azure.send(body={"target": "end"}).raise_for_status()
        found = []
        for client in clients:
            targets = [client.hear()["target"]]
            while targets[-1] != "end":
                targets.append(client.hear()["target"])
            found.append(targets[:-1])
        return found


def mount(framework: Framework, azure: Azure, groups: Any, ttl: timedelta | None = HOUR) -> Mounted:
    def authorize(header: Any) -> Grant:
        return Grant(header("user"), groups=groups if header("user") == "ada" else ())

    module: Any = framework.client().__class__
    client = module.from_connection_string(
        azure.emulator.entra_connection_string,
        "chat",
        authority=azure.emulator.authority,
        ca_file=azure.emulator.ca_file,
    )
    return framework.mount(client=client, authorize=authorize, groups_ttl=ttl)


def token_of(mounted: Mounted, user: str) -> str:
    return str(mounted.post(headers={"user": user}).json["accessToken"])


def test_a_group_reaches_whom_the_grant_has_put_into_it(framework: Framework, azure: Azure) -> None:
    mounted = mount(framework, azure, ["red"])
    ada, bob = (token_of(mounted, name) for name in ("ada", "bob"))
    assert heard(azure, ada, bob) == [["red"], []]
    added = azure.control.journal("add_user_to_group")
    assert [(entry.user_id, entry.target, entry.object_id) for entry in added] == [
        ("ada", "red", azure.emulator.object_id)
    ]


def test_one_group_may_stand_alone(framework: Framework, azure: Azure) -> None:
    assert heard(azure, token_of(mount(framework, azure, "blue"), "ada")) == [["blue"]]


def test_the_time_of_the_mount_counts(framework: Framework, azure: Azure) -> None:
    token = token_of(mount(framework, azure, ["red", "blue"], timedelta(minutes=5)), "ada")
    assert heard(azure, token) == [["red", "blue"]]
    azure.control.advance_clock(301)
    assert heard(azure, token) == [[]]


def test_without_a_time_the_mount_is_wrong(
    framework: Framework, azure: Azure, caplog: pytest.LogCaptureFixture
) -> None:
    answered = mount(framework, azure, ["red"], None).post(headers={"user": "ada"})
    assert (answered.status, answered.code) == (500, "misconfigured")
    assert "groups_ttl=timedelta(hours=1)" in caplog.text
    assert azure.control.journal("add_user_to_group") == ()


def test_a_role_that_is_missing_lets_nobody_in_without_groups(
    framework: Framework, azure: Azure, caplog: pytest.LogCaptureFixture
) -> None:
    azure.control.remove_role(azure.emulator.object_id)
    azure.control.assign_role(azure.emulator.object_id, "SignalR App Server")
    answered = mount(framework, azure, ["red"]).post(headers={"user": "ada"})
    assert (answered.status, answered.code) == (503, "unavailable")
    assert "SignalR REST API Owner" in caplog.text
    assert "permission_missing" in caplog.text


@pytest.mark.parametrize("role", ["SignalR REST API Owner", "SignalR Service Owner", "SignalR App Server"])
def test_roles_of_the_call_itself(client_kind: ClientKind, azure: Azure, role: str) -> None:
    object_id = azure.emulator.object_id
    azure.control.remove_role(object_id)
    azure.control.assign_role(object_id, role)
    options = {"authority": azure.emulator.authority, "ca_file": azure.emulator.ca_file}
    client: AnyClient = client_kind.from_connection_string(azure.emulator.entra_connection_string, **options)
    if role != "SignalR App Server":
        settle(client.raw.add_user_to_group("ada", "red"))
        return
    with pytest.raises(PermissionMissingError) as caught:
        settle(client.raw.add_user_to_group("ada", "red"))
    assert caught.value.code == "permission_missing"
    assert "Microsoft.SignalRService/SignalR/group/write" in caught.value.message
    assert 'az role assignment create --role "SignalR REST API Owner"' in caught.value.hint
