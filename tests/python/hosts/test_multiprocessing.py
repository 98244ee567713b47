"""Processes of the standard library: forked with a client in hand, or spawned and left to make their own."""

import pytest

from emulator.support import Azure
from hosts.host import ProgramHost, module, running
from hosts.probe import assert_workers_negotiate
from hosts.process_app import WORKERS


@pytest.mark.parametrize(("method", "fetched"), [("fork", 1), ("spawn", WORKERS)])
def test_each_process_negotiates(azure: Azure, method: str, fetched: int) -> None:
    with running(module("hosts.process_app", method), azure, with_input=True) as program:
        assert_workers_negotiate(ProgramHost(program.process), azure, workers=WORKERS, fetched=fetched)
    program.assert_ended_cleanly()
