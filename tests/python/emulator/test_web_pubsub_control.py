"""What the control API knows of Web PubSub: connections, keys, faults, the journal, and where everything is."""

from __future__ import annotations

import json
from typing import get_args
from urllib.parse import quote

import httpx
import pytest
from websockets.exceptions import InvalidMessage

from emulator.support import Azure, key_of, poll
from emulator.web_pubsub_support import JSON, RELIABLE, SCOPE, PubSub
from hubpass.emulator import ControlError
from hubpass.emulator.control_records import FaultRoute
from hubpass.emulator.web_pubsub_routes import WEB_PUBSUB_ROUTE_NAMES


def test_the_ready_line_says_where_it_is(pubsub: PubSub, azure: Azure) -> None:
    emulator = azure.emulator
    host, _, port = pubsub.endpoint.rpartition(":")
    assert pubsub.endpoint not in {emulator.endpoint, emulator.authority}
    for text in (emulator.web_pubsub_connection_string, emulator.web_pubsub_secondary_connection_string):
        assert text == f"Endpoint={host};Port={port};AccessKey={key_of(text)};Version=1.0;"
    assert len({azure.key, azure.secondary_key, pubsub.key, pubsub.secondary_key}) == 4
    assert emulator.web_pubsub_entra_connection_string == (
        f"Endpoint={host};Port={port};AuthType=azure.app;ClientId={emulator.client_id};"
        f"ClientSecret={emulator.client_secret};TenantId={emulator.tenant_id};Version=1.0;"
    )
    assert emulator.web_pubsub_managed_identity_connection_string == (
        f"Endpoint={host};Port={port};AuthType=azure.msi;Version=1.0;"
    )


def test_each_service_has_routes_of_its_own(pubsub: PubSub, azure: Azure) -> None:
    assert azure.refused_socket(pubsub.token(), path="/client/hubs/chat").status_code == 404
    assert azure.http.post(f"{pubsub.endpoint}/client/negotiate?hub=chat").status_code == 501
    assert azure.http.get(f"{pubsub.endpoint}/state").status_code == 501


def test_both_services_stand_in_the_state(pubsub: PubSub, azure: Azure) -> None:
    with azure.client(), pubsub.client(groups=["b", "a"]) as client, pubsub.socket(pubsub.token()):
        signalr, web, plain = pubsub.control.connections("chat")
        assert (signalr.service, signalr.roles, signalr.groups, signalr.subprotocol) == ("SignalR", (), (), None)
        assert (web.service, web.groups, web.subprotocol) == ("WebPubSub", ("a", "b"), JSON)
        assert web.connection_id == client.connection_id
        assert (plain.service, plain.subprotocol) == ("WebPubSub", None)
        # A message of one service is none of the other's business.
        assert azure.send().status_code == 202
        assert client.is_silent()


def test_the_control_api_ends_a_connection(pubsub: PubSub) -> None:
    with pubsub.client() as client, pubsub.client() as other:
        pubsub.control.close_connection(client.connection_id, error="enough")
        assert client.hear() == {"type": "system", "event": "disconnected", "message": "enough"}
        assert client.closed() == (1000, "enough")
        with pytest.raises(ControlError, match="allow_reconnect"):
            pubsub.control.close_connection(other.connection_id, allow_reconnect=True)
        assert other.is_silent()
        pubsub.control.close_connection(other.connection_id)
        assert other.hear()["message"] == "Closed by the control API."
    with pytest.raises(ControlError, match="no such connection"):
        pubsub.control.close_connection(client.connection_id)


def test_the_control_api_breaks_the_network(pubsub: PubSub) -> None:
    with pubsub.client(subprotocol="reliable") as client:
        pubsub.control.drop_web_pubsub_connection(client.connection_id)
        poll(lambda: client.websocket.close_code is not None, "the WebSocket is still open")
        assert client.websocket.close_code == 1006
        pubsub.control.wait_for_connections(0)
        # A connection that waits to be taken up again is not open, but it is there.
        assert pubsub.call("HEAD", f"/connections/{client.connection_id}").status_code == 200
        with pytest.raises(ControlError, match="no such connection"):
            pubsub.control.drop_web_pubsub_connection(client.connection_id)


@pytest.mark.parametrize("name", ["primary", "secondary"])
def test_a_rotated_key_dies_at_once_and_the_other_ones_live(fresh_azure: Azure, name: str) -> None:
    pubsub = PubSub(fresh_azure)
    keys = {"primary": pubsub.key, "secondary": pubsub.secondary_key}
    dead = keys.pop(name)
    (other,) = keys.values()
    with pubsub.client(pubsub.token(key=dead)) as client:
        strings = pubsub.control.rotate_web_pubsub_keys("primary" if name == "primary" else "secondary")
        new = key_of(strings.primary if name == "primary" else strings.secondary)
        assert pubsub.refused(pubsub.token(key=dead)).status_code == 401
        assert pubsub.send(token=pubsub.rest_token(pubsub.url("/:send"), key=dead)).status_code == 401
        for key in (new, other):
            with pubsub.socket(pubsub.token(key=key)):
                pass
        # Whoever is connected stays so, and SignalR has keys of its own.
        assert client.is_silent()
        assert fresh_azure.negotiate(fresh_azure.token()).status_code == 200


