"""Forks at any moment of a process whose threads negotiate and renew at full speed.

A child signs at once with what it holds, fetches nothing that it holds, draws an age of its own for its renewals, and
renews by itself. Its parent does not notice.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from emulator.support import Azure
from entra.clients import requests, wait_until_held
from entra.test_processes_with_keys import arguments, preamble
from signalr.client_kind import SYNC, ClientKind
from signalr.scripts import Outcome, finish, go_on, kill, run, start
from signalr.service_double import WATCHDOG

FORKS = 30

FAMILY = """
import json, os, signal, traceback, warnings
warnings.simplefilter("ignore", DeprecationWarning)

def fork(life):
    '''Fork; give what the child's life gave once the child has ended.'''
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        # A child that hangs, hangs inside native code, where no handler of Python's would run.
        signal.alarm(20)
        code = 1
        try:
            os.write(writing, json.dumps(life()).encode())
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writing)
    with open(reading) as answer:
        given = answer.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == 0, f"a child ended with {code}"
    return json.loads(given)

def wait_for_another(kid):
    while negotiate().kid == kid:
        time.sleep(0.001)

def renew():
    '''Sign with the key in hand, renew it when it is due and not before, and say when the next one will be.'''
    before = client.status()
    kid, made, due_in = before["kid"], before["counters"]["key_requests"], before["renews_in"]
    assert negotiate().kid == kid
    if due_in > 0:
        clock.advance(max(due_in - 1, 0))
        assert negotiate().kid == kid
        assert client.status()["counters"]["key_requests"] == made
        clock.advance(2)
        assert negotiate().kid == kid
    wait_for_another(kid)
    after = client.status()
    assert after["counters"]["key_requests"] == made + 1, after
    return {"was_due": due_in == 0, "renews_at": after["age"] + after["renews_in"]}

def renew_in_three_generations():
    return [renew(), *fork(lambda: [renew(), *fork(lambda: [renew()])])]

stopping = threading.Event()

def negotiate_on():
    while not stopping.is_set():
        negotiate()

# A program that fails ends, whatever its threads do.
callers = [threading.Thread(target=negotiate_on, daemon=True) for _ in range(4)]
"""


@contextmanager
def program(script: str, *given: str) -> "Iterator[subprocess.Popen[str]]":
    """A program that has ended in order, without a word on standard error, when the block is left."""
    process = start(script, *given, with_input=True)
    try:
        yield process
    except BaseException:
        sys.stderr.write(kill(process))
        raise
    outcome = finish(process)
    assert (outcome.code, outcome.errors) == (0, "")


def read(process: "subprocess.Popen[str]") -> Any:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        output, errors = process.communicate(timeout=WATCHDOG)
        raise AssertionError(f"the program has ended with {process.returncode}: {output}{errors}")
    return json.loads(line)


@pytest.fixture
def each_key_is_another(azure: Azure) -> None:
    azure.control.set_temporary_key_policy(issue_for=1e-6)
    # Years of simulated renewals need one token.
    azure.control.set_token_lifetime(100 * 365 * 86400)


@pytest.mark.usefixtures("each_key_is_another")
def test_forks_among_renewals(client_kind: ClientKind, azure: Azure) -> None:
    """Every moment of a renewal comes up: it takes about as long as the time between two of them."""
    script = (
        preamble(client_kind)
        + FAMILY
        + """
def renew_on():
    while not stopping.is_set():
        held = client.status()
        clock.advance(held["renews_in"] + 1)
        wait_for_another(held["kid"])

negotiate()
threads = [*callers, threading.Thread(target=renew_on, daemon=True)]
for thread in threads:
    thread.start()
lives = []
forks = 0
def has_seen_both():
    return {life["was_due"] for life in lives} == {False, True}
while forks < int(sys.argv[5]) or not has_seen_both():
    lives += fork(renew_in_three_generations if forks % 8 == 0 else lambda: [renew()])
    forks += 1
stopping.set()
for thread in threads:
    thread.join()
