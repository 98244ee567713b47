"""Which `aud` values Azure Web PubSub accepts, for client tokens and for REST tokens.

Unlike those of Azure SignalR Service, these audiences carry the port of the endpoint. A client token is for
`{endpoint}/client/hubs/{hub}`; the official SDKs write it with http or https, the Azure portal with wss
(Azure/azure-webpubsub issue 190). A REST token is for the URL of the request: the article "Azure Web PubSub Service
REST API" had it without the query once, and the official SDKs sign all of it.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from hubpass.emulator.addresses import split_authority
from hubpass.emulator.audiences import RequestTarget

_DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


def is_client_audience(audience: str, target: RequestTarget, hub: str) -> bool:
    """Whether `audience` is a client's of `hub`; case is ignored, and so is which of the four schemes it has."""
    rest = _below_own_origin(audience, target, frozenset(_DEFAULT_PORTS))
    return rest is not None and unquote(rest).lower() == f"/client/hubs/{hub}".lower()


def is_rest_audience(audience: str, target: RequestTarget) -> bool:
    """Whether `audience` is the URL of the request; of its query it may leave out what it likes.

    Case is ignored in the path, which may be decoded once, as in Microsoft's own emulator of the service.
    """
    rest = _below_own_origin(audience, target, frozenset({target.scheme}))
    if rest is None:
        return False
    path, _, query = rest.partition("?")
    if path.lower() not in {target.path.lower(), target.raw_path.lower()}:
        return False
    sent = target.query.split("&")
    return all(part in sent for part in query.split("&") if part)


def _below_own_origin(audience: str, target: RequestTarget, schemes: frozenset[str]) -> str | None:
    """What follows the authority in an audience whose scheme, host and port are the server's own."""
    try:
        parts = urlsplit(audience)
        host, port = split_authority(parts.netloc)
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    if scheme not in schemes or host not in target.hosts:
        return None
    if (_DEFAULT_PORTS[scheme] if port is None else port) not in target.ports:
        return None
    return audience[len(parts.scheme) + len("://") + len(parts.netloc) :]
