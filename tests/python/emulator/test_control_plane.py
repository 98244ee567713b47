"""The control API: who may use it, keys, clock, and waiting."""

from __future__ import annotations

import http.client
import json
import threading
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

import pytest

from emulator.support import Azure, key_of
from hubpass.emulator import ControlClient, ControlError, WaitTimeoutError


def control_request(
    azure: Azure, method: str = "GET", path: str = "/state", body: str | None = None, **headers: str
) -> tuple[int, dict[str, str], dict[str, Any]]:
    """A request with nothing added that the test has not asked for."""
    parts = urlsplit(azure.emulator._ready["control_url"])
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("content-length", str(len(body)))
    connection.endheaders(None if body is None else body.encode())
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, json.loads(text)


def credentials(azure: Azure) -> dict[str, str]:
    return {"Host": "127.0.0.1", "Authorization": f"Bearer {azure.emulator._ready['control_token']}"}


@pytest.mark.parametrize("token", [None, "Bearer ", "Bearer wrong", "wrong"])
def test_only_the_token_opens_it(azure: Azure, token: str | None) -> None:
    good = credentials(azure)
    bad = {name: value for name, value in good.items() if name != "Authorization"}
    status, headers, _ = control_request(azure, **bad, **({} if token is None else {"Authorization": token}))
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert control_request(azure, **good)[0] == 200


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1.example.com", "evil:80", "", "192.168.0.1", "a@localhost"])
def test_a_rebound_name_is_refused(azure: Azure, host: str) -> None:
    assert control_request(azure, **{**credentials(azure), "Host": host})[0] == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:1234", "localhost", "LOCALHOST:80", "[::1]:9", "a.localhost"])
def test_loopback_names_are_accepted(azure: Azure, host: str) -> None:
    assert control_request(azure, **{**credentials(azure), "Host": host})[0] == 200


def test_a_wrong_host_is_refused_before_the_token_is_looked_at(azure: Azure) -> None:
    assert control_request(azure, Host="example.com")[0] == 403


def test_no_web_page_may_read_it(azure: Azure) -> None:
    for method in ("GET", "OPTIONS"):
        _, headers, _ = (
            control_request(azure, method, Origin="http://localhost:3000", **credentials(azure))
            if (method == "GET")
            else control_request(azure, "GET", Origin="http://localhost:3000", Host="localhost")
        )
        assert not [name for name in headers if name.startswith("access-control")]


def test_the_data_plane_has_no_control_routes(azure: Azure) -> None:
    for path in ("/state", "/journal", "/keys/rotate"):
        assert azure.http.get(azure.endpoint + path, headers=credentials(azure)).status_code == 404


@pytest.mark.parametrize(
    ("path", "order"),
    [
        ("/clock", {}),
        ("/clock", {"now": 1, "advance": 1}),
        ("/clock", {"now": "soon"}),
        ("/clock", {"advance": None}),
        ("/clock", {"backwards": 1}),
        ("/keys/rotate", {"key": "third"}),
        ("/service-mode", {"service_mode": "Classic"}),
        ("/faults", {"route": "nowhere", "status": 500}),
        ("/faults", {"route": "send"}),
        ("/faults", {"route": "send", "status": 99}),
        ("/faults", {"route": "send", "status": True}),
        ("/faults", {"route": "send", "status": 500, "times": 0}),
        ("/faults", {"route": "send", "delay": -1}),
        ("/faults", {"route": "send", "hold": "yes"}),
        ("/faults", {"route": "send", "drop": True, "status": 500}),
        ("/faults", {"route": "send", "hold": True, "body": "x"}),
        ("/faults", {"route": "send", "status": 500, "headers": {"a": 1}}),
        ("/faults", {"route": "send", "status": 500, "body": 1}),
        ("/faults", {"route": "send", "status": 500, "retry_after": []}),
        ("/faults", {"route": "send", "status": 500, "colour": "red"}),
        ("/connections/close", {"connection_id": "nobody"}),
        ("/held/release", {"number": 7}),
        ("/temporary-keys/rotate", {"kid": 7}),
        ("/temporary-keys/rotate", {"kid": " "}),
        ("/temporary-keys/revoke", {"kid": "nobody's"}),
        ("/temporary-keys/policy", {"life": 0}),
        ("/temporary-keys/policy", {"issue_for": "long"}),
        ("/temporary-keys/policy", {"lifetime": 1}),
        ("/roles/assign", {"object_id": "x", "role": "SignalR Contributor"}),
        ("/roles/assign", {"role": "SignalR App Server"}),
        ("/roles/remove", {"object_id": "x", "role": "SignalR App Server"}),
        ("/roles/define", {"role": "SignalR App Server", "actions": []}),
        ("/roles/define", {"role": "mine", "actions": "*"}),
        ("/applications", {"roles": ["SignalR Contributor"]}),
        ("/applications", {"tenant_id": "contoso"}),
        ("/token-lifetime", {"seconds": 1.5}),
        ("/token-lifetime", {"seconds": -1}),
        ("/local-auth", {}),
        ("/local-auth", {"disabled": "yes"}),
        ("/network-acl", {"denied": 1}),
    ],
    ids=str,
)
def test_a_meaningless_order_is_refused_with_a_reason(azure: Azure, path: str, order: dict[str, Any]) -> None:
    before = azure.control.state()
    status, _, answer = control_request(azure, "POST", path, json.dumps(order), **credentials(azure))
    assert status in {400, 404}
    assert answer["error"]
    after = azure.control.state()
    assert (after.version, after.faults, after.clock_offset) == (before.version, (), 0.0)


