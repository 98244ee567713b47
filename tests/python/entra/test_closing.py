"""What ``close()`` ends and what it leaves alone, and what a closed client still says."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from emulator.support import Azure
from entra.clients import Client, entra_client, requests, wait_until_held
from hubpass import ClientClosedError, ServiceError
from signalr.client_kind import AnyClient, ClientKind, settle
from signalr.service_double import WATCHDOG, Answer, Held, ServiceDouble

CALLS: dict[str, Callable[[Any], Any]] = {
    "negotiate": lambda raw: raw.negotiate("ada"),
    "send_to_all": lambda raw: raw.send_to_all("say"),
    "add_user_to_group": lambda raw: raw.add_user_to_group("ada", "news"),
    "warm_up": lambda raw: raw.warm_up(),
    "invalidate_key": lambda raw: raw.invalidate_key("kid"),
    "for_hub": lambda raw: raw.for_hub("news"),
}

# What a closed client does as before.
HARMLESS = {"close", "status", "from_connection_string", "from_env"}


def test_the_list_of_calls_is_whole(client_kind: ClientKind) -> None:
    methods = {name for name in dir(client_kind.client_class) if not name.startswith("_")}
    functions = {name for name in methods if callable(getattr(client_kind.client_class, name))}
    assert functions == CALLS.keys() | HARMLESS


def assert_closed(client: AnyClient) -> None:
    for call in CALLS.values():
        with pytest.raises(ClientClosedError) as caught:
            settle(call(client.raw))
        assert caught.value.code == "client_closed"
        assert "close()" in caught.value.hint


def test_a_closed_client_refuses_every_call(client: AnyClient) -> None:
    assert client.raw.status() == {"mode": "access_key", "ready": True}
    client.close()
    assert_closed(client)
    client.close()
    assert_closed(client)
    assert client.raw.status() == {"mode": "access_key", "ready": False}
    assert client.raw.hub == "chat"
    assert client.raw.endpoint in repr(client.raw)


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


@pytest.mark.parametrize("call", ["negotiate", "warm_up", "send_to_all"])
def test_calls_under_way_end_as_if_nothing_had_happened(client_kind: ClientKind, azure: Azure, call: str) -> None:
    """Those that wait for a token still need a request after it."""
    client = entra_client(client_kind, azure, timeout=WATCHDOG)
    azure.control.fail_next("token", hold=True)
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(lambda: settle(CALLS[call](client.raw)))
        wait_until_held(azure, "token")
        client.close()
        assert_closed(client)
        assert not waits.done()
        azure.control.release()
        assert waits.exception(WATCHDOG) is None
    assert requests(azure, "send" if call == "send_to_all" else "access_key") == 1


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


def kept_connection(service: ServiceDouble) -> Held:
    """The next answer is whole, and its connection stays open for more."""
    connection = service.track(Held())
    raw = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
    service.answer(Answer(raw=raw, held_open=connection))
    return connection


def test_closing_the_last_client_closes_the_connections(client_kind: ClientKind, service: ServiceDouble) -> None:
    """Connections without use end by themselves, but later than this test waits."""
    connection = kept_connection(service)
    client = client_kind.make(service.endpoint)
    client.send_to_all("say")
    connection.wait_until_arrived()
    news = client.for_hub("news")
    client.close()
    assert not connection.is_abandoned
    news.close()
    connection.wait_until_abandoned()
    assert news.raw.status()["ready"] is False


def test_dropping_the_last_client_closes_the_connections(client_kind: ClientKind, service: ServiceDouble) -> None:
    connection = kept_connection(service)
    client = client_kind.make(service.endpoint)
    client.send_to_all("say")
    connection.wait_until_arrived()
    news = client.for_hub("news")
    del client
    assert not connection.is_abandoned
    del news
    connection.wait_until_abandoned()


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
