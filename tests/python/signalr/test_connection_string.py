"""Connection strings as applications get them: from an environment variable, a portal, a mistake."""

from pathlib import Path
from typing import Any

import pytest

from hubpass import ConfigurationError, HubpassWarning, InvalidArgumentError
from signalr.client_kind import ENDPOINT, KEY, AnyClient, ClientKind
from signalr.tokens import verified

BARE_KEY = KEY.rstrip("=")
CONNECTION_STRING = f"Endpoint={ENDPOINT};AccessKey={KEY};Version=1.0;"


def test_an_unknown_key_is_one_warning_at_the_callers_line(client_kind: ClientKind) -> None:
    with pytest.warns(HubpassWarning) as caught:
        client = client_kind.client_class.from_connection_string(f"{CONNECTION_STRING}Colour=canary-value", "chat")
    assert [Path(warning.filename) for warning in caught] == [Path(__file__)]
    message = str(caught[0].message)
    assert "Colour" in message
    assert "canary-value" not in message
    verified(AnyClient(client).negotiate("u").access_token, f"{ENDPOINT}/client/?hub=chat")


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("", "invalid_connection_string", "Add Endpoint="),
        (";;", "invalid_connection_string", "Add Endpoint="),
        (f"AccessKey={KEY};Version=1.0", "invalid_connection_string", "Add Endpoint="),
        (f"Endpoint={ENDPOINT}", "invalid_connection_string", "AccessKey=..."),
        (f"Endpoint={ENDPOINT};AccessKey=", "invalid_connection_string", "AccessKey=..."),
        (f"Endpoint={ENDPOINT};{BARE_KEY}", "invalid_connection_string", "Key=Value"),
        (f"Endpoint={ENDPOINT};{KEY}", "invalid_connection_string", "AccessKey=..."),
        (f"Endpoint={ENDPOINT};AcessKey={KEY}", "connection_string_key_misspelt", "Write AccessKey= instead"),
        (
            f"Endpoint={ENDPOINT};AccessKey={KEY};Version=2.0",
            "invalid_connection_string",
            "Write Version=1.0;",
        ),
        (f"Endpoint={ENDPOINT};AccessKey={KEY};Port=99999", "invalid_connection_string", "Write Port=443;"),
        (f"Endpoint={ENDPOINT};AuthType=magic", "invalid_connection_string", "AuthType=azure.msi"),
        (f"Endpoint=demo;AccessKey={KEY}", "invalid_connection_string", "Write Endpoint=https://<host>"),
        (
            f"Endpoint={ENDPOINT};Endpoint={ENDPOINT};AccessKey={KEY}",
            "invalid_connection_string",
            "Keep one Endpoint=",
        ),
    ],
    ids=[
        "empty",
        "semicolons",
        "no endpoint",
        "no key",
        "empty key",
        "no =",
        "a bare key",
        "misspelt",
        "version",
        "port",
        "auth",
        "endpoint",
        "twice",
    ],
)
def test_connection_strings_that_cannot_be_used(client_kind: ClientKind, text: str, code: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        client_kind.from_connection_string(text)
    assert caught.value.code == code
    assert hint in caught.value.hint
    assert BARE_KEY not in str(caught.value)


@pytest.mark.parametrize("text", [None, b"Endpoint=https://a", 1], ids=repr)
def test_a_connection_string_is_a_text(client_kind: ClientKind, text: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        client_kind.from_connection_string(text)
    assert (caught.value.code, "connection_string=" in caught.value.hint) == ("invalid_argument", True)
