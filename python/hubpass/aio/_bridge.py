"""Between the core's runtime and an event loop."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias, TypeVar, cast

from hubpass._native import Flight

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
