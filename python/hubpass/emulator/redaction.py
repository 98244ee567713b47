"""Removes credentials from everything that the emulator writes down: journal, log, error texts."""

from __future__ import annotations

import logging
import re
import sys
from collections import deque
from urllib.parse import unquote, unquote_plus

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

_TOKEN_SHAPE = re.compile(r"[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")
_HIDDEN = "[redacted]"
# `id` is the connection token, which the transport specification of ASP.NET Core SignalR asks to keep secret; whoever
# has the reconnection token of a Web PubSub client takes its connection over.
_SECRET_QUERY = frozenset({"access_token", "id", "awps_reconnection_token"})
# More than can be alive at once; without a limit, a long run would look for thousands of dead keys in every
# line.
_MOST_PASSING = 256


class Redactor:
    """Knows the secrets of this run and blanks them, along with anything that has the shape of a JWT."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._passing: deque[str] = deque(maxlen=_MOST_PASSING)

    def learn(self, secret: str) -> None:
        """Blank `secret` from now on, also after it stopped being valid."""
        self._secrets.add(secret)

    def learn_passing(self, secret: str) -> None:
        """Blank `secret` until many others of its kind, each of which dies by itself, have come after it."""
        self._passing.append(secret)

    def text(self, text: str) -> str:
        """`text` without secrets."""
        for secret in (*self._secrets, *self._passing):
            text = text.replace(secret, _HIDDEN)
        return _TOKEN_SHAPE.sub(_HIDDEN, text)

    def path(self, path: str, query: bytes) -> str:
        """Path and query without the parameters that carry credentials.

        The rest of the query stays as it was sent, unless a secret hides in it behind percent-encoding.
        """
        parts = [part for part in query.decode("latin-1").split("&") if part]
        shown = [self._part(part) for part in parts if unquote_plus(part.partition("=")[0]) not in _SECRET_QUERY]
        return self.text("?".join([path, "&".join(shown)] if shown else [path]))

    def _part(self, part: str) -> str:
        decoded = {unquote(part), unquote_plus(part)}
        return part if all(self.text(text) == text for text in decoded) else _HIDDEN


class RedactingFormatter(logging.Formatter):
    """Formats a record as usual, tracebacks included, and then blanks what must not be seen."""

    def __init__(self, fmt: str, redactor: Redactor) -> None:
        super().__init__(fmt)
        self._redactor = redactor

    @override
    def format(self, record: logging.LogRecord) -> str:
        """The redacted line."""
        return self._redactor.text(super().format(record))
