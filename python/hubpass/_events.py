"""Events of the core on their way to the application: its callback, and the loggers ``hubpass.*``."""

from __future__ import annotations

import sys

from hubpass.models import Event

# Type checkers know the name; to import it from `typing` would double the time that the package takes to import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# For each event: the logger, whether it means trouble (None: neither trouble nor its end), and what to say.
_LOGS: dict[str, tuple[str, bool | None, str]] = {
    "key_failed": ("hubpass.keys", True, "No temporary key: %(message)s %(hint)s"),
    "key_invalidated": ("hubpass.keys", None, "A temporary key was reported dead: %(outcome)s."),
    "key_renewed": ("hubpass.keys", False, "The temporary key %(kid)s signs from now on."),
    "key_unchanged": ("hubpass.keys", True, "The service answered a renewal with the key in hand, %(kid)s."),
    "request_failed": ("hubpass.http", True, "%(operation)s failed: %(code)s."),
    "request_succeeded": ("hubpass.http", False, "%(operation)s succeeded."),
    "token_failed": ("hubpass.identity", True, "%(credential)s gave no token: %(message)s %(hint)s"),
    "token_renewed": ("hubpass.identity", False, "%(credential)s gave a token."),
}


class Teller:
    """Tells the application of events, and the loggers of changes of state: trouble once, and its end once."""

    __slots__ = ("_callback", "_in_trouble")

    def __init__(self, callback: Callable[[Event], object] | None) -> None:
        self._callback = callback
        self._in_trouble: set[str] = set()

    def __call__(self, name: str, attributes: Mapping[str, object]) -> None:
        """Take an event of the core."""
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
