"""Hosts that serve no web: task queues and the worker of Azure Functions."""

import json
from pathlib import Path
from typing import Any

import pytest
from celery import Celery  # type: ignore[import-not-found]

from emulator.support import WATCHDOG_SECONDS, Azure
from hosts.host import Negotiated, ProgramHost, module, running
from hosts.probe import assert_workers_negotiate

WORKERS = 2


class CeleryHost:
    """The workers of a Celery application, asked through its broker."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._app = Celery()
        self._app.conf.update(settings)

    def negotiate(self, client: str) -> Negotiated:
        return Negotiated(**self._order("negotiate", client))

    def report(self, kid: str) -> None:
        self._order("report", kid)

    def _order(self, task: str, argument: str) -> Any:
        return self._app.send_task(task, [argument]).get(timeout=WATCHDOG_SECONDS, interval=0.02)


def test_celery_prefork(azure: Azure, tmp_path: Path) -> None:
    for name in ("messages", "results"):
        (tmp_path / name).mkdir()
    messages = str(tmp_path / "messages")
    settings = {
        "broker_url": "filesystem://",
        "broker_transport_options": {
            "data_folder_in": messages,
            "data_folder_out": messages,
            "control_folder": str(tmp_path / "control"),
            "polling_interval": 0.02,
        },
        "result_backend": f"file://{tmp_path / 'results'}",
        # A worker takes a task when it has done the one before.
        "worker_prefetch_multiplier": 1,
    }
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR"]
    pool = ["--pool", "prefork", "--concurrency", str(WORKERS)]
    command = module("celery", "--app", "celery_app", "--quiet", "worker", *pool, *quiet)
    more = {
        "CELERY_SETTINGS": json.dumps(settings),
        # That concerns a container, where everybody is root, and not this test.
        "PYTHONWARNINGS": "ignore:You're running the worker with superuser:UserWarning",
    }
    with running(command, azure, more=more) as worker:
        assert_workers_negotiate(CeleryHost(settings), azure, workers=WORKERS, fetched=1)
    worker.assert_ended_cleanly()


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_functions(azure: Azure, kind: str) -> None:
    with running(module("functions_worker", kind), azure, with_input=True) as worker:
        assert_workers_negotiate(ProgramHost(worker.process), azure, workers=1, fetched=1)
    worker.assert_ended_cleanly()
