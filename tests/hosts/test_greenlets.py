"""What greenlets can do while a call waits for the network, and what they cannot."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pytest

from emulator.support import Azure, poll
from entra.clients import assert_accepted, wait_until_held
from hosts.host import Running, module, running


@pytest.fixture(params=["gevent", "eventlet"])
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Program:
    """A program of greenlets under way."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        said: dict[str, Any] = json.loads(self._process.stdout.readline())
        return said

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()


@contextmanager
def program(library: str, azure: Azure, *what: str) -> Iterator[Program]:
    """A program that has ended in order, without a word on standard error, when the block is left."""
    more = {"SIGNALR_ENDPOINT": azure.endpoint, "ENTRA_TOKEN": azure.entra_token()}
    host: Running
    with running(module("greenlets", library, *what), azure, with_input=True, more=more) as host:
        yield Program(host.process)
    host.assert_ended_cleanly()


# Each call, and the request that it waits for.
CALLS = pytest.mark.parametrize(
    ("call", "route"), [("negotiate", "access_key"), ("warm_up", "access_key"), ("send_to_all", "send")]
)


@CALLS
def test_a_call_that_waits_blocks_the_other_greenlets(
    library: str, azure: Azure, call: str, route: Literal["access_key", "send"]
) -> None:
    """None of them has a turn, however long it takes; other threads go on."""
    azure.control.fail_next(route, hold=True)
    with program(library, azure, "a direct call", call) as waiting:
        wait_until_held(azure, route)
        assert waiting.hear() == {"ticked": "thread"}
        assert azure.control.release() == 1
        found = waiting.hear()
    assert found["turns"] == 0
    assert found["seconds"] > 0.1


@CALLS
def test_in_a_pool_of_threads_it_blocks_nobody(
    library: str, azure: Azure, call: str, route: Literal["access_key", "send"]
) -> None:
    """``gevent.get_hub().threadpool.apply`` and ``eventlet.tpool.execute``."""
    azure.control.fail_next(route, hold=True)
    with program(library, azure, "a call in the pool", call) as waiting:
        wait_until_held(azure, route)
        assert {waiting.hear()["ticked"], waiting.hear()["ticked"]} == {"thread", "greenlet"}
        assert azure.control.release() == 1
        found = waiting.hear()
    assert found["turns"] >= 50


def test_a_renewal_blocks_nobody(library: str, azure: Azure) -> None:
    """A key that is due signs, and the renewal goes on in a thread of the core."""
    with program(library, azure, "a renewal") as renewing:
        assert renewing.hear() == {"warm": True}
        azure.control.fail_next("access_key", hold=True)

        def negotiate() -> None:
            renewing.go_on()
            assert_accepted(azure, renewing.hear()["token"])

        def is_renewing() -> bool:
            negotiate()
            return len(azure.control.held()) == 1

        poll(is_renewing, "no renewal began")
        negotiate()
        assert azure.control.release() == 1


def test_credentials_and_callbacks_may_wait(library: str, azure: Azure) -> None:
    """They run in threads of the operating system; as greenlets of a thread without a hub they would never go on."""
    with program(library, azure, "a credential") as using:
        found = using.hear()
    assert_accepted(azure, found["token"])
    assert found["told"] == ["token_renewed", "key_renewed"]


def test_threads_leave_no_files_open(library: str, azure: Azure) -> None:
    with program(library, azure, "open files") as counting:
        assert counting.hear() == {"left_open": 0}
