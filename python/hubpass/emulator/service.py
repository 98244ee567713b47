"""The state of one emulated service, shared by its data plane and its control plane."""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass, field
from typing import Literal, get_args

from hubpass.emulator.access_keys import AccessKeys
from hubpass.emulator.addresses import Address
from hubpass.emulator.changes import Changes
from hubpass.emulator.clock import Clock
from hubpass.emulator.connections import Connections
from hubpass.emulator.directory import Directory
from hubpass.emulator.entra_tokens import TokenIssuer
from hubpass.emulator.faults import Faults
from hubpass.emulator.identity_state import IdentityState, new_identity_state
from hubpass.emulator.journal import Journal
from hubpass.emulator.permissions import Permissions
from hubpass.emulator.redaction import Redactor
from hubpass.emulator.temporary_keys import TemporaryKeys
from hubpass.emulator.web_pubsub_service import WebPubSub, new_web_pubsub

ServiceMode = Literal["Serverless", "Default"]
SERVICE_MODES: tuple[ServiceMode, ...] = get_args(ServiceMode)

log = logging.getLogger("hubpass.emulator")


@dataclass(frozen=True)
class Timing:
    """Intervals of the hub protocol, in seconds; the defaults are those of ASP.NET Core SignalR.

    `poll_timeout` is the time after which a poll that has nothing to bring is answered without content.
    """

    ping_interval: float = 15.0
    client_timeout: float = 30.0
    handshake_timeout: float = 15.0
    poll_timeout: float = 90.0


@dataclass
class Service:
    """One Azure SignalR Service resource, one of Azure Web PubSub (`web_pubsub`), and the Entra around them.

    Belongs to one event loop; nothing in it is safe for threads. `local_auth_disabled` refuses everything
    that a static key of either resource has signed; `network_denied` is an access control list that denies
    servers and lets clients through; `token_lifetime` is the life of Entra tokens in seconds, None for Entra's
    own defaults.
    """

    address: Address
    identity_address: Address
    keys: AccessKeys
    temporary_keys: TemporaryKeys
    directory: Directory
    issuer: TokenIssuer
    permissions: Permissions
    redactor: Redactor
    changes: Changes
    clock: Clock
    journal: Journal
    faults: Faults
    connections: Connections
    service_mode: ServiceMode
    timing: Timing
    identity_header: str
    web_pubsub: WebPubSub
    identity: IdentityState
    local_auth_disabled: bool = False
    network_denied: bool = False
    token_lifetime: int | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Addresses:
    """Where the services, Entra, the managed identity endpoint and what is on a machine can be reached."""

    service: Address
    entra: Address
    identity: Address
    web_pubsub: Address
    machine: Address


def new_service(
    addresses: Addresses,
    redactor: Redactor,
    access_key: str | None = None,
    service_mode: ServiceMode = "Serverless",
    timing: Timing | None = None,
) -> Service:
    """A service without clients, whose identities have no roles; `access_key` is the primary key."""
    changes = Changes()
    clock = Clock(changes)
    identity_header = secrets.token_hex(16).upper()
    redactor.learn(identity_header)
    return Service(
        address=addresses.service,
        identity_address=addresses.identity,
        keys=AccessKeys(redactor, access_key),
        temporary_keys=TemporaryKeys(clock, redactor, changes),
        directory=Directory(redactor),
        issuer=TokenIssuer(addresses.entra.url),
        permissions=Permissions(changes),
        redactor=redactor,
        changes=changes,
        clock=clock,
        journal=Journal(clock, redactor, changes),
        faults=Faults(changes),
        connections=Connections(clock, changes),
        service_mode=service_mode,
        timing=timing or Timing(),
        identity_header=identity_header,
        web_pubsub=new_web_pubsub(addresses.web_pubsub, redactor, clock, changes),
        identity=new_identity_state(addresses.entra, addresses.machine, clock, redactor),
    )
