"""A canary for each secret, and everywhere that text comes out: not one of them may show it."""

import traceback
from collections.abc import Callable, Iterator
from functools import partial
from queue import SimpleQueue
from typing import Any

import pytest
from azure.core.credentials import AzureKeyCredential

from hubpass import Event, HubpassError
from signalr.service_double import WATCHDOG, Answer, ServiceDouble
from webpubsub.kinds import ENDPOINT, WebPubSubKind

KEY = "canary-of-the-access-key-0123456789-0123456="
BEARER = "canary-of-the-entra-token"
USER = "canary-of-a-user"
ROLE = "canary-of-a-role"
GROUP = "canary-of-a-group"
HEADER = "canary-of-a-header"
ANSWER = "canary-of-an-answer"

CONNECTION_STRINGS = [
    f"Endpoint={ENDPOINT}/;{KEY[:-1]}",
    f"Endpoint={ENDPOINT};AccesKey={KEY}",
    f"Endpoint={ENDPOINT};AccessKey={KEY};Port={KEY}",
    f"Endpoint={KEY};AccessKey={KEY}",
    f"Endpoint=https://user:{KEY}@demo;AccessKey={KEY}",
    f"Endpoint={ENDPOINT};AccessKey={KEY};AccessKey={KEY}",
    f"Endpoint={ENDPOINT};AuthType={KEY}",
    f"Endpoint={ENDPOINT};AuthType=azure.app;ClientId=canary-id;ClientSecret={KEY}",
    KEY,
    f"AccessKey={KEY};Endpoint",
]


def texts_of(error: BaseException) -> Iterator[str]:
    """Everything that an exception, and whatever hangs on it, can be made to say."""
    yield from (repr(error), str(error), repr(error.args), *map(repr, vars(error).values()))
    yield "".join(traceback.format_exception(error))
    for other in (error.__cause__, error.__context__):
        if other is not None:
            yield from texts_of(other)


def assert_silent(texts: list[str]) -> None:
    assert [text for text in texts if "canary-" in text or "eyJ" in text] == []


def fails(call: Callable[[], object]) -> None:
    with pytest.raises(HubpassError) as caught:
        call()
    assert_silent(list(texts_of(caught.value)))


def test_the_search_finds_what_hides() -> None:
    hidden = RuntimeError()
    hidden.__cause__ = RuntimeError(KEY)
    with pytest.raises(AssertionError):
        assert_silent(list(texts_of(hidden)))


@pytest.mark.parametrize("text", CONNECTION_STRINGS, ids=range(len(CONNECTION_STRINGS)))
def test_connection_strings(kind: WebPubSubKind, text: str) -> None:
    fails(lambda: kind.from_connection_string(text))


def test_arguments(kind: WebPubSubKind) -> None:
    client = kind.make(credential=AzureKeyCredential(KEY))
    many = 200
    wrong: list[dict[str, Any]] = [
        {"user_id": f"{USER}\n"},
        {"roles": ROLE},
        {"roles": [f"{ROLE}\n"]},
        {"groups": GROUP},
        {"groups": [GROUP * many]},
        {"client_protocol": USER},
        {"jwt_headers": {"kid": [HEADER]}},
        {"jwt_headers": {"x": {HEADER}}},
        {"user_id": USER, "roles": [ROLE] * many, "groups": [GROUP] * many},
    ]
    for options in wrong:
        fails(partial(client.token, **options))


def test_clients(kind: WebPubSubKind, service: ServiceDouble) -> None:
    texts = []
    for client in (
        kind.make(credential=AzureKeyCredential(KEY)),
        kind.from_connection_string(f"Endpoint={ENDPOINT};AccessKey={KEY}"),
        kind.make(service.endpoint, credential=kind.credential(BEARER)),
    ):
        raw = client.raw
        texts += [repr(raw), str(raw), repr(raw.status()), repr(raw._config), repr(raw._native)]
        texts += [repr(getattr(raw._config, name)) for name in ("endpoint", "hub", "api_version")]
    assert_silent(texts)


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 429, 500])
def test_answers_and_events(kind: WebPubSubKind, service: ServiceDouble, status: int) -> None:
    events: SimpleQueue[Event] = SimpleQueue()
    headers = {
        "x-ms-error-code": ANSWER + "!",
        "WWW-Authenticate": f'Bearer error="{ANSWER}"',
        "Location": f"/{ANSWER}",
    }
    for _ in range(2):
        service.answer(Answer(status, headers, f'{{"token":["{ANSWER}"],"code":"{ANSWER}"}}'.encode()))
    client = kind.make(service.endpoint, credential=kind.credential(BEARER), on_event=events.put)
    fails(lambda: client.token(user_id=USER, roles=[ROLE], groups=[GROUP]))
    told: list[Event] = []
    while not told or told[-1].name != "request_failed":
        told.append(events.get(timeout=WATCHDOG))
    assert_silent([repr(event) for event in told] + [repr(client.status)])
