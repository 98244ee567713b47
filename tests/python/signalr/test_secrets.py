"""A canary for each secret, and everywhere that text comes out: not one of them may show it."""

import copy
import gc
import pickle
import warnings
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

import pytest
from azure.core.credentials import AzureKeyCredential

from hubpass import Event, HubpassError, NegotiationResponse
from secrecy.search import texts_of_exception
from signalr.client_kind import ENDPOINT, AnyClient, ClientKind, settle
from signalr.scripts import run
from signalr.service_double import WATCHDOG, Answer, ServiceDouble

KEY = "canary-of-the-access-key-0123456789-0123456="
CLAIM = "canary-of-a-claim"
USER = "canary-of-a-user"
BODY = "canary-of-a-message"
ANSWER = "canary-of-an-answer"
SECRETS = (KEY, KEY.rstrip("="), CLAIM, USER, BODY, ANSWER, "eyJ")
"""The last is how every token begins: ``{"`` in base64url."""

CONNECTION_STRINGS = [
    f"Endpoint={ENDPOINT}/;{KEY[:-1]}",
    f"Endpoint={ENDPOINT};AccesKey={KEY}",
    f"Endpoint={ENDPOINT};AccessKey={KEY};Version=canary-9",
    f"Endpoint={ENDPOINT};AccessKey={KEY};Port={KEY}",
    f"Endpoint={KEY};AccessKey={KEY}",
    f"Endpoint=https://user:{KEY}@demo;AccessKey={KEY}",
    f"Endpoint=https://demo/?key={KEY};AccessKey={KEY}",
    f"Endpoint={ENDPOINT};AccessKey={KEY};AccessKey={KEY}",
    f"Endpoint={ENDPOINT};AccessKey={KEY};ClientEndpoint={KEY}",
    f"Endpoint={ENDPOINT};AccessKey={KEY};ServerEndpoint=http://{KEY}@x",
    f"Endpoint={ENDPOINT};AuthType={KEY}",
    f"Endpoint={ENDPOINT};AuthType=azure.app;ClientId=canary-id;ClientSecret={KEY}",
    f"Endpoint={ENDPOINT};AuthType=azure.app;ClientId=canary-id;TenantId=b;ClientCert={KEY}",
    KEY,
    f"{KEY[:-1]};{KEY[:-1]}",
    f'"Endpoint={ENDPOINT};AccessKey={KEY}"',
    f"AccessKey={KEY};Endpoint",
    f"Endpoint={ENDPOINT};AccessKey={KEY}\udc80",
]


def assert_silent(texts: Iterator[str] | list[str]) -> None:
    found = [(secret, text) for text in texts for secret in (*SECRETS, "canary-") if secret in text]
    assert found == []


def assert_error_is_silent(error: HubpassError) -> None:
    """Tracebacks repeat lines of this file, which is why they hold names of secrets and never the secrets."""
    assert_silent(list(texts_of_exception(error)))


def test_the_search_finds_a_secret_wherever_it_hides() -> None:
    hidden: list[Exception] = [RuntimeError(KEY), RuntimeError("a", [ANSWER]), RuntimeError()]
    hidden[2].__cause__ = RuntimeError(KEY)
    noted = RuntimeError()
    noted.__notes__ = [USER]  # type: ignore[attr-defined]  # Python 3.10 has no add_note
    bearing = HubpassError("m", code="throttled", hint=BODY)
    for error in (*hidden, noted, bearing):
        with pytest.raises(AssertionError):
            assert_silent(list(texts_of_exception(error)))


@pytest.mark.parametrize("text", CONNECTION_STRINGS, ids=range(len(CONNECTION_STRINGS)))
def test_a_connection_string_is_never_repeated(client_kind: ClientKind, text: str) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(HubpassError) as caught:
            # What is wrong with a certificate is told when it is read.
            settle(client_kind.from_connection_string(text).raw.warm_up())
    assert_error_is_silent(caught.value)
    assert_silent([str(warning.message) for warning in warned])


def test_ignored_keys_do_not_tell_their_values(client_kind: ClientKind) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        client_kind.from_connection_string(f"Endpoint={ENDPOINT};AccessKey={KEY};Colour={KEY};Smell={KEY}")
    assert len(warned) == 2
    assert_silent([str(warning.message) for warning in warned])


