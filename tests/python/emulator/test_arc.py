"""The agent of Azure Arc: its challenge, what clients must refuse of it, and azure-identity with it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ManagedIdentityCredential
from azure.identity.aio import ManagedIdentityCredential as AsyncManagedIdentityCredential

from emulator.identity_support import is_good_for_a_key, object_id_of, token_of, token_of_async
from emulator.support import ABSENT, Azure
from hubpass.emulator import ControlError, Emulator

RESOURCE = "https://signalr.azure.com"


@pytest.fixture
def arc(azure: Azure) -> Iterator[Azure]:
    """The emulator, whose agent gives good challenges again afterwards."""
    yield azure
    azure.control.identity.set_arc_challenge()


@pytest.fixture
def server(arc: Azure, monkeypatch: pytest.MonkeyPatch) -> Azure:
    """The environment of a machine with the agent, whose directory Microsoft's clients take for the real one."""
    for name in ("IDENTITY_HEADER", "MSI_ENDPOINT", "MSI_SECRET"):
        monkeypatch.delenv(name, raising=False)
    for name, value in arc.emulator.identity.arc_environment.items():
        monkeypatch.setenv(name, value)
    directory = arc.emulator.identity.arc_directory
    monkeypatch.setattr("msal.managed_identity._supported_arc_platforms_and_their_prefixes", {"linux": directory})
    monkeypatch.setattr("azure.identity._credentials.azure_arc._get_key_file_path", lambda: directory)
    return arc


def asked(
    azure: Azure, secret: str | None = None, *, headers: dict[str, str] | None = None, **query: object
) -> httpx.Response:
    """A request that is right unless something else is given; without a secret it is the first one."""
    right = {"api-version": "2020-06-01", "resource": RESOURCE}
    named = {name.replace("api_version", "api-version"): value for name, value in query.items()}
    present = {name: value for name, value in {**right, **named}.items() if value is not ABSENT}
    own = {} if secret is None else {"Authorization": f"Basic {secret}"}
    url = f"{azure.emulator.identity.arc_endpoint}?{urlencode(present, doseq=True)}"
    return azure.http.get(url, headers={"Metadata": "true", **own} if headers is None else headers)


def challenged(azure: Azure) -> Path:
    """The file that a challenge names."""
    answer = asked(azure)
    assert answer.status_code == 401
    scheme, _, path = answer.headers["www-authenticate"].partition(" realm=")
    assert scheme == "Basic"
    return Path(path)


def test_a_secret_is_read_from_a_file_and_counts_once(arc: Azure) -> None:
    path, other = challenged(arc), challenged(arc)
    assert str(path.parent) == arc.emulator.identity.arc_directory
    assert path.suffix == ".key"
    assert (path.stat().st_mode & 0o777, path.stat().st_size <= 4096) == (0o600, True)
    secret = path.read_text(encoding="ascii")
    assert secret != other.read_text(encoding="ascii")
    content = asked(arc, secret).raise_for_status().json()
    assert object_id_of(content["access_token"]) == arc.emulator.managed_identity_object_id
    assert (content["resource"], content["token_type"]) == (RESOURCE, "Bearer")
    assert is_good_for_a_key(arc, content["access_token"])
    assert not path.exists()
    assert other.exists()
    again = asked(arc, secret)
    assert (again.status_code, again.json()["error"]) == (403, "unauthorized_client")
    entries = arc.control.journal("arc_token")
    assert [entry.action for entry in entries] == [
        "challenged",
        "challenged",
        f"token for {RESOURCE}",
        "refused",
    ]


def test_a_secret_is_used_up_by_a_bad_request(arc: Azure) -> None:
    path = challenged(arc)
    secret = path.read_text(encoding="ascii")
    assert asked(arc, secret, client_id="nobody").json()["error_description"] == "Identity not found"
    assert not path.exists()
    assert asked(arc, secret).status_code == 403


@pytest.mark.parametrize("authorization", ["Bearer x", "Basic", "Basic wrong", "x"])
def test_a_wrong_secret_is_refused(arc: Azure, authorization: str) -> None:
    path = challenged(arc)
    answer = asked(arc, headers={"Metadata": "true", "Authorization": authorization})
    assert answer.status_code == 403
    assert path.exists()


