"""Every answer that fails a call, from an Azure that repeats what it was sent: none of our texts may hold a secret."""

import sys
from collections.abc import Callable
from functools import partial

import pytest

from emulator.support import poll
from entra.clients import Client, Events
from hubpass import HubpassError
from secrecy.clients import Echoed, Identity, new_clock
from secrecy.echoing_azure import FAILURES, MESSAGE, Failure, Route, canaries
from secrecy.search import texts_of_exception, texts_of_value, variables_of_our_frames
from secrecy.witnesses import Witness
from signalr.client_kind import ASYNC, ClientKind, settle
from webpubsub import kinds as web_pubsub

PATHS: list[tuple[Identity, Route]] = [
    ("application", "token"),
    ("managed_identity", "managed_identity"),
    ("application", "access_key"),
    ("credential", "access_key"),
    ("application", "send"),
    ("shared_key", "send"),
    ("application", "group"),
    ("shared_key", "group"),
    ("application", "generate"),
    ("credential", "generate"),
]

LONGEST_PAUSE = 301
"""Seconds after which another fetch is tried, whatever ``Retry-After`` said."""


def failing_calls(client: Client, route: Route) -> list[HubpassError]:
    """What each call raises that needs the route."""

    def send() -> None:
        client.send_to_all(MESSAGE, MESSAGE, {"a": MESSAGE}, excluded=[MESSAGE])

    def add() -> None:
        settle(client.raw.add_user_to_group(MESSAGE, MESSAGE))

    def generate() -> None:
        settle(client.raw.get_client_access_token(user_id=MESSAGE, roles=[MESSAGE], groups=[MESSAGE]))

    calls_of: dict[Route, list[Callable[[], object]]] = {
        "send": [send],
        "group": [add],
        "generate": [generate, client.warm_up],
    }
    calls = calls_of.get(route, [client.warm_up, lambda: client.negotiate("ada")])
    if route in {"token", "managed_identity"}:
        calls.append(send)
    raised: list[HubpassError] = []
    for call in calls:
        with pytest.raises(HubpassError) as caught:
            call()
        raised.append(caught.value)
    return raised


def is_success_without_reading(failure: Failure) -> bool:
    """Whether it is one for a call that gives nothing: of a success it reads no more than whether it is a page."""
    return "status 200" in str(failure) and str(failure) != "status 200"


def have_failed(events: Events) -> bool:
    return any(name.endswith("_failed") for name in events.names)


@pytest.mark.parametrize(("identity", "route"), PATHS, ids=lambda part: part)
def test_a_failure_that_repeats_the_request_is_not_repeated(
    client_kind: ClientKind,
    echo: Echoed,
    witnessed: Witness,
    capfd: pytest.CaptureFixture[str],
    identity: Identity,
    route: Route,
) -> None:
    secrets, events, clock, found = canaries(), Events(), new_clock(), []
    kind = (web_pubsub.ASYNC if client_kind is ASYNC else web_pubsub.SYNC) if route == "generate" else client_kind
    client = echo.timed_client(kind, identity, clock, on_event=events)
    for failure in FAILURES:
        if route == "group" and is_success_without_reading(failure):
            continue
        events.seen.clear()
        with echo.azure.failing(route, failure):
            errors = failing_calls(client, route)
        assert echo.azure.failed, f"{failure} was not asked for"
        poll(partial(have_failed, events), f"only {events.names} of {failure}")
        texts = [text for error in errors for text in texts_of_exception(error)]
        texts += [*map(repr, events.seen), *(text for thing in events.seen for text in texts_of_value(thing))]
        texts += [repr(client.status), *witnessed.texts, *capfd.readouterr()]
        variables = [text for error in errors for text in variables_of_our_frames(error)]
        found += [(str(failure), finding) for finding in secrets.find([*texts, *variables])]
        # The arguments of a call are the caller's own, and are shown with the variables of a frame only.
        found += [(str(failure), text) for text in texts if MESSAGE in text]
        witnessed.texts.clear()
        clock.advance(LONGEST_PAUSE)
    for thing in (client.raw, client.raw._native):
        found += [("the client", finding) for finding in secrets.find(texts_of_value(thing))]
    client.close()
    sys.stderr.flush()
    found += [("the end", finding) for finding in secrets.find([*witnessed.texts, *capfd.readouterr()])]
    assert found == []
    assert any(name.startswith("hubpass.") for name in witnessed.loggers)