def test_a_client_and_its_parts_do_not_show_the_key(client_kind: ClientKind) -> None:
    clients = [
        client_kind.make(credential=AzureKeyCredential(KEY)),
        client_kind.from_connection_string(f"Endpoint={ENDPOINT};AccessKey={KEY}"),
    ]
    for client in [*clients, *(client.for_hub("other") for client in clients)]:
        raw = client.raw
        texts = [repr(raw), str(raw), f"{raw}", f"{raw!r}", repr(raw._native), str(raw._native)]
        texts += [repr(getattr(raw, name)) for name in dir(raw) if name != "__doc__"]
        texts += [repr(getattr(raw._native, name)) for name in dir(raw._native)]
        assert_silent(texts)
        assert not hasattr(raw, "__dict__")
        assert not hasattr(raw._native, "__dict__")


@pytest.mark.parametrize("way", ["pickle", "copy", "deepcopy"])
def test_a_client_does_not_travel(client_kind: ClientKind, way: str) -> None:
    raw = client_kind.make(credential=AzureKeyCredential(KEY)).raw
    ways: dict[str, Any] = {"pickle": pickle.dumps, "copy": copy.copy, "deepcopy": copy.deepcopy}
    for thing in (raw, raw._native):
        with pytest.raises(TypeError) as caught:
            ways[way](thing)
        assert_silent(list(texts_of_exception(caught.value)))


def test_an_answer_shows_its_token_only_when_asked(client_kind: ClientKind) -> None:
    answer = client_kind.make(credential=AzureKeyCredential(KEY)).negotiate(USER, claims={"a": CLAIM})
    assert isinstance(answer, NegotiationResponse)
    assert_silent([repr(answer), str(answer), f"{answer}", repr([answer])])
    assert answer.access_token.startswith("eyJ")


REFUSED_CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((f"{USER}\n",), {}),
    ((USER.encode(),), {}),
    ((USER,), {"anonymous": True}),
    ((), {"anonymous": True, "claims": {"sub": CLAIM}}),
    ((USER,), {"claims": {"asrs.s.uid": CLAIM}}),
    ((USER,), {"claims": {"a": CLAIM.encode()}}),
    ((USER,), {"claims": {"a": {CLAIM, "b"}}}),
    ((USER,), {"claims": {"a": {1: CLAIM}}}),
    ((USER,), {"claims": {"a": CLAIM + "\ud800"}}),
    ((USER,), {"claims": CLAIM}),
    ((USER,), {"claims": [(CLAIM,)]}),
    ((USER,), {"claims": {"a": CLAIM * 300}}),
    ((USER * 300,), {}),
    ((USER,), {"lifetime": CLAIM}),
    ((USER,), {"authentication_expires_on": CLAIM}),
    ((USER,), {"transports": [CLAIM]}),
    ((USER,), {"timeout": CLAIM}),
    ((USER,), {"allow_long_lifetime": CLAIM}),
]


@pytest.mark.parametrize(("args", "options"), REFUSED_CALLS, ids=range(len(REFUSED_CALLS)))
def test_a_refused_negotiation_repeats_nothing(
    client_kind: ClientKind, args: tuple[Any, ...], options: dict[str, Any]
) -> None:
    client = client_kind.make(credential=AzureKeyCredential(KEY))
    with pytest.raises(HubpassError) as caught:
        client.negotiate(*args, **options)
    assert_error_is_silent(caught.value)


@pytest.mark.parametrize("arguments", [(BODY.encode(),), ({BODY},), (BODY + "\ud800",), (BODY * 60_000,)], ids=range(4))
def test_a_refused_message_repeats_nothing(client_kind: ClientKind, arguments: tuple[Any, ...]) -> None:
    client = client_kind.make(credential=AzureKeyCredential(KEY))
    with pytest.raises(HubpassError) as caught:
        client.send_to_all(BODY, *arguments)
    assert_error_is_silent(caught.value)


def credentials_that_fail() -> list[Any]:
    class Bytes:
        key = KEY.encode()

    class Shows:
        key = None

        def __repr__(self) -> str:
            return KEY

    return [KEY, Bytes(), Shows(), {"key": KEY}, AzureKeyCredential(KEY).key]


@pytest.mark.parametrize("number", range(len(credentials_that_fail())))
def test_a_refused_credential_is_not_shown(client_kind: ClientKind, number: int) -> None:
    with pytest.raises(HubpassError) as caught:
        client_kind.make(credential=credentials_that_fail()[number])
    assert_error_is_silent(caught.value)


