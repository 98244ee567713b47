"""Event loops: one after the other, one in each thread, one that runs already, one that ends while a call waits."""

import ast
import asyncio
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import CodeType, FunctionType
from typing import Any

import pytest

from emulator.support import Azure
from entra.clients import AsyncCredential, Client, client_with, credential_of, entra_client, requests, wait_until_held
from hubpass import HubpassError, ServiceError
from signalr.client_kind import ASYNC, SYNC
from signalr.scripts import finish, go_on, start
from signalr.service_double import WATCHDOG
from webpubsub import kinds

SOURCES = ["native", "application"]

CALLS: dict[str, Callable[[Any], Coroutine[Any, Any, Any]]] = {
    "negotiate": lambda raw: raw.negotiate("ada", timeout=3600),
    "warm_up": lambda raw: raw.warm_up(timeout=3600),
    "send_to_all": lambda raw: raw.send_to_all("say", timeout=3600),
    "generate": lambda raw: raw.get_client_access_token(user_id="ada", timeout=3600),
}

ROUTES = {"send_to_all": "send", "generate": "web_pubsub_generate_token"}


def route_of(call: str) -> str:
    """The route that the call waits for when its token has come."""
    return ROUTES.get(call, "access_key")


@pytest.fixture(params=SOURCES)
def client(request: pytest.FixtureRequest, azure: Azure) -> Any:
    """An async client whose tokens it gets by itself, or from a coroutine of the application."""
    # The service is that of the call, if the test has one.
    if request.node.callspec.params.get("call") == "generate":
        return web_pubsub_client(request.param, azure)
    if request.param == "native":
        return entra_client(ASYNC, azure, timeout=WATCHDOG)
    return client_with(ASYNC, azure, AsyncCredential(azure.entra_token()), timeout=WATCHDOG)


def web_pubsub_client(source: str, azure: Azure) -> Any:
    """The same of Web PubSub."""
    emulator = azure.emulator
    if source == "native":
        text = emulator.web_pubsub_entra_connection_string
        options = {"authority": emulator.authority, "ca_file": emulator.ca_file}
        return kinds.ASYNC.from_connection_string(text, timeout=WATCHDOG, **options)
    token = azure.entra_token(scope=kinds.SCOPE)
    return kinds.ASYNC.make(emulator.web_pubsub_endpoint, credential=AsyncCredential(token), timeout=WATCHDOG)


def test_one_loop_after_another(client: Client, azure: Azure) -> None:
    async def program() -> str:
        await client.raw.send_to_all("say")
        return str((await client.raw.negotiate("ada")).kid)

    assert len({asyncio.run(program()) for _ in range(3)}) == 1
    assert requests(azure, "access_key") == 1


def test_a_loop_in_each_thread(client: Client, azure: Azure) -> None:
    barrier = Barrier(8)

    async def program() -> str:
        barrier.wait(WATCHDOG)
        await client.raw.warm_up()
        return str((await client.raw.negotiate("ada")).kid)

    with ThreadPoolExecutor(8) as pool:
        kids = [pool.submit(asyncio.run, program()) for _ in range(8)]
        assert len({kid.result(WATCHDOG) for kid in kids}) == 1
    assert requests(azure, "access_key") == 1


