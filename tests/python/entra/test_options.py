"""The options of clients with Entra: scope, authority, certificates and the policy of keys."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from emulator.support import Azure
from entra.clients import connected, entra_client, requests
from hubpass import ConfigurationError, InvalidArgumentError, KeyPolicy, ServiceError
from signalr.client_kind import ClientKind


def test_a_private_authority_has_no_certificate_that_the_system_trusts(client_kind: ClientKind, azure: Azure) -> None:
    with pytest.raises(ServiceError) as caught:
        entra_client(client_kind, azure, ca_file=None).warm_up()
    assert caught.value.code == "tls_failed"
    assert "certificate" in caught.value.message
    assert "ca_file=" in caught.value.hint
    assert "SSL_CERT_FILE" in caught.value.hint


@pytest.mark.parametrize("content", [None, b"", b"this is no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_ca_file_that_cannot_be_used(
    client_kind: ClientKind, azure: Azure, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        entra_client(client_kind, azure, ca_file=file).warm_up()
    assert caught.value.code == "transport_unavailable"
    assert "ca_file=" in caught.value.hint


def test_a_ca_file_may_be_a_path_or_a_text(client_kind: ClientKind, azure: Azure) -> None:
    for ca_file in (azure.emulator.ca_file, Path(azure.emulator.ca_file)):
        entra_client(client_kind, azure, ca_file=ca_file).warm_up()


def test_the_variable_for_certificates_is_honoured(
    client_kind: ClientKind, azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", azure.emulator.ca_file)
    entra_client(client_kind, azure, ca_file=None).warm_up()


@pytest.mark.parametrize("form", ["{}", "{}/", "without scheme"])
def test_forms_of_an_authority(client_kind: ClientKind, azure: Azure, form: str) -> None:
    authority = azure.emulator.authority
    text = authority.removeprefix("https://") if form == "without scheme" else form.format(authority)
    entra_client(client_kind, azure, authority=text).warm_up()


@pytest.mark.parametrize(
    "authority",
    [
        "",
        "two words",
        "http://127.0.0.1:1",
        "https://user:secret@login.example",
        "https://login.example/tenant",
        "https://login.example?x=1",
        "ftp://login.example",
        5,
    ],
)
def test_what_is_no_authority(client_kind: ClientKind, azure: Azure, authority: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        entra_client(client_kind, azure, authority=authority)
    assert caught.value.code == "invalid_argument"
    assert "authority=" in caught.value.hint
    assert "secret" not in str(caught.value)
    assert requests(azure, "token") == 0


def test_a_scope_of_something_else_is_refused_by_the_service(client_kind: ClientKind, azure: Azure) -> None:
    with pytest.raises(ServiceError) as caught:
        entra_client(client_kind, azure, scope="https://graph.microsoft.com/.default").warm_up()
    assert (caught.value.code, caught.value.status) == ("unauthorized", 401)
    assert "scope=" in caught.value.hint


@pytest.mark.parametrize("scope", ["", "https://signalr.azure.com", "two words/.default"])
def test_a_scope_that_is_none(client_kind: ClientKind, azure: Azure, scope: str) -> None:
    """Told at construction or by Entra; either way the hint speaks of the scope and not of the secret."""
    with pytest.raises((ServiceError, InvalidArgumentError)) as caught:
        entra_client(client_kind, azure, scope=scope).warm_up()
    assert "scope=" in caught.value.hint
    assert "ClientSecret" not in caught.value.hint


@pytest.mark.parametrize("option", ["scope", "authority", "ca_file", "key_policy", "on_event"])
def test_an_option_of_another_type(client_kind: ClientKind, azure: Azure, option: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        connected(client_kind, azure, azure.emulator.entra_connection_string, **{option: 5})
    assert caught.value.code == "invalid_argument"
    assert option in str(caught.value)


MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    "policy",
    [
        KeyPolicy(lifetime=-MINUTE),
        KeyPolicy(lifetime=90),  # type: ignore[arg-type]
        KeyPolicy(lifetime=50 * MINUTE),
        KeyPolicy(margin=90 * MINUTE),
        KeyPolicy(margin=-MINUTE),
        KeyPolicy(renew_after=(50 * MINUTE, 40 * MINUTE)),
        KeyPolicy(renew_after=(50 * MINUTE, 85 * MINUTE)),
        KeyPolicy(renew_after=50 * MINUTE),  # type: ignore[arg-type]
        KeyPolicy(renew_after=(50 * MINUTE,)),  # type: ignore[arg-type]
        KeyPolicy(renew_after=(45, 55)),  # type: ignore[arg-type]
        KeyPolicy(retry_after=(0 * MINUTE, MINUTE)),
        KeyPolicy(retry_after=(2 * MINUTE, MINUTE)),
        KeyPolicy(retry_after=None),  # type: ignore[arg-type]
        object(),
    ],
    ids=range(14),
)
def test_a_policy_that_cannot_work(client_kind: ClientKind, azure: Azure, policy: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        entra_client(client_kind, azure, key_policy=policy)
    assert caught.value.code == "invalid_argument"
    assert caught.value.hint


def test_a_policy_at_its_limits(client_kind: ClientKind, azure: Azure) -> None:
    zero, second = timedelta(0), timedelta(seconds=1)
    policy = KeyPolicy(lifetime=2 * second, renew_after=(zero, zero), margin=zero, retry_after=(second, second))
    entra_client(client_kind, azure, key_policy=policy).warm_up()
    assert "KeyPolicy(lifetime=datetime.timedelta(seconds=2)" in repr(policy)
