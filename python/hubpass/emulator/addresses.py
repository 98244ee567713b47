"""Loopback addresses: the only ones on which the emulator listens and to which it answers.

The emulator hands out keys and obeys a control API, so it must never be reachable from another machine.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass


class NotLoopbackError(ValueError):
    """The host to bind to is reachable from other machines, or does not exist."""


@dataclass(frozen=True)
class Address:
    """Where one of the emulator's servers can be reached."""

    scheme: str
    host: str
    port: int

    @property
    def origin(self) -> str:
        """Scheme and host without a port, as audiences of client tokens are written."""
        return f"{self.scheme}://{bracketed(self.host)}"

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"{self.origin}:{self.port}"


def bracketed(host: str) -> str:
    """`host` as it stands in a URL: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


def is_loopback_name(host: str) -> bool:
    """Whether `host` (no port, no brackets) always means this machine: RFC 6761 and the loopback ranges."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def split_authority(authority: str) -> tuple[str, int | None]:
    """Split `host[:port]` into a lower-case host without brackets and the port, or None where there is none.

    Raises `ValueError` if the text is not an authority.
    """
    host, separator, port = authority.rpartition(":")
    if not separator or "]" in port:
        host, port = authority, ""
    elif not (port.isascii() and port.isdigit()):
        raise ValueError("the port is not a number")
    if host.startswith("[") and host.endswith("]"):
        host = str(ipaddress.IPv6Address(host[1:-1]))
    elif ":" in host or "[" in host or "]" in host:
        raise ValueError("an IPv6 address needs brackets")
    if not host or "@" in host:
        raise ValueError("the host is missing or carries user information")
    return host.lower(), int(port) if port else None


def bind_loopback(host: str, port: int) -> socket.socket:
    """A TCP socket bound to `host` and `port` (0: the system picks one).

    Raises `NotLoopbackError` before anything is bound if the host is not a loopback one, and `OSError` if the
    port is taken.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise NotLoopbackError(f"--host {host!r} cannot be resolved: use 127.0.0.1 or ::1") from error
    if not host or not all(is_loopback_name(str(entry[4][0])) for entry in found):
        raise NotLoopbackError(
            f"--host {host!r} is reachable from other machines. The local Azure hands out keys and obeys its "
            "control API, so it listens on loopback only: use 127.0.0.1 or ::1."
        )
    family, kind, _, _, address = found[0]
    # asyncio turns Nagle's algorithm off only for sockets that name their protocol; left on, every answer
    # that is written in two pieces would take 40 ms.
    listener = socket.socket(family, kind, socket.IPPROTO_TCP)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            # On Windows SO_REUSEADDR would let another process share the port, which is not what it means
            # elsewhere.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener
