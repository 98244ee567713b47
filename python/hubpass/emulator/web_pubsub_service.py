"""The state of the emulated Azure Web PubSub resource, beside what it shares with the SignalR resource."""

from __future__ import annotations

from dataclasses import dataclass

from hubpass.emulator.access_keys import AccessKeys
from hubpass.emulator.addresses import Address
from hubpass.emulator.changes import Changes
from hubpass.emulator.clock import Clock
from hubpass.emulator.redaction import Redactor
from hubpass.emulator.web_pubsub_connections import WebPubSubConnections
from hubpass.emulator.web_pubsub_tokens import ClientTokenIssuer


@dataclass
class WebPubSub:
    """One Azure Web PubSub resource: its own address and access keys, the tokens that it makes, its clients."""

    address: Address
    keys: AccessKeys
    issuer: ClientTokenIssuer
    connections: WebPubSubConnections


def new_web_pubsub(address: Address, redactor: Redactor, clock: Clock, changes: Changes) -> WebPubSub:
    """A resource without clients."""
    return WebPubSub(address, AccessKeys(redactor), ClientTokenIssuer(redactor), WebPubSubConnections(clock, changes))
