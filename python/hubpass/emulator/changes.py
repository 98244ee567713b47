"""One counter that goes up whenever something observable changes, and a way to wait for it.

Waiting on a counter instead of on a queue of events means that a waiter can never miss a change: it names the
version that it has seen, and an older version answers at once.
"""

from __future__ import annotations

import asyncio


class Changes:
    """A version number with waiters. All methods belong to the emulator's event loop."""

    def __init__(self) -> None:
        self._version = 0
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def version(self) -> int:
        """The number of changes so far."""
        return self._version

    def notify(self) -> None:
        """Count one change and wake every waiter."""
        self._version += 1
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait_beyond(self, version: int, timeout: float | None) -> None:
        """Return once the version is greater than `version`, or after `timeout` seconds (None: no limit)."""
        if self._version > version:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await asyncio.wait({waiter}, timeout=timeout)
        finally:
            self._waiters.discard(waiter)
            waiter.cancel()
