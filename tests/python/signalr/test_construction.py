"""How clients are made, shared and closed, and what making one does not do."""

from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from azure.core.credentials import AzureKeyCredential

from hubpass import (
    ClientClosedError,
    ConfigurationError,
    Event,
    HubpassError,
    HubpassWarning,
    InvalidArgumentError,
)
from signalr.client_kind import ENDPOINT, KEY, AnyClient, ClientKind
from signalr.scripts import run
from signalr.service_double import WATCHDOG, ServiceDouble
from signalr.tokens import verified

AUDIENCE = f"{ENDPOINT}/client/?hub=chat"
OTHER_KEY = "another-made-up-access-key-of-44-characters="
CONNECTION_STRING = f"Endpoint={ENDPOINT};AccessKey={KEY};Version=1.0;"


def signed_by(client: AnyClient, key: str, hub: str = "chat") -> bool:
    token = client.negotiate("u").access_token
    verified(token, f"{ENDPOINT}/client/?hub={hub}", key)
    return True


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "demo.service.signalr.net",
        "ftp://demo",
        "https://demo%3Baccount",
        "https://demo..example",
        "wss://demo",
        "https://",
        "https://a b",
        "https://u:pw@demo",
        "https://demo?a=b",
        "https://demo#a",
    ],
)
@pytest.mark.parametrize("argument", ["endpoint", "client_endpoint", "server_endpoint"])
def test_endpoints_that_are_none(client_kind: ClientKind, argument: str, endpoint: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        client_kind.make(**{argument: endpoint})
    assert caught.value.code == "invalid_endpoint"
    assert f'{argument}="https://<resource>.service.signalr.net"' in caught.value.hint
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    "hub", ["", " ", "1chat", "_chat", "my-chat", "chat/room", "a b", "chät", "a" * 129, "chat\n"], ids=ascii
)
def test_hubs_that_are_none(client_kind: ClientKind, hub: str) -> None:
    ways: list[Callable[[], AnyClient]] = [
        lambda: client_kind.make(hub=hub),
        lambda: client_kind.make().for_hub(hub),
    ]
    for make in ways:
        with pytest.raises(InvalidArgumentError) as caught:
            make()
        assert caught.value.code == "invalid_hub"
        assert 'hub="chat"' in caught.value.hint