status = client.status()
parent = {"renews_at": status["age"] + status["renews_in"], "counters": status["counters"]}
print(json.dumps({"lives": lives, "parent": parent}), flush=True)
"""
    ).replace("sys.argv[1:]", "sys.argv[1:5]")
    with program(script, *arguments(azure), str(FORKS)) as process:
        found = read(process)
    lives, parent = found["lives"], found["parent"]
    counters = parent["counters"]
    assert counters["keys_failed"] == 0
    assert counters["key_requests"] == counters["keys_renewed"]
    assert requests(azure, "token") == 1
    assert requests(azure, "access_key") == counters["key_requests"] + len(lives)
    drawn = [life["renews_at"] for life in [*lives, parent]]
    assert len(set(drawn)) == len(drawn) > FORKS
    assert 45 * 60 <= min(drawn) < max(drawn) <= 55 * 60


@pytest.mark.usefixtures("each_key_is_another")
def test_forks_while_a_renewal_is_held(client_kind: ClientKind, azure: Azure) -> None:
    """The children do not wait for their parent's renewal, nor does it end with theirs."""
    script = (
        preamble(client_kind)
        + FAMILY
        + """
old = negotiate().kid
for thread in callers:
    thread.start()
print(json.dumps(old), flush=True)
sys.stdin.readline()
clock.advance(3400)
sys.stdin.readline()
lives = [life for _ in range(int(sys.argv[5])) for life in fork(renew_in_three_generations)]
assert negotiate().kid == old
print(json.dumps(lives), flush=True)
sys.stdin.readline()
wait_for_another(old)
stopping.set()
for thread in callers:
    thread.join()
print(json.dumps(client.status()["counters"]), flush=True)
"""
    ).replace("sys.argv[1:]", "sys.argv[1:5]")
    with program(script, *arguments(azure), str(FORKS // 6)) as process:
        read(process)
        azure.control.fail_next("access_key", hold=True)
        go_on(process)
        wait_until_held(azure, "access_key")
        go_on(process)
        lives = read(process)
        assert [held.route for held in azure.control.held()] == ["access_key"]
        azure.control.release()
        go_on(process)
        counters = read(process)
    assert counters == {
        "key_requests": 2,
        "keys_renewed": 2,
        "keys_unchanged": 0,
        "keys_refused": 0,
        "keys_failed": 0,
    }
    # A grandchild inherits the key that its parent has just fetched.
    assert [life["was_due"] for life in lives] == [True, False, False] * (FORKS // 6)
    assert requests(azure, "token") == 1
    assert requests(azure, "access_key") == 2 + len(lives)


def test_forks_among_first_calls(client_kind: ClientKind, azure: Azure) -> None:
    """The first token, key and connection of one client after the other are under way when a child needs them too."""
    script = (
        preamble(client_kind)
        + FAMILY
        + """
for number in range(int(sys.argv[5])):
    client = SignalRServiceClient.__new__(SignalRServiceClient)
    client._native = _native.SignalRClient.from_connection_string(text, "chat", keywords, {is_async})
    callers = [threading.Thread(target=negotiate) for _ in range(4)]
    for caller in callers:
        caller.start()
    # From before the first thread has run to after the last one has ended.
    time.sleep(number / 2000)
    assert fork(lambda: negotiate().kid is not None)
    for caller in callers:
        caller.join()
    assert client.status()["counters"]["key_requests"] == 1
print(json.dumps("done"), flush=True)
""".format(is_async=client_kind.name == "async")
    ).replace("sys.argv[1:]", "sys.argv[1:5]")
    with program(script, *arguments(azure), str(FORKS)) as process:
        assert read(process) == "done"


def test_forks_among_the_first_call_of_all(azure: Azure) -> None:
    """What a process sets up once, TLS and trust among it, may be half done when the child needs it whole.

    Nor may an error inside the Azure SDK take a backtrace under a lock of the whole process, whatever the environment.
    """
    script = (
        preamble(SYNC)
        + FAMILY
        + """
caller = threading.Thread(target=negotiate)
caller.start()
# From before the thread has run to after it has ended.
time.sleep(int(sys.argv[5]) / 500)
assert fork(lambda: negotiate().kid is not None)
caller.join()
"""
    ).replace("sys.argv[1:]", "sys.argv[1:5]")
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(
            pool.map(
                lambda number: run(script, *arguments(azure), str(number), environment={"RUST_BACKTRACE": "1"}),
                range(FORKS // 2),
            )
        )
    assert outcomes == [Outcome(0, "", "")] * (FORKS // 2)


def test_a_fork_waits_for_threads_on_their_way_into_python() -> None:
    """CPython up to 3.11 links a thread that enters under a lock, which a child forked then would wait for for ever."""
    script = """
        import os, threading, time, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        # Those that are registered later are called earlier.
        events = []
        os.register_at_fork(before=lambda: events.append("forked"))
        from hubpass import _native
        begun = threading.Event()
        os.register_at_fork(before=begun.set)

        def fork():
            child = os.fork()
            if child == 0:
                os._exit(7)
            events.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

        entry = _native.SlowEntry()
        forking = threading.Thread(target=fork)
        forking.start()
        begun.wait()
        # Time enough for a fork that does not wait, and for nothing else.
        time.sleep(0.05)
        events.append("arrived")
        entry.arrive()
        forking.join()
        print(events)
        """
    assert run(script) == Outcome(0, "['arrived', 'forked', 7]\n", "")
