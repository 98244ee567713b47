"""A day of negotiations through rotations, outages, revocations and a wall clock that somebody sets.

Every token goes to the service's own verifier as soon as both clocks agree. A call may fail only if no valid key was to
be had; nothing signs past the margin.
"""

import random
from collections.abc import Callable

import pytest

from emulator.support import Azure
from entra.clients import ENDS, Client, Days
from hubpass import HubpassError, KeyPolicy
from signalr.client_kind import SYNC

NEGOTIATIONS = 2000
STEP = 43.0
"""Seconds from one negotiation to the next: two thousand of them fill a day."""

LATE = 5.0
"""Seconds after which a revocation is reported."""

RECOVERS = 330.0
"""Seconds after an outage in which a pause, of 300 at most, may still be running."""

OUTAGES: tuple[tuple[str, Callable[[Azure], None]], ...] = (
    ("key endpoint fails", lambda azure: azure.control.fail_next("access_key", times=100000, status=500)),
    ("key endpoint throttles", lambda azure: azure.control.throttle("access_key", times=100000, retry_after=60)),
    ("connections drop", lambda azure: azure.control.fail_next("access_key", times=100000, drop=True)),
    ("Entra fails", lambda azure: azure.control.fail_next("token", times=100000, status=503)),
    ("role taken away", lambda azure: azure.control.remove_role(azure.emulator.object_id)),
)


class Script:
    """What happens to the service and to the clock, from a seed."""

    def __init__(self, azure: Azure, days: Days, client: Client, seed: int) -> None:
        self.azure, self.days, self.client = azure, days, client
        self.luck = random.Random(seed)  # noqa: S311 - a script that can be replayed, and no secret
        self.now = 0.0
        self.outage_began: float | None = None
        self.outage_ends = 0.0
        self.quiet_until = 0.0
        self.revoked: str | None = None
        self.last_report = -1e9
        self.wall_is_wrong = False
        # A jump can come while the pause after a renewal is still running.
        self.jumped_at = -1.0
        self.happened: list[str] = []

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        self.days.pass_by(seconds)

    @property
    def may_fail(self) -> bool:
        """Whether there may be no valid key: after half an hour of outage, or a report during one."""
        if self.outage_began is None and self.now > self.outage_ends + RECOVERS:
            return False
        began = self.outage_began if self.outage_began is not None else self.outage_ends
        return self.now - began > 1800 or self.last_report > began - RECOVERS or self.now < self.quiet_until

    def play(self) -> None:
        """Let this step's share of the day happen."""
        if self.outage_began is not None and self.now >= self.outage_ends:
            self._end_outage()
        draw = self.luck.random()
        if draw < 0.004 and self.outage_began is None and self.now > self.quiet_until:
            self._begin_outage()
        elif draw < 0.010:
            self.azure.control.rotate_temporary_key()
            self.happened.append("rotation")
        elif draw < 0.014 and self.outage_began is None and self.now - self.last_report > 120:
            self._revoke()
        elif draw < 0.022:
            self._set_wall()

    def _begin_outage(self) -> None:
        name, begin = self.luck.choice(OUTAGES)
        self.happened.append(name)
        begin(self.azure)
        self.outage_began = self.now
        self.outage_ends = self.now + self.luck.choice([120, 900, 3600, 6000])
        self.quiet_until = self.outage_ends + RECOVERS

    def _end_outage(self) -> None:
        self.azure.control.clear_faults()
        self.azure.control.assign_role(self.azure.emulator.object_id, "SignalR Service Owner")
        # An answer of before may still be on its way; the calls after this one wait for it or go on.
        if self.now - (self.outage_began or 0) <= 1800:
            self.quiet_until = self.now
        self.outage_began = None

    def _revoke(self) -> None:
        kid = self.client.status["kid"]
        if kid is not None and self._is_alive(kid):
            self.azure.control.revoke_temporary_keys(kid)
            self.revoked = kid
            self.happened.append("revocation")

    def report(self) -> None:
        """Tell the client five seconds later, as its own users would."""
        kid, self.revoked = self.revoked, None
        self.pass_by(LATE)
        # The renewal may have come first, and then there is nothing to drop.
        if kid is not None and self.client.invalidate_key(kid):
            self.last_report = self.now

    def _is_alive(self, kid: str) -> bool:
        return any(key.kid == kid and key.alive for key in self.azure.control.temporary_keys())

    def _set_wall(self) -> None:
        wall = self.azure.control.state().now
        self.wall_is_wrong = not self.wall_is_wrong
        if self.wall_is_wrong:
            wall += self.luck.choice([-86400, -7200, 7200, 86400])
        self.days.clock.set_wall(wall)
        self.happened.append("wall clock")
        self.jumped_at = self.now


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1])
def test_two_thousand_negotiations(azure: Azure, seed: int) -> None:
    # A key is as old as our request for it; one that was given out for longer than the margin could die before that.
    azure.control.set_temporary_key_policy(issue_for=300)
    days = Days(azure)
    client = days.client(SYNC, azure, key_policy=KeyPolicy())
    script = Script(azure, days, client, seed)
    first_seen: dict[str, float] = {}
    verified = 0
    failures: list[tuple[int, bool, list[str], HubpassError]] = []
    for number in range(NEGOTIATIONS):
        script.pass_by(STEP)
        script.play()
        try:
            answer = client.negotiate(f"user {number}")
        except HubpassError as error:
            failures.append((number, script.may_fail or script.jumped_at == script.now, script.happened[-6:], error))
            continue
        kid = str(answer.kid)
        age = script.now - first_seen.setdefault(kid, script.now)
        assert age < ENDS, (number, age)
        if script.revoked is not None:
            script.report()
            continue
        if not script.wall_is_wrong:
            response = azure.negotiate(answer.access_token)
            reason = response.headers.get("www-authenticate")
            assert response.status_code == 200, (number, script.now, script.happened[-6:], reason)
            verified += 1
    assert [failure for failure in failures if not failure[1]] == []
    assert verified > NEGOTIATIONS / 4, script.happened
    assert len(first_seen) > 20
    assert {"rotation", "revocation", "wall clock"} <= set(script.happened)
    assert set(script.happened) & {name for name, _ in OUTAGES}
    counters = client.counters
    assert counters["keys_renewed"] >= len(first_seen) - 1
