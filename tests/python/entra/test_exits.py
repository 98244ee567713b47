"""A program ends cleanly whatever its client does: a hundred programs in each state, because a race shows rarely."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from entra.key_double import KeyDouble
from signalr.client_kind import ASYNC, SYNC, ClientKind
from signalr.scripts import Outcome, run

# In each state, sync and async together.
PROGRAMS = 100
AT_A_TIME = 4

# The clock is moved by the program, so that its key is due when it says so. The token is the program's own.
CLIENT = """
import os, sys, time
from {module} import SignalRServiceClient
from hubpass import _native
class Credential:
    {define} get_token(self, *scopes):
        return self
    token, expires_on = str(os.getpid()), 4e9
clock = _native.ManualClock(1_700_000_000)
keywords = dict.fromkeys(["application_name", "authority", "ca_file", "key_policy", "on_event", "scope", "timeout"])
client = SignalRServiceClient.__new__(SignalRServiceClient)
client._native = _native.SignalRClient(
    sys.argv[1], "chat", Credential(), None, None, {{**keywords, "clock": clock}}, {is_async}
)
"""

SYNC_STATES = {
    "idle after use": """
assert client.negotiate("ada").kid
""",
    "a renewal hanging": """
assert client.negotiate("ada").kid
clock.advance(3400)
assert client.negotiate("ada").kid
while client.status()["counters"]["key_requests"] < 2:
    time.sleep(0.001)
""",
}

ASYNC_STATES = {
    "idle after use": """
import asyncio
async def main():
    assert (await client.negotiate("ada")).kid
    await asyncio.sleep(0)
asyncio.run(main())
""",
    "a renewal hanging": """
import asyncio
async def main():
    assert (await client.negotiate("ada")).kid
    clock.advance(3400)
    assert (await client.negotiate("ada")).kid
    while client.status()["counters"]["key_requests"] < 2:
        await asyncio.sleep(0.001)
asyncio.run(main())
""",
    "an await just done": """
import asyncio
asyncio.run(client.warm_up())
""",
}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("state", ASYNC_STATES)
def test_a_program_ends_cleanly(state: str) -> None:
    scripts = [program(ASYNC, ASYNC_STATES[state])]
    if state in SYNC_STATES:
        scripts.append(program(SYNC, SYNC_STATES[state]))
    with KeyDouble() as service, ThreadPoolExecutor(AT_A_TIME) as pool:
        started = [scripts[number % len(scripts)] for number in range(PROGRAMS)]
        outcomes = list(pool.map(lambda script: run(script, service.endpoint), started))
    assert outcomes == [Outcome(0, "", "")] * PROGRAMS


def program(kind: ClientKind, body: str) -> str:
    is_async = kind is ASYNC
    return CLIENT.format(module=kind.module, is_async=is_async, define="async def" if is_async else "def") + body
