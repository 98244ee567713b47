"""At first use everybody needs a key at once: one request for a token and one for a key serve them all."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Thread
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.identity import ClientSecretCredential
from azure.identity.aio import ClientSecretCredential as AsyncClientSecretCredential

from emulator.support import Azure
from entra.clients import (
    AsyncCredential,
    Client,
    client_with,
    credential_of,
    entra_client,
    requests,
    wait_until_held,
)
from entra.test_azure_identity import secret_options
from hubpass import DeadlineExceededError, HubpassError, NegotiationResponse
from signalr.client_kind import ASYNC, SYNC
from signalr.service_double import WATCHDOG

THREADS = 64
LOOPS = 8
TASKS = 1000


def negotiate_in_threads(client: Client, azure: Azure) -> list[NegotiationResponse]:
    """All threads call before the first request is answered."""
    barrier = Barrier(THREADS + 1)

    def call(number: int) -> NegotiationResponse:
        barrier.wait(WATCHDOG)
        return client.negotiate(f"user {number}", timeout=WATCHDOG)

    azure.control.fail_next("token", hold=True)
    with ThreadPoolExecutor(THREADS) as pool:
        calls = [pool.submit(call, number) for number in range(THREADS)]
        barrier.wait(WATCHDOG)
        wait_until_held(azure, "token")
        assert not any(one.done() for one in calls)
        azure.control.release()
        return [one.result(WATCHDOG) for one in calls]


def assert_one_flight(azure: Azure, answers: list[NegotiationResponse], count: int) -> None:
    assert (requests(azure, "token"), requests(azure, "access_key")) == (1, 1)
    assert len({answer.access_token for answer in answers}) == count
    assert len({answer.kid for answer in answers}) == 1


def test_sixty_four_threads(azure: Azure) -> None:
    assert_one_flight(azure, negotiate_in_threads(entra_client(SYNC, azure), azure), THREADS)


def test_sixty_four_threads_with_a_credential_of_azure_identity(azure: Azure) -> None:
    with ClientSecretCredential(**secret_options(azure)) as credential:
        answers = negotiate_in_threads(client_with(SYNC, azure, credential), azure)
    assert_one_flight(azure, answers, THREADS)


def negotiate_on_loops(client: Client, azure: Azure) -> list[NegotiationResponse]:
    """All tasks of all loops run before the first request is answered."""
    barrier = Barrier(LOOPS + 1)

    async def program(number: int) -> list[NegotiationResponse]:
        users = [f"user {number} {index}" for index in range(TASKS // LOOPS)]
        tasks = [asyncio.create_task(client.raw.negotiate(user, timeout=WATCHDOG)) for user in users]
        # Each task runs until it waits for the key, because none of them can have one yet.
        await asyncio.sleep(0)
        await asyncio.to_thread(barrier.wait, WATCHDOG)
        answers: list[NegotiationResponse] = await asyncio.gather(*tasks)
        return answers

    azure.control.fail_next("token", hold=True)
    with ThreadPoolExecutor(LOOPS) as pool:
        programs = [pool.submit(asyncio.run, program(number)) for number in range(LOOPS)]
        barrier.wait(WATCHDOG)
        wait_until_held(azure, "token")
        azure.control.release()
        return [answer for one in programs for answer in one.result(WATCHDOG)]


def test_a_thousand_tasks_on_eight_loops(azure: Azure) -> None:
    assert_one_flight(azure, negotiate_on_loops(entra_client(ASYNC, azure), azure), TASKS)


def test_a_thousand_tasks_on_eight_loops_with_a_credential_of_azure_identity(azure: Azure) -> None:
    """The credential belongs to one loop at a time, and only the loop of the leader uses it."""

    class Closing:
        async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
            async with AsyncClientSecretCredential(**secret_options(azure)) as credential:
                return await credential.get_token(*scopes)

    assert_one_flight(azure, negotiate_on_loops(client_with(ASYNC, azure, Closing()), azure), TASKS)


class Gated(AsyncCredential):
    """Its first fetch says when it begins and then waits for good; later ones give a token."""

    def __init__(self, token: str) -> None:
        super().__init__(token)
        self.entered = asyncio.Event()
        self.let_go = asyncio.Event()

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        token = await super().get_token(*scopes, **options)
        if len(self.calls) == 1:
            self.entered.set()
            await self.let_go.wait()
        return token


def test_a_cancelled_leader_takes_nothing_from_the_others(azure: Azure) -> None:
    credential = Gated(azure.entra_token())
    client = client_with(ASYNC, azure, credential).raw

    async def main() -> None:
        leader = asyncio.create_task(client.negotiate("leader", timeout=WATCHDOG))
        await credential.entered.wait()
        others = [asyncio.create_task(client.negotiate(str(number), timeout=WATCHDOG)) for number in range(8)]
        await asyncio.sleep(0)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        credential.let_go.set()
        assert len({answer.kid for answer in await asyncio.gather(*others)}) == 1

    asyncio.run(main())
    assert len(credential.calls) == 1
    assert requests(azure, "access_key") == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("is_closed", [True, False], ids=["closed", "abandoned"])
def test_a_leader_whose_loop_ends_takes_nothing_from_the_others(azure: Azure, is_closed: bool) -> None:
    """The loop is closed, or it just stops, with the thread that ran it."""
    credential = Gated(azure.entra_token())
    client = client_with(ASYNC, azure, credential).raw
    abandoned: list[Any] = []

    def lead() -> None:
        loop = asyncio.new_event_loop()
        # The tasks that are pending at the end are meant to be; their loop says so to its handler.
        loop.set_exception_handler(lambda *_: None)
        leader = loop.create_task(client.negotiate("leader", timeout=WATCHDOG))
        loop.run_until_complete(credential.entered.wait())
        abandoned.extend([leader, loop])
        waits.wait(WATCHDOG)
        if is_closed:
            loop.close()

    async def wait() -> NegotiationResponse:
        task = asyncio.create_task(client.negotiate("other", timeout=WATCHDOG))
        await asyncio.sleep(0)
        waits.wait(WATCHDOG)
        answer: NegotiationResponse = await task
        return answer

    waits = Barrier(2)
    thread = Thread(target=lead)
    thread.start()
    while not abandoned:
        thread.join(0.001)
    assert asyncio.run(wait()).kid
    thread.join(WATCHDOG)
    assert len(credential.calls) == 2
    assert requests(azure, "access_key") == 1
    abandoned[0]._log_destroy_pending = False
    abandoned[1].close()


def test_a_leader_interrupted_by_its_deadline_takes_nothing_from_the_others(azure: Azure) -> None:
    client = entra_client(SYNC, azure)
    azure.control.fail_next("token", hold=True)
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(DeadlineExceededError):
            client.negotiate("leader", timeout=0.2)
        wait_until_held(azure, "token")
        other = pool.submit(client.negotiate, "other", timeout=WATCHDOG)
        azure.control.release()
        assert other.result(WATCHDOG).kid
    assert (requests(azure, "token"), requests(azure, "access_key")) == (1, 1)


def test_a_coroutine_without_a_loop_leads_nobody_in_circles(azure: Azure) -> None:
    """It cannot fetch, says so, and leaves the duty to the next one."""
    credential = AsyncCredential(azure.entra_token())
    client = client_with(ASYNC, azure, credential)
    coroutine = client.raw.negotiate("nobody")
    with pytest.raises((RuntimeError, HubpassError)):
        coroutine.send(None)
    assert client.kid()
    assert len(credential.calls) == 1
    assert client.counters["keys_failed"] == 0


def test_hubs_share_one_flight(azure: Azure) -> None:
    client = client_with(SYNC, azure, credential_of(SYNC, azure.entra_token()))
    azure.control.fail_next("access_key", hold=True)
    with ThreadPoolExecutor(8) as pool:
        hubs = [client.for_hub(f"hub{number}") for number in range(8)]
        calls = [pool.submit(hub.negotiate, "ada", timeout=WATCHDOG) for hub in hubs]
        wait_until_held(azure, "access_key")
        azure.control.release()
        assert len({call.result(WATCHDOG).kid for call in calls}) == 1
    assert requests(azure, "access_key") == 1
