"""What holds on every transport: handshake, delivery, refusals, and the ways in which a connection ends."""

from __future__ import annotations

from contextlib import suppress

import httpx
import pytest

from emulator.hub_clients import connected, joined, opened, refused
from emulator.support import Azure
from hubpass.emulator import ControlError, Emulator
from hubpass.emulator.control_records import FaultRoute

TRANSPORTS = ["WebSockets", "ServerSentEvents", "LongPolling"]
ROUTES: dict[str, FaultRoute] = {
    "WebSockets": "connect",
    "ServerSentEvents": "server_sent_events",
    "LongPolling": "poll",
}
BITS = {"WebSockets": "1", "ServerSentEvents": "2", "LongPolling": "4"}


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_messages_arrive_in_order_and_the_control_api_tells_the_transport(azure: Azure, transport: str) -> None:
    with joined(azure, transport, azure.user_token({"asrs.s.uid": "ann"})) as client:
        (connection,) = azure.control.connections()
        assert (connection.transport, connection.protocol, connection.user_id) == (transport, "json", "ann")
        for text in ("line\r\nend \u2028", "half a pair \ud83d", "last"):
            azure.send(body={"target": "hello", "arguments": [text]})
        heard = [client.hear()["arguments"] for _ in range(3)]
    assert heard == [["line\r\nend \u2028"], ["half a pair \ud83d"], ["last"]]


def test_excluded_connections_and_other_hubs_hear_nothing(azure: Azure, transport: str) -> None:
    with joined(azure, transport) as client, joined(azure, transport, azure.token("other"), query="hub=other"):
        own = azure.control.connections("chat")[0].connection_id
        azure.send(query={"api-version": "2024-12-01", "excluded": [own]})
        azure.send("other")
        azure.send(body={"target": "second"})
        assert client.hear()["target"] == "second"


@pytest.mark.parametrize(
    ("request_", "part"),
    [
        ({"protocol": "protobuf", "version": 1}, "'json' and 'messagepack'"),
        ({"protocol": "json", "version": 3}, "Version 3"),
        ({"protocol": "json"}, "'protocol' and 'version'"),
        ([], "not a JSON object"),
    ],
)
def test_a_bad_handshake_is_answered_with_the_reason(azure: Azure, transport: str, request_: object, part: str) -> None:
    with connected(azure, transport) as client:
        client.say(request_)
        answer = client.hear()
        assert set(answer) == {"error"}
        assert part in answer["error"]
        assert client.ends()
    (entry,) = azure.control.journal("handshake")
    assert entry.reason == answer["error"]


def test_a_handshake_may_arrive_in_pieces_and_with_company(azure: Azure, transport: str) -> None:
    with connected(azure, transport) as client:
        client.say_raw(b'{"protocol":"json",')
        client.say_raw(b'"version":1}\x1e{"type":1,"invocationId":"7","target":"x","arguments":[]}\x1e{"ty')
        assert client.hear() == {}
        assert client.hear()["invocationId"] == "7"
        client.say_raw(b'pe":1,"invocationId":"8","target":"x","arguments":[]}\x1e')
        assert client.hear()["invocationId"] == "8"


def test_service_mode_default_refuses_everybody(azure: Azure, transport: str) -> None:
    azure.control.set_service_mode("Default")
    with connected(azure, transport) as client:
        client.say({"protocol": "json", "version": 1})
        assert "app servers are not connected" in client.hear()["error"]
        assert client.ends()
    assert azure.control.connections() == ()


def test_a_protocol_error_ends_the_connection_with_the_reason(azure: Azure, transport: str) -> None:
    with joined(azure, transport) as client:
        client.say({"type": 3, "invocationId": "never"})
        farewell = client.hear()
        assert farewell["type"] == 7
        assert "never made" in farewell["error"]
        assert client.ends()
    entry = azure.control.wait_for_journal(lambda entry: entry.route == "disconnect")
    assert farewell["error"] in entry.action


def test_a_client_that_says_goodbye_is_let_go(azure: Azure, transport: str) -> None:
    with joined(azure, transport) as client:
        client.say({"type": 7})
        assert client.hear() == {"type": 7}
        # Long polling has its next poll still to come, and is over all the same.
        azure.control.wait_for_connections(0)
        assert client.ends()
    assert azure.control.journal("disconnect")[0].action == "closed by the client"


def test_closing_comes_after_what_was_sent_before(azure: Azure, transport: str) -> None:
    with joined(azure, transport) as client:
        (connection,) = azure.control.connections()
        azure.send()
        azure.control.close_connection(connection.connection_id, error="enough", allow_reconnect=True)
        assert client.hear()["target"] == "hello"
        assert client.hear() == {"type": 7, "error": "enough", "allowReconnect": True}
        assert client.ends()
        azure.control.wait_for_connections(0)


def test_a_connection_with_an_authentication_expiry_ends_at_that_moment(azure: Azure, transport: str) -> None:
    now = int(azure.control.state().now)
    # The token lives longer than the connection, so that a poll can still fetch the farewell.
    claims = {"exp": now + 5000, "asrs.s.coae": "true", "asrs.s.aeo": str(now + 1000)}
    with joined(azure, transport, azure.user_token(claims)) as client:
        azure.control.set_clock(now + 500)
        azure.send()
        assert client.hear()["target"] == "hello"
        azure.control.set_clock(now + 1001)
        assert client.hear() == {"type": 7, "allowReconnect": True}
        assert client.ends()
        azure.control.wait_for_connections(0)


