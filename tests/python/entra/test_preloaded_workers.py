"""Many workers that are forked with a key in hand, as gunicorn --preload does it: one request for all of them to begin
with, and then renewals that do not come together."""

import json

from emulator.support import Azure
from entra.clients import requests
from entra.test_forks import FAMILY, program, read
from entra.test_processes_with_keys import arguments, preamble
from signalr.client_kind import SYNC
from signalr.scripts import go_on

WORKERS = 32

WINDOW = (45 * 60, 55 * 60)
"""The default ``renew_after``, in seconds."""

SCRIPT = """
import json, os, signal, warnings
warnings.simplefilter("ignore", DeprecationWarning)
workers, first, last = json.loads(sys.argv[5])
# Workers write lines to the one and begin to let time pass when the other is closed. A short line is written at once.
lines, line_end = os.pipe()
gate, gate_end = os.pipe()

def tell(value):
    os.write(line_end, json.dumps(value).encode() + b"\\n")

def work():
    '''Negotiate now and then; tell of the age at which a key was renewed.'''
    tell(client.negotiate("ada").kid)
    os.close(gate_end)
    os.read(gate, 1)
    clock.advance(first - 60)
    kid = client.status()["kid"]
    for age in range(first - 60, last + 60, 2):
        is_due = client.status()["renews_in"] == 0
        assert client.negotiate("ada").kid == kid
        if is_due:
            break
        clock.advance(2)
    while client.negotiate("ada").kid == kid:
        time.sleep(0.001)
    # Two requests: the one that was made before the fork, and one of its own.
    tell([age, client.status()["counters"]["key_requests"]])

client.warm_up()
# To say when it renews, the parent has to draw; nobody inherits what it drew.
client.status()
children = []
for _ in range(workers):
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        try:
            work()
        except BaseException as error:
            tell(repr(error))
        os._exit(0)
    children.append(child)
with open(lines) as lines:
    print(json.dumps([json.loads(lines.readline()) for _ in range(workers)]), flush=True)
    sys.stdin.readline()
    os.close(gate_end)
    print(json.dumps([json.loads(lines.readline()) for _ in range(workers)]), flush=True)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
"""


def test_preloaded_workers_do_not_renew_together(azure: Azure) -> None:
    azure.control.set_token_lifetime(10 * 86400)
    script = preamble(SYNC).replace("sys.argv[1:]", "sys.argv[1:5]") + SCRIPT
    with program(script, *arguments(azure), json.dumps([WORKERS, *WINDOW])) as process:
        kids = read(process)
        assert len(kids) == WORKERS
        assert len(set(kids)) == 1
        assert (requests(azure, "token"), requests(azure, "access_key")) == (1, 1)
        azure.control.rotate_temporary_key()
        go_on(process)
        renewals = read(process)
    assert [made for _, made in renewals] == [2] * WORKERS
    assert (requests(azure, "token"), requests(azure, "access_key")) == (1, 1 + WORKERS)
    first, last = WINDOW
    ages = sorted(age for age, _ in renewals)
    # Steps are two seconds long.
    assert first <= ages[0] <= ages[-1] <= last + 2
    third = (last - first) / 3
    # That one of the thirds stays empty by chance happens once in 140,000 runs: 3 * (2 / 3) ** 32.
    assert {int((age - first) / third) for age in ages} >= {0, 1, 2}


def test_a_worker_that_is_forked_late_fetches_for_itself(azure: Azure) -> None:
    """The parent negotiates with nobody, so that nobody renews its key: 85 minutes later it is worth nothing."""
    azure.control.set_token_lifetime(10 * 86400)
    azure.control.set_temporary_key_policy(issue_for=1e-6)
    script = (
        preamble(SYNC)
        + FAMILY
        + """
client.warm_up()
clock.advance(86 * 60)
def work():
    ready = client.status()["ready"]
    negotiate()
    return [ready, client.status()["counters"]["key_requests"]]
print(json.dumps([fork(work) for _ in range(2)]), flush=True)
"""
    )
    with program(script, *arguments(azure)) as process:
        lives = read(process)
    assert lives == [[False, 2]] * 2
    assert (requests(azure, "token"), requests(azure, "access_key")) == (1, 3)
