"""The pytest plugin in pytest runs of their own, over applications as people write them."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from signalr.service_double import WATCHDOG

APP = """
from hubpass import SignalRServiceClient, WebPubSubServiceClient

# Built at import, as applications are.
client = SignalRServiceClient.from_env("chat")
web_client = WebPubSubServiceClient.from_env("chat")
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
            assert "AZURE_WEBPUBSUB_CONNECTIONSTRING" not in os.environ

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


def test_a_client_of_web_pubsub(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        import pytest
        from hubpass.pytest_plugin.web_pubsub import Message, RefusedError
        from app import web_client as client

        BOTH = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"]

        def test_groups(web_pubsub):
            ada = web_pubsub.connect(client.negotiate("ada", roles=BOTH, groups=["team"]))
            bob = web_pubsub.connect(client.negotiate("bob", groups=["team"]))
            assert (ada.user_id, bob.user_id) == ("ada", "bob")
            ada.send_to_group("team", {"n": [1, None]}, no_echo=True)
            assert bob.receive() == Message({"n": [1, None]}, "team", "ada")
            with pytest.raises(RefusedError, match="No role of the client") as refused:
                bob.send_to_group("team", "hello")
            assert refused.value.name == "Forbidden"
            with pytest.raises(RefusedError):
                bob.join_group("other")
            ada.join_group("other")
            ada.send_to_group("other", "to myself")
            ada.leave_group("team")
            # What came before an answer is not lost.
            assert ada.receive().data == "to myself"
            with pytest.raises(TimeoutError):
                web_pubsub.receive(timeout=0)

        def test_why_it_is_refused(web_pubsub):
            answer = client.negotiate("ada")
            web_pubsub.control.remove_role(web_pubsub.emulator.managed_identity_object_id)
            with pytest.raises(AssertionError, match="403.*clientConnection/write"):
                web_pubsub.connect(answer)

        def test_roles_are_back(web_pubsub):
            assert web_pubsub.journal == ()
            connection = web_pubsub.connect(client.negotiate("ada"))
            web_pubsub.control.close_connection(connection.connection_id, error="enough")
            with pytest.raises(AssertionError, match="enough"):
                connection.receive()
        """,
    )
    assert_passed(outcome, 3)


def test_access_keys_of_web_pubsub(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        import pytest
        from hubpass import WebPubSubServiceClient

        def client(web_pubsub):
            return WebPubSubServiceClient.from_connection_string(web_pubsub.access_key_connection_string, "chat")

        def test_they_are_regenerated(web_pubsub):
            answer = client(web_pubsub).negotiate("ada")
            web_pubsub.connect(answer)
            assert web_pubsub.revoke_keys() == 2
            with pytest.raises(AssertionError, match="401"):
                web_pubsub.connect(answer)

        def test_and_are_back(web_pubsub):
            web_pubsub.connect(client(web_pubsub).negotiate("ada"))
        """,
    )
    assert_passed(outcome, 2)


def test_both_services_in_one_test(tmp_path: Path) -> None:
    """It begins anew once, and not again for the second of them."""
    outcome = run(
        tmp_path,
        """
        import pytest
        from app import client, web_client

        @pytest.fixture
        def connected(signalr):
            return signalr.connect(client.negotiate("ada"))

        def test_it(connected, web_pubsub, signalr):
            web_pubsub.connect(web_client.negotiate("ada"))
            assert {found.service for found in web_pubsub.control.connections()} == {"SignalR", "WebPubSub"}
            client.send_to_all("hello")
            assert connected.receive().target == "hello"
            assert signalr.journal == web_pubsub.journal
        """,
    )
    assert_passed(outcome, 1)


def test_what_the_application_computes_from_the_clock_is_right(tmp_path: Path) -> None:
    """Every test begins at the machine's time, with a key of its own."""
    outcome = run(
        tmp_path,
        """
        from datetime import datetime, timedelta, timezone
        from app import client

        def negotiate():
            in_an_hour = datetime.now(timezone.utc) + timedelta(hours=1)
            return client.negotiate("ada", authentication_expires_on=in_an_hour)

        def test_one(signalr):
            signalr.connect(negotiate())
            assert [entry.route for entry in signalr.journal][:2] == ["managed_identity", "access_key"]
            signalr.advance(timedelta(days=30))

        def test_two(signalr):
            signalr.connect(negotiate())
            assert [entry.route for entry in signalr.journal][:2] == ["managed_identity", "access_key"]
        """,
    )
    assert_passed(outcome, 2)


@pytest.mark.parametrize("ini", ["hubpass_emulator = true", ""], ids=["before", "on demand"])
def test_processes_of_xdist_have_one_each(tmp_path: Path, ini: str) -> None:
    outcome = run(
        tmp_path,
        """
        import os, pathlib, pytest

        @pytest.mark.parametrize("number", range(8))
        def test_it(number, signalr):
            from app import client
            assert signalr.journal == ()
            connection = signalr.connect(client.negotiate("ada"))
            client.send_to_all(f"to {number}")
            assert connection.receive().target == f"to {number}"
            worker, own = os.environ["PYTEST_XDIST_WORKER"], str(signalr.emulator.pid)
            pathlib.Path(f"{worker}-{own}").touch()
        """,
        "-n",
        "2",
        "--dist",
        "load",
        ini=ini,
    )
    assert_passed(outcome, 8)
    found = [path.name.split("-") for path in tmp_path.glob("gw*")]
    assert sorted(worker for worker, _ in found) == ["gw0", "gw1"]
    assert len({pid for _, pid in found}) == 2
    # Nothing is left of them.
    assert not any(Path(f"/proc/{pid}").exists() for _, pid in found)
