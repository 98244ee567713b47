"""Whatever a program says while a test runs: log records, warnings, and exceptions that nobody could catch."""

import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from typing_extensions import override

from secrecy.search import texts_of_exception


class Witness(logging.Handler):
    """Keeps every text. Attached to the root logger with all loggers at level 1, below which there is none."""

    def __init__(self) -> None:
        super().__init__(level=1)
        self.texts: list[str] = []
        self.loggers: set[str] = set()

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.loggers.add(record.name)
        self.texts += [record.getMessage(), repr(record.__dict__), repr(record.args)]
        if record.exc_info and record.exc_info[1]:
            self.texts += texts_of_exception(record.exc_info[1])

    def see_unraisable(self, event: Any) -> None:
        self.texts += [repr(event.object), str(event.err_msg), repr(event.exc_value)]
        self.texts.append("".join(traceback.format_exception(event.exc_value)))

    def see_in_thread(self, event: Any) -> None:
        self.texts += [repr(event.thread), repr(event.exc_value)]
        self.texts.append("".join(traceback.format_exception(event.exc_value)))


@contextmanager
def witness() -> Iterator[Witness]:
    """Listen everywhere until the block ends."""
    seen = Witness()
    manager = logging.Logger.manager
    loggers = [logging.getLogger(), *(each for each in manager.loggerDict.values() if isinstance(each, logging.Logger))]
    loggers += [logging.getLogger(name) for name in ("hubpass", "hubpass.keys", "hubpass.http", "hubpass.identity")]
    levels = [(logger, logger.level) for logger in loggers]
    hooks = sys.unraisablehook, threading.excepthook
    sys.unraisablehook, threading.excepthook = seen.see_unraisable, seen.see_in_thread
    for logger in loggers:
        logger.setLevel(1)
    logging.getLogger().addHandler(seen)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            yield seen
            seen.texts += [repr(warning.message) + str(warning) for warning in warned]
    finally:
        logging.getLogger().removeHandler(seen)
        for logger, level in levels:
            logger.setLevel(level)
        sys.unraisablehook, threading.excepthook = hooks
