"""Which `aud` values the service accepts, for client tokens and for REST tokens.

The rules follow the public SDK of Azure SignalR Service (Azure/azure-signalr) and the article "Azure SignalR
Service REST API" of Microsoft's documentation. A client token is for `{scheme}://{host}/client/?hub={hub}`
without a port; a REST token is for the request URL, which the SDK has written with and without its query and
port over the years.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hubpass.emulator.addresses import Address, is_loopback_name, split_authority

_ABSOLUTE_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://([^/?#]*)(.*)", re.DOTALL)
# The SDK signs a REST URL before it appends these parameters.
_UNSIGNED_PARAMETERS = frozenset({"excluded"})


@dataclass(frozen=True)
class RequestTarget:
    """The parts of a request that an audience is compared with."""

    scheme: str
    hosts: frozenset[str]
    ports: frozenset[int]
    path: str
    raw_path: str
    query: str


def own_authorities(address: Address, host_header: str) -> tuple[frozenset[str], frozenset[int]]:
    """Hosts and ports under which this request could reach the service.

    The bound address always counts. The name in the `Host` header counts as well if it is another loopback
    name, so that `localhost` in a connection string works as it does for any local server.
    """
    hosts, ports = {address.host.lower()}, {address.port}
    try:
        host, port = split_authority(host_header)
    except ValueError:
        return frozenset(hosts), frozenset(ports)
    if is_loopback_name(host):
        hosts.add(host)
        if port is not None:
            ports.add(port)
    return frozenset(hosts), frozenset(ports)


def is_client_audience(audience: str, target: RequestTarget, hub: str) -> bool:
    """Whether `audience` is a client's of `hub`; scheme and host ignore case, a port is not looked at."""
    parts = _split(audience)
    if parts is None:
        return False
    scheme, host, _, rest = parts
    return scheme == target.scheme and host in target.hosts and rest == f"/client/?hub={hub}"


def is_rest_audience(audience: str, target: RequestTarget) -> bool:
    """Whether `audience` is the URL of the request; query and port may lack, the path may be decoded."""
    parts = _split(audience)
    if parts is None:
        return False
    scheme, host, port, rest = parts
    path, separator, query = rest.partition("?")
    if separator and query not in {target.query, _without_unsigned(target.query)}:
        return False
    return (
        scheme == target.scheme
        and host in target.hosts
        and (port is None or port in target.ports)
        and path in {target.path, target.raw_path}
    )


def _split(audience: str) -> tuple[str, str, int | None, str] | None:
    match = _ABSOLUTE_URL.fullmatch(audience)
    if match is None:
        return None
    try:
        host, port = split_authority(match[2])
    except ValueError:
        return None
    return match[1].lower(), host, port, match[3]


def _without_unsigned(query: str) -> str:
    return "&".join(part for part in query.split("&") if part.partition("=")[0] not in _UNSIGNED_PARAMETERS)
