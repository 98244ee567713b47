"""Many processes that start at once on one machine, whose metadata service serves 20 requests a second, 5 at a time.

It refuses the rest with 429 and does not say when to come again. Nobody may fail for good, wait for long or ask for
ever.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from emulator.support import Azure, poll
from entra.test_forks import program, read
from entra.test_processes_with_keys import preamble
from hubpass.emulator import Emulator
from signalr.client_kind import SYNC
from signalr.scripts import go_on

PROCESSES = 32

CONCURRENT = 5
"""How many requests the service serves at the same time."""

OTHERS = PROCESSES - CONCURRENT

TRIES = 4
"""How often the service is asked for one token: once, and after each of three short pauses."""

READY_WITHIN = 30.0
"""Seconds by the clock of each process."""

SCRIPT = """
import json, os, signal, warnings
import hubpass
warnings.simplefilter("ignore", DeprecationWarning)
processes, others, is_simulated = json.loads(sys.argv[5])
# A process writes a line to the one for each thing that it tells, and waits for the others to be closed.
lines, line_end = os.pipe()
gate, gate_end = os.pipe()
second_gate, second_gate_end = os.pipe()

def tell(*values):
    os.write(line_end, json.dumps(values).encode() + b"\\n")

def work():
    '''Negotiate until it succeeds, each time as soon as the error says that another try makes sense.'''
    os.read(gate, 1)
    begun, moved, refusals = time.monotonic(), 0.0, []
    while True:
        try:
            negotiate()
            break
        except hubpass.ServiceError as error:
            # An error that names no time would be for good.
            if error.retry_after is None:
                raise
            refusals.append([error.code, error.retry_after])
        if is_simulated and len(refusals) == 1:
            tell("refused", refusals[0][0])
            waiting = time.monotonic()
            os.read(second_gate, 1)
            # The others were waited for, which takes no time of this process.
            begun += time.monotonic() - waiting
        pause = refusals[-1][1]
        if is_simulated:
            clock.advance(pause)
            moved += pause
        else:
            time.sleep(pause)
    tell("ready", time.monotonic() - begun + moved, refusals)

children = []
for _ in range(processes):
    child = os.fork()
    if child == 0:
        signal.alarm(50)
        os.close(gate_end)
        os.close(second_gate_end)
        try:
            # Made here, the client has nothing in common with those of the others.
            clock = _native.ManualClock(int(float(now)))
            keywords["clock"] = clock if is_simulated else None
            client._native = _native.SignalRClient.from_connection_string(text, "chat", keywords, False)
            work()
        except BaseException as error:
            tell("failed", repr(error))
        os._exit(0)
    children.append(child)
os.close(gate_end)
# Then the lines end with the last process, should one have ended without a word.
os.close(line_end)
with open(lines) as lines:
    ends, refused = [], []
    for line in lines:
        kind, *told = json.loads(line)
        if kind != "refused":
            ends.append([kind, *told])
            continue
        refused += told
        if len(refused) == others:
            print(json.dumps(refused), flush=True)
            sys.stdin.readline()
            os.close(second_gate_end)
print(json.dumps(ends), flush=True)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Azure]:
    """One machine with the limits that Azure has."""
    with Emulator() as emulator:
        for name, value in emulator.identity.imds_environment.items():
            monkeypatch.setenv(name, value)
        azure = Azure(emulator)
        yield azure
        azure.control.release()
        azure.close()


def arguments(machine: Azure, *, is_simulated: bool) -> list[str]:
    emulator = machine.emulator
    text = f"Endpoint={machine.endpoint};AuthType=azure.msi;Version=1.0;"
    now = str(machine.control.state().now)
    return [text, emulator.authority, emulator.ca_file, now, json.dumps([PROCESSES, OTHERS, is_simulated])]


def script() -> str:
    return preamble(SYNC).replace("sys.argv[1:]", "sys.argv[1:5]") + SCRIPT


def statuses(machine: Azure) -> list[int | None]:
    return [entry.status for entry in machine.control.journal("imds_token")]


def assert_ready(ends: list[Any]) -> None:
    """All processes could negotiate in time, and were refused for one reason alone."""
    assert [end for end in ends if end[0] != "ready"] == []
    assert len(ends) == PROCESSES
    assert max(seconds for _, seconds, _ in ends) < READY_WITHIN
    assert {code for _, _, refusals in ends for code, _ in refusals} <= {"throttled"}


@pytest.mark.timeout(90)
def test_a_crowd_is_served_after_short_pauses(machine: Azure) -> None:
    """In real time. Five are being served when the others come, and are done when the others were refused."""
    machine.control.fail_next("imds_token", CONCURRENT, hold=True)
    with program(script(), *arguments(machine, is_simulated=False)) as process:
        poll(lambda: statuses(machine).count(429) >= OTHERS, "the others are refused")
        machine.control.release()
        assert_ready(read(process))
    seen = statuses(machine)
    assert seen.count(200) == PROCESSES
    assert set(seen) == {200, 429}
    assert len(seen) <= PROCESSES * TRIES * 2


@pytest.mark.timeout(90)
def test_a_crowd_that_no_short_pause_helps(machine: Azure) -> None:
    """Each process goes by a clock of its own, which is moved by as much as its errors ask for."""
    machine.control.fail_next("imds_token", CONCURRENT, hold=True)
    with program(script(), *arguments(machine, is_simulated=True)) as process:
        assert read(process) == ["throttled"] * OTHERS
        assert len(machine.control.held()) == CONCURRENT
        assert statuses(machine).count(429) == OTHERS * TRIES
        machine.control.release()
        go_on(process)
        assert_ready(read(process))
    seen = statuses(machine)
    assert seen.count(200) == PROCESSES
    assert set(seen) == {200, 429}
    assert len(seen) <= CONCURRENT + OTHERS * TRIES * 3
