"""Credentials on a clock that tests move, each with the double that it asks, and secrets to look for."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hubpass import HubpassError, _native
from identity.doubles import CLIENT, TENANT, Entra, Kind, get, token
from secrecy.search import Canaries, texts_of_exception, texts_of_value, variables_of_our_frames
from signalr.service_double import ServiceDouble

SECRET = "canary~of~the~secret/7f3a+9c1e="
PROOF = "canary-of-the-federated-token-51d20b"
HEADER = "canary-of-the-header-aa07c4e9"
ANSWERED = "canary-of-the-answer-0b9e77d2"
CANARIES = Canaries(secret=SECRET, proof=PROOF, header=HEADER, answered=ANSWERED)

PAUSE = 31
"""Seconds after which every pause is over that nobody has asked for."""


class Source:
    """A credential on a clock that the test moves, and the double that it asks."""

    def __init__(self, name: str, kind: Kind, double: Entra | ServiceDouble, make: Callable[..., Any]) -> None:
        self.name, self.double = name, double
        native: Any = _native
        self.clock = native.ManualClock(int(time.time()))
        # Any credential of the kind; what it is over is replaced by the one with the clock.
        self.credential = kind.make("ClientSecretCredential", TENANT, CLIENT, SECRET)
        ca_file = double.ca_file if isinstance(double, Entra) else None
        keywords: dict[str, Any] = {"ca_file": ca_file, "clock": self.clock}
        if isinstance(double, Entra):
            keywords["authority"] = double.authority
        self.credential._native = make(keywords, kind.name == "async")

    def token(self) -> str:
        return get(self.credential)

    def take_all(self) -> int:
        """How many requests have arrived that were not taken."""
        count = 0
        while not self.double.is_idle:
            self.double.take()
            count += 1
        return count

    def fails(self) -> HubpassError:
        """The error of a call, after a look for what it must not tell."""
        with pytest.raises(HubpassError) as caught:
            self.token()
        error = caught.value
        assert not CANARIES.find([*texts_of_exception(error), *variables_of_our_frames(error)])
        assert not CANARIES.find(texts_of_value(self.credential))
        return error

    def is_left_alone(self, reason: HubpassError) -> None:
        """Nobody is asked during the pause, and every caller is told the same reason."""
        again = self.fails()
        assert (type(again), again.code, again.message) == (type(reason), reason.code, reason.message)
        assert again.retry_after is not None
        assert self.double.is_idle

    def recovers(self, after: float = PAUSE) -> None:
        """The next call that may ask gets a token, with one request."""
        self.clock.advance(after)
        self.double.answer(token("recovered"))
        assert self.token() == "recovered"
        assert self.take_all() == 1
        assert self.token() == "recovered"
        assert self.double.is_idle


def client_secret(kind: Kind, double: Entra) -> Source:
    def make(keywords: dict[str, Any], is_async: bool) -> Any:
        return _native.Credential.client_secret(TENANT, CLIENT, SECRET, keywords, is_async)

    return Source("client secret", kind, double, make)


def workload(kind: Kind, double: Entra, file: Path) -> Source:
    def make(keywords: dict[str, Any], is_async: bool) -> Any:
        return _native.Credential.workload_identity(TENANT, CLIENT, file, keywords, is_async)

    return Source("workload", kind, double, make)


def certificate(kind: Kind, double: Entra, file: Path) -> Source:
    def make(keywords: dict[str, Any], is_async: bool) -> Any:
        return _native.Credential.certificate(TENANT, CLIENT, file, None, None, False, keywords, is_async)

    return Source("certificate", kind, double, make)


def managed_identity(name: str, kind: Kind, double: ServiceDouble, patch: pytest.MonkeyPatch) -> Source:
    """The environment is read at construction, so that the next source may have another."""

    def make(keywords: dict[str, Any], is_async: bool) -> Any:
        return _native.Credential.managed_identity(None, None, keywords, is_async)

    with patch.context() as environment:
        if name == "IMDS":
            environment.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", double.endpoint)
        else:
            environment.setenv("IDENTITY_ENDPOINT", f"{double.endpoint}/msi/token")
            environment.setenv("IDENTITY_HEADER", HEADER)
        return Source(name, kind, double, make)


def check(error: HubpassError, expected: type[HubpassError], code: str, hint: str) -> None:
    """The class is the expected one, or azure-core's twin of just that one."""
    assert expected in (type(error), type(error).__bases__[0])
    assert error.code == code
    assert hint in error.hint