@pytest.mark.parametrize("version", ["2019-11-01", "2020-06-01"])
def test_both_versions(arc: Azure, version: str) -> None:
    assert asked(arc, api_version=version).status_code == 401


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, {}),
        ({"Metadata": "true", "X-Forwarded-For": "10.0.0.1"}, {}),
        (None, {"api_version": "2018-02-01"}),
        (None, {"api_version": ABSENT}),
    ],
)
def test_a_bad_request_is_not_challenged(arc: Azure, headers: dict[str, str] | None, query: dict[str, Any]) -> None:
    answer = asked(arc, headers=headers, **query)
    assert answer.status_code == 400
    assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize("selector", ["client_id", "object_id", "msi_res_id"])
def test_the_answer_names_a_user_assigned_identity(arc: Azure, selector: str) -> None:
    emulator = arc.emulator
    value: Any = {
        "client_id": emulator.user_assigned_client_id,
        "object_id": emulator.user_assigned_object_id,
        "msi_res_id": emulator.user_assigned_resource_id,
    }[selector]
    secret = challenged(arc).read_text(encoding="ascii")
    named: dict[str, Any] = {selector: value}
    content = asked(arc, secret, **named).raise_for_status().json()
    assert content[selector] == value
    assert object_id_of(content["access_token"]) == emulator.user_assigned_object_id


def test_unanswered_challenges_do_not_fill_the_disk(arc: Azure) -> None:
    first = challenged(arc)
    for _ in range(99):
        challenged(arc)
    last = challenged(arc)
    assert not first.exists()
    assert last.exists()
    assert len(list(last.parent.iterdir())) == 100


def test_no_secret_is_in_the_journal_or_the_log(arc: Azure) -> None:
    secret = challenged(arc).read_text(encoding="ascii")
    asked(arc, "wrong", resource=secret)
    asked(arc, secret, resource=f"https://{secret}")
    assert secret not in repr(arc.control.journal())
    assert not any(secret in line for line in arc.emulator.log_lines)


def test_azure_identity_gets_tokens(server: Azure) -> None:
    emulator = server.emulator
    for token in (
        token_of(ManagedIdentityCredential(retry_total=0)),
        asyncio.run(token_of_async(AsyncManagedIdentityCredential(retry_total=0))),
    ):
        assert object_id_of(token) == emulator.managed_identity_object_id
        assert is_good_for_a_key(server, token)
    selectors: list[dict[str, Any]] = [
        {"client_id": emulator.user_assigned_client_id},
        {"identity_config": {"object_id": emulator.user_assigned_object_id}},
        {"identity_config": {"resource_id": emulator.user_assigned_resource_id}},
    ]
    for selector in selectors:
        token = token_of(ManagedIdentityCredential(retry_total=0, **selector))
        assert object_id_of(token) == emulator.user_assigned_object_id


Challenge = Literal["too_large", "outside", "wrong_suffix", "missing_file", "without_realm"]
CHALLENGES: dict[Challenge, str] = {
    "too_large": "4096",
    "outside": "Unexpected file path",
    "wrong_suffix": "'.key' extension",
    "missing_file": "does not exist",
    "without_realm": "did not receive a correct value",
}


@pytest.mark.parametrize("challenge", CHALLENGES)
def test_azure_identity_refuses_a_bad_challenge(server: Azure, challenge: Challenge) -> None:
    server.control.identity.set_arc_challenge(challenge)
    # The asynchronous credential checks all of these by itself; the synchronous one looks for a file of that name.
    with pytest.raises(ClientAuthenticationError, match=f"(?i){CHALLENGES[challenge]}"):
        asyncio.run(token_of_async(AsyncManagedIdentityCredential(retry_total=0)))
    server.control.identity.set_arc_challenge()
    assert is_good_for_a_key(server, asyncio.run(token_of_async(AsyncManagedIdentityCredential(retry_total=0))))


def test_the_kinds_of_challenges_are_named(arc: Azure) -> None:
    wrong: Any = "odd"
    with pytest.raises(ControlError, match="challenge must be one of right, too_large"):
        arc.control.identity.set_arc_challenge(wrong)


def test_the_directory_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "azcmagent" / "tokens"
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with Emulator(arc_directory=str(directory)) as emulator:
        azure = Azure(emulator)
        assert emulator.identity.arc_directory == str(directory)
        kept = directory / "of-another.key"
        kept.write_text("x", encoding="ascii")
        path = challenged(azure)
        assert path.parent == directory
        assert asked(azure, challenged(azure).read_text(encoding="ascii")).status_code == 200
        azure.close()
    # Only what is the emulator's own is gone.
    assert list(directory.iterdir()) == [kept]
    assert [path.name for path in tmp_path.iterdir()] == ["azcmagent"]
