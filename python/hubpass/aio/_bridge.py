"""Between the core's runtime and an event loop."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TypeAlias, TypeVar, cast

from hubpass._native import Flight, TaskHolder, TokenDelivery

T = TypeVar("T")

Deliver: TypeAlias = Callable[[T | None, BaseException | None], None]


async def flight(start: Callable[["Deliver[T]"], Flight]) -> T:
    """Await what ``start`` starts: it is given a function to call, on any thread, with the value or the error.

    A cancelled caller ends its flight. A loop that closes meanwhile is nobody's error: nobody is left to be told.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(cast("T", value))
        else:
            future.set_exception(error)

    def deliver(value: T | None, error: BaseException | None) -> None:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, value, error)

    under_way = start(deliver)
    try:
        return await future
    finally:
        under_way.cancel()
        # A coroutine that is closed does not take an error that has come meanwhile, and nobody else can.
        if future.done() and not future.cancelled():
            future.exception()


def token_beginner(
    get_token: Callable[[str], Awaitable[object]], scope: str, delivery: TokenDelivery, holder: TaskHolder
) -> Callable[[], None]:
    """Give a function that fetches a token in a task of the running loop; the core hands it to the caller's loop.

    It takes no arguments, because a loop in debug mode logs those of what it calls, and the bound method of a
    credential shows the credential. A task that is cancelled says through ``delivery`` that nothing will come; a loop
    that ends, the core finds out itself.
    """

    def begin() -> None:
        task = asyncio.get_running_loop().create_task(_fetch_token(get_token, scope, delivery))
        task.add_done_callback(partial(_abandon, delivery))
        # A loop that is closed with tasks pending makes them complain when they are collected. For this one nobody
        # waits any more: the core has found another loop to fetch on.
        task._log_destroy_pending = False  # type: ignore[attr-defined] # noqa: SLF001 - what asyncio.gather does
        holder.hold(task)

    return begin


def _abandon(delivery: TokenDelivery, task: "asyncio.Task[None]") -> None:
    """Say that nothing more will come.

    An exit that the task has passed on to its loop is retrieved here, so that it is not reported a second time when the
    task is collected.
    """
    delivery.abandon()
    if not task.cancelled():
        task.exception()


async def _fetch_token(get_token: Callable[[str], Awaitable[object]], scope: str, delivery: TokenDelivery) -> None:
    try:
        token = await get_token(scope)
    except Exception as error:  # noqa: BLE001 - whatever a credential raises is the reason why there is no token
        delivery.fail(error)
    else:
        delivery.complete(token)
