"""A typed, synchronous client of the control API, on the standard library alone."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, Literal
from urllib.parse import urlsplit

from hubpass.emulator.control_records import (
    Application,
    ClientConnection,
    ConnectionStrings,
    ControlError,
    FaultRoute,
    HeldCall,
    JournalEntry,
    State,
    TemporaryKey,
    WaitTimeoutError,
    state_of,
)
from hubpass.emulator.identity_control import IdentityControl

_REQUEST_SECONDS = 30.0
_SUCCESS = frozenset({200, 202})
# One long poll; short enough that the watchdog of `wait_until` is never overrun by much.
_LONGEST_POLL_SECONDS = 1.0


class ControlClient:
    """Drives one emulator. Safe to share between threads: every request has its own connection.

    Environment variables for proxies are not read, since the emulator is always on this machine. Every method
    raises `ControlError` if the emulator refuses the order and `OSError` if it does not answer.
    """

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._token = token

    @property
    def identity(self) -> IdentityControl:
        """The part that is about secrets, certificates, federation, IMDS, Azure Arc and the developer tools."""
        return IdentityControl(lambda path, order: self._request("POST", path, order))

    def state(self) -> State:
        """The present state."""
        return state_of(self._request("GET", "/state"))

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

    def rotate_web_pubsub_keys(self, key: Literal["primary", "secondary"] = "primary") -> ConnectionStrings:
        """The same for the access keys of Web PubSub."""
        answer = self._request("POST", "/web-pubsub/keys/rotate", {"key": key})
        return ConnectionStrings(answer["primary_connection_string"], answer["secondary_connection_string"])

    def temporary_keys(self) -> tuple[TemporaryKey, ...]:
        """The temporary access keys, oldest first, dead ones included."""
        return self.state().temporary_keys

    def rotate_temporary_key(self, kid: str | None = None) -> str:
        """Make a new temporary key, given out from now on; earlier ones live on. Returns its kid.

        With `kid` the new key gets that id, so that two emulators can have different keys of one id.
        """
        return str(self._request("POST", "/temporary-keys/rotate", {"kid": kid})["kid"])

    def revoke_temporary_keys(self, kid: str | None = None) -> int:
        """Let one temporary key, or all of them (None), die at once. Returns how many were alive."""
        revoked: int = self._request("POST", "/temporary-keys/revoke", {"kid": kid})["revoked"]
        return revoked

    def set_temporary_key_policy(self, *, life: float | None = None, issue_for: float | None = None) -> None:
        """Change how long temporary keys sign and how long one is given out, in seconds; None: no change.

        Both count for the keys that exist as well.
        """
        self._request("POST", "/temporary-keys/policy", {"life": life, "issue_for": issue_for})

    def set_token_lifetime(self, seconds: int | None) -> None:
        """The life of Entra tokens from now on; None: an hour, and a day for managed identities."""
        self._request("POST", "/token-lifetime", {"seconds": seconds})

    def add_application(
        self, *, tenant_id: str | None = None, roles: Iterable[str] = (), multi_tenant: bool = False
    ) -> Application:
        """Register another application, in the service's tenant or in another one, with these roles.

        A multi-tenant one can get tokens in every tenant that consents to it (`identity.consent`).
        """
        order = {"tenant_id": tenant_id, "roles": list(roles), "multi_tenant": multi_tenant}
        return Application(**self._request("POST", "/applications", order))

    def assign_role(self, object_id: str, role: str) -> None:
        """Give an identity a built-in or custom role, which counts at once."""
        self._request("POST", "/roles/assign", {"object_id": object_id, "role": role})

    def remove_role(self, object_id: str, role: str | None = None) -> None:
        """Take one role, or all of them (None), from an identity."""
        self._request("POST", "/roles/remove", {"object_id": object_id, "role": role})

    def define_role(self, role: str, actions: Iterable[str]) -> None:
        """Define a custom role by its data actions, such as `Microsoft.SignalRService/SignalR/hub/*`."""
        self._request("POST", "/roles/define", {"role": role, "actions": list(actions)})

    def set_local_auth_disabled(self, disabled: bool) -> None:
        """Refuse what static keys have signed, as a service with disabled local authentication does."""
        self._request("POST", "/local-auth", {"disabled": disabled})

    def set_network_denied(self, denied: bool) -> None:
        """Refuse servers (key and REST requests, not clients) by a network access control list."""
        self._request("POST", "/network-acl", {"denied": denied})

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

    def throttle(self, route: FaultRoute, times: int = 1, *, retry_after: int | str | None = None) -> None:
        """Answer the next `times` calls of `route` with 429, and with `Retry-After` if it is given."""
        self.fail_next(route, times, status=429, retry_after=retry_after, body="Too Many Requests")

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
        """End one connection with a close message, as the service does.

        `allow_reconnect` is for SignalR; a client of Web PubSub is told `error` as the reason.
        """
        order = {"connection_id": connection_id, "error": error, "allow_reconnect": allow_reconnect}
        self._request("POST", "/connections/close", order)

    def drop_connection(self, connection_id: str) -> None:
        """Cut one connection without a word, as a broken network does; its id is worth nothing afterwards."""
        self._request("POST", "/connections/drop", {"connection_id": connection_id})

    def drop_web_pubsub_connection(self, connection_id: str) -> None:
        """Cut the WebSocket of a client of Web PubSub without a farewell, as a broken network does."""
        self._request("POST", "/web-pubsub/connections/drop", {"connection_id": connection_id})

    def reset(self) -> None:
        """Put everything back to how it was at the start: no connection, journal, fault or remembered group is left.

        Access keys, roles, the clock, lifetimes and modes are as they were; temporary keys that were given out are
        revoked. Applications that were added stay, without their roles.
        """
        self._request("POST", "/reset")

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
            state = state_of(self._request("GET", f"/state?since={state.version}&wait={wait:.3f}"))
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
