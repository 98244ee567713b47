"""More web servers, frameworks and event loops, started for real and probed like those of ``make test``."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from emulator.support import Azure
from hosts.host import Command, module, serving
from hosts.probe import assert_workers_negotiate
from hosts.test_web_servers import WORKERS, gunicorn

# With --preload the application is imported before the worker patches anything, which is too late for what it imports.
PATCHED = ("--config", str(Path(__file__).with_name("gevent_settings.py")))


def eventlet(listener: int) -> Sequence[str]:
    """One process, since no server with several workers is left that runs on eventlet."""
    return module("eventlet_server", str(listener))


def hypercorn(*arguments: str, application: str = "hosts.fastapi_app:app") -> Command:
    """Two workers of hypercorn, which it spawns, with an ASGI application."""

    def command(listener: int) -> Sequence[str]:
        ours = ["--bind", f"fd://{listener}", "--workers", str(WORKERS), "--log-level", "warning"]
        return module("hypercorn", *ours, *arguments, application)

    return command


def uvicorn(loop: str, application: str = "hosts.fastapi_app:app") -> Command:
    """Two workers of uvicorn on an event loop, with an ASGI application."""

    def command(listener: int) -> Sequence[str]:
        ours = ["--fd", str(listener), "--workers", str(WORKERS), "--log-level", "warning"]
        return module("uvicorn", *ours, "--loop", loop, application)

    return command


@pytest.mark.parametrize(
    ("command", "fetched"),
    [
        pytest.param(gunicorn(application="django_app:app"), WORKERS, id="Django, WSGI"),
        pytest.param(
            gunicorn("--worker-class", "aiohttp.GunicornWebWorker", application="aiohttp_app:app"),
            WORKERS,
            id="aiohttp",
        ),
        pytest.param(hypercorn(application="quart_app:app"), WORKERS, id="Quart"),
        pytest.param(uvicorn("uvloop"), WORKERS, id="uvicorn on uvloop"),
        pytest.param(hypercorn("--worker-class", "asyncio"), WORKERS, id="hypercorn"),
        pytest.param(hypercorn("--worker-class", "uvloop"), WORKERS, id="hypercorn on uvloop"),
        pytest.param(gunicorn("--worker-class", "gevent"), WORKERS, id="gevent"),
        pytest.param(gunicorn("--worker-class", "gevent", "--preload", *PATCHED), 1, id="gevent preloaded"),
    ],
)
def test_each_worker_negotiates(azure: Azure, command: Command, fetched: int) -> None:
    with serving(command, azure) as (host, running):
        assert_workers_negotiate(host, azure, workers=WORKERS, fetched=fetched)
    running.assert_ended_cleanly()


def test_django_with_async_views(azure: Azure, monkeypatch: pytest.MonkeyPatch) -> None:
    """Django runs no lifespan, so that each worker gets its key with its first negotiation."""
    monkeypatch.setenv("VIEWS", "async")
    with serving(uvicorn("asyncio", "django_app:app"), azure) as (host, running):
        assert_workers_negotiate(host, azure, workers=WORKERS, fetched=WORKERS)
    running.assert_ended_cleanly()


def test_eventlet(azure: Azure) -> None:
    with serving(eventlet, azure) as (host, running):
        assert_workers_negotiate(host, azure, workers=1, fetched=1)
    running.assert_ended_cleanly()
