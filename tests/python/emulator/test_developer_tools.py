"""The stand-ins for Azure CLI and Azure Developer CLI, run as programs and by azure-identity."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import AzureCliCredential, AzureDeveloperCliCredential, CredentialUnavailableError
from azure.identity.aio import AzureCliCredential as AsyncAzureCliCredential
from azure.identity.aio import AzureDeveloperCliCredential as AsyncAzureDeveloperCliCredential

from emulator.identity_support import is_good_for_a_key, object_id_of, token_of, token_of_async
from emulator.support import SCOPE, WATCHDOG_SECONDS, Azure, poll
from hubpass.emulator import ControlError, Emulator

Tool = Literal["az", "azd"]
ARGUMENTS: dict[Tool, list[str]] = {
    "az": ["account", "get-access-token", "--output", "json", "--resource", "https://signalr.azure.com"],
    "azd": ["auth", "token", "--output", "json", "--no-prompt", "--scope", SCOPE],
}
TOOLS: tuple[Tool, ...] = ("az", "azd")
CREDENTIALS: dict[Tool, Any] = {"az": AzureCliCredential, "azd": AzureDeveloperCliCredential}


@pytest.fixture
def directory(azure: Azure) -> Iterator[Path]:
    """The directory of the programs, which behave well again afterwards."""
    yield Path(azure.control.identity.install_developer_tools())
    for tool in TOOLS:
        azure.control.identity.set_developer_tool(tool)


@pytest.fixture
def on_path(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The programs in front of all others."""
    monkeypatch.setenv("PATH", str(directory), prepend=os.pathsep)
    return directory


def run(directory: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(directory / command[0]), *command[1:]],
        capture_output=True,
        text=True,
        timeout=WATCHDOG_SECONDS,
        check=False,
    )


def test_az_prints_a_token(azure: Azure, directory: Path) -> None:
    done = run(directory, "az", *ARGUMENTS["az"])
    assert (done.returncode, done.stderr) == (0, "")
    content = json.loads(done.stdout)
    assert set(content) == {"accessToken", "expiresOn", "expires_on", "subscription", "tenant", "tokenType"}
    assert object_id_of(content["accessToken"]) == azure.emulator.identity.developer_object_id
    assert is_good_for_a_key(azure, content["accessToken"])
    assert content["tenant"] == azure.emulator.tenant_id
    assert content["subscription"] == azure.emulator.identity.subscription_id
    assert abs(content["expires_on"] - time.time() - 3599) < 60
    local = datetime.strptime(content["expiresOn"], "%Y-%m-%d %H:%M:%S.%f").astimezone()
    assert local.timestamp() == content["expires_on"]
    entry = azure.control.journal("az")[-1]
    assert (entry.object_id, entry.action) == (
        azure.emulator.identity.developer_object_id,
        "token for https://signalr.azure.com",
    )


def test_azd_prints_a_token(azure: Azure, directory: Path) -> None:
    done = run(directory, "azd", *ARGUMENTS["azd"])
    assert (done.returncode, done.stderr) == (0, "")
    content = json.loads(done.stdout)
    assert set(content) == {"token", "expiresOn"}
    assert is_good_for_a_key(azure, content["token"])
    expires = datetime.strptime(content["expiresOn"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    assert abs(expires.timestamp() - time.time() - 3599) < 60


def test_az_takes_scopes_tenants_and_subscriptions(azure: Azure, directory: Path) -> None:
    base = ("az", "account", "get-access-token")
    subscription = azure.emulator.identity.subscription_id
    for more in (
        ["--scope", SCOPE],
        ["--scope", SCOPE, "--tenant", azure.emulator.tenant_id, "-o", "json"],
        ["--resource", "https://signalr.azure.com", "--subscription", subscription],
    ):
        assert is_good_for_a_key(azure, json.loads(run(directory, *base, *more).stdout)["accessToken"])
    assert run(directory, *base).returncode == 0
    refused = run(directory, *base, "--subscription", "other")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "Subscription 'other' not found" in refused.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["az", "account", "show"],
        ["az", *ARGUMENTS["az"], "--scope", SCOPE],
        ["az", *ARGUMENTS["az"], "--unknown"],
        ["azd", "auth", "login", "--output", "json"],
        ["azd", "auth", "token", "--scope", SCOPE],
    ],
)
def test_what_is_not_played_is_refused(directory: Path, command: list[str]) -> None:
    done = run(directory, *command)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("ERROR: ")


def test_tenants(azure: Azure, directory: Path) -> None:
    other = azure.control.identity.add_tenant()
    for tenant_id, number in ((other, "AADSTS50020"), (str(uuid.uuid4()), "AADSTS90002")):
        done = run(directory, "az", *ARGUMENTS["az"], "--tenant", tenant_id)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"ERROR: {number}: ")
        assert "az login --scope https://signalr.azure.com/.default" in done.stderr
        done = run(directory, "azd", *ARGUMENTS["azd"], "--tenant-id", tenant_id)
        assert (done.returncode, done.stdout) == (1, "")
        assert number in json.loads(done.stderr)["error"]


def test_azure_identity_gets_tokens(azure: Azure, on_path: Path) -> None:
    assert on_path.is_dir()
    for credential in (AzureCliCredential(), AzureDeveloperCliCredential()):
        assert is_good_for_a_key(azure, token_of(credential))
    for asynchronous in (AsyncAzureCliCredential(), AsyncAzureDeveloperCliCredential()):
        assert is_good_for_a_key(azure, asyncio.run(token_of_async(asynchronous)))
    tenant_id = azure.emulator.tenant_id
    for credential in (AzureCliCredential(tenant_id=tenant_id), AzureDeveloperCliCredential(tenant_id=tenant_id)):
        assert is_good_for_a_key(azure, token_of(credential))


