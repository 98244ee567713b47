"""Hosts that serve no web: task queues and the worker of Azure Functions."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from celery import Celery  # type: ignore[import-not-found]

from emulator.support import WATCHDOG_SECONDS, Azure
from hosts.host import Negotiated, ProgramHost, module, running
from hosts.probe import assert_workers_negotiate

WORKERS = 2


class CeleryHost:
    """The workers of a Celery application, asked through its broker.

    A worker reads a message as soon as its file is there, written or not, and dies of one that is not. So messages are
    written in a folder beside the worker's and moved when they are complete.
    """

    def __init__(self, settings: dict[str, Any], inbox: Path, outbox: Path) -> None:
        self._inbox, self._outbox = inbox, outbox
        self._lock = threading.Lock()
        self._app = Celery()
        self._app.conf.update(settings)

    def negotiate(self, client: str) -> Negotiated:
        return Negotiated(**self._order("negotiate", client))

    def report(self, kid: str) -> None:
        self._order("report", kid)

    def _order(self, task: str, argument: str) -> Any:
        with self._lock:
            sent = self._app.send_task(task, [argument])
            for message in self._outbox.iterdir():
                message.rename(self._inbox / message.name)
        return sent.get(timeout=WATCHDOG_SECONDS, interval=0.02)


def test_celery_prefork(azure: Azure, tmp_path: Path) -> None:
    inbox, outbox, results = (tmp_path / name for name in ("inbox", "outbox", "results"))
    for folder in (inbox, outbox, results):
        folder.mkdir()
    settings = {
        "broker_url": "filesystem://",
        "broker_transport_options": {
            "data_folder_in": str(inbox),
            "data_folder_out": str(outbox),
            "control_folder": str(tmp_path / "control"),
            "polling_interval": 0.02,
        },
        "result_backend": results.as_uri(),
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
        assert_workers_negotiate(CeleryHost(settings, inbox, outbox), azure, workers=WORKERS, fetched=1)
    worker.assert_ended_cleanly()


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_functions(azure: Azure, kind: str) -> None:
    with running(module("functions_worker", kind), azure, with_input=True) as worker:
        assert_workers_negotiate(ProgramHost(worker.process), azure, workers=1, fetched=1)
    worker.assert_ended_cleanly()
