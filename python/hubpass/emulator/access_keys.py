"""The two static access keys of the service and the connection strings that carry them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Literal, get_args

from hubpass.emulator.addresses import Address, bracketed
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

    def connection_string(self, name: KeyName, address: Address) -> str:
        """The connection string as the Azure portal shows it, with the port apart from the endpoint."""
        endpoint = f"{address.scheme}://{bracketed(address.host)}"
        return f"Endpoint={endpoint};Port={address.port};AccessKey={self._keys[name]};Version=1.0;"

    def verify(self, algorithm: str, signing_input: bytes, signature: bytes) -> bool:
        """Whether one of the static keys made the signature; the caller has checked the algorithm's name."""
        digest = _DIGESTS[algorithm]
        return any(
            hmac.compare_digest(hmac.new(key.encode(), signing_input, digest).digest(), signature)
            for key in self._keys.values()
        )

    def _install(self, name: KeyName, key: str) -> None:
        self._redactor.learn(key)
        self._keys[name] = key


def _new_key() -> str:
    """A key like the service's own: base64 with padding, so that code which cuts at `=` fails here too."""
    return base64.b64encode(secrets.token_bytes(32)).decode()