def test_a_loop_that_runs_already(client: Client, azure: Azure) -> None:
    """As in a notebook: cells are compiled with ``await`` at the top, and run by a loop that never ends."""
    cells = ["await client.warm_up()", "answer = await client.negotiate('ada')", "kid = sync.negotiate('ada').kid"]

    def compiled(cell: str) -> CodeType:
        code = compile(cell, "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        assert isinstance(code, CodeType)
        return code

    async def notebook() -> None:
        for cell in cells:
            result = FunctionType(compiled(cell), names)()
            if asyncio.iscoroutine(result):
                await result

    sync = client_with(SYNC, azure, credential_of(SYNC, azure.entra_token()))
    names: dict[str, Any] = {"client": client.raw, "sync": sync.raw}
    asyncio.run(notebook())
    assert names["answer"].kid == names["kid"]


async def began(client: Client, azure: Azure, call: str) -> "asyncio.Task[Any]":
    """A task whose request has arrived and is held."""
    azure.control.fail_next(route_of(call), hold=True)  # type: ignore[arg-type]
    task = asyncio.create_task(CALLS[call](client.raw))
    await asyncio.to_thread(wait_until_held, azure, route_of(call))
    return task


async def succeeds_when_released(client: Client, azure: Azure, call: str) -> None:
    """The client is as good as new."""
    await asyncio.to_thread(azure.control.release)
    await CALLS[call](client.raw)


@pytest.mark.parametrize("call", CALLS)
def test_a_call_cancelled_before_during_and_after(client: Client, azure: Azure, call: str) -> None:
    async def main() -> None:
        before = asyncio.create_task(CALLS[call](client.raw))
        before.cancel()
        with pytest.raises(asyncio.CancelledError):
            await before
        assert requests(azure, "access_key") == 0
        during = await began(client, azure, call)
        during.cancel()
        with pytest.raises(asyncio.CancelledError):
            await during
        await succeeds_when_released(client, azure, call)
        after = asyncio.create_task(CALLS[call](client.raw))
        await after
        assert not after.cancel()
        assert not after.cancelled()

    asyncio.run(main())


@pytest.mark.parametrize("call", CALLS)
def test_a_call_cancelled_when_its_answer_has_just_come(client: Client, azure: Azure, call: str) -> None:
    """Whichever of the two is first, the call ends with it, and the loop has nothing to complain of."""
    complaints: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        for _ in range(20):
            task = asyncio.create_task(CALLS[call](client.raw))
            await asyncio.sleep(0)
            # Takes about as long as the call.
            await asyncio.to_thread(azure.control.state)
            task.cancel()
            outcome: object = (await asyncio.gather(task, return_exceptions=True))[0]
            # That of a cancelled call is no Exception.
            assert not isinstance(outcome, Exception), outcome

    asyncio.run(main())
    assert complaints == []


@pytest.mark.parametrize("call", CALLS)
def test_asyncios_own_deadlines(client: Client, azure: Azure, call: str) -> None:
    async def main() -> None:
        azure.control.fail_next(route_of(call), times=2, hold=True)  # type: ignore[arg-type]
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(CALLS[call](client.raw), 0.2)
        if sys.version_info >= (3, 11):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await CALLS[call](client.raw)
        await asyncio.to_thread(azure.control.clear_faults)
        await succeeds_when_released(client, azure, call)

    asyncio.run(main())


@pytest.mark.parametrize("call", CALLS)
def test_a_shielded_call_outlives_its_caller(client: Client, azure: Azure, call: str) -> None:
    async def main() -> None:
        inner = await began(client, azure, call)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(inner), 0.1)
        assert not inner.done()
        await asyncio.to_thread(azure.control.release)
        await inner

    asyncio.run(main())


@pytest.mark.parametrize("call", CALLS)
def test_gather_with_one_that_fails(client: Client, azure: Azure, call: str) -> None:
    """The others are not cancelled by that, and end as they would have."""

    async def main() -> None:
        waits = await began(client, azure, call)
        with pytest.raises(HubpassError):
            await asyncio.gather(waits, client.raw.negotiate(""))
        assert not waits.done()
        await asyncio.to_thread(azure.control.release)
        await waits

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="task groups came with CPython 3.11")
@pytest.mark.parametrize("call", CALLS)
def test_a_task_group_with_one_that_fails(client: Client, azure: Azure, call: str) -> None:
    """The group cancels the others."""

    async def main() -> None:
        tasks: list[asyncio.Task[Any]] = []

        async def work(group: Any) -> None:
            azure.control.fail_next(route_of(call), hold=True)  # type: ignore[arg-type]
            tasks.append(group.create_task(CALLS[call](client.raw)))
            await asyncio.to_thread(wait_until_held, azure, route_of(call))
            raise ServiceError("of the application", code="throttled", hint="")

        group_class: Any = asyncio.TaskGroup  # type: ignore[attr-defined,unused-ignore]
        with pytest.raises(BaseException) as caught:  # noqa: PT011 - the class came with CPython 3.11
            async with group_class() as group:
                await work(group)
        assert [type(error) for error in caught.value.exceptions] == [ServiceError]  # type: ignore[attr-defined]
        assert tasks[0].cancelled()
        await succeeds_when_released(client, azure, call)

    asyncio.run(main())


# Strict about everything that a program can leave behind.
STRICT = {"PYTHONDEVMODE": "1", "PYTHONASYNCIODEBUG": "1"}

