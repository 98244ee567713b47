"""Use an installed hubpass as an application would, with nothing but the standard library beside it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import platform
import sys
from importlib import metadata
from pathlib import Path

import hubpass
import hubpass.aio
from hubpass import _native

KEY = "made-up-key-of-the-wheel-smoke-test-0123456789"


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def require(condition: bool, complaint: str) -> None:
    # `assert` would vanish under PYTHONOPTIMIZE.
    if not condition:
        sys.exit(f"wheel_smoke: {complaint}")


def main() -> None:
    require(Path(hubpass.__file__).is_relative_to(sys.prefix), "hubpass came from outside the environment")
    required = [line for line in metadata.requires("hubpass") or [] if "extra ==" not in line]
    require(not required, f"the package requires {required}")

    # Who can set the clock can make a dead key sign.
    require(not hasattr(_native, "ManualClock"), "the wheel was built with the feature `testing`")

    connection = f"Endpoint=https://example.service.signalr.net;AccessKey={KEY};Version=1.0;"
    with hubpass.SignalRServiceClient.from_connection_string(connection, "Chat") as client:
        answer = client.negotiate("user")
    url = "https://example.service.signalr.net/client/?hub=chat"
    require(answer["url"] == url, f"unexpected URL {answer['url']}")
    header, payload, signature = answer["accessToken"].split(".")
    expected = hmac.new(KEY.encode(), f"{header}.{payload}".encode(), hashlib.sha256).digest()
    require(hmac.compare_digest(decoded(signature), expected), "the signature does not verify")
    require(json.loads(decoded(payload))["aud"] == url, "the audience is not the client URL")
    print(f"negotiates on CPython {platform.python_version()}")


if __name__ == "__main__":
    main()
