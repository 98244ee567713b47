"""Signals that come while a call waits, for a token, a key or an answer, which come only after the signal has acted."""

import signal

import pytest

from emulator.support import Azure
from entra.clients import wait_until_held
from entra.test_waiting_for_keys import CLIENT, arguments
from signalr.client_kind import ASYNC, SYNC, ClientKind
from signalr.scripts import Outcome, finish, start
from signalr.service_double import ServiceDouble

CALLS = {
    "negotiate": 'client.negotiate("ada")',
    "warm_up": "client.warm_up()",
    "send_to_all": 'client.send_to_all("say")',
    "add_user_to_group": 'client.add_user_to_group("ada", "readers")',
    "get_client_access_token": 'client.get_client_access_token(user_id="ada")',
}

# The routes that each call waits for in turn.
WAITS = [
    ("negotiate", "token"),
    ("negotiate", "access_key"),
    ("warm_up", "token"),
    ("warm_up", "access_key"),
    ("send_to_all", "token"),
    ("send_to_all", "send"),
    ("add_user_to_group", "token"),
    ("negotiate", "web_pubsub_generate_token"),
    ("get_client_access_token", "web_pubsub_generate_token"),
    ("warm_up", "web_pubsub_generate_token"),
]


def called(kind: ClientKind, call: str) -> str:
    return CALLS[call] if kind is SYNC else f"asyncio.run({CALLS[call]})"


def signalled(
    kind: ClientKind, azure: Azure, route: str, call: str, number: signal.Signals, before: str = ""
) -> Outcome:
    """How a program ends that gets a signal while it waits."""
    azure.control.fail_next(route, hold=True)  # type: ignore[arg-type]
    text, *rest = arguments(azure)
    client = CLIENT.format(module=kind.module)
    if route.startswith("web_pubsub"):
        client = client.replace("SignalRServiceClient", "WebPubSubServiceClient")
        text = azure.emulator.web_pubsub_entra_connection_string
    process = start(f"{client}{before}\n{called(kind, call)}", text, *rest)
    wait_until_held(azure, route)
    process.send_signal(number)
    return finish(process)


@pytest.mark.parametrize(("call", "route"), WAITS)
def test_ctrl_c_ends_every_wait(client_kind: ClientKind, azure: Azure, call: str, route: str) -> None:
    outcome = signalled(client_kind, azure, route, call, signal.SIGINT)
    assert outcome.errors.rstrip().endswith("KeyboardInterrupt")
    assert "never" not in outcome.errors
    # A program that Python's default handler of the interrupt ends dies of the signal itself.
    assert outcome.code in (-signal.SIGINT, 130)


def test_sigterm_ends_a_program_that_waits(client_kind: ClientKind, azure: Azure) -> None:
    """Nobody handles it, so it acts as everywhere."""
    outcome = signalled(client_kind, azure, "access_key", "negotiate", signal.SIGTERM)
    assert outcome == Outcome(-signal.SIGTERM, "", "")


def test_an_exit_from_a_handler_ends_the_wait(client_kind: ClientKind, azure: Azure) -> None:
    """As servers do that end in order on SIGTERM."""
    handler = "import signal\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))"
    outcome = signalled(client_kind, azure, "access_key", "negotiate", signal.SIGTERM, handler)
    assert (outcome.code, outcome.output, outcome.errors) == (7, "", "")


def test_a_program_goes_on_after_ctrl_c(client_kind: ClientKind, azure: Azure) -> None:
    """The fetch that the interrupted call had begun serves the next one."""
    azure.control.fail_next("access_key", hold=True)
    script = f"""{CLIENT.format(module=client_kind.module)}
try:
    {called(client_kind, "negotiate")}
except KeyboardInterrupt:
    print("interrupted", flush=True)
sys.stdin.readline()
{called(client_kind, "negotiate")}
print(client.status()["counters"]["key_requests"])
"""
    process = start(script, *arguments(azure), with_input=True)
    wait_until_held(azure, "access_key")
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == "interrupted\n"
    azure.control.release()
    outcome = finish(process, "\n")
    assert (outcome.code, outcome.output, outcome.errors) == (0, "1\n", "")


# The credential says that it is at work by asking the service, and then waits for good.
HANGING = """
import asyncio, sys, time, urllib.request
from {module} import SignalRServiceClient
class Hanging:
    {define} get_token(self, *scopes):
        urllib.request.urlopen(sys.argv[1] + "/at-work").close()
        {wait}
client = SignalRServiceClient(sys.argv[1], "chat", Hanging(), timeout=3600)
"""


@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_while_a_credential_of_the_application_hangs(
    client_kind: ClientKind, service: ServiceDouble, call: str
) -> None:
    is_async = client_kind is ASYNC
    define, wait = ("async def", "await asyncio.Event().wait()") if is_async else ("def", "time.sleep(3600)")
    script = HANGING.format(module=client_kind.module, define=define, wait=wait) + called(client_kind, call)
    if call == "get_client_access_token":
        script = script.replace("SignalRServiceClient", "WebPubSubServiceClient")
    process = start(script, service.endpoint)
    assert service.take().path == "/at-work"
    process.send_signal(signal.SIGINT)
    outcome = finish(process)
    assert outcome.errors.rstrip().endswith("KeyboardInterrupt")
    assert "never" not in outcome.errors
    assert outcome.code in (-signal.SIGINT, 130)
