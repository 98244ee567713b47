"""What ``close()`` ends and what it leaves alone, and what a closed client still says."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import pytest

from emulator.support import Azure
from entra.clients import Client, entra_client, requests, wait_until_held
from hubpass import ClientClosedError, ServiceError
from signalr.client_kind import ASYNC, KEY, AnyClient, ClientKind, settle
from signalr.service_double import WATCHDOG, Answer, Held, ServiceDouble
from webpubsub import kinds

AnyKind: TypeAlias = ClientKind | kinds.WebPubSubKind

CALLS: dict[str, Callable[[Any], Any]] = {
    "negotiate": lambda raw: raw.negotiate("ada"),
    "send_to_all": lambda raw: raw.send_to_all("say"),
    "add_user_to_group": lambda raw: raw.add_user_to_group("ada", "readers"),
    "get_client_access_token": lambda raw: raw.get_client_access_token(user_id="ada"),
    "warm_up": lambda raw: raw.warm_up(),
    "invalidate_key": lambda raw: raw.invalidate_key("kid"),
    "for_hub": lambda raw: raw.for_hub("news"),
}

WEB_PUBSUB_CALLS = {"negotiate", "get_client_access_token", "warm_up", "for_hub"}
SIGNALR_CALLS = CALLS.keys() - {"get_client_access_token"}

# What a closed client does as before.
HARMLESS = {"close", "status", "from_connection_string", "from_env"}


def calls_of(raw: Any) -> list[Callable[[Any], Any]]:
    """Every call that a client has."""
    return [call for name, call in CALLS.items() if hasattr(raw, name)]


def test_the_list_of_calls_is_whole(any_kind: AnyKind) -> None:
    methods = {name for name in dir(any_kind.client_class) if not name.startswith("_")}
    functions = {name for name in methods if callable(getattr(any_kind.client_class, name))}
    own = SIGNALR_CALLS if any_kind.service == "signalr" else WEB_PUBSUB_CALLS
    assert functions == own | HARMLESS


def assert_closed(client: Any) -> None:
    for call in calls_of(client.raw):
        with pytest.raises(ClientClosedError) as caught:
            settle(call(client.raw))
        assert caught.value.code == "client_closed"
        assert "close()" in caught.value.hint
        assert type(client.raw).__name__ in caught.value.hint


@pytest.mark.parametrize("way", ["arguments", "connection string", "environment"])
def test_a_closed_client_refuses_every_call(any_kind: AnyKind, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    client = made(any_kind, way, monkeypatch)
    assert client.raw.status() == {"mode": "access_key", "ready": True}
    hub = client.raw.hub
    client.close()
    assert_closed(client)
    client.close()
    assert_closed(client)
    assert client.raw.status() == {"mode": "access_key", "ready": False}
    assert client.raw.hub == hub
    assert client.raw.endpoint in repr(client.raw)


def made(kind: AnyKind, way: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    if way == "arguments":
        return kind.make()
    text = f"Endpoint=https://demo.example;AccessKey={KEY}"
    if way == "connection string":
        return kind.from_connection_string(text)
    for name in ("SIGNALR", "WEBPUBSUB"):
        monkeypatch.setenv(f"AZURE_{name}_CONNECTIONSTRING", text)
    return kind.from_env()


def test_a_closed_client_with_a_key_in_hand_refuses_every_call(client_kind: ClientKind, azure: Azure) -> None:
    client = entra_client(client_kind, azure)
    client.warm_up()
    client.close()
    assert_closed(client)
    status = client.status
    assert status["ready"] is False
    assert status["kid"]


def test_a_context_manager_that_ends_with_an_exception(client: AnyClient) -> None:
    class OfTheBodyError(Exception):
        pass

    def fail(entered: AnyClient) -> None:
        assert entered.raw is client.raw
        raise OfTheBodyError

    with pytest.raises(OfTheBodyError):
        client.inside_with(fail)
    assert_closed(client)


def test_a_context_manager_of_a_closed_client(client: AnyClient) -> None:
    client.close()
    client.inside_with(assert_closed)
    assert_closed(client)


WAITS = [
    ("negotiate", "access_key"),
    ("warm_up", "access_key"),
    ("send_to_all", "send"),
    ("negotiate", "web_pubsub_generate_token"),
    ("get_client_access_token", "web_pubsub_generate_token"),
    ("warm_up", "web_pubsub_generate_token"),
]


@pytest.mark.parametrize(("call", "route"), WAITS)
def test_calls_under_way_end_as_if_nothing_had_happened(
    client_kind: ClientKind, azure: Azure, call: str, route: str
) -> None:
    """Those that wait for a token still need a request after it."""
    client = entra_client_for(client_kind, azure, route)
    azure.control.fail_next("token", hold=True)
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(lambda: settle(CALLS[call](client.raw)))
        wait_until_held(azure, "token")
        client.close()
        assert_closed(client)
        assert not waits.done()
        azure.control.release()
        assert waits.exception(WATCHDOG) is None
    assert requests(azure, route) == 1


def entra_client_for(kind: ClientKind, azure: Azure, route: str) -> Any:
    """A client of the service that has this route."""
    if not route.startswith("web_pubsub"):
        return entra_client(kind, azure, timeout=WATCHDOG)
    emulator = azure.emulator
    return (kinds.ASYNC if kind is ASYNC else kinds.SYNC).from_connection_string(
        emulator.web_pubsub_entra_connection_string,
        authority=emulator.authority,
        ca_file=emulator.ca_file,
        timeout=WATCHDOG,
    )


def test_a_call_under_way_fails_as_if_nothing_had_happened(client_kind: ClientKind, azure: Azure) -> None:
    client = entra_client(client_kind, azure, timeout=WATCHDOG)
    azure.control.fail_next("access_key", status=503, hold=True)
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(client.negotiate, "ada")
        wait_until_held(azure, "access_key")
        client.close()
        azure.control.release()
        error = waits.exception(WATCHDOG)
    assert isinstance(error, ServiceError)
    assert error.code == "service_unavailable"
    assert client.status["last_error"]["code"] == "service_unavailable"


def test_clients_of_other_hubs_go_on(client_kind: ClientKind, azure: Azure) -> None:
    client = entra_client(client_kind, azure)
    client.warm_up()
    news = Client(client.for_hub("news").raw)
    client.close()
    assert news.kid()
    news.send_to_all("say")
    assert requests(azure, "access_key") == 1
    sports = Client(news.for_hub("sports").raw)
    news.close()
    assert sports.kid()
    assert_closed(news)


def kept_connection(service: ServiceDouble, body: bytes = b"") -> Held:
    """The next answer is whole, and its connection stays open for more."""
    connection = service.track(Held())
    status = b"200 OK" if body else b"202 Accepted"
    raw = b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)
    service.answer(Answer(raw=raw, held_open=connection))
    return connection


@pytest.fixture
def connected_client(any_kind: AnyKind, service: ServiceDouble) -> tuple[list[Any], Held]:
    """The only reference to a client, in a list, with the connection that it keeps."""
    if isinstance(any_kind, ClientKind):
        connection = kept_connection(service)
        client: Any = any_kind.make(service.endpoint)
        client.send_to_all("say")
    else:
        connection = kept_connection(service, kinds.token_answer().body)
        client = any_kind.make(service.endpoint, credential=any_kind.credential())
        client.token()
    connection.wait_until_arrived()
    return [client], connection


def test_closing_the_last_client_closes_the_connections(connected_client: tuple[list[Any], Held]) -> None:
    """Connections without use end by themselves, but later than this test waits."""
    [client], connection = connected_client
    news = client.for_hub("news")
    client.close()
    assert not connection.is_abandoned
    news.close()
    connection.wait_until_abandoned()
    assert news.raw.status()["ready"] is False


def test_dropping_the_last_client_closes_the_connections(connected_client: tuple[list[Any], Held]) -> None:
    clients, connection = connected_client
    clients.append(clients[0].for_hub("news"))
    del clients[0]
    assert not connection.is_abandoned
    clients.clear()
    connection.wait_until_abandoned()


def test_dropping_the_last_open_client_closes_the_connections(connected_client: tuple[list[Any], Held]) -> None:
    """The other one is closed, and somebody still has it."""
    clients, connection = connected_client
    closed = clients[0].for_hub("news")
    closed.close()
    assert not connection.is_abandoned
    clients.clear()
    connection.wait_until_abandoned()
    assert closed.raw.status()["ready"] is False


def test_what_a_closed_client_finishes_keeps_no_connection(client_kind: ClientKind, service: ServiceDouble) -> None:
    """The request began before the client was closed, and its connection is free only after that."""
    held = service.hold()
    connection = kept_connection(service)
    client = client_kind.make(service.endpoint, timeout=WATCHDOG)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.send_to_all, "say")
        held.wait_until_arrived()
        client.close()
        held.release()
        call.result(WATCHDOG)
    connection.wait_until_abandoned()
