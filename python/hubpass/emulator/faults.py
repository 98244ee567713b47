"""Faults on order: the next n calls of a route misbehave as the control API asked.

A fault may hold the call until it is released, then wait, and then decide its outcome: an answer of its own,
garbage, a dropped connection, or none of these, in which case the call is served as usual.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from hubpass.emulator.changes import Changes
from hubpass.emulator.identity_routes import IDENTITY_ROUTE_NAMES
from hubpass.emulator.routes import ROUTE_NAMES
from hubpass.emulator.web_pubsub_routes import WEB_PUBSUB_ROUTE_NAMES

_ROUTE_NAMES = (*ROUTE_NAMES, *WEB_PUBSUB_ROUTE_NAMES, *IDENTITY_ROUTE_NAMES)
_LONGEST_DELAY = 3600
_STATUSES = range(200, 600)

Outcome = Literal["serve", "answer", "garbage", "drop"]
_FIELDS = frozenset({"route", "times", "hold", "delay", "status", "headers", "body", "retry_after", "drop", "garbage"})


class FaultError(ValueError):
    """The description of a fault makes no sense."""


@dataclass
class Fault:
    """What happens to matching calls; `remaining` calls are still to be hit."""

    route: str
    remaining: int
    hold: bool
    delay: float
    outcome: Outcome
    status: int
    headers: dict[str, str]
    body: str

    def describe(self) -> dict[str, Any]:
        """What the control API shows."""
        return {
            "route": self.route,
            "remaining": self.remaining,
            "hold": self.hold,
            "delay": self.delay,
            "outcome": self.outcome,
            "status": self.status,
        }


@dataclass
class HeldCall:
    """A call that waits for its release."""

    number: int
    route: str
    method: str
    path: str
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def describe(self) -> dict[str, Any]:
        """What the control API shows."""
        return {"number": self.number, "route": self.route, "method": self.method, "path": self.path}


class Faults:
    """Faults in the order in which they were ordered, and the calls that they hold."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._faults: list[Fault] = []
        self._held: dict[int, HeldCall] = {}
        self._count = 0

    def add(self, fault: Fault) -> None:
        """Arm a fault; it comes after those that are armed already."""
        self._faults.append(fault)
        self._changes.notify()

    def clear(self) -> None:
        """Disarm every fault. Calls that are held stay held until they are released."""
        self._faults.clear()
        self._changes.notify()

    def next_for(self, route: str) -> Fault | None:
        """The fault that hits this call, which is thereby used up by one."""
        for fault in self._faults:
            if fault.route in {route, "*"}:
                fault.remaining -= 1
                if fault.remaining == 0:
                    self._faults.remove(fault)
                self._changes.notify()
                return fault
        return None

    def hold(self, route: str, method: str, path: str) -> HeldCall:
        """Register a call that waits; the caller waits for `released` and then calls `forget`."""
        self._count += 1
        held = HeldCall(self._count, route, method, path)
        self._held[held.number] = held
        self._changes.notify()
        return held

    def forget(self, held: HeldCall) -> None:
        """The call went on, or its client went away."""
        if self._held.pop(held.number, None) is not None:
            self._changes.notify()

    def release(self, number: int | None) -> int:
        """Let one held call go on, or all of them (None); returns how many there were."""
        chosen = [held for held in self._held.values() if number in {None, held.number}]
        for held in chosen:
            held.released.set()
            self.forget(held)
        return len(chosen)

    def armed(self) -> list[dict[str, Any]]:
        """Descriptions of the faults that still wait for calls."""
        return [fault.describe() for fault in self._faults]

    def held(self) -> list[dict[str, Any]]:
        """Descriptions of the calls that wait for their release."""
        return [held.describe() for held in self._held.values()]


def parse_fault(order: dict[str, Any]) -> Fault:
    """Read a fault from the JSON of the control API; raises `FaultError` with the reason."""
    unknown = set(order) - _FIELDS
    if unknown:
        raise FaultError(f"unknown fields: {', '.join(sorted(unknown))}")
    route = order.get("route")
    if route not in {*_ROUTE_NAMES, "*"}:
        raise FaultError(f"route must be one of {', '.join(_ROUTE_NAMES)} or *")
    times = order.get("times", 1)
    if isinstance(times, bool) or not isinstance(times, int) or times < 1:
        raise FaultError("times must be a positive integer")
    delay = order.get("delay", 0)
    if isinstance(delay, bool) or not isinstance(delay, (int, float)) or not 0 <= delay <= _LONGEST_DELAY:
        raise FaultError(f"delay must be a number of seconds from 0 to {_LONGEST_DELAY}")
    hold = order.get("hold", False)
    outcome = _outcome(order)
    if outcome == "serve" and not hold and not delay:
        raise FaultError("a fault needs at least one of hold, delay, status, garbage, drop")
    status = order.get("status", 200)
    if isinstance(status, bool) or not isinstance(status, int) or status not in _STATUSES:
        raise FaultError("status must be an integer from 200 to 599")
    return Fault(cast(str, route), times, bool(hold), float(delay), outcome, status, _headers(order), _body(order))


def _outcome(order: dict[str, Any]) -> Outcome:
    for name in ("hold", "drop", "garbage"):
        if not isinstance(order.get(name, False), bool):
            raise FaultError(f"{name} must be true or false")
    drop, garbage = order.get("drop", False), order.get("garbage", False)
    if drop and (garbage or "status" in order):
        raise FaultError("a dropped connection has no status and no body")
    if drop:
        return "drop"
    if garbage:
        return "garbage"
    if "status" in order:
        return "answer"
    if {"headers", "body", "retry_after"} & set(order):
        raise FaultError("headers, body and retry_after need a status")
    return "serve"


def _headers(order: dict[str, Any]) -> dict[str, str]:
    headers = order.get("headers", {})
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise FaultError("headers must be an object of texts")
    found = {str(name).lower(): value for name, value in headers.items()}
    retry_after = order.get("retry_after")
    if retry_after is not None:
        if isinstance(retry_after, bool) or not isinstance(retry_after, (int, str)):
            raise FaultError("retry_after must be a number of seconds or an HTTP date")
        found["retry-after"] = str(retry_after)
    return found


def _body(order: dict[str, Any]) -> str:
    body = order.get("body", "")
    if not isinstance(body, str):
        raise FaultError("body must be a text")
    return body