UNAVAILABLE = {"az": "Please run 'az login'", "azd": "Please run 'azd auth login'"}


@pytest.mark.parametrize("tool", TOOLS)
def test_azure_identity_with_nobody_signed_in(azure: Azure, on_path: Path, tool: Tool) -> None:
    azure.control.identity.set_developer_tool(tool, "signed_out")
    with pytest.raises(CredentialUnavailableError, match=UNAVAILABLE[tool]):
        token_of(CREDENTIALS[tool]())
    done = run(on_path, tool, *ARGUMENTS[tool])
    assert (done.returncode, done.stdout) == (1, "")
    if tool == "az":
        assert done.stderr == "ERROR: Please run 'az login' to setup account.\n"


@pytest.mark.parametrize("tool", TOOLS)
def test_azure_identity_with_an_expired_session(azure: Azure, on_path: Path, tool: Tool) -> None:
    assert on_path.is_dir()
    azure.control.identity.set_developer_tool(tool, "session_expired")
    with pytest.raises(ClientAuthenticationError, match="AADSTS700082: The refresh token has expired") as caught:
        token_of(CREDENTIALS[tool]())
    assert not isinstance(caught.value, CredentialUnavailableError)


@pytest.mark.parametrize("tool", TOOLS)
def test_azure_identity_with_warnings_and_garbage(azure: Azure, on_path: Path, tool: Tool) -> None:
    identity = azure.control.identity
    identity.set_developer_tool(tool, "warning")
    done = run(on_path, tool, *ARGUMENTS[tool])
    assert done.stderr.startswith("WARNING: ")
    assert is_good_for_a_key(azure, token_of(CREDENTIALS[tool]()))
    identity.set_developer_tool(tool, "warning_in_output")
    first, _, rest = run(on_path, tool, *ARGUMENTS[tool]).stdout.partition("\n")
    assert first.startswith("WARNING: ")
    assert json.loads(rest)
    for mode in ("warning_in_output", "garbage"):
        identity.set_developer_tool(tool, mode)
        with pytest.raises(ClientAuthenticationError, match="Unexpected output"):
            token_of(CREDENTIALS[tool]())


@pytest.mark.parametrize("tool", TOOLS)
def test_azure_identity_gives_up_on_a_program_that_hangs(azure: Azure, on_path: Path, tool: Tool) -> None:
    assert on_path.is_dir()
    control = azure.control
    control.fail_next(tool, hold=True)
    with pytest.raises(CredentialUnavailableError, match="Failed to invoke the Azure"):
        token_of(CREDENTIALS[tool](process_timeout=1))
    # It killed the program, which therefore waits no longer.
    entry = control.wait_for_journal(lambda entry: entry.route == tool, timeout=WATCHDOG_SECONDS)
    assert entry.action == "fault: client left"


def test_a_slow_program_answers_when_it_is_released(azure: Azure, directory: Path) -> None:
    control = azure.control
    control.fail_next("az", hold=True)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, directory, "az", *ARGUMENTS["az"])
        try:
            poll(lambda: len(control.held()) == 1, "the program waits")
            assert not running.done()
        finally:
            control.release()
        assert running.result().returncode == 0


def test_a_program_fails_when_the_emulator_does(azure: Azure, directory: Path) -> None:
    for trouble in ({"drop": True}, {"garbage": True}):
        azure.control.fail_next("azd", **trouble)  # type: ignore[arg-type]
        done = run(directory, "azd", *ARGUMENTS["azd"])
        assert (done.returncode, done.stdout) == (1, "")
        assert secret_of(directory) not in done.stderr


def secret_of(directory: Path) -> str:
    found = re.search(r"^SECRET = '(\w+)'$", (directory / "azd.py").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found.group(1)


def test_only_the_programs_may_ask(azure: Azure, directory: Path) -> None:
    secret = secret_of(directory)
    url = f"{azure.emulator.identity.imds_endpoint}/tools/az"
    order = {"arguments": ARGUMENTS["az"]}
    for headers in ({}, {"X-Tool-Secret": "wrong"}):
        assert azure.http.post(url, json=order, headers=headers).status_code == 401
    assert azure.http.post(url, json=order, headers={"X-Tool-Secret": secret}).json()["exit_code"] == 0
    assert azure.http.post(url, json={"arguments": "x"}, headers={"X-Tool-Secret": secret}).status_code == 400
    azure.http.post(url, params={"unknown": secret})
    assert len(azure.control.journal("az")) == 5
    assert secret not in repr(azure.control.journal())
    assert not any(secret in line for line in azure.emulator.log_lines)
    modes = {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}
    assert modes == {"az": 0o700, "azd": 0o700, "az.py": 0o600, "azd.py": 0o600}


def test_the_directory_ends_with_the_emulator() -> None:
    with Emulator(roles=[]) as emulator:
        azure = Azure(emulator)
        directory = Path(azure.control.identity.install_developer_tools())
        assert azure.control.identity.install_developer_tools() == str(directory)
        token = json.loads(run(directory, "az", *ARGUMENTS["az"]).stdout)["accessToken"]
        assert azure.ask_key(token).status_code == 403
        azure.control.assign_role(emulator.identity.developer_object_id, "SignalR App Server")
        assert azure.ask_key(token).status_code == 200
        azure.close()
    assert not directory.parent.exists()


def test_the_modes_are_named(azure: Azure) -> None:
    wrong: Any = "odd"
    with pytest.raises(ControlError, match="mode must be one of signed_in"):
        azure.control.identity.set_developer_tool("az", wrong)
    with pytest.raises(ControlError, match="tool must be one of az, azd"):
        azure.control.identity.set_developer_tool(wrong)
