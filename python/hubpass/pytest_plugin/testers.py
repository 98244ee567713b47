"""What the testers of both services have in common."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hubpass import _native, testing

if TYPE_CHECKING:
    from hubpass.emulator.control_client import ControlClient
    from hubpass.emulator.control_records import FaultRoute, JournalEntry
    from hubpass.emulator.process import Emulator

# Longer than any key, token or pause lives: afterwards every client begins anew.
_EVERYTHING_HAS_EXPIRED = timedelta(days=2)

AnyConnection = TypeVar("AnyConnection")


class NotConnectedError(AssertionError):
    """A connection was refused, or has ended; the text says why."""


class Tester(Generic[AnyConnection]):
    """One service of the local Azure, from the side of a test."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self._stack = ExitStack()
        self._connections: list[AnyConnection] = []

    @property
    def control(self) -> ControlClient:
        """The control API of the local Azure: roles, clocks, faults and more, for both services."""
        return self.emulator.control

    def advance(self, by: timedelta) -> None:
        """Let time pass, for the local Azure and for the clients of this process (:func:`hubpass.testing.advance`)."""
        testing.advance(by)
        self.control.advance_clock(by.total_seconds())

    def fail(self, route: FaultRoute, *, times: int = 1, **fault: Any) -> None:
        """Let the next calls of a route fail.

        Args:
            route: Which calls: ``access_key`` (temporary keys), ``token`` and ``managed_identity`` (Entra), ``send``,
                ``send_to_group`` and ``add_user_to_group`` (REST), ``negotiate`` and ``connect`` (clients), those of
                Web PubSub, or ``*``. All names are in ``hubpass.emulator.control_records.FaultRoute``.
            times: How many.
            **fault: What happens: ``status=503`` with ``headers=``, ``body=`` and ``retry_after=``, ``drop=True``,
                ``garbage=True``, ``delay=`` (seconds), or ``hold=True`` until ``control.release()``.
        """
        self.control.fail_next(route, times=times, **fault)

    @property
    def journal(self) -> tuple[JournalEntry, ...]:
        """What the local Azure has seen since the test began, oldest first. No credential is in it."""
        return self.control.journal()

    def close(self) -> None:
        """Let every client leave."""
        self._connections.clear()
        self._stack.close()

    def _keep(self, connection: AnyConnection) -> AnyConnection:
        self._connections.append(connection)
        return connection

    @property
    def _last(self) -> AnyConnection:
        if not self._connections:
            raise NotConnectedError("no client is connected: call connect(answer) first")
        return self._connections[-1]


def reset(emulator: Emulator) -> None:
    """Make both services as new, and let the clients of this process hold nothing that they had before.

    Both clocks show the machine's time again, so that what an application computes from it is right.
    """
    emulator.control.reset()
    _native.renew_local_clocks(_EVERYTHING_HAS_EXPIRED.total_seconds())
