"""Clients that are in use while their interpreter ends, by threads, by handlers of ``atexit`` and by finalizers."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from signalr.client_kind import ASYNC, KEY, SYNC, ClientKind
from signalr.scripts import Outcome, finish, run, start
from signalr.service_double import ServiceDouble

CLIENT = """
import asyncio, os, sys, threading
def make():
    from {module} import SignalRServiceClient
    return SignalRServiceClient.from_connection_string(f"Endpoint={{sys.argv[1]}};AccessKey={key}", "chat")
def send(text):
    call = client.send_to_all(text)
    if {is_async}:
        async def main():
            await call
        asyncio.run(main())
def told(text):
    # With os.write, because at the very end print has nothing to print to.
    os.write(1, (text + "\\n").encode())
"""


def ended(kind: ClientKind, service: ServiceDouble, script: str) -> Outcome:
    preamble = CLIENT.format(module=kind.module, key=KEY, is_async=kind is ASYNC)
    return run(preamble + script, service.endpoint)


def test_threads_that_are_no_daemons_finish_their_work(client_kind: ClientKind, service: ServiceDouble) -> None:
    script = """
client = make()
def work():
    threading.main_thread().join()
    for number in range(3):
        send(str(number))
    told("done")
threading.Thread(target=work).start()
"""
    assert ended(client_kind, service, script) == Outcome(0, "done\n", "")
    assert [service.take().json["Target"] for _ in range(3)] == ["0", "1", "2"]


def test_a_handler_of_atexit_may_send(client_kind: ClientKind, service: ServiceDouble) -> None:
    """If it was registered after the import, because handlers run in reverse order."""
    script = """
import atexit
client = make()
send("first")
@atexit.register
def goodbye():
    send("goodbye")
    told("done")
"""
    assert ended(client_kind, service, script) == Outcome(0, "done\n", "")
    assert [service.take().json["Target"] for _ in range(2)] == ["first", "goodbye"]


@pytest.mark.parametrize("before", ["", "send('first')"], ids=["first use", "used before"])
def test_a_handler_of_atexit_that_comes_too_late_is_told(
    client_kind: ClientKind, service: ServiceDouble, before: str
) -> None:
    """It was registered before the import. What needs no network works as ever."""
    script = f"""
import atexit
@atexit.register
def goodbye():
    try:
        send("too late")
    except Exception as error:
        told(f"{{type(error).__name__}} {{error.code}}: {{error.hint}}")
    answer = client.negotiate("ada")
    if {client_kind is ASYNC}:
        try:
            answer.send(None)
        except StopIteration as stop:
            answer = stop.value
    told(str("accessToken" in answer))
    client.status()
client = make()
{before}
"""
    outcome = ended(client_kind, service, script)
    hint = "Finish requests before the program ends, or call close() first."
    assert outcome == Outcome(0, f"ClientClosedError client_closed: {hint}\nTrue\n", "")


def test_a_handler_of_atexit_that_exits(service: ServiceDouble) -> None:
    """Python reports such an exit and goes on, and so do we."""
    script = """
import atexit
client = make()
@atexit.register
def goodbye():
    send("goodbye")
    sys.exit(3)
"""
    outcome = ended(SYNC, service, script)
    assert outcome.code == 0
    assert outcome.errors.rstrip().endswith("SystemExit: 3")
    assert service.take().json["Target"] == "goodbye"


def test_an_exit_that_skips_everything(client_kind: ClientKind, service: ServiceDouble) -> None:
    script = """
client = make()
send("first")
os._exit(7)
"""
    assert ended(client_kind, service, script) == Outcome(7, "", "")


def test_a_finalizer_that_runs_at_the_very_end_is_told(service: ServiceDouble) -> None:
    script = """
class Owner:
    def __init__(self):
        self.client = make()
    def __del__(self):
        try:
            self.client.send_to_all("too late")
        except Exception as error:
            told(error.code)
        told(self.client.negotiate("ada")["url"].partition("?")[2])
        told(str(self.client.status()["ready"]))
        self.client.close()
owner = Owner()
owner.client.send_to_all("first")
owner.client.negotiate("ada")
"""
    assert ended(SYNC, service, script) == Outcome(0, "client_closed\nhub=chat\nTrue\n", "")


# The key is read by Python code at each call, so that the interpreter may end a thread in the middle of one.
BUSY = """
import os, sys, threading
from hubpass import SignalRServiceClient, WebPubSubServiceClient
class Credential:
    @property
    def key(self):
        return "{key}"
class Identity:
    token, expires_on = "token", 4e9
    def get_token(self, *scopes):
        return self
