"""`PUT /api/hubs/{hub}/users/{user}/groups/{group}` and `POST /api/hubs/{hub}/groups/{group}/:send`."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest

from emulator.support import API_VERSION, Azure, HubClient
from hubpass.emulator.control_records import JournalEntry

YEAR = 365 * 24 * 3600


class Groups:
    """A server that signs its requests, each for the URL that it asks for."""

    def __init__(self, azure: Azure) -> None:
        self._azure = azure

    def add(
        self, user: str, group: str, *, hub: str = "chat", token: str | None = None, **query: Any
    ) -> httpx.Response:
        path = f"/api/hubs/{hub}/users/{quote(user, safe='')}/groups/{quote(group, safe='')}"
        return self._ask("PUT", path, token, query)

    def send(
        self, group: str, target: str = "hello", *, hub: str = "chat", token: str | None = None, **query: Any
    ) -> httpx.Response:
        path = f"/api/hubs/{hub}/groups/{quote(group, safe='')}/:send"
        return self._ask("POST", path, token, query, json={"target": target, "arguments": [group]})

    def _ask(self, method: str, path: str, token: str | None, query: dict[str, Any], **body: Any) -> httpx.Response:
        url = self._azure.endpoint + path
        right = {"api-version": API_VERSION}
        found = {name.replace("api_version", "api-version"): value for name, value in query.items()}
        text = urlencode({**right, **found}, doseq=True)
        bearer = self._azure.rest_token(url) if token is None else token
        return self._azure.http.request(method, f"{url}?{text}", headers={"Authorization": f"Bearer {bearer}"}, **body)

    def heard(self, client: HubClient, *groups: str) -> bool:
        """Whether these are the groups, and no others, whose messages reach the client."""
        everything = ("one", "two", "three")
        for group in everything:
            assert self.send(group).status_code == 202
        assert self._azure.send(body={"target": "end"}).status_code == 202
        found = []
        while (message := client.hear())["target"] != "end":
            found.append(message["arguments"][0])
        return found == [group for group in everything if group in groups]


@pytest.fixture
def groups(azure: Azure) -> Groups:
    azure.control.reset()
    return Groups(azure)


def user(azure: Azure, name: str) -> str:
    return azure.user_token({"asrs.s.uid": name})


def last(azure: Azure, route: str) -> JournalEntry:
    return azure.control.journal(route)[-1]


def test_a_group_has_the_connections_of_its_users_and_no_others(azure: Azure, groups: Groups) -> None:
    with azure.client(user(azure, "ada")) as here, azure.client(user(azure, "bob")) as bob, azure.client() as nobody:
        answer = groups.add("ada", "one")
        assert (answer.status_code, answer.content) == (200, b"")
        assert last(azure, "add_user_to_group").action == "added 1"
        with azure.client(user(azure, "ada")) as later:
            assert groups.heard(here, "one")
            assert [entry.action for entry in azure.control.journal("send_to_group")] == [
                "sent to 2",
                "sent to 0",
                "sent to 0",
            ]
            # The same messages have come to the connection that was made afterwards.
            assert later.hear()["arguments"] == ["one"]
            # The others have got what went to the whole hub, and nothing before it.
            assert bob.hear()["target"] == nobody.hear()["target"] == "end"
    entry = last(azure, "add_user_to_group")
    assert (entry.user_id, entry.target, entry.hub) == ("ada", "one", "chat")


def test_zero_is_for_the_connections_that_are_there(azure: Azure, groups: Groups) -> None:
    with azure.client(user(azure, "ada")) as here:
        assert groups.add("ada", "one", ttl=0).status_code == 200
        assert groups.heard(here, "one")
        with azure.client(user(azure, "ada")) as later:
            assert groups.heard(later)


def test_a_time_is_for_the_connections_that_are_made_within_it(azure: Azure, groups: Groups) -> None:
    assert groups.add("ada", "one", ttl=60).status_code == 200
    azure.control.advance_clock(58)
    with azure.client(user(azure, "ada")) as within:
        azure.control.advance_clock(4)
        with azure.client(user(azure, "ada")) as later:
            assert groups.heard(within, "one")
            assert later.hear()["target"] == "end"


def test_no_time_is_a_year(azure: Azure, groups: Groups) -> None:
    assert groups.add("ada", "one").status_code == 200
    azure.control.advance_clock(YEAR - 60)
    with azure.client(user(azure, "ada")) as within:
        assert groups.heard(within, "one")
    azure.control.advance_clock(120)
    with azure.client(user(azure, "ada")) as later:
        assert groups.heard(later)


def test_the_latest_hundred_groups_of_a_user_are_remembered(azure: Azure, groups: Groups) -> None:
    for group in ("one", "two", *map(str, range(97)), "three"):
        assert groups.add("ada", group).status_code == 200
    # What is added again is the latest.
    assert groups.add("ada", "one").status_code == 200
    assert groups.add("ada", "one more").status_code == 200
    with azure.client(user(azure, "ada")) as client:
        assert groups.heard(client, "one", "three")


def test_hubs_and_applications_have_groups_of_their_own(azure: Azure, groups: Groups) -> None:
    assert groups.add("ada", "one", hub="Chat").status_code == 200
    assert groups.add("ada", "two", application="Shop").status_code == 200
    assert groups.add("ada", "three", hub="other").status_code == 200
    with azure.client(user(azure, "ada")) as plain:
        assert groups.heard(plain, "one")
    shop = azure.user_token({"asrs.s.uid": "ada"}, hub="shop_chat")
    with azure.client(shop, query="hub=shop_chat") as client:
        assert groups.send("two", application="Shop").status_code == 202
        assert client.hear()["arguments"] == ["two"]


def test_names_are_as_they_were_written(azure: Azure, groups: Groups) -> None:
    names = ["a b", "é\U0001f600", "a/b", "100%", "Group", "x" * 1024]
    with azure.client(user(azure, "a/da")) as client:
        for name in names:
            assert groups.add("a%2Fda", name).status_code == 200
            assert groups.send(name).status_code == 202
        assert groups.send("group").status_code == 202
        assert azure.send(body={"target": "end"}).status_code == 202
        assert client.hear()["target"] == "end"
    # A slash in a path stays encoded, as in the service: the user id that this request names has it in that form.
    with azure.client(user(azure, "a%2Fda")) as client:
        for name in names:
            assert groups.send(name).status_code == 202
            assert client.hear()["arguments"] == [name]
        assert groups.send("group").status_code == 202
        assert azure.send(body={"target": "end"}).status_code == 202
        assert client.hear()["target"] == "end"


def test_excluded_connections_are_left_out(azure: Azure, groups: Groups) -> None:
    with azure.client(user(azure, "ada")) as one, azure.client(user(azure, "ada")) as two:
        first, _ = (connection.connection_id for connection in azure.control.connections())
        assert groups.add("ada", "one").status_code == 200
        assert groups.send("one", "first", excluded=[first]).status_code == 202
        assert groups.send("one", "second").status_code == 202
        assert one.hear()["target"] == "second"
        assert two.hear()["target"] == "first"


@pytest.mark.parametrize("ttl", ["", "-1", "1.5", "x", "1e3", ["1", "2"], "9" * 30], ids=str)
def test_a_time_that_is_none_is_refused(azure: Azure, groups: Groups, ttl: Any) -> None:
    answer = groups.add("ada", "one", ttl=ttl)
    assert answer.status_code == 400
    with azure.client(user(azure, "ada")) as client:
        assert groups.heard(client)


@pytest.mark.parametrize(
    ("name", "group"), [("ada", " "), ("ada", "x" * 1025), (" ", "one"), ("ada", "\U0001f600" * 513)]
)
def test_a_name_that_is_none_is_refused(groups: Groups, name: str, group: str) -> None:
    answer = groups.add(name, group)
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, "Error.BadRequest")
    assert groups.add("ada", "x" * 1024).status_code == 200
    assert groups.add("ada", "\U0001f600" * 512).status_code == 200


@pytest.mark.parametrize("version", ["", "2021-01-01", ["2024-12-01", "2024-12-01"]], ids=str)
def test_the_version_counts(groups: Groups, version: Any) -> None:
    assert groups.add("ada", "one", api_version=version).status_code == 400
    assert groups.send("one", api_version=version).status_code == 400


def test_the_token_is_for_this_url(azure: Azure, groups: Groups) -> None:
    other = azure.rest_token(f"{azure.endpoint}/api/hubs/chat/users/bob/groups/one")
    assert groups.add("ada", "one", token=other).status_code == 401
    assert groups.add("bob", "one", token=other).status_code == 200
    to_all = azure.rest_token(f"{azure.endpoint}/api/hubs/chat/:send")
    assert groups.send("one", token=to_all).status_code == 401
    assert groups.send("one", token=azure.token()).status_code == 401


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("SignalR REST API Owner", (200, 202)),
        ("SignalR Service Owner", (200, 202)),
        ("SignalR App Server", (403, 403)),
        ("SignalR REST API Reader", (403, 403)),
        ("Web PubSub Service Owner", (403, 403)),
        ("writes", (200, 403)),
        ("sends", (403, 202)),
    ],
)
def test_roles(entra: Azure, role: str, may: tuple[int, int]) -> None:
    groups, control, object_id = Groups(entra), entra.control, entra.emulator.object_id
    control.define_role("writes", ["Microsoft.SignalRService/SignalR/group/write"])
    control.define_role("sends", ["Microsoft.SignalRService/SignalR/group/send/action"])
    control.remove_role(object_id)
    control.assign_role(object_id, role)
    token = entra.entra_token()
    assert (groups.add("ada", "one", token=token).status_code, groups.send("one", token=token).status_code) == may
    assert last(entra, "add_user_to_group").permission == "Microsoft.SignalRService/SignalR/group/write"


def test_faults_have_these_routes(azure: Azure, groups: Groups) -> None:
    azure.control.throttle("add_user_to_group", retry_after=7)
    answer = groups.add("ada", "one")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    azure.control.fail_next("send_to_group", status=503)
    assert groups.send("one").status_code == 503
    with azure.client(user(azure, "ada")) as client:
        assert groups.heard(client)


def test_the_state_shows_the_groups(azure: Azure, groups: Groups) -> None:
    for group in ("two", "one"):
        assert groups.add("ada", group).status_code == 200
    with azure.client(user(azure, "ada")):
        (connection,) = azure.control.connections()
        assert connection.groups == ("one", "two")
