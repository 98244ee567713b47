"""The two static access keys of the service."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Literal, get_args

from hubpass.emulator.redaction import Redactor

KeyName = Literal["primary", "secondary"]
KEY_NAMES: tuple[KeyName, ...] = get_args(KeyName)
_DIGESTS = {"HS256": hashlib.sha256, "HS512": hashlib.sha512}


class AccessKeys:
    """The primary and the secondary key.

    As in the service, the key of the HMAC is the UTF-8 text of the access key; it is never decoded from
    base64.
    """

    def __init__(self, redactor: Redactor, primary: str | None = None) -> None:
        self._redactor = redactor
        self._keys: dict[KeyName, str] = {}
        self._install("primary", primary or _new_key())
        self._install("secondary", _new_key())

    def rotate(self, name: KeyName) -> None:
        """Replace one key. What the old one signed is refused from this moment on."""
        self._install(name, _new_key())

    def snapshot(self) -> dict[KeyName, str]:
        """The keys of now, for :meth:`restore`."""
        return dict(self._keys)

    def restore(self, snapshot: dict[KeyName, str]) -> None:
        """Have these keys again. What others have signed is refused from this moment on."""
        self._keys = dict(snapshot)

    def text(self, name: KeyName) -> str:
        """The key itself, for the connection string."""
        return self._keys[name]

    def verify(self, algorithm: str, signing_input: bytes, signature: bytes) -> bool:
        """Whether one of the static keys made the signature; the caller has checked the algorithm's name."""
        return any(is_signed_with(key, algorithm, signing_input, signature) for key in self._keys.values())

    def _install(self, name: KeyName, key: str) -> None:
        self._redactor.learn(key)
        self._keys[name] = key


def is_signed_with(key: str, algorithm: str, signing_input: bytes, signature: bytes) -> bool:
    """Whether `key` made the signature; `algorithm` is HS256 or HS512."""
    made = hmac.new(key.encode(), signing_input, _DIGESTS[algorithm]).digest()
    return hmac.compare_digest(made, signature)


def _new_key() -> str:
    """A key like the service's own: base64 with padding, so that code which cuts at `=` fails here too."""
    return base64.b64encode(secrets.token_bytes(32)).decode()
