"""The command and the class that runs it: ready line, addresses, and every way to end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from emulator.support import WATCHDOG_SECONDS, Azure, key_of, poll, python
from hubpass.emulator import Emulator, EmulatorError
from hubpass.emulator.command_line import main


def start(*arguments: str, stdin: int | None = None) -> subprocess.Popen[str]:
    command, environment = python("-m", "hubpass.emulator", *arguments)
    return subprocess.Popen(
        command, env=environment, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ready_line(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    ready: dict[str, str] = json.loads(process.stdout.readline())
    return ready


def answers(endpoint: str) -> bool:
    try:
        return httpx.head(f"{endpoint}/api/health", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_the_ready_line_is_all_that_one_needs() -> None:
    process = start()
    try:
        ready = ready_line(process)
        assert ready["event"] == "ready"
        assert ready["service_mode"] == "Serverless"
        host, _, port = ready["endpoint"].rpartition(":")
        assert host == "http://127.0.0.1"
        for name in ("primary", "secondary"):
            text = ready[f"{name}_connection_string"]
            assert text == f"Endpoint={host};Port={port};AccessKey={key_of(text)};Version=1.0;"
            assert len(key_of(text)) == 44
        assert ready["primary_connection_string"] != ready["secondary_connection_string"]
        assert ready["control_url"] != ready["endpoint"]
        assert ready["authority"].startswith("https://127.0.0.1:")
        assert ready["identity_endpoint"].startswith("http://127.0.0.1:")
        assert Path(ready["ca_file"]).is_file()
        assert ready["entra_connection_string"] == (
            f"Endpoint={host};Port={port};AuthType=azure.app;ClientId={ready['client_id']};"
            f"ClientSecret={ready['client_secret']};TenantId={ready['tenant_id']};Version=1.0;"
        )
        assert ready["managed_identity_connection_string"] == (
            f"Endpoint={host};Port={port};AuthType=azure.msi;Version=1.0;"
        )
        servers = {ready[name] for name in ("endpoint", "control_url", "authority", "identity_endpoint")}
        assert len(servers) == 4
        # Everything is in place when the line is there.
        assert answers(ready["endpoint"])
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=WATCHDOG_SECONDS)
    assert process.returncode == 0
    assert output == "", "there is exactly one line on standard output"
    assert not Path(ready["ca_file"]).exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order_even_with_clients_and_held_calls(number: signal.Signals) -> None:
    with Emulator() as emulator:
        azure = Azure(emulator)
        azure.control.fail_next("connect", hold=True, times=1)
        process = emulator._process
        assert process is not None
        raw = socket.create_connection(("127.0.0.1", int(azure.endpoint.rpartition(":")[2])))
        raw.sendall(
            b"GET /client/?hub=chat HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        azure.control.wait_until(lambda state: len(state.held) == 1)
        with azure.client() as client:
            os.kill(emulator.pid, number)
            assert client.close_code() == 1012
        assert process.wait(WATCHDOG_SECONDS) == 0
        raw.close()
        azure.close()


def test_it_ends_with_its_input_only_if_asked_to() -> None:
    asked = start("--exit-with-parent", stdin=subprocess.PIPE)
    ready_line(asked)
    assert asked.stdin is not None
    asked.stdin.close()
    assert asked.wait(WATCHDOG_SECONDS) == 0
    unasked = start(stdin=subprocess.DEVNULL)
    endpoint = ready_line(unasked)["endpoint"]
    assert answers(endpoint)
    unasked.terminate()
    assert unasked.wait(WATCHDOG_SECONDS) == 0
    for process in (asked, unasked):
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")
def test_it_dies_with_a_parent_that_is_killed() -> None:
    script = (
        "from hubpass.emulator import Emulator\n"
        "with Emulator() as azure:\n"
        "    print(azure.endpoint, flush=True)\n"
        "    import threading; threading.Event().wait()\n"
    )
    command, environment = python("-c", script)
    parent = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    endpoint = parent.stdout.readline().strip()
    assert answers(endpoint)
    parent.kill()
    parent.communicate(timeout=WATCHDOG_SECONDS)
    poll(lambda: not answers(endpoint), "the emulator outlived its parent")


def test_the_address_can_be_chosen() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Emulator(port=port, access_key="-my=own/key+", service_mode="Default") as emulator:
        assert emulator.endpoint == f"http://127.0.0.1:{port}"
        assert key_of(emulator.connection_string) == "-my=own/key+"
        assert emulator.control.state().service_mode == "Default"
        # A second one on the same port must say so instead of sharing it.
        with pytest.raises(EmulatorError, match="cannot listen"), Emulator(port=port):
            pass


def has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6_loopback(), reason="this machine has no ::1")
def test_ipv6() -> None:
    with Emulator(host="::1") as emulator:
        azure = Azure(emulator)
        assert emulator.endpoint.startswith("http://[::1]:")
        assert emulator.connection_string.startswith("Endpoint=http://[::1];Port=")
        assert azure.audience("chat") == "http://[::1]/client/?hub=chat"
        with azure.client() as client:
            assert azure.send().status_code == 202
            assert client.hear()["target"] == "hello"
        azure.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "", "no-such-host.invalid"])
def test_it_listens_on_loopback_only(host: str) -> None:
    with pytest.raises(EmulatorError, match=r"127\.0\.0\.1 or ::1"), Emulator(host=host):
        pass


@pytest.mark.parametrize("key", ["canary;key", " canary-key", "", "canary\nkey"])
def test_a_key_that_no_connection_string_can_carry_is_refused(key: str) -> None:
    with pytest.raises(EmulatorError, match="access key") as caught, Emulator(access_key=key):
        pass
    assert not key.strip() or key not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--port", "65536"), "a port is a number from 0 to 65535"),
        (("--control-port", "-1"), "a port is a number from 0 to 65535"),
        (("--ping-interval", "0"), "a positive number of seconds is needed"),
        (("--key-life", "inf"), "a positive number of seconds is needed"),
    ],
)
def test_a_number_out_of_bounds_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, str], complaint: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert arguments[0] in errors
    assert complaint in errors


def test_its_text_has_no_secret_in_it() -> None:
    with Emulator() as emulator:
        text = f"{emulator!r} {emulator} {emulator.control!r}"
        for secret in (emulator.client_secret, emulator.identity_header, key_of(emulator.connection_string)):
            assert secret not in text


def test_an_idle_client_of_tls_does_not_hold_up_the_end() -> None:
    with Emulator() as emulator:
        azure = Azure(emulator)
        azure.entra_token()
        azure.control.shut_down()
        process = emulator._process
        assert process is not None
        assert process.wait(WATCHDOG_SECONDS) == 0
        # The client does not read, so it cannot say goodbye; the server must not have waited for that.
        emulator.stop()
        assert not [line for line in emulator.log_lines if "graceful shutdown exceeded" in line]
        azure.close()


@pytest.mark.parametrize("role", ["SignalR Contributor", ""])
def test_a_role_that_does_not_exist_is_refused(role: str) -> None:
    with pytest.raises(EmulatorError, match="invalid choice"), Emulator(roles=[role]):
        pass


def test_two_emulators_have_nothing_in_common() -> None:
    with Emulator() as first, Emulator() as second:
        one, two = Azure(first), Azure(second)
        for name in ("tenant_id", "client_id", "client_secret", "object_id", "identity_header", "ca_file"):
            assert getattr(first, name) != getattr(second, name)
        assert one.key != two.key
        assert first._ready["control_token"] != second._ready["control_token"]
        assert two.negotiate(one.token()).status_code == 401
        assert two.negotiate(two.token()).status_code == 200
        one.close()
        two.close()


def test_it_can_be_stopped_twice_but_started_once() -> None:
    emulator = Emulator()
    emulator.start()
    with pytest.raises(EmulatorError, match="already"):
        emulator.start()
    emulator.stop()
    emulator.stop()


def test_before_the_start_there_is_nothing_to_control() -> None:
    emulator = Emulator()
    for name in ("control", "pid"):
        with pytest.raises(EmulatorError, match="not started"):
            getattr(emulator, name)
    emulator.stop()
