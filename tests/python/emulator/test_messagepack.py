"""The MessagePack hub protocol: what goes over the wire, and what the service takes from a client."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jwt
import msgpack  # type: ignore[import-untyped]
import pytest
from websockets.sync.client import ClientConnection, connect

from emulator.hub_clients import PollingClient, connected
from emulator.support import WATCHDOG_SECONDS, Azure, key_of, python

HANDSHAKE = b'{"protocol":"messagepack","version":1}\x1e'
ACCEPTED = b"{}\x1e"


def framed(message: object) -> bytes:
    content: bytes = msgpack.packb(message)
    length, prefix = len(content), b""
    while length > 0x7F:
        prefix += bytes([length & 0x7F | 0x80])
        length >>= 7
    return prefix + bytes([length]) + content


def unframed(data: bytes) -> list[Any]:
    """The messages of a transmission, which must end with the last of them."""
    found = []
    while data:
        length = shift = used = 0
        while True:
            byte = data[used]
            length |= (byte & 0x7F) << shift
            used, shift = used + 1, shift + 7
            if byte < 0x80:
                break
        assert len(data) >= used + length
        found.append(msgpack.unpackb(data[used : used + length]))
        data = data[used + length :]
    return found


def hear(websocket: ClientConnection) -> Any:
    data = websocket.recv(timeout=WATCHDOG_SECONDS)
    assert isinstance(data, bytes)
    (message,) = unframed(data)
    return message


@contextmanager
def joined(azure: Azure) -> Iterator[ClientConnection]:
    with azure.socket(azure.token()) as client:
        client.websocket.send(HANDSHAKE)
        assert client.websocket.recv(timeout=WATCHDOG_SECONDS) == ACCEPTED
        yield client.websocket


def test_a_message_is_an_array_with_all_its_fields(azure: Azure) -> None:
    with joined(azure) as websocket:
        (connection,) = azure.control.connections()
        assert connection.protocol == "messagepack"
        azure.send(body={"target": "hello", "arguments": ["Grüße", 1, -1, 1.5, None, True, {"a": [b"".decode()]}]})
        assert hear(websocket) == [1, {}, None, "hello", ["Grüße", 1, -1, 1.5, None, True, {"a": [""]}], []]


def test_numbers_keep_their_kind_unless_they_have_more_than_64_bits(azure: Azure) -> None:
    numbers = [2**63, 2**64 - 1, -(2**63), 1.0, 2**64, -(2**63) - 1]
    arguments = [numbers, {"n": 10**400, "m": -(10**400)}]
    with joined(azure) as websocket:
        azure.send(content=json.dumps({"target": "n", "arguments": arguments}).encode())
        heard, nested = hear(websocket)[4]
    assert heard == [*numbers[:4], float(2**64), float(-(2**63) - 1)]
    assert [type(number) for number in heard] == [int, int, int, float, float, float]
    assert nested == {"n": float("inf"), "m": float("-inf")}


def test_half_of_a_surrogate_pair_does_no_harm(azure: Azure) -> None:
    with joined(azure) as websocket:
        azure.send(content=b'{"target":"half","arguments":["a\\ud83db"]}')
        assert hear(websocket)[4] == ["a?b"]


@pytest.mark.parametrize("size", [0, 127, 128, 16383, 16384, 1_000_000])
def test_the_length_stands_before_the_message(azure: Azure, size: int) -> None:
    with joined(azure) as websocket:
        azure.send(body={"target": "t", "arguments": ["x" * size]})
        assert hear(websocket)[4] == ["x" * size]


def test_arguments_that_are_nested_too_deeply_end_the_connection_with_an_error(azure: Azure) -> None:
    with joined(azure) as websocket, azure.client() as other:
        azure.send(content=b'{"target":"deep","arguments":[' + b"[" * 600 + b"]" * 600 + b"]}")
        kind, error, reconnect = hear(websocket)
        assert (kind, reconnect) == (7, False)
        assert "nested" in error
        assert other.hear()["target"] == "deep"


def test_invocations_are_refused_and_uploads_ignored(azure: Azure) -> None:
    with joined(azure) as websocket:
        said = [
            framed([1, {}, None, "dropped", []]),
            framed([1, {"h": "v"}, "1", "ask", [1], ["s"]]),
            framed([2, {}, "s", {"item": b"\x00"}]),
            framed([3, {}, "s", 2]),
            framed([5, {}, "1"]),
            framed([6]),
            framed([4, {}, "2", "stream", [], []]),
        ]
        stream = b"".join(said)
        # Cut within a length, within a message, and between messages.
        for piece in (stream[:1], stream[1:9], stream[9 : len(said[0])], stream[len(said[0]) :]):
            websocket.send(piece)
        for invocation_id in ("1", "2"):
            kind, headers, answered, result, error = hear(websocket)
            assert (kind, headers, answered, result) == (3, {}, invocation_id, 1)
            assert "no upstream" in error
    assert [entry.target for entry in azure.control.journal("invoke")] == ["dropped", "ask", "stream"]


def test_a_client_that_says_goodbye_is_let_go(azure: Azure) -> None:
    with joined(azure) as websocket:
        websocket.send(framed([7, None, False]))
        assert hear(websocket) == [7, None, False]


def test_a_close_tells_error_and_reconnect(azure: Azure) -> None:
    with joined(azure) as websocket:
        (connection,) = azure.control.connections()
        azure.control.close_connection(connection.connection_id, error="enough", allow_reconnect=True)
        assert hear(websocket) == [7, "enough", True]


@pytest.mark.parametrize(
    "said",
    [
        b"\xff\xff\xff\xff\xff\x01",
        b"\x81\x80\x80\x01",
        b"\x01\xc1",
        b"\x02\x91\x06\x00",
        framed({"type": 6}),
        framed([]),
        framed(["1"]),
        framed([True]),
        framed([1, {}]),
        framed([1, {}, 7, "target", []]),
        framed([1, {}, None, 7, []]),
        framed([3, {}, "never", 2]),
        framed([8, 1]),
        b"\x03\x91\x06\x00",
    ],
    ids=lambda said: said[:12].hex(),
)
def test_what_the_protocol_does_not_allow_ends_the_connection_with_an_error(azure: Azure, said: bytes) -> None:
    with joined(azure) as websocket:
        # What follows completes a message that claims to be longer than it is.
        websocket.send(said + framed([99]))
        kind, error, reconnect = hear(websocket)
        assert (kind, reconnect) == (7, False)
        assert error


def test_a_text_message_after_the_handshake_is_an_error(azure: Azure) -> None:
    with joined(azure) as websocket:
        websocket.send('{"type":6}\x1e')
        assert "binary messages" in hear(websocket)[1]


def test_long_polling_carries_it(azure: Azure) -> None:
    with connected(azure, "LongPolling") as client:
        assert isinstance(client, PollingClient)
        client.say_raw(HANDSHAKE + framed([1, {}, "1", "ask", []]))
        answer = client.poll().content
        assert answer.startswith(ACCEPTED)
        assert [message[0] for message in unframed(answer.removeprefix(ACCEPTED))] == [3]
        azure.send()
        azure.send()
        assert [message[3] for message in unframed(client.poll().content)] == ["hello", "hello"]


def test_server_sent_events_cannot_carry_it(azure: Azure) -> None:
    with connected(azure, "ServerSentEvents") as client:
        client.say_raw(HANDSHAKE)
        error = client.hear()["error"]
        assert "'messagepack'" in error
        assert "ServerSentEvents" in error
        assert client.ends()


def test_without_the_package_the_handshake_says_what_to_install() -> None:
    script = (
        "import sys\nsys.modules['msgpack'] = None\n"
        "from hubpass.emulator.command_line import main\nsys.exit(main(['--exit-with-parent']))"
    )
    command, environment = python("-c", script)
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        key = key_of(ready["primary_connection_string"])
        audience = f"{ready['endpoint'].rpartition(':')[0]}/client/?hub=chat"
        token = jwt.encode({"aud": audience, "exp": int(time.time()) + 60}, key)
        url = f"{ready['endpoint'].replace('http', 'ws', 1)}/client/?hub=chat&access_token={token}"
        with connect(url, proxy=None) as websocket:
            websocket.send(HANDSHAKE)
            answer = websocket.recv(timeout=WATCHDOG_SECONDS)
        process.communicate(timeout=WATCHDOG_SECONDS)
    assert isinstance(answer, str)
    assert "pip install msgpack" in answer