def test_a_dropped_connection_is_gone_at_once(azure: Azure, transport: str) -> None:
    with joined(azure, transport) as client:
        (connection,) = azure.control.connections()
        azure.control.drop_connection(connection.connection_id)
        with pytest.raises(Exception, match=r"(?i)close|disconnect|peer|reset|incomplete"):
            client.hear()
        azure.control.wait_for_connections(0)
    assert azure.control.journal("disconnect")[0].action == "dropped by order"


def test_only_an_open_connection_can_be_dropped(azure: Azure) -> None:
    with pytest.raises(ControlError, match="no such connection is open"):
        azure.control.drop_connection("invented")


def test_the_token_must_allow_the_transport(azure: Azure, transport: str) -> None:
    with joined(azure, transport, azure.user_token({"asrs.s.htt": BITS[transport]})):
        pass
    others = str(7 - int(BITS[transport]))
    token = azure.user_token({"asrs.s.htt": others})
    offered = [offer["transport"] for offer in azure.negotiate(token).json()["availableTransports"]]
    assert offered == [name for name in TRANSPORTS if name != transport]
    promised = azure.negotiate(token).json()["connectionToken"]
    answer = refused(azure, transport, token, f"hub=chat&id={promised}")
    assert answer.status_code == 404
    assert f"does not allow {transport}" in answer.text


def test_an_id_must_be_negotiated_for_the_hub_and_in_time(azure: Azure, transport: str) -> None:
    token, other = azure.token(), azure.token("other")
    late, strange = (azure.negotiate(token).json()["connectionToken"] for _ in range(2))
    answers = [
        refused(azure, transport, token, "hub=chat&id=invented"),
        refused(azure, transport, other, f"hub=other&id={strange}"),
    ]
    azure.control.advance_clock(16)
    answers.append(refused(azure, transport, token, f"hub=chat&id={late}"))
    for answer in answers:
        assert answer.status_code == 404
        assert "No connection with that ID" in answer.text


def test_in_version_0_the_id_itself_opens_the_connection(azure: Azure, transport: str) -> None:
    token = azure.token()
    promised = azure.negotiate(token, "hub=chat").json()["connectionId"]
    with opened(azure, transport, token, f"hub=chat&id={promised}") as client:
        client.say({"protocol": "json", "version": 1})
        assert client.hear() == {}
        assert azure.control.connections()[0].connection_id == promised


@pytest.mark.parametrize(
    ("claims", "status"),
    [({"exp": 1}, 401), ({"aud": "http://elsewhere/client/?hub=chat"}, 401), ({"padding": "x" * 4096}, 413)],
    ids=["expired", "audience", "too long"],
)
def test_bad_tokens_are_refused(azure: Azure, transport: str, claims: dict[str, object], status: int) -> None:
    good, bad = azure.token(), azure.user_token(claims)
    promised = azure.negotiate(good).json()["connectionToken"]
    assert refused(azure, transport, bad, f"hub=chat&id={promised}").status_code == status
    # The refusal has not used the id up.
    with opened(azure, transport, good, f"hub=chat&id={promised}"):
        pass


def test_faults_know_the_route(azure: Azure, transport: str) -> None:
    route = ROUTES[transport]
    azure.control.fail_next(route, status=503)
    token = azure.token()
    promised = azure.negotiate(token).json()["connectionToken"]
    assert refused(azure, transport, token, f"hub=chat&id={promised}").status_code == 503
    with opened(azure, transport, token, f"hub=chat&id={promised}"):
        pass
    assert [entry.status for entry in azure.control.journal(route)][:2] == [503, 101 if route == "connect" else 200]


def test_silence_ends_a_connection(transport: str) -> None:
    with Emulator(ping_interval=0.05, client_timeout=1.0, handshake_timeout=0.4, poll_timeout=0.3) as emulator:
        azure = Azure(emulator)
        with connected(azure, transport) as silent:
            assert "too long" in silent.hear()["error"]
        with joined(azure, transport) as client:
            if transport == "LongPolling":
                # Its polls say that it is there, for longer than the timeout.
                for _ in range(5):
                    assert client.poll().content == b""
                assert len(azure.control.connections()) == 1
            else:
                assert client.hear(pings=True) == {"type": 6}
                farewell = client.hear()
                assert farewell["type"] == 7
                assert "silent" in farewell["error"]
                assert client.ends()
            azure.control.wait_for_connections(0)
        azure.close()


def test_a_client_that_vanishes_is_forgotten(transport: str) -> None:
    # Over long polling only the silence tells; elsewhere the timeout is so long that it cannot be what tells.
    patience = 0.2 if transport == "LongPolling" else 1000.0
    with Emulator(client_timeout=patience) as emulator:
        azure = Azure(emulator)
        with joined(azure, transport) as client:
            client.vanish()
            azure.control.wait_for_connections(0)
        azure.close()


def test_the_end_of_the_emulator_waits_for_nobody(transport: str) -> None:
    emulator = Emulator()
    emulator.start()
    azure = Azure(emulator)
    lines: list[str] | None = None
    with suppress(httpx.TransportError), joined(azure, transport):
        emulator.stop()
        lines = list(emulator.log_lines)
    azure.close()
    assert lines is not None
    assert not [line for line in lines if "graceful shutdown exceeded" in line or "ERROR" in line]