ECHO = ANSWER.encode() + b" canary-of-an-answer"
FAILING_ANSWERS = [
    *(
        Answer(status, {"Content-Type": "text/html"}, ECHO)
        for status in (200, 400, 401, 403, 404, 409, 413, 429, 500, 503)
    ),
    Answer(302, {"Location": f"https://elsewhere/?{ANSWER}"}),
    Answer(400, {"x-ms-error-code": f"{ANSWER} <b>"}),
    Answer(401, {"WWW-Authenticate": f'Bearer error="{ANSWER}", error_description="signature {ANSWER}"'}),
    Answer(429, {"Retry-After": ANSWER}),
    Answer(raw=ECHO),
    Answer(raw=b"HTTP/1.1 999 " + ECHO + b"\r\n" + ECHO + b": x\r\n\r\n"),
    Answer(body=ECHO * 10_000),
    Answer(body=ECHO, reset_after=5),
]


@pytest.mark.parametrize("answer", FAILING_ANSWERS, ids=range(len(FAILING_ANSWERS)))
def test_a_failed_request_repeats_nothing(client_kind: ClientKind, service: ServiceDouble, answer: Answer) -> None:
    events: SimpleQueue[Event] = SimpleQueue()
    client = client_kind.make(service.endpoint, credential=AzureKeyCredential(KEY), on_event=events.put)
    service.answer(answer)
    with pytest.raises(HubpassError) as caught:
        client.send_to_all(BODY, BODY, excluded=[BODY])
    assert_error_is_silent(caught.value)
    event = events.get(timeout=WATCHDOG)
    assert_silent([repr(event), event.name, repr(dict(event.attributes))])


def test_a_deadline_repeats_nothing(client_kind: ClientKind, service: ServiceDouble) -> None:
    service.hold()
    client = client_kind.make(service.endpoint, credential=AzureKeyCredential(KEY))
    with pytest.raises(HubpassError) as caught:
        client.send_to_all(BODY, BODY, timeout=0.2)
    assert_error_is_silent(caught.value)


def test_proxies_in_the_environment_keep_their_passwords(
    client_kind: ClientKind, service: ServiceDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    for proxy in (f"http://user:{KEY}@127.0.0.1:1", f"ftp://user:{KEY}@x", f"http://[{KEY}", KEY):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        client = client_kind.make("https://demo.invalid", credential=AzureKeyCredential(KEY))
        with pytest.raises(HubpassError) as caught:
            client.send_to_all(BODY)
        assert_error_is_silent(caught.value)
        assert_silent([repr(client.raw)])
    assert service.is_idle


def test_nothing_is_logged_or_printed(client_kind: ClientKind, service: ServiceDouble) -> None:
    """With every logger of Python, and of the core, at its most talkative."""
    settle = "" if client_kind.name == "sync" else "asyncio.run"
    outcome = run(
        f"""
        import asyncio, logging, sys
        logging.basicConfig(level=1)
        from {client_kind.module} import SignalRServiceClient
        text = f"Endpoint={{sys.argv[1]}};AccessKey={KEY}"
        client = SignalRServiceClient.from_connection_string(text, "chat")
        async def awaited(value):
            return await value
        answer = client.negotiate("{USER}", claims={{"a": "{CLAIM}"}})
        if {bool(settle)}:
            answer = asyncio.run(awaited(answer))
        sent = client.send_to_all("{BODY}")
        if {bool(settle)}:
            asyncio.run(awaited(sent))
        """,
        service.endpoint,
        environment={"RUST_LOG": "trace", "RUST_BACKTRACE": "full", "PYTHONASYNCIODEBUG": "0"},
    )
    assert outcome.code == 0
    assert outcome.output == ""
    assert_silent([outcome.errors])


def test_a_client_that_is_gone_leaves_no_text_behind_in_python(client_kind: ClientKind) -> None:
    """The connection string is the caller's; no object of ours keeps a Python copy of the key in it."""
    client: AnyClient | None = client_kind.from_connection_string(f"Endpoint={ENDPOINT};AccessKey={KEY + 'x'}")
    assert client is not None
    raw = client.raw
    referents = [raw, *gc.get_referents(raw)]
    referents += [inner for outer in referents for inner in gc.get_referents(outer)]
    assert not any(isinstance(thing, str) and KEY in thing for thing in referents)
