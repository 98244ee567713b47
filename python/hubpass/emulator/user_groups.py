"""What the service remembers of users and groups of SignalR, so that connections that a user makes later are in them.

Source: the public REST specification of Azure SignalR Service (Azure/azure-signalr, `docs/swagger`), operation "Add a
user to the target group" and its parameter `ttl`.
"""

from __future__ import annotations

from hubpass.emulator.clock import Clock

# Without `ttl` the service remembers for at most a year, and of a user's groups the latest hundred.
LONGEST_MEMORY = 365 * 24 * 3600.0
_MOST_GROUPS = 100


class UserGroups:
    """The groups of users, each until its time by the emulator's clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ends: dict[tuple[str, str], dict[str, float]] = {}

    def remember(self, hub: str, user_id: str, group: str, seconds: float) -> None:
        """Let connections that the user makes within so many seconds be in the group; zero remembers nothing."""
        if seconds <= 0:
            return
        groups = self._ends.setdefault((hub, user_id), {})
        # The latest addition stands last, so that the oldest is the one to go.
        groups.pop(group, None)
        groups[group] = self._clock.now() + min(seconds, LONGEST_MEMORY)
        while len(groups) > _MOST_GROUPS:
            del groups[next(iter(groups))]

    def of(self, hub: str, user_id: str | None) -> set[str]:
        """The groups that a connection is in which the user makes now."""
        if user_id is None:
            return set()
        now = self._clock.now()
        return {group for group, end in self._ends.get((hub, user_id), {}).items() if end > now}

    def clear(self) -> None:
        """Forget everybody."""
        self._ends.clear()
