"""A typed, synchronous client of the control API, on the standard library alone."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal
from urllib.parse import urlsplit

_REQUEST_SECONDS = 30.0
_SUCCESS = frozenset({200, 202})
# One long poll; short enough that the watchdog of `wait_until` is never overrun by much.
_LONGEST_POLL_SECONDS = 1.0

FaultRoute = Literal["negotiate", "connect", "send", "health", "unsupported", "*"]


class ControlError(RuntimeError):
    """The control API refused an order; the text says why."""


class WaitTimeoutError(AssertionError):
    """What a test waited for did not happen in time; the text shows the last state."""


@dataclass(frozen=True)
class ClientConnection:
    """One open connection. `user_id` is None for an anonymous client, times are Unix seconds."""

    connection_id: str
    hub: str
    user_id: str | None
    claims: Mapping[str, Any]
    connected_at: float
    closes_at: float | None


@dataclass(frozen=True)
class HeldCall:
    """A call that waits for its release. `path` carries no credential."""

    number: int
    route: str
    method: str
    path: str


@dataclass(frozen=True)
class JournalEntry:
    """One call, or one event of an open WebSocket (routes `handshake`, `invoke`, `disconnect`).

    `time` is in Unix seconds by the emulator's clock. `status` is None if no answer was sent; `reason` says
    why a call was refused; `action` says what became of it. No credential is in any of the texts.
    """

    number: int
    time: float
    route: str
    method: str
    path: str
    status: int | None
    hub: str | None
    user_id: str | None
    connection_id: str | None
    target: str | None
    reason: str | None
    action: str


@dataclass(frozen=True)
class State:
    """What the emulator looks like at one moment; `version` goes up with every change."""

    version: int
    service_mode: str
    now: float
    clock_offset: float
    connections: tuple[ClientConnection, ...]
    held: tuple[HeldCall, ...]
    faults: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, repr=False)
class ConnectionStrings:
    """Both connection strings after a rotation. Their text is secret and absent from `repr`."""

    primary: str
    secondary: str


class ControlClient:
    """Drives one emulator. Safe to share between threads: every request has its own connection.

    Environment variables for proxies are not read, since the emulator is always on this machine. Every method
    raises `ControlError` if the emulator refuses the order and `OSError` if it does not answer.
    """

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._token = token

    def state(self) -> State:
        """The present state."""
        return _state(self._request("GET", "/state"))

    def connections(self, hub: str | None = None) -> tuple[ClientConnection, ...]:
        """The open connections, oldest first, of one hub key (`chat`, or `app_chat`) or of all."""
        return tuple(found for found in self.state().connections if hub in {None, found.hub})

    def journal(self, route: str | None = None) -> tuple[JournalEntry, ...]:
        """The journal, oldest entry first, of one route or of all."""
        entries = (JournalEntry(**entry) for entry in self._request("GET", "/journal")["entries"])
        return tuple(entry for entry in entries if route in {None, entry.route})

    def clear_journal(self) -> None:
        """Forget all journal entries."""
        self._request("DELETE", "/journal")

    def rotate_keys(self, key: Literal["primary", "secondary"] = "primary") -> ConnectionStrings:
        """Regenerate one key, whose predecessor dies at once; returns the new connection strings."""
        answer = self._request("POST", "/keys/rotate", {"key": key})
        return ConnectionStrings(answer["primary_connection_string"], answer["secondary_connection_string"])

    def set_clock(self, now: datetime | float) -> None:
        """Make the emulator's clock show `now`, an aware datetime or Unix seconds; it goes on ticking."""
        if isinstance(now, datetime):
            if now.tzinfo is None:
                raise ValueError("an aware datetime is needed, such as datetime.now(timezone.utc)")
            now = now.astimezone(timezone.utc).timestamp()
        self._request("POST", "/clock", {"now": now})

    def advance_clock(self, seconds: float) -> None:
        """Move the emulator's clock; negative seconds move it back."""
        self._request("POST", "/clock", {"advance": seconds})

    def reset_clock(self) -> None:
        """Show the machine's time again."""
        self._request("POST", "/clock", {"reset": True})

    def set_service_mode(self, service_mode: Literal["Serverless", "Default"]) -> None:
        """Change the service mode for handshakes from now on."""
        self._request("POST", "/service-mode", {"service_mode": service_mode})

    def fail_next(
        self,
        route: FaultRoute,
        times: int = 1,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
        retry_after: int | str | None = None,
        delay: float = 0.0,
        hold: bool = False,
        drop: bool = False,
        garbage: bool = False,
    ) -> None:
        """Let the next `times` calls of `route` (`*`: of any route) misbehave.

        A call is held until `release`, then delayed by `delay` seconds, and then answered with `status` (and
        `headers`, `body`, `retry_after`), or with a garbage body, or its connection is dropped; with none of
        these it is served as usual. Faults apply in the order in which they were given.
        """
        order: dict[str, Any] = {"route": route, "times": times, "delay": delay, "hold": hold}
        order.update({"drop": drop, "garbage": garbage})
        optional = {"status": status, "headers": headers, "body": body, "retry_after": retry_after}
        order.update({name: value for name, value in optional.items() if value is not None})
        self._request("POST", "/faults", order)

    def clear_faults(self) -> None:
        """Disarm all faults; held calls stay held."""
        self._request("DELETE", "/faults")

    def held(self) -> tuple[HeldCall, ...]:
        """The calls that wait for `release`."""
        return self.state().held

    def release(self, number: int | None = None) -> int:
        """Let one held call go on, or all of them (None). Returns how many there were."""
        order = {} if number is None else {"number": number}
        released: int = self._request("POST", "/held/release", order)["released"]
        return released

    def close_connection(self, connection_id: str, *, error: str | None = None, allow_reconnect: bool = False) -> None:
        """End one connection with a close message, as the service does."""
        order = {"connection_id": connection_id, "error": error, "allow_reconnect": allow_reconnect}
        self._request("POST", "/connections/close", order)

    def shut_down(self) -> None:
        """Ask the emulator to end; it closes its connections and exits with code 0."""
        self._request("POST", "/shutdown")

    def wait_until(self, predicate: Callable[[State], bool], *, timeout: float = 10.0) -> State:
        """Wait until `predicate(state)` is true and return that state.

        The predicate is called again after every change, and may look at the journal through this client.
        Raises `WaitTimeoutError` after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        state = self.state()
        while not predicate(state):
            left = deadline - time.monotonic()
            if left <= 0:
                raise WaitTimeoutError(f"not within {timeout} s; the last state was {state}")
            wait = min(left, _LONGEST_POLL_SECONDS)
            state = _state(self._request("GET", f"/state?since={state.version}&wait={wait:.3f}"))
        return state

    def wait_for_connections(self, count: int, hub: str | None = None, *, timeout: float = 10.0) -> State:
        """Wait until exactly `count` connections are open, in one hub or in all."""
        return self.wait_until(
            lambda state: sum(hub in {None, found.hub} for found in state.connections) == count,
            timeout=timeout,
        )

    def wait_for_journal(self, predicate: Callable[[JournalEntry], bool], *, timeout: float = 10.0) -> JournalEntry:
        """Wait until some journal entry satisfies `predicate` and return the first that does."""
        found: list[JournalEntry] = []

        def look(_: State) -> bool:
            found.extend(entry for entry in self.journal() if predicate(entry))
            return bool(found)

        self.wait_until(look, timeout=timeout)
        return found[0]

    def _request(self, method: str, path: str, order: Mapping[str, Any] | None = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_REQUEST_SECONDS)
        try:
            body = None if order is None else json.dumps(order)
            connection.request(method, path, body, {"Authorization": f"Bearer {self._token}"})
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        finally:
            connection.close()
        if answer.status not in _SUCCESS:
            raise ControlError(f"{method} {path.partition('?')[0]}: {answer.status} {text}")
        content: dict[str, Any] = json.loads(text)
        return content


def _state(content: Mapping[str, Any]) -> State:
    return State(
        version=content["version"],
        service_mode=content["service_mode"],
        now=content["clock"]["now"],
        clock_offset=content["clock"]["offset"],
        connections=tuple(ClientConnection(**found) for found in content["connections"]),
        held=tuple(HeldCall(**found) for found in content["held"]),
        faults=tuple(content["faults"]),
    )
