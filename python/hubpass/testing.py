"""Time for tests of applications: hours pass in a moment, for clients of the local Azure and for nobody else."""

from __future__ import annotations

from datetime import timedelta

from hubpass import _native
from hubpass.exceptions import InvalidArgumentError

__all__ = ["advance"]


def advance(by: timedelta) -> timedelta:
    """Let time pass for every client of this process whose service is on this machine.

    Keys and tokens age, renewals come due, pauses after failures end. Time only passes: nothing sets it back, so that a
    client never holds something from the future. Clients of a real service are not touched. The local Azure has a clock
    of its own; the pytest fixtures ``signalr`` and ``web_pubsub`` move both.

    Args:
        by: How much time passes.

    Returns:
        How far these clients are ahead of the machine's clock then.

    Raises:
        InvalidArgumentError: It is not a ``timedelta`` of zero or more.
    """
    given: object = by
    if not isinstance(given, timedelta) or given < timedelta():
        raise InvalidArgumentError(
            "The time to pass is not a timedelta of zero or more.",
            code="invalid_argument",
            hint="Pass advance(timedelta(minutes=90)).",
        )
    return timedelta(seconds=_native.advance_local_clocks(by.total_seconds()))
