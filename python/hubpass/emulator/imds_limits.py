"""How often a machine may ask IMDS for tokens.

Source: "Azure Instance Metadata Service" of Microsoft's documentation, section "Rate limiting": 20 requests per second
and 5 at the same time for each virtual machine. A burst beyond that is not granted, and no `Retry-After` is promised.
"""

from __future__ import annotations

from collections import deque

from hubpass.emulator.clock import Clock

REQUESTS_PER_SECOND = 20
CONCURRENT_REQUESTS = 5
_WINDOW_SECONDS = 1.0


class ImdsLimits:
    """Counts the requests for tokens. The second in which they are counted is one of the emulator's clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._moments: deque[float] = deque()
        self._running = 0
        self.requests_per_second = REQUESTS_PER_SECOND
        self.concurrent_requests = CONCURRENT_REQUESTS

    def set(self, requests_per_second: int, concurrent_requests: int) -> None:
        """Change the limits; what has been asked before counts on."""
        self.requests_per_second, self.concurrent_requests = requests_per_second, concurrent_requests

    def reset(self) -> None:
        """Put Azure's limits back, and forget what was asked within the last second."""
        self.set(REQUESTS_PER_SECOND, CONCURRENT_REQUESTS)
        self._moments.clear()

    def enter(self) -> str | None:
        """Count a request in; None, or the reason to refuse it, in which case it does not count."""
        now = self._clock.now()
        # A clock that was moved back leaves moments that are still to come, which are not of this second either.
        self._moments = deque(moment for moment in self._moments if abs(moment - now) < _WINDOW_SECONDS)
        if self._running >= self.concurrent_requests:
            return f"IMDS serves {self.concurrent_requests} requests for tokens at the same time"
        if len(self._moments) >= self.requests_per_second:
            return f"IMDS serves {self.requests_per_second} requests for tokens per second"
        self._moments.append(now)
        self._running += 1
        return None

    def leave(self) -> None:
        """A request that was counted in has got its answer."""
        self._running -= 1
