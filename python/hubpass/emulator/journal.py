"""The journal: what reached the service and what became of it, without any credential."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

from hubpass.emulator.changes import Changes
from hubpass.emulator.clock import Clock
from hubpass.emulator.redaction import Redactor

# A demo may run for days; the newest calls are the ones that somebody wants to see.
_MOST_ENTRIES = 10_000


@dataclass
class Call:
    """One call while it is being served; the parts that know something fill it in.

    `era` is that of the journal when the call, or the connection that it is about, began.
    """

    route: str
    method: str
    path: str
    status: int | None = None
    hub: str | None = None
    user_id: str | None = None
    connection_id: str | None = None
    permission: str | None = None
    object_id: str | None = None
    kid: str | None = None
    target: str | None = None
    reason: str | None = None
    action: str = "served"
    era: int = 0


class Journal:
    """Calls in the order in which they were answered."""

    def __init__(self, clock: Clock, redactor: Redactor, changes: Changes) -> None:
        self._clock = clock
        self._redactor = redactor
        self._changes = changes
        self._entries: deque[dict[str, Any]] = deque(maxlen=_MOST_ENTRIES)
        self._count = 0
        self.era = 0

    def record(self, call: Call) -> None:
        """Write down a call of this era; texts are redacted here, so no writer can forget it."""
        if call.era != self.era:
            return
        self._count += 1
        fields = {
            name: self._redactor.text(value) if isinstance(value, str) else value
            for name, value in asdict(call).items()
            if name != "era"
        }
        self._entries.append({"number": self._count, "time": self._clock.now(), **fields})
        self._changes.notify()

    def entries(self) -> list[dict[str, Any]]:
        """Everything recorded since the last `clear` or `begin_era`, oldest first."""
        return list(self._entries)

    def clear(self) -> None:
        """Forget all entries; the numbering goes on."""
        self._entries.clear()
        self._changes.notify()

    def begin_era(self) -> None:
        """Forget all entries, and take none of calls and connections that began before."""
        self.era += 1
        self.clear()
