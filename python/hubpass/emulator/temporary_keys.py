"""The temporary access keys: what Entra identities sign client tokens with.

A key is shared by all callers. The newest one is given out until it is `issue_for` seconds old, then a new one
takes its place; every key signs for `life` seconds, whether newer ones exist or not. Microsoft's article
"Authorize access with Microsoft Entra ID for Azure SignalR Service" gives 90 minutes of life and asks clients
to renew hourly; how long the service gives out one key is not documented, so it is an option.
"""

from __future__ import annotations

import base64
import secrets
import uuid
from dataclasses import dataclass, field
from typing import Any, Literal

from hubpass.emulator.access_keys import is_signed_with
from hubpass.emulator.changes import Changes
from hubpass.emulator.clock import Clock
from hubpass.emulator.redaction import Redactor

DEFAULT_LIFE = 90 * 60.0
# Short, so that a key that is given out has nearly all of its life before it, as that article promises.
DEFAULT_ISSUE_FOR = 5 * 60.0
# A demo with short keys may run for days; dead keys are kept only to say why they were refused.
_MOST_KEYS = 100

Verdict = Literal["valid", "unknown", "expired", "revoked", "another signature"]


class KidInUseError(ValueError):
    """There is a key with that id already."""


@dataclass
class TemporaryKey:
    """One key. `issued_at` is in Unix seconds by the emulator's clock."""

    kid: str
    secret: str = field(repr=False)
    issued_at: float
    revoked: bool = False


class TemporaryKeys:
    """The keys of this run. Their times follow the emulator's clock.

    `life` and `issue_for` are in seconds and count for the keys that exist as well as for new ones.
    """

    def __init__(self, clock: Clock, redactor: Redactor, changes: Changes) -> None:
        self._clock = clock
        self._redactor = redactor
        self._changes = changes
        self._keys: dict[str, TemporaryKey] = {}
        self._current: TemporaryKey | None = None
        self.life = DEFAULT_LIFE
        self.issue_for = DEFAULT_ISSUE_FOR

    def current(self) -> TemporaryKey:
        """The key to give out now; a new one if the last one is too old for that, dead or revoked."""
        key = self._current
        if key is None or key.revoked or self._age(key) >= min(self.issue_for, self.life):
            return self.rotate()
        return key

    def rotate(self, kid: str | None = None) -> TemporaryKey:
        """Make a new key and give it out from now on; raises `KidInUseError` if the wanted id is taken."""
        if kid in self._keys:
            raise KidInUseError(kid)
        secret = base64.b64encode(secrets.token_bytes(32)).decode()
        self._redactor.learn_passing(secret)
        key = TemporaryKey(kid or str(uuid.uuid4()), secret, self._clock.now())
        self._keys[key.kid] = self._current = key
        self._forget_dead_keys()
        self._changes.notify()
        return key

    def revoke(self, kid: str | None) -> int:
        """Let one key, or all of them (None), die at once; returns how many were alive."""
        chosen = [key for key in self._keys.values() if kid in {None, key.kid} and self._lives(key)]
        for key in chosen:
            key.revoked = True
        if chosen:
            self._changes.notify()
        return len(chosen)

    def set_policy(self, life: float | None, issue_for: float | None) -> None:
        """Change one or both of the periods, in seconds."""
        self.life = self.life if life is None else life
        self.issue_for = self.issue_for if issue_for is None else issue_for
        self._changes.notify()

    def verify(self, kid: object, algorithm: str, signing_input: bytes, signature: bytes) -> Verdict:
        """Whether the key of that id made the signature, and if not, why it does not count."""
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            return "unknown"
        if key.revoked:
            return "revoked"
        if not self._lives(key):
            return "expired"
        signed = is_signed_with(key.secret, algorithm, signing_input, signature)
        return "valid" if signed else "another signature"

    def signed_any(self, algorithm: str, signing_input: bytes, signature: bytes) -> bool:
        """Whether some temporary key, dead or alive, made the signature."""
        return any(is_signed_with(key.secret, algorithm, signing_input, signature) for key in self._keys.values())

    def describe(self) -> list[dict[str, Any]]:
        """What the control API shows, oldest key first; never the keys themselves."""
        return [
            {
                "kid": key.kid,
                "issued_at": key.issued_at,
                "age": self._age(key),
                "expires_at": key.issued_at + self.life,
                "revoked": key.revoked,
                "alive": self._lives(key),
                "current": key is self._current and not key.revoked,
            }
            for key in self._keys.values()
        ]

    def _age(self, key: TemporaryKey) -> float:
        return self._clock.now() - key.issued_at

    def _lives(self, key: TemporaryKey) -> bool:
        return not key.revoked and self._age(key) < self.life

    def _forget_dead_keys(self) -> None:
        surplus = len(self._keys) - _MOST_KEYS
        dead = [key.kid for key in self._keys.values() if not self._lives(key)]
        for kid in dead[: max(surplus, 0)]:
            del self._keys[kid]
