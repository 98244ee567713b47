"""Secrets of Entra, on all ways on which something can fail: none of our texts may hold one."""

import copy
import logging
import pickle
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from emulator.support import Azure, poll
from entra.clients import (
    PAUSE,
    Client,
    Days,
    Events,
    client_with,
    connected,
    credential_of,
    entra_client,
)
from hubpass import HubpassError
from secrecy.search import chain_of, texts_of_exception
from signalr.client_kind import ClientKind

TOKEN = "canary-of-a-token"


class Secrets:
    """What must not be seen: whatever the local Azure has given out."""

    def __init__(self, azure: Azure) -> None:
        emulator = azure.emulator
        self.texts = [
            emulator.client_secret,
            emulator.identity_header,
            emulator.entra_connection_string,
            azure.temporary_key()[1],
            TOKEN,
            "canary-",
            "eyJ",
        ]

    def find(self, text: str) -> list[str]:
        return [secret for secret in self.texts if secret in text]


@pytest.fixture
def secrets(azure: Azure, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Secrets:
    monkeypatch.setenv("IDENTITY_ENDPOINT", azure.emulator.identity_endpoint)
    monkeypatch.setenv("IDENTITY_HEADER", azure.emulator.identity_header)
    caplog.set_level(logging.DEBUG)
    return Secrets(azure)


def texts_of(error: BaseException) -> Iterator[str]:
    """What an exception of ours says, with those that hang on it, unless a credential raised them."""
    theirs = [one for one in chain_of(error) if not isinstance(one, HubpassError)]
    return texts_of_exception(error, without=theirs)


def texts_of_client(client: Client) -> Iterator[str]:
    raw = client.raw
    for thing in (raw, raw._native):
        yield from (repr(thing), str(thing))
        yield from (repr(getattr(thing, name)) for name in dir(thing) if name != "__doc__")
    yield repr(raw.status())


def test_the_search_finds_a_secret(azure: Azure, secrets: Secrets) -> None:
    for secret in (azure.emulator.client_secret, azure.entra_token(), azure.temporary_key()[1]):
        assert secrets.find(f"x{secret}y")
    error = HubpassError("message", code="throttled", hint=TOKEN)
    assert any(secrets.find(text) for text in texts_of(error))


FAULTS: list[dict[str, Any]] = [
    {"status": status, "body": body}
    for status in (200, 302, 400, 401, 403, 404, 418, 429, 500)
    for body in (f"{TOKEN} canary-of-a-body", f'{{"KeyId": "{TOKEN}\\u0000", "AccessKey": "{TOKEN}"}}')
] + [
    {"status": 401, "headers": {"www-authenticate": f"Bearer {TOKEN}"}},
    {"status": 400, "headers": {"x-ms-error-code": f"{TOKEN} x"}},
    {"status": 200, "body": f'{{"access_token": "{TOKEN}", "expires_in": "{TOKEN}", "KeyId": 5, "AccessKey": "k"}}'},
    {"drop": True},
    {"garbage": True},
]


def has_failed(events: Events) -> bool:
    return any(name.endswith("_failed") for name in events.names)


@pytest.mark.parametrize("route", ["token", "managed_identity", "access_key", "send"])
def test_no_failure_shows_a_secret(
    client_kind: ClientKind, azure: Azure, secrets: Secrets, caplog: pytest.LogCaptureFixture, route: Any
) -> None:
    text = azure.emulator.entra_connection_string
    if route == "managed_identity":
        text = azure.emulator.managed_identity_connection_string
    found: list[tuple[object, list[str], str]] = []
    for fault in FAULTS:
        events = Events()
        client = connected(client_kind, azure, text, on_event=events)
        azure.control.fail_next(route, times=2, **fault)
        with pytest.raises(HubpassError) as caught:
            client.send_to_all("hello") if route == "send" else client.warm_up()
        poll(partial(has_failed, events), "nothing told")
        texts = [*texts_of(caught.value), *texts_of_client(client), *map(repr, events.seen)]
        found += [(fault, secrets.find(text), text) for text in texts if secrets.find(text)]
        azure.control.clear_faults()
    assert found == []
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("hubpass")]
    assert ours
    assert [text for text in ours if secrets.find(text)] == []


def test_no_success_shows_a_secret(
    client_kind: ClientKind, azure: Azure, secrets: Secrets, caplog: pytest.LogCaptureFixture
) -> None:
    events = Events()
    days = Days(azure)
    clients = [
        days.client(client_kind, azure, on_event=events),
        connected(client_kind, azure, azure.emulator.managed_identity_connection_string, on_event=events),
        client_with(client_kind, azure, credential_of(client_kind, azure.entra_token()), on_event=events),
    ]
    for client in clients:
        answer = client.negotiate("ada")
        client.send_to_all("hello")
        client.invalidate_key(str(answer.kid))
        client.warm_up()
        texts = [repr(answer), str(answer), f"{answer}", *texts_of_client(client)]
        assert [text for text in texts if secrets.find(text)] == []
    days.pass_by(PAUSE)
    assert [event for event in events.seen if secrets.find(repr(event))] == []
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("hubpass")]
    assert [text for text in ours if secrets.find(text)] == []


@pytest.mark.parametrize(
    "change",
    [
        ("ClientSecret=[^;]*", f"ClientSecret={TOKEN}"),
        ("ClientId=[^;]*", f"ClientId={TOKEN}"),
        ("TenantId=[^;]*", f"TenantId={TOKEN}"),
        ("TenantId=[^;]*", f"TenantId={TOKEN}/../x"),
        ("TenantId=[^;]*;", ""),
        ("AuthType=[^;]*", f"AuthType={TOKEN}"),
        ("Endpoint=[^;]*", f"Endpoint={TOKEN}"),
    ],
    ids=range(7),
)
def test_a_wrong_connection_string_is_not_repeated(
    client_kind: ClientKind,
    azure: Azure,
    secrets: Secrets,
    caplog: pytest.LogCaptureFixture,
    change: tuple[str, str],
) -> None:
    text = re.sub(*change, azure.emulator.entra_connection_string)
    with pytest.raises(HubpassError) as caught:
        connected(client_kind, azure, text).warm_up()
    assert [said for said in texts_of(caught.value) if secrets.find(said)] == []
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("hubpass")]
    assert [said for said in ours if secrets.find(said)] == []


def test_what_a_credential_gives_is_not_shown(client_kind: ClientKind, azure: Azure, secrets: Secrets) -> None:
    """Neither a token that cannot be sent nor one that the service refuses."""
    for token in (TOKEN, f"{TOKEN}\r\n", f"{TOKEN}\udc80"):
        with pytest.raises(HubpassError) as caught:
            client_with(client_kind, azure, credential_of(client_kind, token)).warm_up()
        assert [text for text in texts_of(caught.value) if secrets.find(text)] == []
        cause = caught.value.__cause__
        assert cause is None or not secrets.find(repr(cause) + str(vars(cause)))


@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_client_does_not_travel(client_kind: ClientKind, azure: Azure, way: Any) -> None:
    client = entra_client(client_kind, azure)
    client.warm_up()
    for thing in (client.raw, client.raw._native):
        with pytest.raises(TypeError):
            way(thing)
