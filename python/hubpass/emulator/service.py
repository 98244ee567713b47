"""The state of one emulated service, shared by its data plane and its control plane."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Literal, get_args

from hubpass.emulator.access_keys import AccessKeys
from hubpass.emulator.addresses import Address
from hubpass.emulator.changes import Changes
from hubpass.emulator.clock import Clock
from hubpass.emulator.connections import Connections
from hubpass.emulator.faults import Faults
from hubpass.emulator.journal import Journal
from hubpass.emulator.redaction import Redactor

ServiceMode = Literal["Serverless", "Default"]
SERVICE_MODES: tuple[ServiceMode, ...] = get_args(ServiceMode)

log = logging.getLogger("hubpass.emulator")


@dataclass(frozen=True)
class Timing:
    """Intervals of the hub protocol, in seconds; the defaults are those of ASP.NET Core SignalR."""

    ping_interval: float = 15.0
    client_timeout: float = 30.0
    handshake_timeout: float = 15.0


@dataclass
class Service:
    """One Azure SignalR Service resource. Belongs to one event loop; nothing in it is safe for threads."""

    address: Address
    keys: AccessKeys
    redactor: Redactor
    changes: Changes
    clock: Clock
    journal: Journal
    faults: Faults
    connections: Connections
    service_mode: ServiceMode
    timing: Timing
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


def new_service(
    address: Address,
    redactor: Redactor,
    access_key: str | None = None,
    service_mode: ServiceMode = "Serverless",
    timing: Timing | None = None,
) -> Service:
    """A service without clients; `access_key` is the primary key, a random one by default."""
    changes = Changes()
    clock = Clock(changes)
    return Service(
        address=address,
        keys=AccessKeys(redactor, access_key),
        redactor=redactor,
        changes=changes,
        clock=clock,
        journal=Journal(clock, redactor, changes),
        faults=Faults(changes),
        connections=Connections(clock, changes),
        service_mode=service_mode,
        timing=timing or Timing(),
    )