PROGRAM = """
import asyncio, gc, os, sys, threading
from {module} import SignalRServiceClient
text, authority, ca_file, endpoint, token = sys.argv[1:]
class Credential:
    expires_on = 4e9
    async def get_token(self, *scopes):
        {hang}
        return self
Credential.token = token
if "{source}" == "native":
    client = SignalRServiceClient.from_connection_string(text, "chat", authority=authority, ca_file=ca_file)
else:
    client = SignalRServiceClient(endpoint, "chat", Credential())
def called():
    return client.{call}
def go_on():
    print("waits", flush=True)
    sys.stdin.readline()
async def wait():
    await asyncio.to_thread(go_on)
{end}
gc.collect()
print("ended", flush=True)
sys.stdin.readline()
gc.collect()
"""

ENDS = {
    "asyncio.run cancels it": """
async def main():
    task = asyncio.create_task(called())
    await wait()
asyncio.run(main())
""",
    "its loop is closed": """
async def begin():
    coroutine = called()
    coroutine.send(None)
    await wait()
    return coroutine
coroutine = asyncio.run(begin())
coroutine.close()
""",
    "its loop is closed, and it is dropped": """
async def begin():
    coroutine = called()
    coroutine.send(None)
    await wait()
    return coroutine
coroutine = asyncio.run(begin())
del coroutine
""",
    "its thread ends": """
async def main():
    task = asyncio.create_task(called())
    await wait()
    task.cancel()
thread = threading.Thread(target=lambda: asyncio.run(main()))
thread.start()
thread.join()
""",
    "its loop stops in the middle": """
loop = asyncio.new_event_loop()
task = loop.create_task(called())
loop.run_until_complete(wait())
task.cancel()
loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
loop.run_until_complete(loop.shutdown_default_executor())
loop.close()
del task, loop
""",
}

SOURCE_TEXTS = {
    "negotiate": 'negotiate("ada")',
    "warm_up": "warm_up()",
    "send_to_all": 'send_to_all("say")',
    "generate": 'get_client_access_token(user_id="ada")',
}

WAITS = [
    ("negotiate", "native", "token"),
    ("negotiate", "native", "access_key"),
    ("negotiate", "application", "credential"),
    ("negotiate", "application", "access_key"),
    ("warm_up", "native", "access_key"),
    ("warm_up", "application", "credential"),
    ("send_to_all", "native", "send"),
    ("send_to_all", "application", "credential"),
    ("send_to_all", "application", "send"),
    ("generate", "native", "web_pubsub_generate_token"),
    ("generate", "application", "credential"),
    ("generate", "application", "web_pubsub_generate_token"),
]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(("call", "source", "waits_for"), WAITS)
def test_a_loop_that_ends_while_a_call_waits_leaves_no_trace(
    azure: Azure, call: str, source: str, waits_for: str, end: str
) -> None:
    """No traceback, no task destroyed, no error unretrieved, nothing left open: not then, nor when the answer comes."""
    script = PROGRAM.format(
        module=ASYNC.module,
        source=source,
        hang="await asyncio.Event().wait()" if waits_for == "credential" else "",
        call=SOURCE_TEXTS[call],
        end=ENDS[end],
    )
    emulator = azure.emulator
    text, endpoint, scope = emulator.entra_connection_string, azure.endpoint, "https://signalr.azure.com/.default"
    if call == "generate":
        script = script.replace("SignalRServiceClient", "WebPubSubServiceClient")
        text, endpoint, scope = emulator.web_pubsub_entra_connection_string, emulator.web_pubsub_endpoint, kinds.SCOPE
    arguments = [text, emulator.authority, emulator.ca_file, endpoint]
    token = azure.entra_token(scope=scope) if source == "application" else ""
    if waits_for != "credential":
        azure.control.fail_next(waits_for, hold=True)  # type: ignore[arg-type]
    process = start(script, *arguments, token, environment=STRICT, with_input=True)
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "waits\n"
    if waits_for != "credential":
        wait_until_held(azure, waits_for)
    go_on(process)
    assert process.stdout.readline() == "ended\n"
    azure.control.release()
    outcome = finish(process, "\n")
    # On a busy machine a debugging loop says so.
    errors = [line for line in outcome.errors.splitlines() if not (line.startswith("Executing") and "took" in line)]
    assert (outcome.code, outcome.output, errors) == (0, "", [])
