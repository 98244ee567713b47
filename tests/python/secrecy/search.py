"""Looks for secrets: in which forms they turn up, and in which places objects and exceptions can tell them."""

import base64
import copy
import pickle
import re
import traceback
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote, quote_plus

import hubpass

PACKAGE = str(Path(hubpass.__file__).parent)
"""Where our own frames come from."""

_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{8,}")
"""How every JWT begins: ``{"`` in base64url."""

_SHORTEST = 8
"""Halves and encodings below this many characters would be found in innocent text."""


def forms_of(secret: str) -> dict[str, str]:
    """The texts that give a secret away, by the name of the form. Its ends alone are what a shortened text shows.

    A secret within a longer text that is encoded as a whole, such as the ``user:password`` of a proxy, begins at any of
    three positions of base64, each of which encodes it differently.
    """
    data = secret.encode()
    forms = {
        "itself": secret,
        "first half": secret[: len(secret) // 2],
        "second half": secret[len(secret) // 2 :],
        "beginning": secret[:10],
        "end": secret[-10:],
        "hexadecimal": data.hex(),
        "URL-encoded": quote(secret, safe=""),
        "URL-encoded but for slashes": quote(secret),
        "form-encoded": quote_plus(secret),
        "as Python writes it": repr(secret)[1:-1],
    }
    for position in range(3):
        encoded = base64.b64encode(b"\0" * position + data)
        # The first and the last character may hold bits of what stands beside it.
        inner = encoded.rstrip(b"=")[position + 1 if position else 0 : -1].decode()
        forms[f"base64 at {position}"] = inner
        forms[f"base64url at {position}"] = inner.replace("+", "-").replace("/", "_")
    return {name: form for name, form in forms.items() if len(form) >= _SHORTEST}


class Canaries:
    """Secrets to look for, by name. A finding names the secret and its form, and never repeats it."""

    def __init__(self, **secrets: str) -> None:
        self._forms: dict[str, str] = {}
        for name, secret in secrets.items():
            self.add(name, secret)

    def add(self, name: str, secret: str) -> None:
        """Look for this one too."""
        self._forms |= {f"{name} ({form})": text for form, text in forms_of(secret).items()}

    def find(self, texts: Iterable[str]) -> list[str]:
        """What is given away, with the text around it cut short."""
        found = []
        for text in texts:
            found += [f"{name}: {text[:200]!r}" for name, form in self._forms.items() if form in text]
            if _TOKEN.search(text):
                found.append(f"a signed token: {text[:200]!r}")
        return found


def texts_of_value(value: object) -> Iterator[str]:
    """What an object says of itself, however it is asked, and what its attributes say."""
    yield from _said_by(value)
    # The words of a class's documentation are ours.
    for name in set(dir(value)) - {"__doc__", "__class__"}:
        yield _outcome(lambda name=name: "\n".join(_said_by(getattr(value, name))))  # type: ignore[misc]
    yield from texts_of_copies(value)


def _said_by(value: object) -> Iterator[str]:
    yield from (repr(value), str(value), ascii(value), f"{value}", "%s %r" % (value, value))  # noqa: UP031 - loggers do


def texts_of_copies(value: object) -> Iterator[str]:
    """What travels when an object is pickled or copied; what refuses to says that."""
    ways: list[Callable[[], str]] = [
        lambda: pickle.dumps(value, 0).decode("latin-1"),
        lambda: pickle.dumps(value, pickle.HIGHEST_PROTOCOL).decode("latin-1"),
        lambda: repr(copy.copy(value)),
        lambda: repr(copy.deepcopy(value)),
    ]
    yield from map(_outcome, ways)


def _outcome(way: Callable[[], str]) -> str:
    try:
        return way()
    except Exception as error:  # noqa: BLE001 - whatever refuses, and with whatever
        return f"{error!r} {error.args}"


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """An exception and all that hang on it, each once."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [other for other in (one.__cause__, one.__context__, *getattr(one, "exceptions", ())) if other]


def texts_of_exception(error: BaseException, *, without: Iterable[BaseException] = ()) -> Iterator[str]:
    """Everything that an exception and its chain can be made to say.

    ``without`` are exceptions of others in the chain: what those say is said by whoever raised them.
    """
    others = set(map(id, without))
    ours = [one for one in chain_of(error) if id(one) not in others]
    for one in ours:
        yield from (repr(one), str(one), f"{one}", repr(one.args), repr(vars(one)))
        yield from map(repr, vars(one).values())
        yield from getattr(one, "__notes__", ())
        yield "".join(traceback.format_exception_only(one))
        yield from texts_of_copies(one)
    if len(ours) == len(list(chain_of(error))):
        # Source lines of the tests hold names of secrets, and never the secrets.
        yield "".join(traceback.format_exception(error))


def variables_of_our_frames(error: BaseException) -> Iterator[str]:
    """The local variables of each frame of this package in the tracebacks of a chain, as tools show them that do so."""
    for one in chain_of(error):
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if frame.f_code.co_filename.startswith(PACKAGE):
                yield from (
                    f"{frame.f_code.co_name}: {name} = {_outcome(partial(repr, v))}"
                    for name, v in frame.f_locals.items()
                )
