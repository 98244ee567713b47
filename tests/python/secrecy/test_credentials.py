"""Credentials written in Python that fail, and say secrets while they do: what they say is in none of our texts."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from emulator.support import poll
from entra.clients import Client, Events
from hubpass import HubpassError
from secrecy.clients import Echoed
from secrecy.echoing_azure import ACCESS_TOKEN, canaries
from secrecy.search import Canaries, texts_of_exception, texts_of_value, variables_of_our_frames
from secrecy.witnesses import Witness
from signalr.client_kind import ASYNC, ClientKind

SECRET = "talking~canary/of+a-credential_9876543210"


def secrets() -> Canaries:
    found = canaries()
    found.add("credential", SECRET)
    return found


class Credential:
    """Does what it is told when it is asked for a token, and shows nothing by itself."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self._act = act

    def get_token(self, *_scopes: str, **_options: Any) -> Any:
        return self._act()


class AsyncCredential(Credential):
    """The same for an async client."""

    async def get_token(self, *_scopes: str, **_options: Any) -> Any:
        return self._act()


class TalkingCredential(Credential):
    """A credential that shows what it holds, as a dataclass does."""

    def __repr__(self) -> str:
        return f"TalkingCredential(secret={SECRET!r})"


class AsyncTalkingCredential(AsyncCredential):
    """The same for an async client."""

    def __repr__(self) -> str:
        return f"AsyncTalkingCredential(secret={SECRET!r})"


def client_of(kind: ClientKind, echo: Echoed, act: Callable[[], Any], *, talks: bool = False, **options: Any) -> Client:
    classes: dict[tuple[bool, bool], type[Credential]] = {
        (False, False): Credential,
        (True, False): AsyncCredential,
        (False, True): TalkingCredential,
        (True, True): AsyncTalkingCredential,
    }
    credential = classes[kind.name == "async", talks](act)
    return Client(kind.make(echo.azure.endpoint, credential=credential, **options).raw)


def raising(error: BaseException) -> Callable[[], Any]:
    def act() -> Any:
        raise error

    return act


