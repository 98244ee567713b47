"""The local Azure: a strict emulator for development and tests.

It plays Azure SignalR Service, Azure Web PubSub, and the Entra around them. Run it with
`python -m hubpass.emulator`, or from Python with `Emulator`. Running needs the extra `emulator`; importing this
package needs the standard library only.
"""

from hubpass.emulator.control_client import ControlClient
from hubpass.emulator.control_records import (
    Application,
    ClientConnection,
    ConnectionStrings,
    ControlError,
    HeldCall,
    JournalEntry,
    State,
    TemporaryKey,
    WaitTimeoutError,
)
from hubpass.emulator.identity_control import IdentityControl
from hubpass.emulator.identity_records import (
    Certificate,
    IdentityEndpoints,
    ServiceAccountToken,
    UserAssignedIdentity,
)
from hubpass.emulator.process import Emulator, EmulatorError

__all__ = [
    "Application",
    "Certificate",
    "ClientConnection",
    "ConnectionStrings",
    "ControlClient",
    "ControlError",
    "Emulator",
    "EmulatorError",
    "HeldCall",
    "IdentityControl",
    "IdentityEndpoints",
    "JournalEntry",
    "ServiceAccountToken",
    "State",
    "TemporaryKey",
    "UserAssignedIdentity",
    "WaitTimeoutError",
]
