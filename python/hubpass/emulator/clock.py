"""The emulator's clock: the machine's wall clock plus an offset that a test can move.

Every decision about `exp`, `nbf`, the expiry of a connection and the life of an unused connection id asks
this clock, so a test can make an hour pass without waiting for it.
"""

from __future__ import annotations

import time

from hubpass.emulator.changes import Changes


class Clock:
    """Wall time in Unix seconds, shifted by an offset."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._offset = 0.0

    @property
    def offset(self) -> float:
        """Seconds by which this clock is ahead of the machine's clock."""
        return self._offset

    def now(self) -> float:
        """The current time in Unix seconds, as the emulator sees it."""
        return time.time() + self._offset

    def set(self, now: float) -> None:
        """Make the clock show `now` (Unix seconds); it goes on ticking from there."""
        self._move(now - time.time())

    def advance(self, seconds: float) -> None:
        """Move the clock by `seconds`, which may be negative."""
        self._move(self._offset + seconds)

    def reset(self) -> None:
        """Show the machine's time again."""
        self._move(0.0)

    def _move(self, offset: float) -> None:
        self._offset = offset
        # Whoever sleeps until a deadline must look at the clock again, since the deadline may have passed by
        # now.
        self._changes.notify()
