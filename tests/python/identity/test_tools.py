"""The tools of developers: how they are run, what they may write, and that nothing of them lives on."""

import base64
import datetime as dt
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from emulator.support import poll
from hubpass import ClientAuthenticationError, CredentialUnavailableError, InvalidArgumentError
from identity.doubles import TENANT, Kind, get, soon, write_tool

AZ = "AzureCliCredential"
AZD = "AzureDeveloperCliCredential"


def az_answer(text: str = "given", **others: Any) -> str:
    return json.dumps({"accessToken": text, "expiresOn": "2000-01-01 00:00:00.000000", "expires_on": soon(), **others})


def azd_answer(text: str = "given") -> str:
    expires_on = dt.datetime.now(dt.timezone.utc) + dt.timedelta(hours=1)
    return json.dumps({"token": text, "expiresOn": expires_on.strftime("%Y-%m-%dT%H:%M:%SZ")})


def telling(folder: Path, name: str, answer: str) -> Path:
    """A tool that keeps its arguments, one a line, and writes an answer."""
    asked = folder / "asked"
    write_tool(folder, name, f"printf '%s\\n' \"$@\" > '{asked}'\nprintf '%s' '{answer}'")
    return asked


def test_the_azure_cli(kind: Kind, tmp_path: Path) -> None:
    asked = telling(tmp_path, "az", az_answer())
    assert get(kind.make(AZ)) == "given"
    expected = ["account", "get-access-token", "--output", "json", "--resource", "https://signalr.azure.com"]
    assert asked.read_text().splitlines() == expected
    credential = kind.make(AZ, tenant_id=TENANT, subscription="my subscription")
    assert get(credential) == "given"
    assert asked.read_text().splitlines() == [*expected, "--tenant", TENANT, "--subscription", "my subscription"]
    asked.unlink()
    # Tokens are kept.
    assert get(credential) == "given"
    assert not asked.exists()


def test_the_azure_developer_cli(kind: Kind, tmp_path: Path) -> None:
    asked = telling(tmp_path, "azd", azd_answer())
    expected = ["auth", "token", "--output", "json", "--no-prompt"]
    credential = kind.make(AZD)
    assert get(credential, "https://a/.default", "https://b/.default", tenant_id=TENANT, claims='{"a":1}') == "given"
    challenge = base64.b64encode(b'{"a":1}').decode()
    assert asked.read_text().splitlines() == [
        *expected,
        "--scope",
        "https://a/.default",
        "--scope",
        "https://b/.default",
        "--tenant-id",
        TENANT,
        "--claims",
        challenge,
    ]


def test_a_token_of_the_developer_cli_expires_in_utc(kind: Kind, tmp_path: Path) -> None:
    from signalr.client_kind import settle

    telling(tmp_path, "azd", json.dumps({"token": "given", "expiresOn": "2100-01-01T00:00:00Z"}))
    given = settle(kind.make(AZD).get_token("https://a/.default"))
    assert given.expires_on == dt.datetime(2100, 1, 1, tzinfo=dt.timezone.utc).timestamp()


def test_further_claims_need_a_login(kind: Kind, tmp_path: Path) -> None:
    telling(tmp_path, "az", az_answer())
    with pytest.raises(CredentialUnavailableError) as caught:
        get(kind.make(AZ), "https://a/.default", claims='{"a":1}')
    challenge = base64.b64encode(b'{"a":1}').decode()
    assert f"az login --claims-challenge {challenge} --scope https://a/.default" in caught.value.hint


