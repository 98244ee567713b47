"""What goes wrong between a credential and its source: each fault has its error, hangs nobody, and passes by itself."""

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from hubpass import (
    ClientAuthenticationError,
    CredentialUnavailableError,
    DeadlineExceededError,
    HubpassError,
    ServiceError,
    _native,
)
from identity.doubles import ASYNC, SCOPE, SYNC, Entra, Kind, get, soon, token, write_tool
from identity.sources import (
    ANSWERED,
    CANARIES,
    PAUSE,
    PROOF,
    Source,
    certificate,
    check,
    client_secret,
    managed_identity,
    workload,
)
from identity.test_certificates import CERTIFICATES, KEY, PEM, PKCS8, PLAIN
from networks.certificates import Authority
from secrecy.search import texts_of_exception, variables_of_our_frames
from signalr.service_double import WATCHDOG, Answer, Held, ServiceDouble

HOUR = 3600

APPLICATIONS = ["client secret", "workload"]


@pytest.fixture(params=[*APPLICATIONS, "IMDS", "App Service"])
def source(request: pytest.FixtureRequest, kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """A credential of each sort, of either kind."""
    name: str = request.param
    # Only the double that is asked is started.
    if name not in APPLICATIONS:
        return managed_identity(name, kind, request.getfixturevalue("platform"), monkeypatch)
    entra: Entra = request.getfixturevalue("entra")
    if name == "client secret":
        return client_secret(kind, entra)
    (tmp_path / "federated").write_text(PROOF)
    return workload(kind, entra, tmp_path / "federated")


@dataclass(frozen=True)
class Fault:
    """What a source answers, and what callers are told of it."""

    answer: Answer
    error: type[HubpassError]
    code: str
    hint: str
    status: int | None = None
    at_imds: tuple[type[HubpassError], str, str] | None = None
    """Error, code and hint where they are others: a break on the way to that service may mean that it is not there."""


def said(status: int, body: bytes = ANSWERED.encode(), **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


WAIT = "Nothing needs to be done; it is tried again."
SOMEBODY_ELSE = "Check authority= (or IDENTITY_ENDPOINT), and that no proxy answers in its place."
NOT_THERE = (CredentialUnavailableError, "credential_unavailable", "let this process reach http://169.254.169.254")
SET_CLOCK = "timedatectl set-ntp true"
PAGE = f"<!doctype html><title>Sign in</title>{ANSWERED}".encode()
MEGABYTE = json.dumps({"access_token": ANSWERED, "expires_in": 3599, "more": "x" * 1024 * 1024}).encode()

FAULTS: dict[str, Fault] = {
    "429 with Retry-After": Fault(said(429, retry_after="20"), ServiceError, "throttled", WAIT, 429),
    # A longer pause than that service is asked again after by itself; what it does without one is shown below.
    "500": Fault(said(500, retry_after="3"), ClientAuthenticationError, "identity_unavailable", WAIT, 500),
    "503": Fault(said(503, retry_after="3"), ClientAuthenticationError, "identity_unavailable", WAIT, 503),
    "a page": Fault(said(200, PAGE), ClientAuthenticationError, "identity_unavailable", SOMEBODY_ELSE, 200),
    "no JSON object": Fault(
        said(200, json.dumps([ANSWERED]).encode()),
        ClientAuthenticationError,
        "identity_unavailable",
        SOMEBODY_ELSE,
        200,
    ),
    "expired": Fault(
        token(ANSWERED, expires_in=None, expires_on=str(soon(-60))),
        ClientAuthenticationError,
        "identity_unavailable",
        SET_CLOCK,
    ),
    "expires at once": Fault(
        token(ANSWERED, expires_in=0), ClientAuthenticationError, "identity_unavailable", SET_CLOCK
    ),
    "a reset": Fault(
        Answer(200, body=MEGABYTE, reset_after=1000), ServiceError, "connection_failed", "Try again", at_imds=NOT_THERE
    ),
    "a megabyte": Fault(
        said(200, MEGABYTE), ServiceError, "unexpected_response", "nothing else answers", 200, at_imds=NOT_THERE
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_and_passes(source: Source, name: str) -> None:
    fault = FAULTS[name]
    expected, status = (fault.error, fault.code, fault.hint), fault.status
    if source.name == "IMDS" and fault.at_imds:
        expected, status = fault.at_imds, None
    source.double.answer(fault.answer)
    error = source.fails()
    check(error, *expected)
    assert error.status == status
    assert source.take_all() == 1
    source.is_left_alone(error)
    source.recovers()


def test_the_pause_that_was_asked_for_is_kept(source: Source) -> None:
    source.double.answer(said(429, retry_after="200"))
    error = source.fails()
    assert error.retry_after is not None
    assert source.take_all() == 1
    # It is spread by a quarter at most, and never shortened.
    source.clock.advance(199)
    source.is_left_alone(error)
    source.recovers(51)


@pytest.mark.parametrize("ahead", [-HOUR, HOUR])
def test_a_lifetime_does_not_depend_on_the_clock(source: Source, ahead: int) -> None:
    source.clock.set_wall(time.time() + ahead)
    source.double.answer(token("given"))
    assert source.token() == "given"
    source.take_all()
    source.clock.advance(HOUR / 2)
    assert source.token() == "given"
    assert source.double.is_idle
    # A clock that is set back makes nothing younger; one that is set forward makes the token seem too old to be sent.
    source.clock.set_wall(time.time() + HOUR / 2)
    source.double.answer(token("recovered"))
    assert source.token() == ("given" if ahead > 0 else "recovered")
    assert source.take_all() == (0 if ahead > 0 else 1)


def test_a_time_of_expiry_on_a_clock_that_is_fast(source: Source) -> None:
    """By that clock the token has expired; once it is set right, the next call after the pause gets one."""
    source.clock.set_wall(time.time() + HOUR + 60)
    source.double.answer(token(ANSWERED, expires_in=None, expires_on=str(soon())))
    error = source.fails()
    check(error, ClientAuthenticationError, "identity_unavailable", SET_CLOCK)
    assert source.take_all() == 1
    source.is_left_alone(error)
    source.clock.set_wall(time.time())
    source.recovers()


def test_a_time_of_expiry_on_a_clock_that_is_slow(source: Source) -> None:
    """Such a clock lets a token seem good for too long; once it is set right, another is asked for."""
    source.clock.set_wall(time.time() - HOUR)
    source.double.answer(token("given", expires_in=None, expires_on=str(soon())))
    assert source.token() == "given"
    source.take_all()
    source.clock.set_wall(time.time() + HOUR)
    source.double.answer(token("recovered"))
    assert source.token() == "recovered"
    assert source.take_all() == 1


def test_a_federated_token_that_comes_late(kind: Kind, entra: Entra, tmp_path: Path) -> None:
    file = tmp_path / "federated"
    source = workload(kind, entra, file)
    error = source.fails()
    check(error, CredentialUnavailableError, "credential_unavailable", "AZURE_FEDERATED_TOKEN_FILE")
    assert str(tmp_path) not in str(error)
    file.write_text(PROOF)
    source.is_left_alone(error)
    source.recovers()


def test_a_certificate_that_comes_late(kind: Kind, entra: Entra, tmp_path: Path) -> None:
    file = tmp_path / "certificate.pem"
    source = certificate(kind, entra, file)
    error = source.fails()
    check(error, ClientAuthenticationError, "certificate_unusable", "AZURE_CLIENT_CERTIFICATE_PATH")
    assert str(tmp_path) not in str(error)
    # Written halfway, as by whoever replaces it while it is read.
    content = KEY.private_bytes(PEM, PKCS8, PLAIN) + CERTIFICATES
    file.write_bytes(content[: len(content) // 4])
    source.clock.advance(PAUSE)
    half = source.fails()
    check(half, ClientAuthenticationError, "certificate_unusable", "certificate_path=")
    file.write_bytes(content)
    source.is_left_alone(half)
    source.recovers()


def test_a_tool_that_fails_for_a_while(kind: Kind, tmp_path: Path) -> None:
    native: Any = _native
    clock = native.ManualClock(int(time.time()))
    credential = kind.make("AzureCliCredential")
    keywords = {"ca_file": None, "clock": clock}
    credential._native = _native.Credential.azure_cli("", None, 0.2, keywords, kind.name == "async")
    answer = {"accessToken": ANSWERED, "expires_on": int(time.time()) - 60}
    expired = f"printf '%s' '{json.dumps(answer)}'"
    page = f"printf '%s' '<html>{ANSWERED}</html>'"
    hanging = "while :; do read -r _ < /dev/zero || :; done"
    for script, error, code, hint in (
        (hanging, CredentialUnavailableError, "credential_unavailable", "process_timeout="),
        (page, ClientAuthenticationError, "identity_unavailable", "az account get-access-token"),
        (expired, ClientAuthenticationError, "identity_unavailable", SET_CLOCK),
    ):
        write_tool(tmp_path, "az", script)
        with pytest.raises(HubpassError) as caught:
            get(credential)
        check(caught.value, error, code, hint)
        assert not CANARIES.find([*texts_of_exception(caught.value), *variables_of_our_frames(caught.value)])
        clock.advance(PAUSE + 10)
    answer = {"accessToken": "recovered", "expires_on": int(time.time()) + HOUR}
    write_tool(tmp_path, "az", f"printf '%s' '{json.dumps(answer)}'")
    assert get(credential) == "recovered"


RELEASED = 28
"""Seconds within which everybody is to be released; the longest deadline has 20."""


class Slow:
    """A source that takes its time, and how callers are released from it."""

    def __init__(self, source: Source, expected: tuple[type[HubpassError], str, str], requests: int = 1) -> None:
        self.source, self.expected, self.requests = source, expected, requests
        self.held: Held | None = None

    def run(self) -> None:
        began = time.monotonic()
        error = self.source.fails()
        assert time.monotonic() - began < RELEASED
        check(error, *self.expected)
        if self.held is not None:
            self.held.wait_until_abandoned()
        assert self.source.take_all() == self.requests
        self.source.is_left_alone(error)
        # The request that was given up is still held: the next one does not depend on it.
        self.source.recovers()


def slow_sources(stack: ExitStack, root: Authority, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Slow]:
    late = (DeadlineExceededError, "deadline_exceeded")
    for kind in (SYNC, ASYNC):
        for make in (client_secret, lambda kind, double: workload(kind, double, folder / "federated")):
            double = Entra(root.issue("localhost").context(), root.write(folder / "root.pem"))
            stack.enter_context(double.server)
            one = Slow(make(kind, double), (*late, "Check the network to localhost, and authority="))
            one.held = double.hold()
            stack.callback(one.held.release)
            yield one
        for name, expected in (("App Service", (*late, "IDENTITY_ENDPOINT")), ("IMDS", NOT_THERE)):
            for is_begun in (False, True):
                platform = stack.enter_context(ServiceDouble())
                one = Slow(managed_identity(name, kind, platform, patch), expected)
                if is_begun:
                    one.held = platform.track(Held())
                    begun = f"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{ANSWERED}".encode()
                    platform.answer(Answer(raw=begun, held_open=one.held))
                else:
                    one.held = platform.hold()
                yield one
        for status, error, code in (
            (429, ServiceError, "throttled"),
            (500, ClientAuthenticationError, "identity_unavailable"),
            (503, ClientAuthenticationError, "identity_unavailable"),
        ):
            platform = stack.enter_context(ServiceDouble())
            for _ in range(4):
                platform.answer(said(status))
            yield Slow(managed_identity("IMDS", kind, platform, patch), (error, code, WAIT), requests=4)


@pytest.fixture(scope="module", autouse=True)
def under_way(
    request: pytest.FixtureRequest, root_authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Future[None]]]:
    """Callers of slow sources, which wait all at once and while the other tests run.

    Their deadlines are those of production, on the clock of the machine.
    """
    if not any(item.name == test_nobody_waits_beyond_the_deadline.__name__ for item in request.session.items):
        yield []
        return
    folder = tmp_path_factory.mktemp("slow")
    (folder / "federated").write_text(PROOF)
    # The pool is left last, when whoever is still held has been let go.
    with ThreadPoolExecutor(32) as pool, ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            slow = list(slow_sources(stack, root_authority, folder, patch))
        yield [pool.submit(one.run) for one in slow]


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("source", [*APPLICATIONS, "App Service"], indirect=True)
def test_a_source_that_names_no_pause_gets_one(source: Source, status: int) -> None:
    """All but IMDS, which is asked again at once, as is shown above."""
    source.double.answer(said(status))
    error = source.fails()
    refused = (ServiceError, "throttled") if status == 429 else (ClientAuthenticationError, "identity_unavailable")
    check(error, *refused, WAIT)
    assert error.status == status
    assert source.take_all() == 1
    source.is_left_alone(error)
    source.recovers()


def test_sixty_four_threads_make_one_request(source: Source) -> None:
    held = source.double.hold()
    source.double.answer(token("given"))
    together = Barrier(64)

    def ask() -> str:
        together.wait(WATCHDOG)
        return source.token()

    with ThreadPoolExecutor(64) as pool:
        waiting = [pool.submit(ask) for _ in range(64)]
        try:
            held.wait_until_arrived()
        finally:
            held.release()
        assert {one.result(WATCHDOG) for one in waiting} == {"given"}
    assert source.take_all() == 1


@pytest.mark.parametrize("kind", [ASYNC], ids=str)
def test_two_hundred_tasks_make_one_request(source: Source) -> None:
    held = source.double.hold()
    source.double.answer(token("given"))

    async def ask_all() -> set[str]:
        tasks = [asyncio.create_task(source.credential.get_token(SCOPE)) for _ in range(200)]
        try:
            # Each task has run up to its wait by then.
            await asyncio.to_thread(held.wait_until_arrived)
            assert not any(task.done() for task in tasks)
        finally:
            held.release()
        return {given.token for given in await asyncio.wait_for(asyncio.gather(*tasks), WATCHDOG)}

    assert asyncio.run(ask_all()) == {"given"}
    assert source.take_all() == 1


@pytest.mark.parametrize("kind", [ASYNC], ids=str)
def test_a_task_that_gives_up_takes_nothing_from_the_next(source: Source) -> None:
    held = source.double.hold()
    source.double.answer(token("given"))

    async def give_up() -> str:
        first = asyncio.create_task(source.credential.get_token(SCOPE))
        try:
            await asyncio.to_thread(held.wait_until_arrived)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            second = asyncio.create_task(source.credential.get_token(SCOPE))
        finally:
            held.release()
        text: str = (await asyncio.wait_for(second, WATCHDOG)).token
        return text

    assert asyncio.run(give_up()) == "given"
    assert source.take_all() == 1


# The last one, so that its callers wait while the others run.
def test_nobody_waits_beyond_the_deadline(under_way: list[Future[None]]) -> None:
    """For answers that do not come or stop in the middle, nor for a service that is never ready."""
    assert under_way
    for run in under_way:
        run.result(timeout=WATCHDOG)
