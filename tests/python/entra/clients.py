"""Clients of the local Azure that need no key, on the machine's clock or on one that a test moves."""

import time
from datetime import timedelta
from typing import Any

from azure.core.credentials import AccessToken

from emulator.support import Azure, poll
from hubpass import Event, KeyPolicy, _native
from signalr.client_kind import AnyClient, ClientKind, settle
from webpubsub.kinds import WebPubSubKind

POLICY = KeyPolicy(renew_after=(timedelta(minutes=50), timedelta(minutes=50)))
"""The defaults, except that every process renews at the same age."""

RENEWS = 50 * 60
"""The age at which a key of ``POLICY`` is renewed, in seconds."""

ENDS = 85 * 60
"""The age from which a key of ``POLICY`` signs no more: its lifetime without the margin."""

PAUSE = 31
"""Seconds after which the pause that follows any number of failures is over, unless the service asks for more."""


class Client(AnyClient):
    """A client of either kind with the calls that only keys of Entra need."""

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.raw.status()
        return found

    @property
    def counters(self) -> dict[str, int]:
        found: dict[str, int] = self.status["counters"]
        return found

    def warm_up(self, **options: Any) -> None:
        settle(self.raw.warm_up(**options))

    def invalidate_key(self, kid: Any) -> bool:
        return bool(settle(self.raw.invalidate_key(kid)))

    def kid(self) -> str:
        """The name of the key that signs now."""
        kid = self.negotiate("ada").kid
        assert kid is not None
        return kid

    def wait_for(self, **counters: int) -> None:
        """Wait until these counters have these values."""
        poll(lambda: counters.items() <= self.counters.items(), f"never {counters}")


def entra_client(kind: ClientKind, azure: Azure, **options: Any) -> Client:
    """A client that gets its tokens by itself, with the secret of the application."""
    return connected(kind, azure, azure.emulator.entra_connection_string, **options)


def connected(kind: ClientKind, azure: Azure, text: str, **options: Any) -> Client:
    """A client with a connection string, which trusts and uses the local Entra."""
    found = {"authority": azure.emulator.authority, "ca_file": azure.emulator.ca_file, **options}
    return Client(kind.from_connection_string(text, **found).raw)


def client_with(kind: ClientKind, azure: Azure, credential: Any, **options: Any) -> Client:
    """A client with a credential written in Python."""
    return Client(kind.make(azure.endpoint, credential=credential, **options).raw)


class Days:
    """The clock of a client and that of the service, which pass together."""

    def __init__(self, azure: Azure) -> None:
        self._control = azure.control
        # Only builds for tests have this clock, so the stub of the package does not mention it.
        native: Any = _native
        self.clock = native.ManualClock(int(azure.control.state().now))

    def pass_by(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self._control.advance_clock(seconds)

    def client(self, kind: ClientKind, azure: Azure, **options: Any) -> Client:
        """A client as of ``entra_client`` that goes by this clock."""
        keywords: dict[str, Any] = {
            "application_name": None,
            "authority": azure.emulator.authority,
            "ca_file": azure.emulator.ca_file,
            "key_policy": POLICY,
            "on_event": None,
            "scope": None,
            "timeout": 30,
            "clock": self.clock,
            **options,
        }
        is_async = kind.name == "async"
        client = kind.client_class.__new__(kind.client_class)
        text = azure.emulator.entra_connection_string
        client._native = _native.SignalRClient.from_connection_string(text, "chat", keywords, is_async)
        return Client(client)


class Events:
    """Keeps what a client tells."""

    def __init__(self) -> None:
        self.seen: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.seen.append(event)

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.seen]

    def wait_for(self, name: str, count: int = 1) -> Event:
        """The ``count``-th event of this name, which must have come or be about to."""
        poll(lambda: self.names.count(name) >= count, f"never {count} of {name}, only {self.names}")
        return [event for event in self.seen if event.name == name][count - 1]


class Credential:
    """The least that azure-core calls a sync credential: it gives out one token, and counts."""

    def __init__(self, token: str, expires_in: int = 86400) -> None:
        self.token, self.expires_in = token, expires_in
        self.calls: list[str] = []

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.calls.extend(scopes)
        return AccessToken(self.token, int(time.time()) + self.expires_in)


class AsyncCredential:
    """The same for an async client."""

    def __init__(self, token: str, expires_in: int = 86400) -> None:
        self._sync = Credential(token, expires_in)

    @property
    def calls(self) -> list[str]:
        return self._sync.calls

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return self._sync.get_token(*scopes, **options)


def credential_of(kind: ClientKind | WebPubSubKind, token: str, expires_in: int = 86400) -> Any:
    """A credential of the kind that the client takes."""
    return (AsyncCredential if kind.name == "async" else Credential)(token, expires_in)


def requests(azure: Azure, route: str) -> int:
    """How many requests of a route the local Azure has seen."""
    return len(azure.control.journal(route))


def wait_until_held(azure: Azure, route: str, count: int = 1) -> None:
    azure.control.wait_until(lambda state: [held.route for held in state.held].count(route) == count)


def assert_accepted(azure: Azure, token: str) -> None:
    """The service lets a client in that has this token."""
    answer = azure.negotiate(token)
    assert answer.status_code == 200, answer.headers.get("www-authenticate")