@pytest.mark.parametrize("name", [AZ, AZD])
def test_a_tool_that_is_not_there(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Neither in a directory that is not absolute, nor without leave to run it."""
    here = tmp_path / "bin"
    here.mkdir()
    for tool in ("az", "azd"):
        write_tool(here, tool, "exit 1")
        (tmp_path / tool).write_text("no program")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.pathsep.join(["", ".", "bin", str(tmp_path)]))
    with pytest.raises(CredentialUnavailableError) as caught:
        get(kind.make(name))
    assert caught.value.code == "credential_unavailable"
    assert "PATH" in caught.value.message
    assert "https://aka.ms/" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "tool", "complaint", "unavailable", "hint"),
    [
        (AZ, "az", "ERROR: Please run 'az login' to setup account. canary", True, "az login"),
        (AZ, "az", "ERROR: AADSTS700082: expired canary. To re-authenticate, please run: az login", False, "az login"),
        (AZ, "az", "ERROR: canary", False, "az account get-access-token"),
        (AZD, "azd", '{"error":"not logged in, run `azd auth login` to login. canary"}', True, "azd auth login"),
        (AZD, "azd", "ERROR: AADSTS50020: canary", False, "az account show"),
        (AZD, "azd", "ERROR: canary", False, "azd auth token"),
    ],
)
def test_what_tools_complain_of(
    kind: Kind, tmp_path: Path, name: str, tool: str, complaint: str, unavailable: bool, hint: str
) -> None:
    (tmp_path / "complaint").write_text(complaint)
    write_tool(
        tmp_path,
        tool,
        f'while read -r line; do echo "$line" >&2; done < {tmp_path}/complaint; echo "$line" >&2; exit 1',
    )
    with pytest.raises(ClientAuthenticationError) as caught:
        get(kind.make(name))
    assert isinstance(caught.value, CredentialUnavailableError) == unavailable
    assert hint in caught.value.hint
    assert "canary" not in str(caught.value)
    if "AADSTS" in complaint:
        assert complaint.split(": ")[1] in caught.value.message


@pytest.mark.parametrize(
    "answer", ["", "canary", "{}", '{"accessToken":"canary","token":"canary"}', '{"accessToken":""}']
)
@pytest.mark.parametrize(("name", "tool"), [(AZ, "az"), (AZD, "azd")])
def test_what_is_no_token(kind: Kind, tmp_path: Path, name: str, tool: str, answer: str) -> None:
    telling(tmp_path, tool, answer)
    with pytest.raises(ClientAuthenticationError) as caught:
        get(kind.make(name))
    assert caught.value.code == "identity_unavailable"
    assert tool in caught.value.hint
    assert "canary" not in str(caught.value)


def test_a_tool_that_takes_too_long_is_ended(kind: Kind, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    # The shell waits for one that it has started, as the tools do.
    write_tool(
        tmp_path, "az", f"(echo $$ >> {pids}; while :; do read -r _ < /dev/zero || :; done) & echo $! >> {pids}; wait"
    )
    with pytest.raises(CredentialUnavailableError) as caught:
        get(kind.make(AZ, process_timeout=0.5))
    assert "0.5 seconds" in caught.value.message
    assert "process_timeout=" in caught.value.hint
    found = {int(line) for line in pids.read_text().split()}
    assert len(found) == 2
    poll(lambda: not any(is_running(pid) for pid in found), "a tool lives on")


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not yet collected does not."""
    try:
        os.kill(pid, signal.SIG_DFL)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.parametrize("scope", ["https://a/.default;id", "-h", "a&b", "$(id)"])
@pytest.mark.parametrize(("name", "tool"), [(AZ, "az"), (AZD, "azd")])
def test_nothing_else_gets_onto_a_command_line(kind: Kind, tmp_path: Path, name: str, tool: str, scope: str) -> None:
    asked = telling(tmp_path, tool, az_answer())
    for scopes, options in (((scope,), {}), (("https://a/.default",), {"tenant_id": scope})):
        with pytest.raises(InvalidArgumentError) as caught:
            get(kind.make(name), *scopes, **options)
        assert caught.value.code == "invalid_argument"
    assert not asked.exists()


@pytest.mark.parametrize("options", [{"subscription": "a;b"}, {"tenant_id": "a b"}, {"process_timeout": 0}])
def test_arguments_that_cannot_be_used(kind: Kind, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        kind.make(AZ, **options)
    assert caught.value.code == "invalid_argument"
    assert f"{next(iter(options))}=" in caught.value.hint
