"""Web servers with several workers, started for real."""

from collections.abc import Sequence

import pytest

from emulator.support import Azure
from entra.clients import assert_accepted, requests
from hosts.host import Command, module, serving
from hosts.probe import ask_until, assert_workers_negotiate

WORKERS = 2


def gunicorn(*arguments: str, application: str = "hosts.flask_app:app") -> Command:
    """Two workers of gunicorn with a WSGI application."""

    def command(listener: int) -> Sequence[str]:
        # Its control socket would be a file in the home directory.
        ours = [
            "--bind",
            f"fd://{listener}",
            "--workers",
            str(WORKERS),
            "--log-level",
            "warning",
            "--no-control-socket",
        ]
        return module("gunicorn", *ours, *arguments, application)

    return command


def uvicorn(listener: int) -> Sequence[str]:
    """Two workers of uvicorn, which it spawns, with the FastAPI application."""
    ours = ["--fd", str(listener), "--workers", str(WORKERS), "--log-level", "warning"]
    return module("uvicorn", *ours, "hosts.fastapi_app:app")


@pytest.mark.parametrize(
    ("command", "fetched"),
    [
        pytest.param(gunicorn("--worker-class", "sync"), WORKERS, id="gunicorn sync"),
        pytest.param(gunicorn("--worker-class", "sync", "--preload"), 1, id="gunicorn sync preloaded"),
        pytest.param(gunicorn("--worker-class", "gthread", "--threads", "4"), WORKERS, id="gunicorn gthread"),
        pytest.param(gunicorn("--worker-class", "gthread", "--threads", "4", "--preload"), 1, id="gthread preloaded"),
        pytest.param(uvicorn, WORKERS, id="uvicorn"),
    ],
)
def test_each_worker_negotiates(azure: Azure, command: Command, fetched: int) -> None:
    with serving(command, azure) as (host, running):
        assert_workers_negotiate(host, azure, workers=WORKERS, fetched=fetched)
    running.assert_ended_cleanly()


def test_workers_are_replaced_while_requests_go_on(azure: Azure) -> None:
    """None of the requests fails, and no worker fetches what its parent held when it was forked."""
    seen: list[str] = []
    with serving(gunicorn("--preload", "--max-requests", "5"), azure) as (host, running):

        def ask() -> None:
            answer = host.negotiate("chat")
            assert_accepted(azure, answer.token)
            seen.append(answer.worker)

        ask_until(lambda: len(set(seen)) >= 3 * WORKERS, ask, "the workers were never replaced")
    running.assert_ended_cleanly()
    assert (requests(azure, "token"), requests(azure, "access_key")) == (1, 1)
