"""Events of the core on their way to the application: its callback, and the loggers ``hubpass.*``."""

from __future__ import annotations

import os
import sys
from collections import deque
from contextlib import suppress
from functools import partial

from hubpass import _native, _threads
from hubpass.models import Event

# Type checkers know the name; to import it from `typing` would double the time that the package takes to import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# For each event: the logger, whether it means trouble (None: neither trouble nor its end), and what to say.
_LOGS: dict[str, tuple[str, bool | None, str]] = {
    "key_failed": ("hubpass.keys", True, "No temporary key: %(message)s %(hint)s"),
    "key_invalidated": ("hubpass.keys", None, "A temporary key was reported dead: %(outcome)s."),
    "key_refused": ("hubpass.keys", True, "The service did not accept what the temporary key %(kid)s signed."),
    "key_renewed": ("hubpass.keys", False, "The temporary key %(kid)s signs from now on."),
    "key_unchanged": ("hubpass.keys", True, "The service answered a renewal with the key in hand, %(kid)s."),
    "key_unproven": ("hubpass.keys", None, "The temporary key %(kid)s signs unproven: %(message)s %(hint)s"),
    "request_failed": ("hubpass.http", True, "%(operation)s failed: %(code)s."),
    "request_succeeded": ("hubpass.http", False, "%(operation)s succeeded."),
    "token_failed": ("hubpass.identity", True, "%(credential)s gave no token: %(message)s %(hint)s"),
    "token_renewed": ("hubpass.identity", False, "%(credential)s gave a token."),
}


# How many events may wait for a callback that dawdles. Beyond that the oldest are lost, not the memory of the process.
_WAITING_MAX = 256


class Teller:
    """Tells the application of events, and the loggers of changes of state: trouble once, and its end once.

    Events are told in order, on a thread of their own that lives as long as there are any: a callback and a log handler
    may take their time, and a fork in between leaves no lock behind.
    """

    __slots__ = ("_callback", "_in_trouble", "_queues")

    def __init__(self, callback: Callable[[Event], object] | None) -> None:
        self._callback = callback
        self._in_trouble: set[str] = set()
        # For each process id the events that wait, and a token that whoever tells them has taken. A forked child has
        # neither its parent's thread nor the events that its parent tells. Each step on them is atomic in Python.
        self._queues: dict[int, tuple[deque[tuple[str, Mapping[str, object]]], list[None]]] = {}

    def __call__(self, name: str, attributes: Mapping[str, object]) -> None:
        """Take an event of the core, without waiting."""
        if self._callback is None and "logging" not in sys.modules:
            return
        waiting, idle = self._queues.setdefault(os.getpid(), (deque(maxlen=_WAITING_MAX), [None]))
        waiting.append((name, attributes))
        try:
            idle.pop()
        except IndexError:
            return  # Somebody is telling.
        try:
            _threads.start(partial(self._serve, waiting, idle), "hubpass-events")
        except RuntimeError:
            # No thread: the interpreter is ending, or the process has too many. The next event tries again.
            idle.append(None)

    def _serve(self, waiting: deque[tuple[str, Mapping[str, object]]], idle: list[None]) -> None:
        while waiting or self._has_more(waiting, idle):
            try:
                name, attributes = waiting.popleft()
                self._tell(name, attributes)
            except BaseException as error:  # noqa: BLE001, PERF203 - what ends one event must not end the next
                _native.write_unraisable(error, self._callback)

    def _has_more(self, waiting: deque[tuple[str, Mapping[str, object]]], idle: list[None]) -> bool:
        """Put the token back, and take it again if an event has come just before. Says whether it was taken again."""
        idle.append(None)
        if waiting:
            with suppress(IndexError):
                idle.pop()
                return True
        return False

    def _tell(self, name: str, attributes: Mapping[str, object]) -> None:
        self._log(name, attributes)
        if self._callback is not None:
            self._callback(Event(name, attributes))

    def _log(self, name: str, attributes: Mapping[str, object]) -> None:
        # A program that has not imported logging has no handlers, and need not pay for the import.
        logging = sys.modules.get("logging")
        if logging is None or name not in _LOGS:
            return
        # Without any handler Python would print warnings on standard error; that is for the application to decide.
        if not logging.getLogger("hubpass").handlers:
            logging.getLogger("hubpass").addHandler(logging.NullHandler())
        logger, is_trouble, message = _LOGS[name]
        was_trouble = logger in self._in_trouble
        if is_trouble:
            self._in_trouble.add(logger)
        elif is_trouble is not None:
            self._in_trouble.discard(logger)
        changed = is_trouble is None or is_trouble != was_trouble
        level = logging.WARNING if is_trouble else logging.INFO
        logging.getLogger(logger).log(level if changed else logging.DEBUG, message, attributes)
