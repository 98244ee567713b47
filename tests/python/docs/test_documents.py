"""What the documents show is run, and what they list is compared with the code."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import hubpass
from hubpass import _native
from hubpass.emulator import Emulator

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")

# Joins as the README's line says and ends with success when a message has come.
JOIN = """
const signalR = require("@microsoft/signalr");
{line}
connection.on("message", (text) => {{
  console.log(text);
  connection.stop().then(() => process.exit(0));
}});
connection.start().then(() => fetch("{app}/messages?text=hello", {{ method: "POST" }}));
setTimeout(() => process.exit(3), 20000).unref();
"""


def blocks(language: str) -> list[str]:
    """The README's code in a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def serving(folder: Path, connection_string: str) -> Iterator[str]:
    """The README's server, as its reader would run it."""
    port = free_port()
    environment = {**os.environ, "AZURE_SIGNALR_CONNECTIONSTRING": connection_string}
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--log-level", "warning"]
    with subprocess.Popen(command, cwd=folder, env=environment) as server:
        try:
            wait_for(f"http://127.0.0.1:{port}/docs", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    """Until the server answers; the watchdog is generous because machines are slow."""
    ends = time.monotonic() + 30
    while time.monotonic() < ends and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - a loopback URL made above
        except OSError:
            continue
        return
    raise AssertionError(f"the README's server does not answer; exit code {server.poll()}")


def test_the_first_screen_lets_a_real_client_in(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(blocks("python")[0], encoding="utf-8")
    [line] = blocks("js")
    with Emulator() as azure, serving(tmp_path, azure.connection_string) as app:
        assert '"/chat"' in line
        script = JOIN.format(line=line.replace('"/chat"', f'"{app}/chat"'), app=app)
        node = ["node", "--eval", script]
        joined = subprocess.run(
            node, cwd=ROOT / "tests/clients", capture_output=True, text=True, timeout=50, check=False
        )
        assert "hello" in joined.stdout.splitlines(), joined.stderr
        assert joined.returncode == 0
        [connection] = azure.control.journal("connect")
        assert connection.user_id == "ada"


def run(code: str) -> dict[str, object]:
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102 - the README is ours
    return names


def test_a_client_with_a_credential_says_what_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    names = run(blocks("python")[1])
    assert isinstance(names["client"], hubpass.SignalRServiceClient)
    assert "'mode': 'entra'" in capsys.readouterr().out


def test_the_longer_example_runs() -> None:
    names = run(blocks("python")[2])
    assert isinstance(names["answer"], hubpass.NegotiationResponse)
    assert isinstance(names["guest"], hubpass.NegotiationResponse)


def test_the_table_of_errors_is_whole() -> None:
    document = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", document, flags=re.MULTILINE))
    assert rows == _native.error_codes()


def test_links_within_the_repository_lead_somewhere() -> None:
    for document in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_vectors_are_as_many_as_the_readme_says() -> None:
    files = (ROOT / "tests/vectors").glob("*.json")
    rows = sum(len(json.loads(path.read_text(encoding="utf-8"))["rows"]) for path in files)
    assert f"[{rows} golden vectors]" in README
