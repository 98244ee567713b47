"""Faults on order: statuses, delays, held calls, dropped connections, garbage."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import httpx
import pytest
from websockets.exceptions import InvalidMessage

from emulator.support import Azure, poll

ROUTES = ["negotiate", "send", "health"]


def call(azure: Azure, route: str) -> httpx.Response:
    if route == "negotiate":
        return azure.negotiate(azure.token())
    if route == "send":
        return azure.send()
    return azure.http.head(f"{azure.endpoint}/api/health")


def usual_status(route: str) -> int:
    return 202 if route == "send" else 200


@pytest.mark.parametrize("route", ROUTES)
def test_the_next_n_calls_fail_and_the_one_after_them_does_not(azure: Azure, route: Any) -> None:
    azure.control.fail_next(route, 2, status=503, retry_after=7, headers={"X-Trace": "1"}, body="busy")
    for _ in range(2):
        answer = call(azure, route)
        assert answer.status_code == 503
        assert (answer.headers["retry-after"], answer.headers["x-trace"]) == ("7", "1")
        assert answer.text == ("" if route == "health" else "busy")
    assert call(azure, route).status_code == usual_status(route)
    assert [entry.action for entry in azure.control.journal(route)] == [
        "fault: answer",
        "fault: answer",
        *(["sent to 0"] if route == "send" else ["served"]),
    ]


def test_a_fault_hits_its_own_route_only(azure: Azure) -> None:
    azure.control.fail_next("send", status=500)
    assert call(azure, "negotiate").status_code == 200
    assert call(azure, "send").status_code == 500
    azure.control.fail_next("*", status=500)
    assert call(azure, "health").status_code == 500
    assert call(azure, "health").status_code == 200


def test_faults_apply_in_their_order_and_can_be_disarmed(azure: Azure) -> None:
    azure.control.fail_next("health", status=500)
    azure.control.fail_next("health", status=501)
    azure.control.fail_next("health", status=502)
    assert [call(azure, "health").status_code for _ in range(2)] == [500, 501]
    assert len(azure.control.state().faults) == 1
    azure.control.clear_faults()
    assert call(azure, "health").status_code == 200


@pytest.mark.parametrize("route", ROUTES)
def test_a_dropped_connection(azure: Azure, route: Any) -> None:
    azure.control.fail_next(route, drop=True)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)):
        call(azure, route)
    (entry,) = azure.control.journal(route)
    assert (entry.status, entry.action) == (None, "fault: drop")
    assert call(azure, route).status_code == usual_status(route)


def test_faults_do_not_look_like_errors_of_the_emulator(azure: Azure) -> None:
    routes: tuple[Literal["health", "negotiate"], ...] = ("health", "negotiate")
    for route in routes:
        azure.control.fail_next(route, drop=True)
        with pytest.raises(httpx.TransportError):
            call(azure, route)
    azure.control.fail_next("connect", drop=True)
    with pytest.raises((InvalidMessage, ConnectionError, EOFError)), azure.socket(azure.token()):
        pass
    azure.http.get(f"{azure.endpoint}/after-the-drops")
    poll(lambda: any("after-the-drops" in line for line in azure.emulator.log_lines), "the log lags behind")
    log = azure.emulator.log_lines
    assert not [line for line in log if "ERROR" in line and "ASGI" in line]


def test_garbage(azure: Azure) -> None:
    azure.control.fail_next("negotiate", garbage=True)
    answer = call(azure, "negotiate")
    assert answer.status_code == 200
    with pytest.raises(ValueError, match="Expecting value"):
        answer.json()
    azure.control.fail_next("negotiate", garbage=True, status=500)
    assert call(azure, "negotiate").status_code == 500
    assert call(azure, "negotiate").json()["negotiateVersion"] == 1


@pytest.mark.parametrize("route", ROUTES)
def test_a_held_call_is_answered_only_after_its_release(azure: Azure, route: Any) -> None:
    azure.control.fail_next(route, 2, hold=True)
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(call, azure, route) for _ in range(2)]
        state = azure.control.wait_until(lambda state: len(state.held) == 2)
        assert [held.route for held in state.held] == [route, route]
        # The emulator shows both as held, so neither can have been answered.
        assert not any(future.done() for future in calls)
        assert azure.control.journal(route) == ()
        assert azure.control.release(state.held[1].number) == 1
        azure.control.wait_for_journal(lambda entry: entry.route == route)
        assert [held.number for held in azure.control.held()] == [state.held[0].number]
        assert azure.control.release() == 1
        assert [future.result(20).status_code for future in calls] == [usual_status(route)] * 2
    assert azure.control.held() == ()


def test_a_held_call_may_fail_after_its_release(azure: Azure) -> None:
    azure.control.fail_next("health", hold=True, status=500)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(call, azure, "health")
        azure.control.wait_until(lambda state: len(state.held) == 1)
        azure.control.release()
        assert future.result(20).status_code == 500


def test_a_held_call_takes_effect_after_its_release(azure: Azure) -> None:
    """A caller learns the state of the moment of its release: its token has expired meanwhile."""
    token = azure.token()
    azure.control.fail_next("negotiate", hold=True)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(azure.negotiate, token)
        azure.control.wait_until(lambda state: len(state.held) == 1)
        azure.control.advance_clock(4000)
        azure.control.release()
        assert future.result(20).status_code == 401


def test_a_held_call_is_forgotten_when_its_client_leaves(azure: Azure) -> None:
    azure.control.fail_next("send", hold=True)
    with pytest.raises(httpx.ReadTimeout), httpx.Client(trust_env=False, timeout=0.2) as impatient:
        impatient.post(f"{azure.endpoint}/api/hubs/chat/:send", json={"target": "t"})
    azure.control.wait_until(lambda state: not state.held)
    entry = azure.control.wait_for_journal(lambda entry: entry.route == "send")
    assert (entry.status, entry.action) == (None, "fault: client left")
    assert azure.control.release() == 0


def test_a_delayed_call_is_served_late(azure: Azure) -> None:
    azure.control.fail_next("health", delay=0.05)
    assert call(azure, "health").status_code == 200
    azure.control.fail_next("health", delay=60)
    with pytest.raises(httpx.ReadTimeout), httpx.Client(trust_env=False, timeout=0.2) as impatient:
        impatient.head(f"{azure.endpoint}/api/health")
    assert azure.control.journal("health")[0].action == "fault: delayed"


def test_websockets_are_refused_dropped_held_and_fed_garbage(azure: Azure) -> None:
    control = azure.control
    control.fail_next("connect", status=503, retry_after=1)
    refused = azure.refused_socket(azure.token())
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    control.fail_next("connect", drop=True)
    with pytest.raises((InvalidMessage, ConnectionError, EOFError)), azure.socket(azure.token()):
        pass
    control.fail_next("connect", garbage=True)
    with azure.socket(azure.token()) as client:
        text = client.websocket.recv(timeout=20)
        assert isinstance(text, str)
        assert "\x1e" not in text
    control.fail_next("connect", hold=True)
    connected = threading.Event()

    def connect() -> None:
        with azure.client():
            connected.set()

    thread = threading.Thread(target=connect)
    thread.start()
    control.wait_until(lambda state: len(state.held) == 1)
    assert not connected.is_set()
    control.release()
    thread.join(20)
    assert connected.is_set()
    actions = [entry.action for entry in control.journal("connect")]
    assert actions == ["fault: answer", "fault: drop", "fault: garbage", "fault: held"]


def test_a_refused_fault_for_browsers_can_be_read_by_them(azure: Azure) -> None:
    azure.control.fail_next("negotiate", status=503)
    answer = azure.negotiate(azure.token(), headers={"Origin": "http://localhost:1"})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (503, "http://localhost:1")


def test_a_dropped_connection_over_tls(azure: Azure) -> None:
    azure.control.fail_next("token", drop=True)
    with pytest.raises(httpx.TransportError):
        azure.ask_entra()
    assert azure.ask_entra().status_code == 200


@pytest.mark.parametrize("route", ["token", "access_key", "managed_identity"])
def test_calls_of_every_server_can_be_held(azure: Azure, route: Any) -> None:
    token = azure.entra_token()
    ask: dict[str, Any] = {
        "token": azure.ask_entra,
        "access_key": lambda: azure.ask_key(token),
        "managed_identity": azure.ask_identity,
    }
    azure.control.fail_next(route, hold=True)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask[route])
        held = azure.control.wait_until(lambda state: len(state.held) == 1).held[0]
        assert held.route == route
        # While one call is held, others of the same route are served.
        assert ask[route]().status_code == 200
        assert not answer.done()
        assert azure.control.release(held.number) == 1
        assert answer.result(20).status_code == 200