def test_a_held_connect_goes_on_when_it_is_released(pubsub: PubSub) -> None:
    pubsub.control.fail_next("web_pubsub_connect", status=503, retry_after=7)
    pubsub.control.fail_next("web_pubsub_connect", drop=True)
    pubsub.control.fail_next("web_pubsub_connect", garbage=True)
    answer = pubsub.refused(pubsub.token())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    with pytest.raises(InvalidMessage), pubsub.socket(pubsub.token()):
        pass
    with pubsub.socket(pubsub.token()) as client:
        assert "neither JSON" in str(client.hear_frame())
    with pubsub.client() as client:
        assert client.is_silent()
    actions = [entry.action for entry in pubsub.control.journal("web_pubsub_connect")]
    assert actions == ["fault: answer", "fault: drop", "fault: garbage", "served"]


def test_faults_hit_the_rest_routes_of_this_service_only(pubsub: PubSub, azure: Azure) -> None:
    pubsub.control.throttle("web_pubsub_send_to_all", retry_after=3)
    pubsub.control.fail_next("web_pubsub_generate_token", garbage=True)
    pubsub.control.fail_next("web_pubsub_group_exists", drop=True)
    assert azure.send().status_code == 202
    answer = pubsub.send()
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    assert pubsub.send().status_code == 202
    with pytest.raises(json.JSONDecodeError):
        pubsub.generate().json()
    with pytest.raises(httpx.RemoteProtocolError):
        pubsub.call("HEAD", "/groups/g")
    pubsub.control.fail_next("send", status=500)
    assert pubsub.send().status_code == 202
    assert azure.send().status_code == 500


def test_every_route_may_have_a_fault() -> None:
    named = get_args(FaultRoute)
    assert set(WEB_PUBSUB_ROUTE_NAMES) == {name for name in named if name.startswith("web_pubsub_")}
    assert len(WEB_PUBSUB_ROUTE_NAMES) == 14


def test_the_journal_tells_what_happened(pubsub: PubSub) -> None:
    with pubsub.client(sub="ann") as client:
        client.ask(type="joinGroup", group="g", ackId=1)
        client.ask(type="sendToGroup", group="g", data=1)
        pubsub.send("/groups/g/:send")
        client.hear()
        client.ask(type="leaveGroup", group="g", ackId=2)
    gone = pubsub.control.wait_for_journal(lambda entry: entry.route == "web_pubsub_disconnect")
    assert gone.action == "closed by the client"
    entries = pubsub.control.journal()
    assert [(entry.route, entry.target, entry.action) for entry in entries] == [
        ("web_pubsub_connect", None, "served"),
        ("web_pubsub_message", "g", "joined"),
        ("web_pubsub_message", "g", "sent to 1"),
        ("web_pubsub_send_to_group", "g", "sent to 1"),
        ("web_pubsub_message", "g", "left"),
        ("web_pubsub_disconnect", None, "closed by the client"),
    ]
    assert {entry.hub for entry in entries} == {"chat"}
    assert {entry.path for entry in entries if entry.method == "WEBSOCKET"} == {"/client/hubs/chat"}
    own = [entry for entry in entries if entry.method == "WEBSOCKET"]
    assert {(entry.user_id, entry.connection_id) for entry in own} == {("ann", client.connection_id)}


def test_no_credential_is_written_anywhere(fresh_azure: Azure) -> None:
    pubsub, emulator = PubSub(fresh_azure), fresh_azure.emulator
    entra_token = fresh_azure.entra_token(scope=SCOPE)
    tokens = [pubsub.token(), pubsub.token("other"), pubsub.rest_token(pubsub.url("/:send")), entra_token]
    generated = pubsub.generate(entra_token).json()["token"]
    secrets = [pubsub.key, pubsub.secondary_key, emulator.client_secret, *tokens, generated]
    with pubsub.client(tokens[0], subprotocol="reliable") as client:
        reconnection = client.welcome["reconnectionToken"]
        query = {"awps_connection_id": client.connection_id, "awps_reconnection_token": reconnection}
        with pubsub.socket(tokens[0], query=query, subprotocols=[RELIABLE]) as again:
            for secret in secrets:
                again.say({"type": "event", "event": "e", "dataType": "text", "data": secret})
                # The names of groups are limited, and an Entra token is longer than that.
                if len(secret) <= 1024:
                    again.say({"type": "joinGroup", "group": secret})
                    again.say({"type": "sendToGroup", "group": secret, "data": 1})
            assert again.is_silent()
        with pubsub.socket(None, query={**query, "awps_reconnection_token": f"{reconnection}x"}):
            pass
    for secret in secrets:
        pubsub.refused(f"{secret}x")
        pubsub.refused(secret, path="/client/hubs/third")
        pubsub.send(f"/groups/{quote(secret, safe='')}/:send")
        pubsub.send(token=f"{secret}x")
        pubsub.generate(entra_token, userId=secret, role=secret)
    pubsub.control.rotate_web_pubsub_keys()
    fresh_azure.http.get(f"{pubsub.endpoint}/last?x={quote(pubsub.key, safe='')}")
    poll(lambda: any("/last" in line for line in emulator.log_lines), "the log lags behind")
    written = {
        "journal": json.dumps([vars(entry) for entry in pubsub.control.journal()]),
        "state": repr(pubsub.control.state()) + json.dumps(pubsub.control._request("GET", "/state")),
        "log": "\n".join(emulator.log_lines),
    }
    for place, text in written.items():
        for secret in (*secrets, reconnection):
            for form in (secret, quote(secret, safe="")):
                assert form not in text, place
    assert len(pubsub.control.journal()) > 2