@pytest.mark.parametrize("name", ["1shop", "my-shop", "shop app", "shöp", "a" * 129], ids=ascii)
def test_application_names_that_are_none(client_kind: ClientKind, name: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        client_kind.make(application_name=name)
    assert caught.value.code == "invalid_application_name"
    assert 'application_name="shop"' in caught.value.hint


@pytest.mark.parametrize(
    "value", [b"https://demo", 1, object(), Path("/"), []], ids=["bytes", "int", "object", "Path", "list"]
)
@pytest.mark.parametrize("argument", ["endpoint", "hub", "client_endpoint", "server_endpoint", "application_name"])
def test_arguments_that_are_no_texts(client_kind: ClientKind, argument: str, value: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        client_kind.make(**{argument: value})
    assert caught.value.code == "invalid_argument"
    assert f"Pass {argument}= as a str" in caught.value.hint
    assert f"{argument} is {type(value).__name__}" in caught.value.message


@pytest.mark.parametrize("argument", ["endpoint", "hub", "application_name"])
def test_a_text_with_a_surrogate_is_not_called_something_else(client_kind: ClientKind, argument: str) -> None:
    """Bytes of the environment that are no UTF-8 come as surrogates."""
    with pytest.raises(InvalidArgumentError) as caught:
        client_kind.make(**{argument: "a\udc80"})
    assert "encoded as UTF-8" in caught.value.hint
    assert "surrogate" in caught.value.message


def test_on_event_is_callable(client_kind: ClientKind) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        client_kind.make(on_event="print")
    assert (caught.value.code, "on_event=" in caught.value.hint) == ("invalid_argument", True)


def test_what_a_client_says_of_itself(client_kind: ClientKind) -> None:
    client = client_kind.make(
        "HTTPS://Demo.Service.SignalR.net:443/",
        "Chat",
        client_endpoint="https://edge.example.com/signalr",
        server_endpoint="https://10.0.0.4:8443",
        application_name="Shop",
    ).raw
    assert client.endpoint == ENDPOINT
    assert client.client_endpoint.rstrip("/") == "https://edge.example.com/signalr"
    assert client.server_endpoint == "https://10.0.0.4:8443"
    assert (client.hub, client.application_name) == ("chat", "Shop")
    assert repr(client) == f"<{client_kind.module}.SignalRServiceClient endpoint='{ENDPOINT}' hub='chat'>"
    plain = client_kind.make().raw
    assert (plain.client_endpoint, plain.server_endpoint) == (ENDPOINT, ENDPOINT)
    assert plain.application_name is None
    for name in ("endpoint", "hub", "application_name", "credential", "anything"):
        with pytest.raises(AttributeError):
            setattr(plain, name, "x")


def test_no_credential_is_the_default_one(client_kind: ClientKind) -> None:
    assert client_kind.make(credential=None).raw.status()["credential"] == "DefaultAzureCredential"


class EmptyKey:
    key = ""


class BytesKey:
    key = KEY.encode()


class NoneKey:
    key = None


class SurrogateKey:
    key = "\udc80" * 40


@pytest.mark.parametrize(
    ("credential", "hint"),
    [
        (KEY, "AzureKeyCredential(key)"),
        (EmptyKey(), "a key that is not empty"),
        (BytesKey(), "AzureKeyCredential(key)"),
        (NoneKey(), "AzureKeyCredential(key)"),
        (SurrogateKey(), "AzureKeyCredential(key)"),
        (object(), "AzureKeyCredential(key)"),
        ({"key": KEY}, "AzureKeyCredential(key)"),
        (AzureKeyCredential, "AzureKeyCredential(key)"),
    ],
    ids=["text", "empty", "bytes", "None", "surrogate", "object", "dict", "class"],
)
def test_credentials_that_cannot_sign(client_kind: ClientKind, credential: Any, hint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        client_kind.make(credential=credential)
    assert caught.value.code == "credential_unsupported"
    assert hint in caught.value.hint
    assert KEY not in str(caught.value)


class VaultError(Exception):
    pass


class VaultCredential:
    """A credential that looks its key up, and may fail to."""

    def __init__(self) -> None:
        self.fault: Exception | None = None

    @property
    def key(self) -> str:
        if self.fault is not None:
            raise self.fault
        return KEY


def test_an_error_of_the_credential_is_the_credentials(client_kind: ClientKind, service: ServiceDouble) -> None:
    credential = VaultCredential()
    client = client_kind.make(service.endpoint, credential=credential)
    credential.fault = VaultError()
    with pytest.raises(VaultError):
        client.negotiate("u")
    with pytest.raises(VaultError):
        client.send_to_all("say")
    with pytest.raises(VaultError):
        client_kind.make(credential=credential)
    assert service.is_idle
    credential.fault = None
    assert client.negotiate("u").access_token


def test_a_key_that_goes_away_is_a_configuration_error(client_kind: ClientKind) -> None:
    credential = VaultCredential()
    client = client_kind.make(credential=credential)
    credential.fault = AttributeError("key")
    for call in (lambda: client.negotiate("u"), lambda: client_kind.make(credential=credential)):
        with pytest.raises(ConfigurationError) as caught:
            call()
        assert caught.value.code == "credential_unsupported"


def test_an_updated_key_signs_from_the_next_call_on(client_kind: ClientKind, service: ServiceDouble) -> None:
    credential = AzureKeyCredential(KEY)
    client = client_kind.make(credential=credential)
    child = client.for_hub("other")
    sender = client_kind.make(service.endpoint, credential=credential)
    assert signed_by(client, KEY)
    assert signed_by(child, KEY, "other")
    for key in (OTHER_KEY, KEY, OTHER_KEY):
        credential.update(key)
        # The child first, so that it is not the parent's call that brings it the key.
        assert signed_by(child, key, "other")
        assert signed_by(client, key)
        assert signed_by(client.for_hub("third"), key, "third")
        sender.send_to_all("say")
        verified(service.take().bearer, f"{service.endpoint}/api/hubs/chat/:send", key)


def test_for_hub_shares_everything_but_the_hub(client_kind: ClientKind) -> None:
    events: list[Any] = []
    client = client_kind.make(
        client_endpoint="https://edge.example.com", application_name="shop", on_event=events.append
    )
    child = client.for_hub("Other")
    assert type(child.raw) is client_kind.client_class
    assert (child.raw.hub, client.raw.hub) == ("other", "chat")
    for name in ("endpoint", "client_endpoint", "server_endpoint", "application_name"):
        assert getattr(child.raw, name) == getattr(client.raw, name)
    assert child.negotiate("u").url == "https://edge.example.com/client/?hub=shop_other"
    with pytest.warns(HubpassWarning):
        child.negotiate("u", claims={"a": "x" * 2500})
    assert [event.name for event in events] == ["large_token"]


def test_a_subclass_stays_one(client_kind: ClientKind) -> None:
    subclass: Any = type("Ours", (client_kind.client_class,), {})
    client = subclass.from_connection_string(CONNECTION_STRING, "chat")
    assert type(client) is subclass
    assert type(client.for_hub("other")) is subclass


def closed_error(call: Any) -> None:
    with pytest.raises(ClientClosedError) as caught:
        call()
    assert isinstance(caught.value, HubpassError)
    assert caught.value.code == "client_closed"
    assert "close()" in caught.value.hint


def test_a_closed_client_refuses_every_method(client_kind: ClientKind, service: ServiceDouble) -> None:
    client = client_kind.make(service.endpoint)
    client.close()
    client.close()
    closed_error(lambda: client.negotiate("u"))
    closed_error(lambda: client.negotiate(anonymous=True))
    closed_error(lambda: client.send_to_all("say"))
    closed_error(lambda: client.for_hub("other"))
    assert service.is_idle
    assert (client.raw.endpoint, client.raw.hub) == (service.endpoint, "chat")
    assert "chat" in repr(client.raw)


def test_closing_one_hub_leaves_the_others_open(client_kind: ClientKind) -> None:
    parent = client_kind.make()
    first, second = parent.for_hub("first"), parent.for_hub("second")
    first.close()
    closed_error(lambda: first.negotiate("u"))
    assert signed_by(parent, KEY)
    parent.close()
    assert signed_by(second, KEY, "second")


def test_a_context_manager_closes(client_kind: ClientKind) -> None:
    client = client_kind.make()
    entered: list[Any] = []

    def body(inside: AnyClient) -> None:
        entered.append(inside.raw)
        assert signed_by(inside, KEY)

    client.inside_with(body)
    assert entered == [client.raw]
    closed_error(lambda: client.negotiate("u"))


def test_a_context_manager_closes_after_an_error_too(client_kind: ClientKind) -> None:
    client = client_kind.make()

    def body(inside: AnyClient) -> None:
        raise VaultError(inside.raw.hub)

    with pytest.raises(VaultError):
        client.inside_with(body)
    closed_error(lambda: client.negotiate("u"))


def threads_and_files() -> list[set[str]]:
    return [{entry.name for entry in Path("/proc/self", kind).iterdir()} for kind in ("task", "fd")]


def test_construction_starts_no_thread_and_opens_nothing(client_kind: ClientKind) -> None:
    before = threads_and_files()
    client = client_kind.make()
    child = client.for_hub("other")
    other = client_kind.from_connection_string(CONNECTION_STRING)
    for made in (client, child, other):
        coroutine_or_answer = made.raw.negotiate("u")
        if client_kind.name == "async":
            with pytest.raises(StopIteration):
                coroutine_or_answer.send(None)
    assert threads_and_files() == before


def test_construction_in_a_fresh_process_starts_no_thread_and_opens_nothing(client_kind: ClientKind) -> None:
    """Neither does signing: other tests of this process may have started what is shared."""
    outcome = run(
        f"""
        import os
        from {client_kind.module} import SignalRServiceClient
        def sockets():
            links = [f"/proc/self/fd/{{fd}}" for fd in os.listdir("/proc/self/fd")]
            targets = [os.readlink(link) for link in links if os.path.lexists(link)]
            return [target for target in targets if "socket" in target]
        client = SignalRServiceClient.from_connection_string("{CONNECTION_STRING}", "chat")
        answer = client.for_hub("other").negotiate("u")
        if "aio" in "{client_kind.module}":
            try:
                answer.send(None)
            except StopIteration as done:
                answer = done.value
        print(len(os.listdir("/proc/self/task")), sockets(), sorted(answer))
        """
    )
    assert (outcome.code, outcome.errors) == (0, "")
    assert outcome.output == "1 [] ['accessToken', 'url']\n"


def test_plain_http_elsewhere_is_warned_of_and_never_sent_to(client_kind: ClientKind) -> None:
    events: SimpleQueue[Event] = SimpleQueue()
    with pytest.warns(HubpassWarning, match="http to 192.0.2.1") as caught:
        raw = client_kind.client_class("http://192.0.2.1:8888", "chat", AzureKeyCredential(KEY), on_event=events.put)
    assert [Path(warning.filename) for warning in caught] == [Path(__file__)]
    client = AnyClient(raw)
    assert client.negotiate("u").url == "http://192.0.2.1:8888/client/?hub=chat"
    with pytest.raises(ConfigurationError) as refusal:
        client.send_to_all("say")
    assert refusal.value.code == "insecure_endpoint"
    assert "https://" in refusal.value.hint
    assert "server_endpoint=" in refusal.value.hint
    event = events.get(timeout=WATCHDOG)
    assert dict(event.attributes) == {"operation": "send_to_all", "code": "insecure_endpoint", "status": None}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.10", "[::1]"])
def test_plain_http_to_this_machine_is_no_cause_for_a_warning(client_kind: ClientKind, host: str) -> None:
    """Warnings are errors in these tests."""
    assert client_kind.make(f"http://{host}:8888").raw.endpoint == f"http://{host}:8888"