class Odd:
    """No token: each attribute is what it is told."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)

    def __repr__(self) -> str:
        return SECRET


def chained() -> BaseException:
    error = ValueError(SECRET)
    error.__cause__ = RuntimeError(SECRET)
    error.__notes__ = [SECRET]  # type: ignore[attr-defined]  # Python 3.10 has no add_note
    return error


RAISED: list[Callable[[], BaseException]] = [
    lambda: ClientAuthenticationError(message=f"invalid_client: {SECRET}"),
    lambda: RuntimeError(SECRET),
    lambda: KeyError(SECRET),
    lambda: UnicodeEncodeError("utf-8", SECRET, 0, 1, "reason"),
    lambda: HubpassError(SECRET, code="throttled", hint=SECRET),
    chained,
]


@pytest.mark.parametrize("number", range(len(RAISED)))
def test_what_it_raises_is_the_cause_and_is_in_no_text_of_ours(
    client_kind: ClientKind, echo: Echoed, witnessed: Witness, number: int
) -> None:
    events, raised = Events(), RAISED[number]()
    client = client_of(client_kind, echo, raising(raised), on_event=events)
    for call in (client.warm_up, lambda: client.negotiate("ada"), lambda: client.send_to_all("say")):
        with pytest.raises(HubpassError) as caught:
            call()
        error = caught.value
        assert error.__cause__ is raised
        theirs = [raised, *filter(None, (raised.__cause__,))]
        texts = [*texts_of_exception(error, without=theirs), *texts_of_value(client.raw._native)]
        assert secrets().find([*texts, repr(client.status)]) == []
    poll(partial(_have, events, "token_failed", "request_failed"), f"only {events.names}")
    assert secrets().find([*map(repr, events.seen), *witnessed.texts]) == []


def _have(events: Events, *names: str) -> bool:
    return set(names) <= set(events.names)


ODD: list[Any] = [
    None,
    SECRET,
    SECRET.encode(),
    {"token": SECRET},
    Odd(),
    Odd(token=SECRET),
    Odd(token=SECRET, expires_on=SECRET),
    Odd(token=SECRET.encode(), expires_on=2e9),
    Odd(token=[SECRET], expires_on=2e9),
    Odd(token=SECRET + "\udc80", expires_on=2e9),
    AccessToken(SECRET, 0),
    AccessToken(SECRET + "\r\nx: y", int(time.time()) + 3600),
    AccessToken(SECRET + "\u00e9", int(time.time()) + 3600),
]


@pytest.mark.parametrize("number", range(len(ODD)))
def test_what_it_gives_in_place_of_a_token_is_not_repeated(
    client_kind: ClientKind, echo: Echoed, witnessed: Witness, number: int
) -> None:
    client = client_of(client_kind, echo, lambda: ODD[number])
    calls: list[Callable[[], object]] = [client.warm_up, lambda: client.send_to_all("say")]
    for call in calls:
        with pytest.raises(HubpassError) as caught:
            call()
        texts = [*texts_of_exception(caught.value), *variables_of_our_frames(caught.value), repr(client.status)]
        assert secrets().find([*texts, *witnessed.texts]) == []


@pytest.mark.parametrize("succeeds", [True, False])
def test_a_credential_that_shows_itself_is_not_asked_to(
    client_kind: ClientKind, echo: Echoed, witnessed: Witness, monkeypatch: pytest.MonkeyPatch, succeeds: bool
) -> None:
    """Not even by a debugging event loop, which writes down what it calls, and with what."""
    monkeypatch.setattr(asyncio, "run", debugging_run)

    def act() -> Any:
        if not succeeds:
            raise RuntimeError
        return AccessToken(ACCESS_TOKEN, int(time.time()) + 3600)

    client = client_of(client_kind, echo, act, talks=True)
    texts: list[str] = []
    calls: list[Callable[[], object]] = [
        client.warm_up,
        lambda: client.negotiate("ada"),
        lambda: client.send_to_all("say"),
    ]
    for call in calls:
        if succeeds:
            call()
        else:
            with pytest.raises(HubpassError) as caught:
                call()
            texts += texts_of_exception(caught.value)
    texts += [*texts_of_value(client.raw), *texts_of_value(client.raw._native), repr(client.status)]
    assert secrets().find([*texts, *witnessed.texts]) == []
    assert client_kind.name == "sync" or any("Executing" in text for text in witnessed.texts)


def debugging_run(main: Coroutine[Any, Any, Any]) -> Any:
    """As ``asyncio.run``, on a loop that is in debug mode and takes every callback for a slow one."""
    loop = asyncio.new_event_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0
    try:
        return loop.run_until_complete(main)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def tasks_of(echo: Echoed, kind: ClientKind) -> Iterator[tuple[str, Client, Any]]:
    """Each call that can be cancelled while it waits, with the route that it waits for."""
    yield "token", echo.client(kind, "application"), lambda raw: raw.warm_up()
    yield "access_key", echo.client(kind, "application"), lambda raw: raw.negotiate("ada")
    yield "send", echo.client(kind, "shared_key"), lambda raw: raw.send_to_all("say")


@pytest.mark.parametrize("number", range(3))
def test_a_cancelled_call_says_nothing(echo: Echoed, witnessed: Witness, number: int) -> None:
    route, client, call = list(tasks_of(echo, ASYNC))[number]
    texts: list[str] = []

    async def cancel() -> None:
        task = asyncio.ensure_future(call(client.raw))
        with echo.azure.holding(route) as held:  # type: ignore[arg-type]  # the names above are routes
            await asyncio.to_thread(held.wait_until_arrived)
            texts.extend([repr(task), repr(asyncio.all_tasks())])
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            texts.extend([*texts_of_exception(caught.value), *variables_of_our_frames(caught.value), repr(task)])

    debugging_run(cancel())
    assert secrets().find([*texts, *witnessed.texts]) == []
