"""The handshake, which is JSON whatever protocol is spoken afterwards.

Source: "SignalR Hub Protocol" in dotnet/aspnetcore (`src/SignalR/docs/specs/HubProtocol.md`). That a protocol is
refused which the transport cannot carry is the behaviour of ASP.NET Core's `HubConnectionContext`.
"""

from __future__ import annotations

from hubpass.emulator.hub_protocol import HubProtocol, ProtocolError
from hubpass.emulator.json_hub_protocol import SEPARATOR, JsonHubProtocol, encode, parse
from hubpass.emulator.transports import Transport

ACCEPTED = b"{}" + SEPARATOR
# Like ASP.NET Core since 8, which takes its newest version and every older one. Version 2 differs from 1 by the
# messages of stateful reconnect only, which no client sends that has not negotiated it; some clients that negotiate
# in version 0 shake hands in version 0 too.
_VERSIONS = range(3)
_NAMES = ("json", "messagepack")
_INSTALL_MESSAGEPACK = "The local Azure needs the package msgpack for 'messagepack'. Run: pip install msgpack"


def refused(error: str) -> bytes:
    """The answer to a handshake that the service cannot accept."""
    return encode({"error": error})


def chosen_protocol(record: bytes, transport: Transport) -> HubProtocol:
    """The protocol that the handshake asks for; raises `ProtocolError` with the reason if it cannot be spoken."""
    request = parse(record)
    name, version = request.get("protocol"), request.get("version")
    if not isinstance(name, str) or isinstance(version, bool) or not isinstance(version, int):
        raise ProtocolError("A handshake needs 'protocol' and 'version'.")
    if name not in _NAMES:
        known = " and ".join(f"'{known}'" for known in _NAMES)
        raise ProtocolError(f"The protocol '{name}' is not supported. The local Azure supports {known}.")
    if version not in _VERSIONS:
        raise ProtocolError(f"Version {version} of '{name}' is not supported. Use version 1.")
    protocol = _protocol(name)
    if protocol.binary and not transport.carries_binary:
        raise ProtocolError(f"The protocol '{name}' is binary, which the transport {transport.name} cannot carry.")
    return protocol


def _protocol(name: str) -> HubProtocol:
    if name == JsonHubProtocol.name:
        return JsonHubProtocol()
    try:
        from hubpass.emulator.messagepack_hub_protocol import MessagePackHubProtocol
    except ModuleNotFoundError as error:
        if error.name != "msgpack":
            raise
        raise ProtocolError(_INSTALL_MESSAGEPACK) from None
    return MessagePackHubProtocol()
