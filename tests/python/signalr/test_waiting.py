"""Calls that wait: for how long, what ends them early, and what else goes on meanwhile.

The service holds its answer until it is told to let go, which happens after the call has ended: the order is
certain without a clock, and a call that waits for the answer never ends.
"""

import asyncio
import gc
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import pytest
from azure.core.credentials import AzureKeyCredential

from hubpass import DeadlineExceededError, Event, HubpassError, ServiceError
from hubpass.aio import SignalRServiceClient as AsyncClient
from signalr.client_kind import KEY, ClientKind
from signalr.service_double import WATCHDOG, Answer, Held, ServiceDouble

THREADS = 8


@pytest.mark.parametrize("of_the_client", [True, False], ids=["client", "call"])
def test_the_deadline_ends_the_call_and_not_the_client(
    client_kind: ClientKind, service: ServiceDouble, of_the_client: bool
) -> None:
    held = service.hold()
    sender = client_kind.make(service.endpoint, timeout=1.5 if of_the_client else 30)
    with pytest.raises(TimeoutError) as caught:
        sender.send_to_all("say", timeout=None if of_the_client else 1.5)
    assert not held.is_released
    error = caught.value
    assert isinstance(error, DeadlineExceededError)
    assert isinstance(error, ServiceError)
    assert (error.code, error.status) == ("deadline_exceeded", None)
    assert "timeout=" in error.hint
    assert "1.5 seconds" in error.message
    held.wait_until_abandoned()
    sender.send_to_all("say", timeout=WATCHDOG)
    assert not held.is_released


def test_the_deadline_holds_for_the_body_too(client_kind: ClientKind, service: ServiceDouble) -> None:
    """The head promises ten bytes; the connection stays open, and they never come."""
    rest = service.track(Held())
    service.answer(Answer(raw=b"HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\nabc", held_open=rest))
    with pytest.raises(DeadlineExceededError):
        client_kind.make(service.endpoint).send_to_all("say", timeout=1.5)
    rest.wait_until_arrived()
    assert not rest.is_released
    rest.release()


def test_a_tiny_timeout_is_a_deadline_and_no_crash(client_kind: ClientKind, service: ServiceDouble) -> None:
    held = service.hold()
    with pytest.raises(DeadlineExceededError):
        client_kind.make(service.endpoint).send_to_all("say", timeout=1e-9)
    held.release()


def test_eight_threads_send_at_once(client_kind: ClientKind, service: ServiceDouble) -> None:
    """All requests arrive before the first is answered, so none holds up another, or the interpreter."""
    sender = client_kind.make(service.endpoint)
    held = [service.hold() for _ in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        calls: list[Future[None]] = [pool.submit(sender.send_to_all, "say", number) for number in range(THREADS)]
        for one in held:
            one.wait_until_arrived()
        assert not any(call.done() for call in calls)
        for one in held:
            one.release()
        for call in calls:
            call.result(timeout=WATCHDOG)
    assert sorted(service.take().json["Arguments"][0] for _ in range(THREADS)) == list(range(THREADS))


def test_eight_tasks_of_one_loop_send_at_once(service: ServiceDouble) -> None:
    client = AsyncClient(service.endpoint, "chat", AzureKeyCredential(KEY))
    held = [service.hold() for _ in range(THREADS)]

    async def main() -> None:
        tasks = [asyncio.create_task(client.send_to_all("say", number)) for number in range(THREADS)]
        for one in held:
            await asyncio.to_thread(one.wait_until_arrived)
        assert not any(task.done() for task in tasks)
        for one in held:
            one.release()
        await asyncio.gather(*tasks)

    asyncio.run(main())


def test_one_client_serves_one_loop_after_another_and_several_at_once(service: ServiceDouble) -> None:
    client = AsyncClient(service.endpoint, "chat", AzureKeyCredential(KEY))
    for number in range(2):
        asyncio.run(client_send(client, number))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: asyncio.run(client_send(client, number)), range(2, 6)))
    assert sorted(service.take().json["Arguments"][0] for _ in range(6)) == list(range(6))


async def client_send(client: AsyncClient, number: int) -> None:
    await client.send_to_all("say", number)


