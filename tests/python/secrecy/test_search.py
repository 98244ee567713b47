"""The search itself: it finds a secret that was planted, in each form and in each place."""

import asyncio
import base64
import logging
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

import hubpass
from hubpass import Event, HubpassError
from secrecy.search import (
    Canaries,
    forms_of,
    texts_of_copies,
    texts_of_exception,
    texts_of_value,
    variables_of_our_frames,
)
from secrecy.witnesses import Witness, witness

SECRET = "a+planted/secret of 40 characters~012345"
CANARIES = Canaries(planted=SECRET)


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        SECRET[:20],
        SECRET[20:],
        quote(SECRET),
        quote(SECRET, safe=""),
        SECRET.encode().hex(),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        *(base64.b64encode(b"u" * length + b":" + SECRET.encode() + b"!").decode() for length in range(3)),
        *(base64.urlsafe_b64encode(b"u" * length + SECRET.encode()).decode() for length in range(3)),
        "eyJhbGciOiJIUzI1NiJ9",
    ],
)
def test_each_form_is_found(text: str) -> None:
    assert CANARIES.find([f"x{text}y"])


def test_a_finding_names_the_secret() -> None:
    [finding, *_] = CANARIES.find([f"x {SECRET}"])
    assert finding.startswith("planted (itself)")
    assert CANARIES.find(["nothing of it", "eyJ", ""]) == []


def test_short_pieces_are_not_looked_for() -> None:
    assert all(len(form) >= 8 for form in forms_of("123456789").values())


class Tells:
    """Tells a secret in one way only."""

    def __init__(self, way: str) -> None:
        self._way = way
        if way == "attribute":
            self.attribute = SECRET

    def __repr__(self) -> str:
        return SECRET if self._way == "repr" else "Tells"

    def __str__(self) -> str:
        return SECRET if self._way == "str" else "Tells"

    def __format__(self, spec: str) -> str:
        return SECRET if self._way == "format" else "Tells"

    @property
    def read(self) -> str:
        if self._way == "error":
            raise ValueError(SECRET)
        return SECRET if self._way == "property" else ""

    def __reduce__(self) -> Any:
        return (str, (SECRET if self._way == "pickle" else "",))


@pytest.mark.parametrize("way", ["repr", "str", "format", "property", "attribute", "error", "pickle"])
def test_each_way_of_an_object_to_tell_is_tried(way: str) -> None:
    assert CANARIES.find(texts_of_value(Tells(way)))
    assert not CANARIES.find(texts_of_value(Tells("none")))


def _chained(link: str) -> BaseException:
    error = RuntimeError("outer")
    setattr(error, link, RuntimeError(SECRET))
    return error


def _noted() -> BaseException:
    error = RuntimeError("outer")
    error.__notes__ = [SECRET]  # type: ignore[attr-defined]  # Python 3.10 has no add_note
    return error


def _bearing() -> BaseException:
    error = RuntimeError("outer")
    error.__dict__["attribute"] = {"a": [SECRET]}
    return error


EXCEPTIONS: list[Callable[[], BaseException]] = [
    lambda: RuntimeError(SECRET),
    lambda: RuntimeError("outer", [SECRET]),
    lambda: HubpassError("outer", code="throttled", hint=SECRET),
    lambda: _chained("__cause__"),
    lambda: _chained("__context__"),
    _noted,
    _bearing,
    lambda: UnicodeEncodeError("utf-8", SECRET, 0, 1, "reason"),
]


@pytest.mark.parametrize("make", EXCEPTIONS, ids=range(len(EXCEPTIONS)))
def test_each_place_in_an_exception_is_searched(make: Callable[[], BaseException]) -> None:
    assert CANARIES.find(texts_of_exception(make()))


def test_exceptions_of_others_are_left_out_only_by_name() -> None:
    error = _chained("__cause__")
    assert error.__cause__ is not None
    assert not CANARIES.find(texts_of_exception(error, without=[error.__cause__]))


def test_variables_of_our_frames_are_read() -> None:
    """With a function that counts as ours, because its code says that it is in the package."""
    names: dict[str, Any] = {}
    code = compile("def fail(given):\n    raise ValueError('planted')", f"{hubpass.__path__[0]}/planted.py", "exec")
    exec(code, names)  # noqa: S102 - the planted leak
    with pytest.raises(ValueError, match="planted") as caught:
        names["fail"](SECRET)
    assert CANARIES.find(variables_of_our_frames(caught.value))


def test_copies_are_searched() -> None:
    assert CANARIES.find(texts_of_copies(Event("a", {"b": SECRET})))


def _log(logger: str, level: int, *arguments: object) -> None:
    logging.getLogger(logger).log(level, *arguments)


def _fail_in_thread() -> None:
    def fail() -> None:
        raise RuntimeError(SECRET)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()


def _fail_in_del() -> None:
    class Fails:
        def __del__(self) -> None:
            raise RuntimeError(SECRET)

    Fails()


def _fail_in_loop() -> None:
    async def outermost() -> None:
        asyncio.get_running_loop().call_exception_handler({"message": "m", "exception": RuntimeError(SECRET)})

    asyncio.run(outermost())


SAYINGS: list[Callable[[], object]] = [
    lambda: _log("hubpass.keys", 1, "%s", SECRET),
    lambda: _log("hubpass.new", logging.DEBUG, "no arguments"[:0] + SECRET),
    lambda: _log("asyncio", logging.DEBUG, "%(a).0s", {"a": SECRET}),
    lambda: logging.getLogger("other").error("failed", exc_info=RuntimeError(SECRET)),
    lambda: logging.getLogger("other").error("failed", extra={"mine": SECRET}),
    lambda: warnings.warn(SECRET, stacklevel=1),
    _fail_in_thread,
    _fail_in_del,
    _fail_in_loop,
]


@pytest.mark.parametrize("say", SAYINGS, ids=range(len(SAYINGS)))
def test_whatever_is_said_is_heard(say: Callable[[], object]) -> None:
    with witness() as seen:
        say()
    assert CANARIES.find(seen.texts)


def test_the_hooks_are_put_back(witnessed: Witness) -> None:
    before = sys.unraisablehook, threading.excepthook
    with witness() as inner:
        assert sys.unraisablehook == inner.see_unraisable
    assert (sys.unraisablehook, threading.excepthook) == before
    assert witnessed.texts == []