text = "Endpoint=" + sys.argv[1] + ";AccessKey={key}"
os.environ.update(AZURE_SIGNALR_CONNECTIONSTRING=text, AZURE_WEBPUBSUB_CONNECTIONSTRING=text)
client = SignalRServiceClient(sys.argv[1], "chat", Credential())
web_pubsub = WebPubSubServiceClient(sys.argv[1], "chat", Credential())
generating = WebPubSubServiceClient(sys.argv[1], "chat", Identity())
begun = threading.Barrier(5)
def work():
    begun.wait()
    while True:
        {body}
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
begun.wait()
"""

FAILS = """try:
            {call}
        except (HubpassError, ValueError):
            pass"""

BODIES = {
    "sign": 'client.negotiate("ada", claims={"role": ["reader"]})',
    "fail": FAILS.format(call='client.negotiate("")'),
    "send": 'client.send_to_all("say")',
    "group": FAILS.format(call='client.add_user_to_group("ada", "readers")'),
    "status": 'client.status(), web_pubsub.status(), web_pubsub.for_hub("news").hub',
    "make": 'SignalRServiceClient(sys.argv[1], "chat", Credential(), on_event=print).for_hub("news").close()',
    "from the environment": 'SignalRServiceClient.from_env("chat", on_event=print).close()',
    "sign for Web PubSub": 'web_pubsub.negotiate("ada", roles=["webpubsub.sendToGroup"])',
    "generate": FAILS.format(call='generating.negotiate("ada")'),
    "make for Web PubSub": 'WebPubSubServiceClient.from_env("chat", on_event=print).for_hub("news").close()',
}


@pytest.mark.parametrize("body", BODIES)
def test_threads_that_are_daemons_end_without_a_trace(service: ServiceDouble, body: str) -> None:
    """They go on while the interpreter ends, and nothing in them handles other exceptions."""
    script = "from hubpass import HubpassError" + BUSY.format(key=KEY, body=BODIES[body])
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda _: run(script, service.endpoint), range(12)))
    assert outcomes == [Outcome(0, "", "")] * 12


def test_threads_that_are_daemons_and_wait_end_without_a_trace(service: ServiceDouble) -> None:
    held = service.hold()
    script = """
client = make()
threading.Thread(target=send, args=("waits",), daemon=True).start()
sys.stdin.readline()
"""
    preamble = CLIENT.format(module=SYNC.module, key=KEY, is_async=False)
    process = start(preamble + script, service.endpoint, with_input=True)
    held.wait_until_arrived()
    assert finish(process, "\n") == Outcome(0, "", "")
    assert not held.is_released


def test_a_handler_of_atexit_that_joins_a_daemon_is_not_held_up_for_ever(service: ServiceDouble) -> None:
    """It was registered before the import, and runs when calls of other threads are refused."""
    script = """
import atexit
def work():
    go_on.wait()
    try:
        client.negotiate("ada")
    except Exception as error:
        told(f"{type(error).__name__} {error.code} {error.status} {error.retry_after}: {error}")
go_on = threading.Event()
thread = threading.Thread(target=work, daemon=True)
@atexit.register
def join():
    go_on.set()
    thread.join()
client = make()
thread.start()
"""
    hint = "Finish requests before the program ends, or call close() first."
    told = f"ClientClosedError client_closed None None: The interpreter is exiting. {hint}\n"
    assert ended(SYNC, service, script) == Outcome(0, told, "")


INTERPRETERS = """
import os, sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
{before}
interpreter = interpreters.create()
interpreters.run_string(interpreter, '''
import os
try:
    import hubpass
except ImportError as error:
    os.write(1, (str(error) + "\\\\n").encode())
''')
interpreters.destroy(interpreter)
import hubpass
assert hubpass.SignalRServiceClient.from_connection_string(
    "Endpoint=https://demo.service.signalr.net;AccessKey={key}", "chat"
).negotiate("ada")
"""


@pytest.mark.parametrize("before", ["", "import hubpass"], ids=["imported there first", "imported here first"])
def test_another_interpreter_of_the_process_is_refused(before: str) -> None:
    """It would share what belongs to one interpreter. The main one works whatever happened there."""
    outcome = run(INTERPRETERS.format(before=before, key=KEY))
    message = "module hubpass._native does not support loading in subinterpreters"
    assert (outcome.code, outcome.errors) == (0, "")
    assert outcome.output.startswith(message)
    if sys.version_info < (3, 12):
        # From then on the interpreter itself refuses, in its own words.
        assert "WSGIApplicationGroup %{GLOBAL}" in outcome.output
