"""What Web PubSub clients may say, what they hear, and how their connections end."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from emulator.support import poll
from emulator.web_pubsub_support import JSON, RELIABLE, PubSub

GROUP_MESSAGE = {"type": "message", "from": "group", "group": "g", "dataType": "text", "data": "hi"}
TO_GROUP = {"type": "sendToGroup", "group": "g", "dataType": "text", "data": "hi"}


def ack(ack_id: int) -> dict[str, Any]:
    return {"type": "ack", "ackId": ack_id, "success": True}


def test_the_first_message_says_who_one_is(pubsub: PubSub) -> None:
    with pubsub.client(sub="ann") as client:
        (found,) = pubsub.control.connections()
        assert client.welcome == {
            "type": "system",
            "event": "connected",
            "userId": "ann",
            "connectionId": found.connection_id,
        }
    with pubsub.client() as client:
        assert client.welcome["userId"] is None


def test_a_group_message_reaches_the_group_and_nobody_else(pubsub: PubSub) -> None:
    with (
        pubsub.client(sub="ann") as ann,
        pubsub.client(groups=["g"]) as member,
        pubsub.client(groups=["G", "other"]) as outsider,
    ):
        assert ann.ask(type="joinGroup", group="g", ackId=1) == ack(1)
        ann.say({**TO_GROUP, "ackId": 2})
        # The sender's own copy comes before the acknowledgement.
        expected = {**GROUP_MESSAGE, "fromUserId": "ann"}
        assert [ann.hear(), ann.hear()] == [expected, ack(2)]
        assert member.hear() == expected
        assert outsider.is_silent()


def test_groups_of_another_hub_are_other_groups(pubsub: PubSub) -> None:
    other = pubsub.token("other", groups=["g"])
    with (
        pubsub.client(groups=["g"]) as client,
        pubsub.socket(other, path="/client/hubs/other", subprotocols=[JSON]) as stranger,
    ):
        assert stranger.hear()["event"] == "connected"
        client.say(TO_GROUP)
        assert client.hear() == GROUP_MESSAGE
        assert stranger.is_silent()


def test_without_an_echo_only_the_others_hear_it(pubsub: PubSub) -> None:
    with pubsub.client(groups=["g"]) as client, pubsub.client(groups=["g"]) as other:
        assert client.ask(**TO_GROUP, noEcho=True, ackId=1) == ack(1)
        assert other.hear() == GROUP_MESSAGE


def test_whoever_left_a_group_hears_no_more(pubsub: PubSub) -> None:
    with pubsub.client(groups=["g"]) as client:
        assert pubsub.control.connections()[0].groups == ("g",)
        assert client.ask(type="leaveGroup", group="g", ackId=1) == ack(1)
        assert pubsub.control.connections()[0].groups == ()
        assert client.ask(**TO_GROUP, ackId=2) == ack(2)


@pytest.mark.parametrize(
    "data",
    [
        {"dataType": "json", "data": {"a": [1, None, "\ud800"], "b": 2**63}},
        {"dataType": "JSON", "data": "text"},
        {"data": 1.5},
        {"dataType": "text", "data": "ä\u2028\U0001f600"},
        {"dataType": "binary", "data": "AAEC/w=="},
    ],
    ids=["json", "json in capitals", "json by default", "text", "binary"],
)
def test_data_arrives_as_it_was_sent(pubsub: PubSub, data: dict[str, Any]) -> None:
    with pubsub.client(groups=["g"]) as client:
        heard = client.ask(type="SENDTOGROUP", group="g", **data)
        assert heard["dataType"] == data.get("dataType", "json").lower()
        assert heard["data"] == data["data"]


@pytest.mark.parametrize(
    ("roles", "group", "joins", "sends"),
    [
        ([], "g", False, False),
        (["webpubsub.joinLeaveGroup"], "g", True, False),
        (["webpubsub.sendToGroup"], "g", False, True),
        (["webpubsub.joinLeaveGroup.g", "webpubsub.sendToGroup.h"], "g", True, False),
        (["webpubsub.joinLeaveGroup.G"], "g", False, False),
        (["webpubsub.joinLeaveGroups.a?c", "webpubsub.sendToGroups.a?c"], "abc", True, True),
        (["webpubsub.joinLeaveGroups.a?c", "webpubsub.sendToGroups.a*"], "a.c", False, False),
        (["webpubsub.joinLeaveGroups.**c", "webpubsub.sendToGroups.a.*"], "a.c", True, True),
        (["webpubsub.joinLeaveGroups.\\*", "webpubsub.sendToGroups.\\"], "*", True, False),
        (["webpubsub.joinLeaveGroups.*.*.*.*.*", "webpubsub.sendToGroups.******"], "a.b.c.d.e", True, False),
    ],
    ids=str,
)
def test_a_role_is_needed(pubsub: PubSub, roles: list[str], group: str, joins: bool, sends: bool) -> None:
    with pubsub.client(roles=roles) as client:
        requests: list[tuple[bool, dict[str, Any]]] = [
            (joins, {"type": "joinGroup"}),
            (joins, {"type": "leaveGroup"}),
            (sends, {"type": "sendToGroup", "data": 1}),
        ]
        for ack_id, (allowed, request) in enumerate(requests):
            answer = client.ask(**request, group=group, ackId=ack_id)
            assert (answer["ackId"], answer["success"]) == (ack_id, allowed)
            if not allowed:
                assert answer["error"]["name"] == "Forbidden"
                assert group in answer["error"]["message"]
        # Without an id nobody is told, and nothing happens.
        client.say({"type": "joinGroup", "group": group})
        assert client.is_silent()
        assert pubsub.control.connections()[0].groups == ((group,) if joins else ())


def test_a_group_of_the_token_needs_no_role(pubsub: PubSub) -> None:
    with pubsub.client(roles=[], groups=["g"]) as client:
        assert pubsub.send("/groups/g/:send").status_code == 202
        assert client.hear()["group"] == "g"


def test_an_id_that_was_used_does_nothing_again(pubsub: PubSub) -> None:
    with pubsub.client(groups=["g"]) as client:
        client.say({**TO_GROUP, "ackId": 2**64 - 1})
        assert [client.hear(), client.hear()] == [GROUP_MESSAGE, ack(2**64 - 1)]
        answer = client.ask(**TO_GROUP, ackId=2**64 - 1)
        assert (answer["success"], answer["error"]["name"]) == (False, "Duplicate")
        assert client.is_silent()


def test_an_id_whose_request_failed_may_be_used_again(pubsub: PubSub) -> None:
    with pubsub.client(roles=["webpubsub.joinLeaveGroup"]) as client:
        assert client.ask(**TO_GROUP, ackId=1)["error"]["name"] == "Forbidden"
        assert client.ask(type="joinGroup", group="g", ackId=1) == ack(1)


def test_an_event_that_waits_is_told_that_nobody_listens(pubsub: PubSub) -> None:
    with pubsub.client() as client:
        client.say({"type": "event", "event": "dropped", "data": 1})
        answer = client.ask(type="event", event="news", data=1, ackId=1)
        assert (answer["success"], answer["error"]["name"]) == (False, "InternalServerError")
        assert "No event handler" in answer["error"]["message"]
    entries = pubsub.control.journal("web_pubsub_message")
    assert [(entry.target, entry.action) for entry in entries] == [("dropped", "dropped"), ("news", "refused")]


@pytest.mark.parametrize(
    "said",
    [
        "no JSON",
        "[]",
        "{}",
        '{"type":7}',
        '{"type":"invoke","invocationId":"1","target":"event","event":"e"}',
        '{"type":"sequenceAck","sequenceId":1}',
        '{"type":"joinGroup"}',
        '{"type":"joinGroup","group":" "}',
        '{"type":"joinGroup","group":"\\ud800"}',
        '{"type":"joinGroup","group":"g","ackId":-1}',
        '{"type":"joinGroup","group":"g","ackId":18446744073709551616}',
        '{"type":"joinGroup","group":"g","ackId":true}',
        '{"type":"sendToGroup","group":"g"}',
        '{"type":"sendToGroup","group":"g","data":NaN}',
        '{"type":"sendToGroup","group":"g","data":1e999}',
        '{"type":"sendToGroup","group":"g","data":1,"noEcho":"yes"}',
        '{"type":"sendToGroup","group":"g","data":1,"ttlSeconds":301}',
        '{"type":"sendToGroup","group":"g","dataType":"text","data":1}',
        '{"type":"sendToGroup","group":"g","dataType":"binary","data":"*"}',
        '{"type":"sendToGroup","group":"g","dataType":"protobuf","data":"AA=="}',
        '{"type":"event","event":"1st","data":1}',
        "[" * 100_000,
    ],
    ids=lambda text: text[:60],
)
def test_what_the_protocol_does_not_allow_ends_the_connection(pubsub: PubSub, said: str) -> None:
    with pubsub.client() as client:
        client.websocket.send(said)
        code, reason = client.closed()
        assert code == 1007
        assert reason
    entry = pubsub.control.wait_for_journal(lambda entry: entry.route == "web_pubsub_disconnect")
    assert entry.action == f"closed: {reason}"


def test_a_binary_message_is_of_the_wrong_type(pubsub: PubSub) -> None:
    with pubsub.client() as client:
        client.websocket.send(b'{"type":"ping"}')
        assert client.closed()[0] == 1003


def test_the_limit_of_a_message(pubsub: PubSub) -> None:
    with pubsub.client(groups=["g"]) as client:
        frame = json.dumps({**TO_GROUP, "data": ""})
        largest = frame[:-2] + "x" * (1024 * 1024 - len(frame)) + frame[-2:]
        client.websocket.send(largest)
        assert len(client.hear()["data"]) == 1024 * 1024 - len(frame)
        client.websocket.send(largest + " ")
        assert client.closed()[0] == 1009


def test_plain_clients_of_a_group_hear_bare_frames(pubsub: PubSub) -> None:
    query = {"webpubsub_mode": "sendToGroup", "group": "g"}
    token = pubsub.token(roles=["webpubsub.sendToGroup.g"], groups=["g"])
    with pubsub.client(groups=["g"]) as client, pubsub.socket(token, query=query) as plain:
        plain.websocket.send("hi")
        assert plain.hear_frame() == "hi"
        assert client.hear() == GROUP_MESSAGE
        plain.websocket.send(b"\x00\xff")
        assert plain.hear_frame() == b"\x00\xff"
        assert client.hear() == {**GROUP_MESSAGE, "dataType": "binary", "data": "AP8="}
        client.say({**TO_GROUP, "dataType": "json", "data": {"a": 1}, "noEcho": True})
        assert plain.hear_frame() == '{"a":1}'


def test_a_plain_client_may_do_without_its_echo(pubsub: PubSub) -> None:
    query = {"webpubsub_mode": "sendToGroup", "group": "g", "noEcho": "true"}
    token = pubsub.token(roles=["webpubsub.sendToGroup"], groups=["g"])
    with pubsub.client(groups=["g"]) as client, pubsub.socket(token, query=query) as plain:
        plain.websocket.send("first")
        assert client.hear()["data"] == "first"
        assert pubsub.send(message="second").status_code == 202
        assert plain.hear_frame() == '"second"'


def test_a_plain_client_without_the_role_is_sent_away_when_it_sends(pubsub: PubSub) -> None:
    query = {"webpubsub_mode": "sendToGroup", "group": "g"}
    with pubsub.socket(pubsub.token(roles=["webpubsub.joinLeaveGroup"]), query=query) as plain:
        plain.websocket.send("hi")
        assert plain.closed()[0] == 1008


def test_a_frame_that_is_an_event_finds_no_event_handler(pubsub: PubSub) -> None:
    for query in ({}, {"webpubsub_mode": "sendEvent"}):
        with pubsub.socket(pubsub.token(), query=query) as plain:
            plain.websocket.send("hi")
            code, reason = plain.closed()
            assert code == 1011
            assert "No event handler" in reason


@pytest.mark.parametrize(
    "query",
    [
        {"webpubsub_mode": "broadcast"},
        {"webpubsub_mode": "sendToGroup"},
        {"webpubsub_mode": "sendToGroup", "group": " "},
        {"webpubsub_mode": "sendToGroup", "group": "g", "noEcho": "1"},
    ],
    ids=str,
)
def test_a_mode_without_a_meaning_is_a_bad_request(pubsub: PubSub, query: dict[str, str]) -> None:
    assert pubsub.refused(pubsub.token(), query=query).status_code == 400


def recovery(client: Any, **changes: str) -> dict[str, str]:
    """The query with which a reliable client comes back."""
    right = {
        "awps_connection_id": client.welcome["connectionId"],
        "awps_reconnection_token": client.welcome["reconnectionToken"],
    }
    return {**right, **changes}


def cut(client: Any) -> None:
    """End the TCP connection without a close frame."""
    client.websocket.socket.shutdown(socket.SHUT_RDWR)


def test_messages_to_a_reliable_client_are_numbered(pubsub: PubSub) -> None:
    with pubsub.client(subprotocol="reliable", groups=["g"]) as client:
        assert client.ask(**TO_GROUP) == {**GROUP_MESSAGE, "sequenceId": 1}
        assert pubsub.send(message=2).status_code == 202
        assert client.hear() == {"type": "message", "from": "server", "dataType": "json", "data": 2, "sequenceId": 2}
        client.say({"type": "sequenceAck", "sequenceId": 2})
        assert client.is_silent()


def test_a_reliable_client_comes_back_to_what_it_missed(pubsub: PubSub) -> None:
    with pubsub.client(subprotocol="reliable", sub="ann", groups=["g"]) as client:
        assert client.ask(type="joinGroup", group="later", ackId=1) == ack(1)
        for number in range(3):
            assert pubsub.send(message=number).status_code == 202
            assert client.hear()["data"] == number
        client.say({"type": "sequenceAck", "sequenceId": 2})
        assert client.is_silent()
        cut(client)
        pubsub.control.wait_for_connections(0)
        assert pubsub.send("/groups/later/:send", "missed").status_code == 202
        with pubsub.socket(None, query=recovery(client), subprotocols=[RELIABLE]) as again:
            # The third message was heard but not acknowledged.
            assert [again.hear()["data"], again.hear()["data"]] == [2, "missed"]
            (found,) = pubsub.control.connections()
            assert found.connection_id == client.connection_id
            assert (found.user_id, found.groups) == ("ann", ("g", "later"))
            answer = again.ask(type="joinGroup", group="later", ackId=1)
            assert answer["error"]["name"] == "Duplicate"
            assert again.ask(**TO_GROUP)["sequenceId"] == 5
    entries = pubsub.control.journal("web_pubsub_connect")
    assert [(entry.status, entry.action) for entry in entries] == [(101, "served"), (101, "recovered")]


def test_a_newer_websocket_takes_the_connection_over(pubsub: PubSub) -> None:
    with (
        pubsub.client(subprotocol="reliable") as client,
        pubsub.socket(None, query=recovery(client), subprotocols=[RELIABLE]) as again,
    ):
        assert again.is_silent()
        poll(lambda: client.websocket.close_code is not None, "the older WebSocket is still open")
        assert client.websocket.close_code == 1006
        assert len(pubsub.control.connections()) == 1
        assert pubsub.send().status_code == 202
        assert again.hear()["data"] == "hello"


@pytest.mark.parametrize("changes", [{"awps_reconnection_token": "x"}, {"awps_connection_id": "x"}], ids=str)
def test_what_does_not_fit_takes_nothing_over(pubsub: PubSub, changes: dict[str, str]) -> None:
    with pubsub.client(subprotocol="reliable") as client:
        # The failure is no status but a close code, by which the official clients know to begin anew.
        with pubsub.socket(None, query=recovery(client, **changes), subprotocols=[RELIABLE]) as thief:
            assert thief.closed()[0] == 1008
        assert client.is_silent()


def test_another_hub_or_subprotocol_takes_nothing_over(pubsub: PubSub) -> None:
    with pubsub.client(subprotocol="reliable") as client:
        query = recovery(client)
        with pubsub.socket(None, path="/client/hubs/other", query=query, subprotocols=[RELIABLE]) as thief:
            assert thief.closed()[0] == 1008
        with pubsub.socket(None, query=query, subprotocols=[JSON]) as thief:
            assert thief.closed()[0] == 1008
        assert client.is_silent()


def test_nobody_comes_back_after_half_a_minute(pubsub: PubSub) -> None:
    for seconds, code in ((29, None), (31, 1008)):
        with pubsub.client(subprotocol="reliable") as client:
            cut(client)
            pubsub.control.wait_for_connections(0)
            pubsub.control.advance_clock(seconds)
            with pubsub.socket(None, query=recovery(client), subprotocols=[RELIABLE]) as again:
                assert again.is_silent() if code is None else again.closed()[0] == code


def test_a_farewell_is_for_good(pubsub: PubSub) -> None:
    with pubsub.client(subprotocol="reliable") as client:
        client.websocket.close()
        pubsub.control.wait_for_connections(0)
        with pubsub.socket(None, query=recovery(client), subprotocols=[RELIABLE]) as again:
            assert again.closed()[0] == 1008
    entry = pubsub.control.wait_for_journal(lambda entry: entry.route == "web_pubsub_disconnect")
    assert entry.action == "closed by the client"


def test_an_error_of_the_client_is_no_farewell(pubsub: PubSub) -> None:
    with pubsub.client(subprotocol="reliable") as client:
        client.websocket.close(1011)
        pubsub.control.wait_for_connections(0)
        with pubsub.socket(None, query=recovery(client), subprotocols=[RELIABLE]) as again:
            assert again.is_silent()


def test_a_client_that_is_not_reliable_cannot_come_back(pubsub: PubSub) -> None:
    with pubsub.client() as client:
        assert "reconnectionToken" not in client.welcome
        cut(client)
        pubsub.control.wait_for_connections(0)
        assert pubsub.call("HEAD", f"/connections/{client.connection_id}").status_code == 404


def test_a_reliable_client_that_never_acknowledges_is_given_up(pubsub: PubSub) -> None:
    with pubsub.client(subprotocol="reliable", groups=["g"]) as client:
        for _ in range(1000):
            client.websocket.send(json.dumps(TO_GROUP))
        assert [client.hear()["sequenceId"] for _ in range(1000)] == list(range(1, 1001))
        client.say(TO_GROUP)
        assert client.closed()[0] == 1008
        with pubsub.socket(None, query=recovery(client), subprotocols=[RELIABLE]) as again:
            assert again.closed()[0] == 1008