@pytest.mark.parametrize("body", ["no JSON", "[]", "x" * (1024 * 1024 + 1)], ids=["no JSON", "a list", "too long"])
def test_an_order_is_a_json_object(azure: Azure, body: str) -> None:
    assert control_request(azure, "POST", "/clock", body, **credentials(azure))[0] in {400, 413}


def test_the_client_reports_refusals(azure: Azure) -> None:
    with pytest.raises(ControlError, match="no such connection"):
        azure.control.close_connection("nobody")
    stranger = ControlClient(azure.emulator._ready["control_url"], "wrong")
    with pytest.raises(ControlError, match="401"):
        stranger.state()


@pytest.mark.parametrize("name", ["primary", "secondary"])
def test_a_rotated_key_dies_at_once_and_the_other_one_lives(fresh_azure: Azure, name: Any) -> None:
    azure = fresh_azure
    keys = {"primary": azure.key, "secondary": azure.secondary_key}
    other = "secondary" if name == "primary" else "primary"
    tokens = {key: azure.token(key=keys[key]) for key in keys}
    with azure.client(tokens[name]) as client:
        strings = azure.control.rotate_keys(name)
        assert azure.negotiate(tokens[name]).headers["www-authenticate"].endswith('"The signature key was not found"')
        assert azure.refused_socket(tokens[name]).status_code == 401
        assert azure.negotiate(tokens[other]).status_code == 200
        new = {"primary": key_of(strings.primary), "secondary": key_of(strings.secondary)}
        assert new[name] != keys[name]
        assert new[other] == keys[other]
        assert azure.negotiate(azure.token(key=new[name])).status_code == 200
        # Whoever is connected stays so: a key is looked at when a token is.
        rest = azure.rest_token(f"{azure.endpoint}/api/hubs/chat/:send", key=new[name])
        assert azure.send(token=rest).status_code == 202
        assert client.hear()["target"] == "hello"
    assert "AccessKey" not in repr(strings)


def test_the_clock_can_be_set_moved_and_reset(azure: Azure) -> None:
    control = azure.control
    start = control.state()
    moment = datetime(2040, 1, 2, tzinfo=timezone.utc)
    control.set_clock(moment)
    assert 0 <= control.state().now - moment.timestamp() < 60
    control.advance_clock(-86_400)
    assert 0 <= control.state().now - (moment - timedelta(days=1)).timestamp() < 60
    control.reset_clock()
    assert control.state().clock_offset == 0.0
    assert 0 <= control.state().now - start.now < 60
    with pytest.raises(ValueError, match="aware"):
        control.set_clock(datetime(2040, 1, 2))  # noqa: DTZ001 - this is the mistake


def test_waiting_ends_with_the_change_and_not_with_the_timeout(azure: Azure) -> None:
    state = azure.control.state()
    answered = threading.Event()

    def wait() -> None:
        azure.control.wait_until(lambda now: now.clock_offset == 5.0, timeout=20)
        answered.set()

    waiter = threading.Thread(target=wait)
    waiter.start()
    azure.control.advance_clock(5)
    waiter.join(20)
    assert answered.is_set()
    assert azure.control.state().version > state.version


def test_waiting_in_vain_shows_the_last_state(azure: Azure) -> None:
    with pytest.raises(WaitTimeoutError, match="service_mode='Serverless'"):
        azure.control.wait_until(lambda state: state.service_mode == "Default", timeout=0.05)


def test_proxies_of_the_environment_are_not_used(azure: Azure, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert azure.control.state().service_mode == "Serverless"


def test_shutting_down_ends_the_process_in_order(fresh_azure: Azure) -> None:
    with fresh_azure.client() as client:
        fresh_azure.control.shut_down()
        assert client.close_code() == 1012
    process = fresh_azure.emulator._process
    assert process is not None
    assert process.wait(20) == 0
