"""What the applications under test have in common: their clients, made from the environment as applications do it."""

import os
from datetime import timedelta
from typing import TypeVar

import hubpass
import hubpass.aio
from hubpass import KeyPolicy

AnyClient = TypeVar("AnyClient", hubpass.SignalRServiceClient, hubpass.aio.SignalRServiceClient)

WORKER = "worker"
"""The header of an answer that says which process gave it."""

MOMENT = timedelta(milliseconds=300)

SHORT = KeyPolicy(lifetime=timedelta(seconds=2), renew_after=(MOMENT, MOMENT), margin=MOMENT)
"""Keys that are renewed while a test looks on."""


def connect(client_class: type[AnyClient]) -> dict[str, AnyClient]:
    """Two clients of one hub, with keys of their own: for ``chat`` as in Azure, for ``brief`` of two seconds."""
    policies = {"chat": None, "brief": SHORT}
    return {
        name: client_class.from_connection_string(
            os.environ["SIGNALR_CONNECTION_STRING"],
            "chat",
            authority=os.environ["SIGNALR_AUTHORITY"],
            ca_file=os.environ["SIGNALR_CA_FILE"],
            key_policy=policy,
            # A machine that also runs the tests may be slow to start workers.
            timeout=30,
        )
        for name, policy in policies.items()
    }
