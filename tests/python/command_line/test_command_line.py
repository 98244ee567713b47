"""The command ``hubpass``, as a person types it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import hubpass
from signalr.service_double import WATCHDOG

PRINT_SETTINGS = "import json, os; print(json.dumps(dict(os.environ)))"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "hubpass", *arguments]


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(*arguments),
        check=False,
        capture_output=True,
        text=True,
        timeout=WATCHDOG,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
    )


def test_version_and_help() -> None:
    assert run("--version").stdout == f"hubpass {hubpass.__version__}\n"
    for arguments in ([], ["--help"]):
        shown = run(*arguments)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert "hubpass emulator run -- COMMAND" in shown.stdout


@pytest.mark.parametrize("arguments", [["emulate"], ["emulator", "--no-such-option"], ["emulator", "run"]], ids=str)
def test_what_it_does_not_know(arguments: list[str]) -> None:
    shown = run(*arguments)
    assert (shown.returncode, shown.stdout) == (2, "")
    assert "hubpass" in shown.stderr


def test_a_command_finds_the_local_azure_and_no_other() -> None:
    elsewhere = {
        "AzureSignalRConnectionString": "Endpoint=https://real.service.signalr.net;AccessKey=real",
        "AzureSignalRConnectionString__serviceUri": "https://real.service.signalr.net",
        "IDENTITY_ENDPOINT": "http://169.254.1.1/token",
        "AZURE_WEBPUBSUB_HOST": "real.webpubsub.azure.com",
        "WebPubSubConnectionString__serviceUri": "https://real.webpubsub.azure.com",
        "COLOUR": "green",
    }
    shown = run("emulator", "run", "--", sys.executable, "-c", PRINT_SETTINGS, **elsewhere)
    assert (shown.returncode, shown.stderr) == (0, "")
    found = json.loads(shown.stdout)
    assert found["AZURE_SIGNALR_CONNECTIONSTRING"].startswith("Endpoint=http://127.0.0.1;")
    assert "AccessKey" not in found["AZURE_SIGNALR_CONNECTIONSTRING"]
    assert found["AZURE_WEBPUBSUB_CONNECTIONSTRING"].startswith("Endpoint=http://127.0.0.1;")
    assert "AccessKey" not in found["AZURE_WEBPUBSUB_CONNECTIONSTRING"]
    assert found["IDENTITY_ENDPOINT"].startswith("http://127.0.0.1:")
    assert found["COLOUR"] == "green"
    assert not any("real" in value for name, value in found.items() if name != "PATH")


@pytest.mark.parametrize("service", ["SignalR", "WebPubSub"])
def test_an_application_negotiates_in_it(service: str) -> None:
    script = (
        f"from hubpass import {service}ServiceClient as C; c = C.from_env('chat'); "
        "print(c.negotiate('ada')['url'].partition('?')[0], c.status()['credential'])"
    )
    shown = run("emulator", "run", "--", sys.executable, "-c", script)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.split()[1] == "ManagedIdentityCredential"


@pytest.mark.parametrize("code", [0, 3, 127])
def test_the_exit_code_is_the_commands(code: int) -> None:
    shown = run("emulator", "run", sys.executable, "-c", f"raise SystemExit({code})")
    assert (shown.returncode, shown.stderr) == (code, "")


def test_what_cannot_be_run(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program")
    for path, code in (("/no/such/program", 127), (str(plain), 126)):
        shown = run("emulator", "run", "--", path)
        assert shown.returncode == code
        assert shown.stderr.startswith(f"hubpass cannot run {path}:")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_command_and_then_the_local_azure(number: signal.Signals) -> None:
    script = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_DFL)\n"
        "signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
        "print(os.environ['HUBPASS_EMULATOR_CONTROL_URL'], flush=True)\n"
        "sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        command("emulator", "run", "--", sys.executable, "-c", script),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("http://127.0.0.1:")
    process.send_signal(number)
    _, errors = process.communicate(timeout=WATCHDOG)
    assert (process.returncode, errors) == (128 + number, "")
