"""Which pages of other sites may negotiate: the server's side of CORS (Fetch Standard, section 3.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from hubpass.exceptions import InvalidArgumentError

# What `@microsoft/signalr` sends with its negotiation, `authorization` when the page has an accessTokenFactory.
CLIENT_HEADERS = ("authorization", "content-type", "x-requested-with", "x-signalr-user-agent")
# Ten minutes: browsers cap it at one or two hours, and a change of the list should be seen soon.
PREFLIGHT_SECONDS = 600

_DEFAULT_PORTS = {"http": 80, "https": 443}
_VISIBLE = re.compile(r"[!-)+-\[\]-~]+")  # but for the asterisk and the backslash
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Origins:
    """The origins that were allowed at a mount.

    Args:
        allowed: Origins as browsers write them, such as ``https://app.example.com``. Neither ``*``, which browsers
            refuse together with credentials, nor ``null``, which any sandboxed page can claim to be.
        more_headers: Names of further headers that pages send with their negotiation.

    Raises:
        InvalidArgumentError: One of them is not an origin, or not the name of a header.
    """

    def __init__(self, allowed: Iterable[str], more_headers: Iterable[str] = ()) -> None:
        if isinstance(allowed, str):
            raise _not_origins("The argument allow_origins is one text and not a sequence of origins.")
        self._allowed = frozenset(map(_normal_form, allowed))
        if not self._allowed:
            raise _not_origins("The argument allow_origins is empty.")
        headers: tuple[object, ...] = (more_headers,) if isinstance(more_headers, str) else tuple(more_headers)
        names = [name.lower() for name in headers if isinstance(name, str) and _TOKEN.fullmatch(name)]
        if len(names) != len(headers):
            raise InvalidArgumentError(
                "The argument allow_headers has something that is not the name of a header.",
                code="invalid_argument",
                hint='Pass allow_headers=["x-my-header"].',
            )
        self.headers = tuple(dict.fromkeys((*CLIENT_HEADERS, *names)))

    def __iter__(self) -> Iterator[str]:
        """The origins, sorted."""
        return iter(sorted(self._allowed))

    def allows(self, origin: str) -> bool:
        """Whether a page of this origin, as its browser names it, may negotiate."""
        try:
            return _normal_form(origin) in self._allowed
        except InvalidArgumentError:
            return False


def _normal_form(origin: object) -> str:
    """`scheme://host[:port]` in lower case, without a port that is the scheme's own."""
    refused = _not_origins("The argument allow_origins has something that is not an origin.")
    # Browsers write origins in visible ASCII. Of other characters urlsplit() drops some, so that what is compared here
    # would not be what goes into the answer.
    if not isinstance(origin, str) or not _VISIBLE.fullmatch(origin):
        raise refused
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        raise refused from None
    has_more = parts.path or parts.query or parts.fragment or "@" in parts.netloc or origin.endswith(("?", "#"))
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or has_more:
        raise refused
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in {None, _DEFAULT_PORTS[parts.scheme]} else "")


def _not_origins(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        message,
        code="invalid_argument",
        hint='Pass allow_origins=["https://app.example.com"]: no path, neither "*" nor "null".',
    )