def test_a_cancelled_call_ends_at_once_and_lets_go_of_its_connection(service: ServiceDouble) -> None:
    client = AsyncClient(service.endpoint, "chat", AzureKeyCredential(KEY))
    held = service.hold()

    async def main() -> None:
        task = asyncio.create_task(client.send_to_all("say", timeout=3600))
        await asyncio.to_thread(held.wait_until_arrived)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        await asyncio.to_thread(held.wait_until_abandoned)
        await client.send_to_all("the client goes on")

    asyncio.run(main())
    assert not held.is_released


def test_a_call_under_asyncios_own_deadline(service: ServiceDouble) -> None:
    client = AsyncClient(service.endpoint, "chat", AzureKeyCredential(KEY))
    held = service.hold()

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.send_to_all("say", timeout=3600), 0.2)
        await asyncio.to_thread(held.wait_until_abandoned)

    asyncio.run(main())
    assert not held.is_released


def test_a_call_cancelled_before_it_began_sends_nothing(service: ServiceDouble) -> None:
    client = AsyncClient(service.endpoint, "chat", AzureKeyCredential(KEY))

    async def main() -> None:
        task = asyncio.create_task(client.send_to_all("never"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await client.send_to_all("marker")

    asyncio.run(main())
    assert service.take().json["Target"] == "marker"
    assert service.is_idle


def test_a_coroutine_that_is_never_awaited_sends_nothing(service: ServiceDouble) -> None:
    client = AsyncClient(service.endpoint, "chat", AzureKeyCredential(KEY))
    client.send_to_all("never").close()
    asyncio.run(client.send_to_all("marker"))
    assert service.take().json["Target"] == "marker"


def test_an_error_that_a_closed_coroutine_does_not_take_is_nobodys(service: ServiceDouble) -> None:
    """As when a loop stops between the answer and the task that waits for it."""
    client = AsyncClient(service.endpoint, "chat", AzureKeyCredential(KEY))
    service.answer(Answer(503))
    complaints: list[Any] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        coroutine = client.send_to_all("say", timeout=WATCHDOG)
        future: asyncio.Future[None] = coroutine.send(None)
        while not future.done():  # noqa: ASYNC110 - to await it would be to take what it has
            await asyncio.sleep(0.001)
        coroutine.close()
        del future
        gc.collect()

    asyncio.run(main())
    assert complaints == []


def test_an_observer_that_waits_holds_up_nobody(client_kind: ClientKind, service: ServiceDouble) -> None:
    """Not the call that it watches, and not the calls of others, however many observers wait."""
    let_go = threading.Event()
    seen: SimpleQueue[Event] = SimpleQueue()

    def dawdle(event: Event) -> None:
        seen.put(event)
        let_go.wait(WATCHDOG)

    watched = client_kind.make(service.endpoint, on_event=dawdle)
    try:
        for _ in range(4):
            service.answer(Answer(503))
            with pytest.raises(ServiceError):
                watched.send_to_all("say")
        # Events are told one after the other, so that they come in order.
        assert seen.get(timeout=WATCHDOG).name == "request_failed"
        assert seen.empty()
        client_kind.make(service.endpoint).send_to_all("say", timeout=WATCHDOG)
        watched.send_to_all("say", timeout=WATCHDOG)
        assert not let_go.is_set()
    finally:
        let_go.set()
    names = [seen.get(timeout=WATCHDOG).name for _ in range(4)]
    assert names == [*["request_failed"] * 3, "request_succeeded"]


def test_an_observer_may_use_the_client(client_kind: ClientKind, service: ServiceDouble) -> None:
    outcomes: SimpleQueue[Any] = SimpleQueue()

    def report(event: Event) -> None:
        if event.name != "request_failed":
            return
        try:
            client.send_to_all("alert", event.attributes["code"], timeout=WATCHDOG)
            outcomes.put("sent")
        except HubpassError as error:
            outcomes.put(error)

    client = client_kind.make(service.endpoint, on_event=report)
    service.answer(Answer(503))
    with pytest.raises(ServiceError):
        client.send_to_all("say")
    assert outcomes.get(timeout=WATCHDOG) == "sent"
    assert [service.take().json["Target"] for _ in range(2)] == ["say", "alert"]
