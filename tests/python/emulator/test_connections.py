"""WebSockets: connection ids, handshake, service mode, who the user is, and what a client may say."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from emulator.support import WATCHDOG_SECONDS, Azure, poll
from hubpass.emulator import Emulator

NO_HUB_SERVER = (
    "SignalR Service is now in 'Default' service mode. Current mode works as a proxy that routes client "
    "traffic to the connected app servers. However app servers are not connected."
)


def test_a_negotiated_id_opens_one_connection(azure: Azure) -> None:
    token = azure.token()
    promised = azure.negotiate(token).json()
    query = f"hub=chat&id={promised['connectionToken']}"
    with azure.client(token, query=query):
        (connection,) = azure.control.connections()
        assert connection.connection_id == promised["connectionId"]
        assert azure.refused_socket(token, query=query).status_code == 409
    azure.control.wait_for_connections(0)
    assert azure.refused_socket(token, query=query).status_code == 404


def test_in_version_0_the_id_itself_opens_the_connection(azure: Azure) -> None:
    token = azure.token()
    promised = azure.negotiate(token, "hub=chat").json()["connectionId"]
    with azure.client(token, query=f"hub=chat&id={promised}"):
        assert azure.control.connections()[0].connection_id == promised


def test_the_public_id_of_version_1_opens_nothing(azure: Azure) -> None:
    token = azure.token()
    promised = azure.negotiate(token).json()
    assert azure.refused_socket(token, query=f"hub=chat&id={promised['connectionId']}").status_code == 404
    with azure.client(token, query=f"hub=chat&id={promised['connectionToken']}"):
        pass


def test_an_id_belongs_to_its_hub(azure: Azure) -> None:
    promised = azure.negotiate(azure.token()).json()["connectionToken"]
    other = azure.token("other")
    assert azure.refused_socket(other, query=f"hub=other&id={promised}").status_code == 404
    own = azure.negotiate(other, "hub=other&negotiateVersion=1").json()["connectionToken"]
    with azure.client(other, query=f"hub=other&id={own}"):
        pass


def test_a_client_that_comes_late_finds_its_id_gone(azure: Azure) -> None:
    token = azure.token()
    first, second = (azure.negotiate(token).json()["connectionToken"] for _ in range(2))
    azure.control.advance_clock(14)
    with azure.client(token, query=f"hub=chat&id={first}"):
        pass
    azure.control.advance_clock(2)
    assert azure.refused_socket(token, query=f"hub=chat&id={second}").status_code == 404


def test_without_an_id_the_negotiation_was_skipped(azure: Azure) -> None:
    with azure.client(), azure.client():
        ids = {connection.connection_id for connection in azure.control.connections()}
        assert len(ids) == 2


@pytest.mark.parametrize(
    ("claims", "user_id", "user_claims"),
    [
        ({}, None, {}),
        ({"asrs.s.uid": "ann", "nameid": "bob"}, "ann", {"nameid": "bob"}),
        ({"asrs.s.uid": ""}, "", {}),
        ({"nameid": "bob", "sub": "cat"}, "bob", {"nameid": "bob", "sub": "cat"}),
        ({"sub": "cat"}, "cat", {"sub": "cat"}),
        ({"asrs.u.iss": "me", "iss": "azure-signalr", "asrs.s.derror": "True"}, None, {"iss": "me"}),
        ({"sub": "a", "asrs.u.sub": "b"}, "a", {"sub": ["a", "b"]}),
        (
            {"role": ["x", "y"], "n": 7, "o": {"p": None}},
            None,
            {"role": ["x", "y"], "n": 7, "o": {"p": None}},
        ),
    ],
)
def test_who_the_user_is(
    azure: Azure, claims: dict[str, Any], user_id: str | None, user_claims: dict[str, Any]
) -> None:
    with azure.client(azure.user_token(claims)):
        (connection,) = azure.control.connections()
        assert (connection.user_id, connection.claims) == (user_id, user_claims)


@pytest.mark.parametrize(
    ("request_", "part"),
    [
        ({"protocol": "protobuf", "version": 1}, "'json' and 'messagepack'"),
        ({"protocol": "json", "version": 3}, "Version 3"),
        ({"protocol": "json", "version": -1}, "Version -1"),
        ({"protocol": "json"}, "'protocol' and 'version'"),
        ({"type": 6}, "'protocol' and 'version'"),
        ([], "not a JSON object"),
    ],
)
def test_a_bad_handshake_is_answered_with_the_reason(azure: Azure, request_: object, part: str) -> None:
    token = azure.token()
    with azure.socket(token) as client:
        client.say(request_)
        answer = client.hear()
        assert set(answer) == {"error"}
        assert part in answer["error"]
        assert client.close_code() == 1000
    (entry,) = azure.control.journal("handshake")
    assert entry.reason == answer["error"]
    with azure.client(token):
        pass


def test_a_handshake_in_a_binary_message_is_understood(azure: Azure) -> None:
    with azure.socket(azure.token()) as client:
        client.websocket.send(b'{"protocol":"json","version":1}\x1e')
        assert client.hear() == {}


@pytest.mark.parametrize("version", [0, 1, 2])
def test_older_and_newer_versions_of_the_protocol_are_alike(azure: Azure, version: int) -> None:
    with azure.socket(azure.token()) as client:
        client.say({"protocol": "json", "version": version})
        assert client.hear() == {}


def test_a_handshake_may_arrive_in_pieces_and_with_company(azure: Azure) -> None:
    with azure.socket(azure.token()) as client:
        client.websocket.send('{"protocol":"json",')
        client.websocket.send('"version":1}\x1e{"type":1,"invocationId":"7","target":"x","arguments":[]}\x1e{"ty')
        assert client.hear() == {}
        assert client.hear()["invocationId"] == "7"
        client.websocket.send('pe":1,"invocationId":"8","target":"x","arguments":[]}\x1e')
        assert client.hear()["invocationId"] == "8"


def test_in_default_mode_a_client_without_hub_server_gets_the_services_error(azure: Azure) -> None:
    token = azure.token()
    azure.control.set_service_mode("Default")
    promised = azure.negotiate(token)
    assert promised.status_code == 200
    with azure.socket(token) as client:
        client.say({"protocol": "json", "version": 1})
        assert client.hear() == {"error": NO_HUB_SERVER}
        assert client.close_code() == 1000
    assert azure.control.connections() == ()
    poll(
        lambda: any("--service-mode Serverless" in line for line in azure.emulator.log_lines),
        "the log does not say what to change",
    )
    azure.control.set_service_mode("Serverless")
    with azure.client(token):
        pass


def test_an_invocation_that_waits_is_told_that_nobody_listens(azure: Azure) -> None:
    with azure.client() as client:
        client.say({"type": 1, "invocationId": "1", "target": "sendMessage", "arguments": ["hi"]})
        answer = client.hear()
        assert (answer["type"], answer["invocationId"]) == (3, "1")
        assert "no upstream is configured" in answer["error"]
        client.say({"type": 4, "invocationId": "2", "target": "counter", "arguments": []})
        assert client.hear()["invocationId"] == "2"
    assert [entry.target for entry in azure.control.journal("invoke")] == ["sendMessage", "counter"]


def test_an_invocation_that_does_not_wait_is_dropped_and_journalled(azure: Azure) -> None:
    with azure.client() as client:
        client.say({"type": 1, "target": "sendMessage", "arguments": ["hi"]})
        # The answer to the second one shows that the first was dealt with and that nothing was said about it.
        client.say({"type": 1, "invocationId": "1", "target": "second", "arguments": []})
        assert client.hear()["invocationId"] == "1"
        dropped, refused = azure.control.journal("invoke")
    assert (dropped.target, dropped.action) == ("sendMessage", "dropped")
    assert (refused.target, refused.action) == ("second", "refused")


def test_items_of_a_refused_upload_are_ignored(azure: Azure) -> None:
    with azure.client() as client:
        client.say({"type": 1, "invocationId": "1", "target": "upload", "arguments": [], "streamIds": ["s"]})
        assert client.hear()["invocationId"] == "1"
        client.say({"type": 2, "invocationId": "s", "item": 1}, {"type": 3, "invocationId": "s"})
        client.say({"type": 5, "invocationId": "1"}, {"type": 6})
        client.say({"type": 1, "invocationId": "2", "target": "still here", "arguments": []})
        assert client.hear()["invocationId"] == "2"


@pytest.mark.parametrize(
    "said",
    [
        "no JSON\x1e",
        "[]\x1e",
        '{"target":"x"}\x1e',
        '{"type":1}\x1e',
        '{"type":1,"target":"x","invocationId":7}\x1e',
        '{"type":2,"invocationId":"never","item":1}\x1e',
        '{"type":3,"invocationId":"never"}\x1e',
        '{"type":8,"sequenceId":1}\x1e',
        '{"type":99}\x1e',
        "x" * (1024 * 1024 + 1),
    ],
    ids=lambda text: text[:24].rstrip("\x1e"),
)
def test_what_the_protocol_does_not_allow_ends_the_connection_with_an_error(azure: Azure, said: str) -> None:
    with azure.client() as client:
        client.websocket.send(said)
        answer = client.hear()
        assert answer["type"] == 7
        assert answer["error"]
        assert client.close_code() == 1000
    entry = azure.control.wait_for_journal(lambda entry: entry.route == "disconnect")
    assert answer["error"] in entry.action


def test_a_binary_message_after_the_handshake_is_an_error(azure: Azure) -> None:
    with azure.client() as client:
        client.websocket.send(b'{"type":6}\x1e')
        assert "text" in client.hear()["error"]


def test_a_client_that_says_goodbye_is_let_go(azure: Azure) -> None:
    with azure.client() as client:
        client.say({"type": 7})
        assert client.hear() == {"type": 7}
        assert client.close_code() == 1000
    entry = azure.control.wait_for_journal(lambda entry: entry.route == "disconnect")
    assert entry.action == "closed by the client"


def test_a_client_that_vanishes_is_forgotten(azure: Azure) -> None:
    with azure.client() as client:
        assert len(azure.control.connections()) == 1
        client.websocket.socket.shutdown(socket.SHUT_RDWR)
        azure.control.wait_for_connections(0)


def test_keep_alive_and_timeouts() -> None:
    with Emulator(ping_interval=0.05, client_timeout=0.3, handshake_timeout=0.3) as emulator:
        azure = Azure(emulator)
        with azure.socket(azure.token()) as silent:
            assert "too long" in silent.hear()["error"]
        with azure.client() as client:
            assert client.hear(pings=True) == {"type": 6}
            farewell = client.hear()
            assert farewell["type"] == 7
            assert "silent" in farewell["error"]
        azure.close()


def test_whoever_speaks_is_not_timed_out() -> None:
    with Emulator(ping_interval=0.05, client_timeout=1.0) as emulator:
        azure = Azure(emulator)
        with azure.client() as client:
            # The service's own keep-alives set the pace: the rounds together take longer than the timeout.
            for number in range(8):
                for _ in range(4):
                    assert client.hear(pings=True) == {"type": 6}
                client.say({"type": 1, "invocationId": str(number), "target": "x", "arguments": []})
                assert client.hear()["invocationId"] == str(number)
        azure.close()


def test_an_open_connection_survives_the_expiry_of_its_token(azure: Azure) -> None:
    with azure.client() as client:
        azure.control.advance_clock(100_000)
        assert azure.send().status_code == 202
        assert client.hear()["target"] == "hello"


def test_a_connection_with_an_authentication_expiry_ends_at_that_moment(azure: Azure) -> None:
    now = int(azure.control.state().now)
    token = azure.user_token({"asrs.s.coae": "true", "asrs.s.aeo": str(now + 1000), "asrs.s.uid": "ann"})
    with azure.client(token) as client, azure.client() as other:
        assert {connection.closes_at for connection in azure.control.connections()} == {None, now + 1000}
        # The clock stops far enough before the moment that only its next move can be what ends the
        # connection.
        azure.control.set_clock(now + 500)
        assert azure.send().status_code == 202
        assert client.hear()["target"] == "hello"
        azure.control.set_clock(now + 1001)
        assert client.hear() == {"type": 7, "allowReconnect": True}
        assert client.close_code() == 1000
        assert other.hear()["target"] == "hello"
        azure.control.wait_for_connections(1)
        assert azure.send().status_code == 202
        assert other.hear()["target"] == "hello"


def test_the_expiry_needs_no_push_of_the_clock(azure: Azure) -> None:
    azure.control.set_clock(int(azure.control.state().now) + 0.5)
    now = int(azure.control.state().now)
    token = azure.user_token({"asrs.s.coae": "true", "asrs.s.aeo": str(now + 1)})
    with azure.client(token) as client:
        assert client.hear() == {"type": 7, "allowReconnect": True}
        assert azure.control.state().now >= now + 1


def test_without_coae_the_expiry_is_not_heeded(azure: Azure) -> None:
    now = int(azure.control.state().now)
    with azure.client(azure.user_token({"asrs.s.coae": "false", "asrs.s.aeo": str(now + 10)})) as client:
        azure.control.advance_clock(20)
        assert azure.send().status_code == 202
        assert client.hear()["target"] == "hello"


def test_the_control_api_can_end_a_connection(azure: Azure) -> None:
    with azure.client() as client, azure.client() as other:
        first, second = azure.control.connections()
        azure.control.close_connection(first.connection_id, error="enough", allow_reconnect=True)
        assert client.hear() == {"type": 7, "error": "enough", "allowReconnect": True}
        assert client.close_code() == 1000
        azure.control.wait_until(
            lambda state: [found.connection_id for found in state.connections] == [second.connection_id],
            timeout=WATCHDOG_SECONDS,
        )
        azure.control.close_connection(second.connection_id)
        assert other.hear() == {"type": 7}
