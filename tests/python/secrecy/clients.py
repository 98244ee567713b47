"""Clients of the echoing Azure, for each way to prove who one is."""

import time
from dataclasses import dataclass
from typing import Any, Literal

from entra.clients import POLICY, Client, credential_of
from hubpass import _native
from secrecy.echoing_azure import ACCESS_TOKEN, EchoingAzure
from signalr.client_kind import ClientKind
from webpubsub.kinds import WebPubSubKind

Identity = Literal["application", "managed_identity", "shared_key", "credential"]


@dataclass
class Echoed:
    """The echoing Azure, and the file of certificates that its clients trust."""

    azure: EchoingAzure
    ca_file: str

    def connected(self, kind: ClientKind, text: str, **options: Any) -> Client:
        """A client with a connection string."""
        found = {"authority": self.azure.authority, "ca_file": self.ca_file, **options}
        return Client(kind.from_connection_string(text, **found).raw)

    def client(self, kind: ClientKind, identity: Identity, **options: Any) -> Client:
        """A client that proves itself in this way."""
        if identity == "credential":
            credential = credential_of(kind, ACCESS_TOKEN)
            return Client(kind.make(self.azure.endpoint, credential=credential, **options).raw)
        return self.connected(kind, getattr(self.azure, identity), **options)

    def timed_client(self, kind: ClientKind | WebPubSubKind, identity: Identity, clock: Any, **options: Any) -> Client:
        """The same with a clock of its own."""
        keywords: dict[str, Any] = {
            "application_name": None,
            "authority": None if identity == "credential" else self.azure.authority,
            "ca_file": self.ca_file,
            "key_policy": POLICY,
            "on_event": None,
            "scope": None,
            "timeout": 30,
            "clock": clock,
            **options,
        }
        is_async = kind.name == "async"
        client = kind.client_class.__new__(kind.client_class)
        native = _native.SignalRClient if kind.service == "signalr" else _native.WebPubSubClient
        if identity == "credential":
            credential = credential_of(kind, ACCESS_TOKEN, expires_in=10_000_000)
            given = (self.azure.endpoint, "chat", credential, None, None, keywords, is_async)
            client._native = native(*given)
        else:
            text = getattr(self.azure, identity)
            client._native = native.from_connection_string(text, "chat", keywords, is_async)
        return Client(client)


def new_clock() -> Any:
    """A clock that stands at the present time until it is moved."""
    # Only builds for tests have this clock, so the stub of the package does not mention it.
    native: Any = _native
    return native.ManualClock(int(time.time()))
