"""Calls that wait for a key: what ends them early. The local Azure holds its answers until after that has happened."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from emulator.support import Azure
from entra.clients import Days, entra_client, requests, wait_until_held
from hubpass import ClientClosedError, DeadlineExceededError
from signalr.client_kind import ASYNC, SYNC, ClientKind
from signalr.service_double import WATCHDOG

ROUTES = ["token", "access_key"]

CLIENT = """
import asyncio, sys, threading
from {module} import SignalRServiceClient
text, authority, ca_file = sys.argv[1:4]
client = SignalRServiceClient.from_connection_string(text, "chat", authority=authority, ca_file=ca_file, timeout=3600)
"""


def arguments(azure: Azure) -> tuple[str, str, str]:
    emulator = azure.emulator
    return emulator.entra_connection_string, emulator.authority, emulator.ca_file


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("call", ["negotiate", "warm_up", "send_to_all"])
def test_the_deadline_ends_the_call(client_kind: ClientKind, azure: Azure, route: str, call: str) -> None:
    if (route, call) == ("access_key", "send_to_all"):
        route = "send"
    client = entra_client(client_kind, azure, timeout=WATCHDOG)
    azure.control.fail_next(route, hold=True)  # type: ignore[arg-type]
    options = {"negotiate": ("ada",), "send_to_all": ("hello",), "warm_up": ()}[call]
    with pytest.raises(DeadlineExceededError) as caught:
        getattr(client, call)(*options, timeout=0.3)
    assert caught.value.code == "deadline_exceeded"
    assert "0.3 seconds" in caught.value.message
    assert "timeout=" in caught.value.hint
    if call != "send_to_all":
        # The fetch belongs to nobody in particular: it goes on, and the next call is served by it.
        wait_until_held(azure, route)
        azure.control.release()
        assert client.kid()
        assert requests(azure, route) == 1


def test_the_deadline_of_the_client_counts_for_all_that_it_takes(client_kind: ClientKind, azure: Azure) -> None:
    """Not for the token and for the key each."""
    client = entra_client(client_kind, azure, timeout=0.5)
    azure.control.fail_next("token", delay=0.3)
    azure.control.fail_next("access_key", hold=True)
    with pytest.raises(DeadlineExceededError) as caught:
        client.negotiate("ada")
    assert "0.5 seconds" in caught.value.message
    wait_until_held(azure, "access_key")


def test_a_wrong_argument_is_told_before_the_wait(client_kind: ClientKind, azure: Azure) -> None:
    client = entra_client(client_kind, azure, timeout=WATCHDOG)
    azure.control.fail_next("token", hold=True)
    with pytest.raises(ValueError, match="user id"):
        client.negotiate("")
    wrong: list[dict[str, Any]] = [{"claims": {"exp": object()}}, {"lifetime": 5}, {"transports": ["Carrier pigeon"]}]
    for options in wrong:
        with pytest.raises(ValueError):  # noqa: PT011 - which one it is, the tests of arguments check
            client.negotiate("ada", **options)


def test_other_threads_run_during_the_wait(azure: Azure) -> None:
    client = entra_client(SYNC, azure, timeout=WATCHDOG)
    azure.control.fail_next("access_key", hold=True)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.negotiate, "ada")
        wait_until_held(azure, "access_key")
        assert not call.done()
        azure.control.release()
        assert call.result(WATCHDOG).kid


def test_the_loop_runs_during_the_wait(azure: Azure) -> None:
    client = entra_client(ASYNC, azure, timeout=WATCHDOG).raw
    azure.control.fail_next("access_key", hold=True)

    async def main() -> None:
        task = asyncio.create_task(client.negotiate("ada"))
        await asyncio.to_thread(wait_until_held, azure, "access_key")
        assert not task.done()
        await asyncio.to_thread(azure.control.release)
        assert (await task).kid

    asyncio.run(main())


def test_a_closed_client_refuses_and_lets_those_go_who_wait(client_kind: ClientKind, azure: Azure) -> None:
    client = entra_client(client_kind, azure, timeout=WATCHDOG)
    azure.control.fail_next("access_key", hold=True)
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(client.negotiate, "ada")
        wait_until_held(azure, "access_key")
        client.close()
        for call in (lambda: client.negotiate("ada"), client.warm_up, lambda: client.invalidate_key("kid")):
            with pytest.raises(ClientClosedError):
                call()
        assert client.status["ready"] is False
        azure.control.release()
        assert waits.exception(WATCHDOG) is None or isinstance(waits.exception(), ClientClosedError)


def test_a_client_that_is_dropped_during_a_renewal_is_no_trouble(client_kind: ClientKind, azure: Azure) -> None:
    days = Days(azure)
    client = days.client(client_kind, azure)
    client.warm_up()
    days.pass_by(3100)
    azure.control.fail_next("access_key", hold=True)
    assert client.kid()
    wait_until_held(azure, "access_key")
    before = threading.active_count()
    del client
    azure.control.release()
    assert threading.active_count() <= before
