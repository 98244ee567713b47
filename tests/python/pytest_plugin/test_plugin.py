"""The pytest plugin in pytest runs of their own, over applications as people write them."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from signalr.service_double import WATCHDOG

APP = """
import os
from hubpass import SignalRServiceClient

# Built at import, as applications are.
client = SignalRServiceClient.from_connection_string(os.environ["AZURE_SIGNALR_CONNECTIONSTRING"], "chat")
"""


def run(
    place: Path, tests: str, *arguments: str, ini: str = "hubpass_emulator = true"
) -> "subprocess.CompletedProcess[str]":
    (place / "app.py").write_text(dedent(APP))
    (place / "test_app.py").write_text(dedent(tests))
    (place / "pytest.ini").write_text(f"[pytest]\n{ini}\n")
    plugin = [] if _is_installed() else ["-p", "hubpass.pytest_plugin"]
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, *arguments],
        check=False,
        cwd=place,
        capture_output=True,
        text=True,
        timeout=WATCHDOG * 2,
        env={name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "PYTEST_"))},
    )


def _is_installed() -> bool:
    from importlib.metadata import entry_points

    return any(found.value == "hubpass.pytest_plugin" for found in entry_points(group="pytest11"))


def assert_passed(outcome: "subprocess.CompletedProcess[str]", count: int) -> None:
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert f"{count} passed" in outcome.stdout


def test_an_application_that_is_built_at_import(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        from app import client

        def test_a_client_connects_and_receives(signalr):
            connection = signalr.connect(client.negotiate("ada"))
            client.send_to_all("message", "hello", 7)
            received = connection.receive()
            assert (received.target, received.arguments) == ("message", ["hello", 7])
            client.send_to_all("again")
            assert signalr.receive().target == "again"
            (connected,) = signalr.control.connections()
            assert (connected.user_id, connected.connection_id) == ("ada", connection.connection_id)
        """,
    )
    assert_passed(outcome, 1)


def test_every_test_begins_anew(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        from datetime import timedelta
        import pytest
        from hubpass import ServiceError
        from app import client

        def test_faults_and_pauses(signalr):
            signalr.fail("access_key", times=99, status=503)
            signalr.fail("managed_identity", hold=True)
            signalr.control.release()
            with pytest.raises(ServiceError):
                client.negotiate("ada", timeout=2)

        def test_are_gone(signalr):
            assert signalr.journal == ()
            signalr.connect(client.negotiate("ada"))

        def test_revoked_keys(signalr):
            answer = client.negotiate("ada")
            assert signalr.revoke_keys() == 1
            with pytest.raises(AssertionError, match="signature key was not found"):
                signalr.connect(answer)

        def test_are_gone_too(signalr):
            signalr.connect(client.negotiate("ada"))

        def test_connections(signalr):
            assert signalr.control.connections() == ()
        """,
    )
    assert_passed(outcome, 5)


def test_time_passes_on_both_clocks(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        from datetime import timedelta
        import pytest
        from app import client

        def test_a_token_expires(signalr):
            answer = client.negotiate("ada", lifetime=timedelta(minutes=5))
            signalr.advance(timedelta(minutes=11))
            with pytest.raises(AssertionError, match="expired"):
                signalr.connect(answer)
            signalr.connect(client.negotiate("ada"))

        def test_a_day_of_renewals(signalr):
            kids = set()
            for _ in range(24):
                signalr.connect(client.negotiate("ada")).close()
                kids.add(client.status()["kid"])
                signalr.advance(timedelta(hours=1))
            assert len(kids) > 12
        """,
    )
    assert_passed(outcome, 2)


def test_without_the_option_it_starts_with_the_first_test_that_asks(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        import os
        from hubpass import SignalRServiceClient

        def test_nothing_is_there():
            assert "AZURE_SIGNALR_CONNECTIONSTRING" not in os.environ

        def test_it_is_there(signalr):
            client = SignalRServiceClient.from_connection_string(signalr.connection_string, "chat")
            assert os.environ["AZURE_SIGNALR_CONNECTIONSTRING"] == signalr.connection_string
            signalr.connect(client.negotiate("ada"))
        """,
        ini="",
    )
    assert_passed(outcome, 2)


def test_a_run_that_does_not_use_it_does_not_notice_it(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        import sys

        def test_nothing_was_imported():
            assert not any(name.startswith("hubpass.emulator") or name == "starlette" for name in sys.modules)
        """,
        ini="",
    )
    assert_passed(outcome, 1)


def test_receive_needs_a_client(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        import pytest

        def test_it(signalr):
            with pytest.raises(AssertionError, match="connect"):
                signalr.receive()
        """,
    )
    assert_passed(outcome, 1)
