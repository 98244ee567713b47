"""Whole programs at their most talkative: nothing that they print on the way, or when they fail or end, is a secret."""

import signal
import subprocess
from textwrap import dedent

import pytest

from secrecy.clients import Echoed
from secrecy.echoing_azure import FAILURES, Route, canaries
from signalr.client_kind import ClientKind
from signalr.scripts import Outcome, finish, start

PROLOGUE = """
import asyncio, faulthandler, inspect, logging, os, signal, sys, threading
logging.basicConfig(level=1)
faulthandler.enable()
from {module} import SignalRServiceClient

def settle(value):
    async def outermost():
        return await value
    return asyncio.run(outermost()) if inspect.iscoroutine(value) else value

def connected(name, **options):
    found = {{"authority": os.environ["AUTHORITY"], "ca_file": os.environ["CA_FILE"], **options}}
    return SignalRServiceClient.from_connection_string(os.environ[name], "chat", **found)
"""

TALKATIVE = {
    "RUST_LOG": "trace",
    "RUST_BACKTRACE": "full",
    "RUST_LIB_BACKTRACE": "1",
    "PYTHONASYNCIODEBUG": "1",
    "PYTHONDEVMODE": "1",
}


def started(kind: ClientKind, echo: Echoed, script: str) -> "subprocess.Popen[str]":
    """A program with a function that makes clients, and one that waits for what either kind of them gives."""
    environment = {
        **TALKATIVE,
        "APPLICATION": echo.azure.application,
        "MANAGED_IDENTITY": echo.azure.managed_identity,
        "SHARED_KEY": echo.azure.shared_key,
        "AUTHORITY": echo.azure.authority,
        "CA_FILE": echo.ca_file,
    }
    program = dedent(PROLOGUE).format(module=kind.module) + dedent(script)
    return start(program, environment=environment, with_input=True)


def assert_says_nothing(outcome: Outcome) -> None:
    assert canaries().find([outcome.output, outcome.errors]) == []


def test_the_search_reads_what_a_program_prints(client_kind: ClientKind, echo: Echoed) -> None:
    outcome = finish(
        started(client_kind, echo, "print(os.environ['APPLICATION'])\nlogging.debug(os.environ['IDENTITY_HEADER'])")
    )
    assert outcome.code == 0
    assert any(found.startswith("client_secret") for found in canaries().find([outcome.output]))
    assert any(found.startswith("identity_header") for found in canaries().find([outcome.errors]))


def test_a_program_that_succeeds(client_kind: ClientKind, echo: Echoed) -> None:
    outcome = finish(
        started(
            client_kind,
            echo,
            """
            for name in ("APPLICATION", "MANAGED_IDENTITY", "SHARED_KEY"):
                client = connected(name, on_event=lambda event: print(event, flush=True))
                settle(client.warm_up())
                print(settle(client.negotiate("ada")), settle(client.send_to_all("say")), client, client.status())
                settle(client.invalidate_key("kid-1"))
                settle(client.close())
            faulthandler.dump_traceback(all_threads=True)
            """,
        )
    )
    assert outcome.code == 0, outcome.errors
    assert "SignalRServiceClient" in outcome.output
    assert "Current thread" in outcome.errors
    assert_says_nothing(outcome)


@pytest.mark.parametrize("route", ["token", "send"])
def test_a_program_that_ends_with_an_error(client_kind: ClientKind, echo: Echoed, route: Route) -> None:
    [failure] = [failure for failure in FAILURES if failure.name == "status 400"]
    with echo.azure.failing(route, failure):
        outcome = finish(started(client_kind, echo, 'settle(connected("APPLICATION").send_to_all("say"))'))
    assert outcome.code == 1
    cls = {"send": "ServiceError", "token": "ClientAuthenticationError"}[route]
    assert f"hubpass.exceptions.{cls}" in outcome.errors
    assert_says_nothing(outcome)


def test_a_program_whose_callback_and_threads_fail(client_kind: ClientKind, echo: Echoed) -> None:
    [failure] = [failure for failure in FAILURES if failure.name == "status 400"]
    with echo.azure.failing("token", failure):
        outcome = finish(
            started(
                client_kind,
                echo,
                """
                told = threading.Event()
                def tell(event):
                    told.set()
                    raise RuntimeError(repr(event))
                client = connected("APPLICATION", on_event=tell)
                thread = threading.Thread(target=lambda: settle(client.negotiate("ada")))
                thread.start()
                thread.join()
                told.wait(30)
                for each in threading.enumerate():
                    if each.name == "hubpass-events":
                        each.join()
                """,
            )
        )
    assert outcome.code == 0, outcome.errors
    assert "Exception in thread" in outcome.errors
    assert_says_nothing(outcome)


def test_a_program_that_is_dumped_while_it_waits(client_kind: ClientKind, echo: Echoed) -> None:
    with echo.azure.holding("token"):
        outcome = finish(
            started(
                client_kind,
                echo,
                """
                faulthandler.dump_traceback_later(0.2)
                client = connected("APPLICATION")
                try:
                    settle(client.warm_up(timeout=2))
                finally:
                    faulthandler.cancel_dump_traceback_later()
                """,
            )
        )
    assert outcome.code == 1
    assert "Timeout (0:00:00.2" in outcome.errors
    assert "deadline" in outcome.errors.lower()
    assert_says_nothing(outcome)


def test_a_program_that_is_interrupted_while_it_waits(client_kind: ClientKind, echo: Echoed) -> None:
    with echo.azure.holding("access_key") as held:
        program = started(client_kind, echo, 'settle(connected("APPLICATION").warm_up(timeout=30))')
        held.wait_until_arrived()
        program.send_signal(signal.SIGINT)
        outcome = finish(program)
    assert "KeyboardInterrupt" in outcome.errors
    assert_says_nothing(outcome)


@pytest.mark.parametrize("route", ["token", "send"])
def test_a_program_that_exits_with_a_request_under_way(client_kind: ClientKind, echo: Echoed, route: Route) -> None:
    call = 'client.send_to_all("say")' if route == "send" else "client.warm_up()"
    with echo.azure.holding(route) as held:
        program = started(
            client_kind,
            echo,
            f"""
            client = connected("APPLICATION", timeout=30)
            threading.Thread(target=lambda: settle({call}), daemon=True).start()
            sys.stdin.readline()
            """,
        )
        held.wait_until_arrived()
        outcome = finish(program, "\n")
    assert outcome.code == 0, outcome.errors
    assert_says_nothing(outcome)


def test_a_forked_child(client_kind: ClientKind, echo: Echoed) -> None:
    """It succeeds with the parent's key, and fails, and both print what they have."""
    outcome = finish(
        started(
            client_kind,
            echo,
            """
            import warnings
            warnings.simplefilter("ignore", DeprecationWarning)  # of fork() beside threads
            client = connected("APPLICATION", on_event=lambda event: print(event, flush=True))
            settle(client.warm_up())
            child = os.fork()
            print(settle(client.negotiate("ada")), client.status(), flush=True)
            if child == 0:
                settle(client.send_to_all("say"))
                faulthandler.dump_traceback(all_threads=True)
                other = connected("APPLICATION", authority="https://127.0.0.1:1")
                settle(other.warm_up())
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
            """,
        )
    )
    assert outcome.code == 0, outcome.errors
    assert "hubpass.exceptions.ServiceError" in outcome.errors
    assert_says_nothing(outcome)
