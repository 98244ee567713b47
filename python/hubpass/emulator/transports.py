"""The three transports of a client connection, as a negotiation names them and as a token allows them.

Source: "Transport Protocols" in dotnet/aspnetcore (`src/SignalR/docs/specs/TransportProtocols.md`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Transport:
    """One transport: its name, its bit in the claim `asrs.s.htt`, and whether it can carry bytes that are no text."""

    name: str
    bit: int
    carries_binary: bool

    def describe(self) -> dict[str, object]:
        """The offer of this transport in the answer to a negotiation."""
        formats = ["Text", "Binary"] if self.carries_binary else ["Text"]
        return {"transport": self.name, "transferFormats": formats}


WEB_SOCKETS = Transport("WebSockets", 1, carries_binary=True)
SERVER_SENT_EVENTS = Transport("ServerSentEvents", 2, carries_binary=False)
LONG_POLLING = Transport("LongPolling", 4, carries_binary=True)
# In the order in which a client tries them.
TRANSPORTS = (WEB_SOCKETS, SERVER_SENT_EVENTS, LONG_POLLING)
ALL_TRANSPORTS = WEB_SOCKETS.bit | SERVER_SENT_EVENTS.bit | LONG_POLLING.bit
