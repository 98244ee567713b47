"""What the document of testing shows is run by pytest, and what it lists is compared with the code."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.blocks import Document
from hubpass.emulator import Emulator
from hubpass.emulator.environment import settings
from hubpass.pytest_plugin.signalr import SignalRTester
from hubpass.pytest_plugin.web_pubsub import WebPubSubTester
from signalr.service_double import WATCHDOG

DOCUMENT = Document("docs/testing.md")


def test_the_tests_pass(tmp_path: Path) -> None:
    tests = [DOCUMENT.code("Fixtures for pytest", 0), DOCUMENT.code("Fixtures for pytest", 1), DOCUMENT.code("Time")]
    for number, text in enumerate(tests):
        (tmp_path / f"test_{number}.py").write_text(text, encoding="utf-8")
    toml = re.findall(r"```toml\n(.*?)```", DOCUMENT.text, flags=re.DOTALL)[0]
    (tmp_path / "pyproject.toml").write_text(toml, encoding="utf-8")
    plugin = ["-p", "hubpass.pytest_plugin"] if not is_installed() else []
    outcome = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=WATCHDOG * 2,
        env={name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "PYTEST_"))},
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "3 passed" in outcome.stdout


def is_installed() -> bool:
    from importlib.metadata import entry_points

    return any(found.value == "hubpass.pytest_plugin" for found in entry_points(group="pytest11"))


@pytest.mark.parametrize("tester", [SignalRTester, WebPubSubTester])
def test_the_table_of_fixtures_is_whole(tester: type) -> None:
    listed = {name for row in DOCUMENT.rows("Fixtures for pytest") for name in re.findall(r"`(\w+)", row[0])}
    public = {name for name in dir(tester) if not name.startswith("_")}
    assert listed == public - {"close", "access_key_connection_string"}


def test_the_table_of_variables_is_whole() -> None:
    listed = {name for row in DOCUMENT.rows("Run it") for name in re.findall(r"`(\w+)`", row[0])}
    with Emulator() as emulator:
        assert listed == set(settings(emulator))
