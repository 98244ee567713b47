"""HTTP/2, which is offered in TLS: spoken where the server chooses it, and no less careful when it goes wrong."""

import ssl
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from hubpass import HubpassError, ServiceError
from networks.calls import SEND
from networks.certificates import Certificate
from networks.service import Conversation, ScriptedService
from signalr.client_kind import ClientKind

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, RST_STREAM, SETTINGS, GOAWAY = 1, 3, 4, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1
PROTOCOL_ERROR, ENHANCE_YOUR_CALM = 1, 11

# ":status: 202": a literal without indexing, whose name is the 8th of the static table (RFC 7541, 6.2.2 and annex A).
ACCEPTED = b"\x08\x03202"


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame (RFC 9113 section 4.1)."""
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def speak(answer: bytes) -> Callable[[Conversation], None]:
    """Reads the preface and the frames up to the headers of a request, and gives this answer."""

    def script(conversation: Conversation) -> None:
        assert isinstance(conversation.connection, ssl.SSLSocket)
        assert conversation.connection.selected_alpn_protocol() == "h2"
        stream = conversation.connection.makefile("rb")
        assert stream.read(len(PREFACE)) == PREFACE
        conversation.send(frame(SETTINGS, 0, 0, b"") + frame(SETTINGS, ACK, 0, b""))
        kind = None
        while kind != HEADERS:
            head = stream.read(9)
            stream.read(int.from_bytes(head[:3], "big"))
            kind = head[3]
        conversation.send(answer)
        while stream.read(1):
            pass

    return script


@pytest.fixture
def tls(trusted: Certificate) -> ssl.SSLContext:
    context = trusted.context()
    context.set_alpn_protocols(["h2"])
    return context


def test_an_answer(client_kind: ClientKind, tls: ssl.SSLContext, ca_file: Path) -> None:
    answer = frame(HEADERS, END_STREAM | END_HEADERS, 1, ACCEPTED)
    with ScriptedService(speak(answer), tls) as service:
        SEND(client_kind, service.at("localhost"), ca_file=ca_file)


@pytest.mark.parametrize(
    "answer",
    [
        frame(RST_STREAM, 0, 1, struct.pack(">I", PROTOCOL_ERROR)),
        frame(GOAWAY, 0, 0, struct.pack(">II", 0, ENHANCE_YOUR_CALM)),
        frame(HEADERS, END_STREAM | END_HEADERS, 1, b"\xff\xff\xff\xff"),
        frame(SETTINGS, 0, 1, b""),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
    ids=["reset", "calm down", "headers", "stream", "another protocol"],
)
def test_what_goes_wrong(client_kind: ClientKind, tls: ssl.SSLContext, ca_file: Path, answer: bytes) -> None:
    with ScriptedService(speak(answer), tls) as service:
        error: HubpassError = SEND.failure(client_kind, service.at("localhost"), ca_file=ca_file)
        assert service.connections == 1
    assert isinstance(error, ServiceError)
    assert (error.code, error.status) == ("connection_failed", None)
    assert "localhost broke the connection off" in error.message
    assert "check Endpoint" in error.hint
