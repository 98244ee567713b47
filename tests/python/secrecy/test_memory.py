"""What is left in memory of secrets that came over the network and never were Python objects.

Our own copies are wiped. What a library holds on the way between the network and us is not, and stays until its memory
is used again; ``docs/secrets.md`` says so, and these tests tell the two apart by what stands beside a copy.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from secrecy.clients import Echoed
from secrecy.echoing_azure import ACCESS_TOKEN, CLIENT_SECRET, TEMPORARY_KEY
from secrecy.memory import Found, copies_of
from signalr.client_kind import ClientKind
from signalr.scripts import finish, go_on, start

SCRIPT = """
import asyncio, gc, inspect, os, sys
from {module} import SignalRServiceClient

def settle(value):
    async def outermost():
        return await value
    return asyncio.run(outermost()) if inspect.iscoroutine(value) else value

text, authority, ca_file = (os.environ.pop(name) for name in ("APPLICATION", "AUTHORITY", "CA_FILE"))
client = SignalRServiceClient.from_connection_string(text, "chat", authority=authority, ca_file=ca_file)
settle(client.warm_up())
settle(client.negotiate("ada"))
print("held", flush=True)
sys.stdin.readline()
settle(client.close())
del client
gc.collect()
print("gone", flush=True)
sys.stdin.readline()
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="this system has no /proc")


def reads(program: "subprocess.Popen[str]", secret: str) -> list[Found]:
    try:
        return copies_of(secret, program.pid)
    except PermissionError:
        # Yama's ptrace_scope of 2 and 3, and containers without that capability.
        program.kill()
        pytest.skip("this system lets no process read the memory of its children")


def is_in_a_message(copy: Found) -> bool:
    """Whether a copy stands in an answer or a request, as it is in the buffers of the HTTP and TLS libraries."""
    before, after = copy.before, copy.after
    in_key = before.endswith(b'"AccessKey": "') or after.startswith(b'"}')
    in_token = before.endswith(b'"access_token": "') or after.startswith(b'", "expires_in"')
    in_header = before.endswith(b"authorization: Bearer ") or after.startswith(b"\r\n")
    return in_key or in_token or in_header


def say(program: "subprocess.Popen[str]", expected: str) -> None:
    """Wait for what the program says next."""
    assert program.stdout is not None
    assert program.stdout.readline() == f"{expected}\n"


def environment_of(echo: Echoed) -> dict[str, str]:
    return {"APPLICATION": echo.azure.application, "AUTHORITY": echo.azure.authority, "CA_FILE": echo.ca_file}


def copies_before_and_after(
    kind: ClientKind, environment: dict[str, str], secrets: list[str]
) -> dict[str, tuple[list[Found], ...]]:
    """The copies of each secret while a client holds it, and after it was closed and dropped."""
    program = start(SCRIPT.format(module=kind.module), environment=environment, with_input=True)
    say(program, "held")
    held = {secret: reads(program, secret) for secret in secrets}
    go_on(program)
    say(program, "gone")
    gone = {secret: reads(program, secret) for secret in secrets}
    assert finish(program, "\n").code == 0
    return {secret: (held[secret], gone[secret]) for secret in secrets}


def bare(found: list[Found], is_elsewhere: Callable[[Found], bool] = is_in_a_message) -> list[Found]:
    return [copy for copy in found if not is_elsewhere(copy)]


def test_our_copies_are_wiped(client_kind: ClientKind, echo: Echoed) -> None:
    secrets = [TEMPORARY_KEY, ACCESS_TOKEN]
    for held, gone in copies_before_and_after(client_kind, environment_of(echo), secrets).values():
        # The search finds what is there: the text that the client holds.
        assert bare(held)
        assert bare(gone) == []


def test_the_client_secret_is_wiped_as_far_as_it_is_ours(client_kind: ClientKind, echo: Echoed) -> None:
    """Its connection string is a Python text, and the crate for Entra makes a form of it; both stay."""
    [(held, gone)] = copies_before_and_after(client_kind, environment_of(echo), [CLIENT_SECRET]).values()

    def is_elsewhere(copy: Found) -> bool:
        return copy.before.endswith((b"ClientSecret=", b"client_secret=")) or copy.after.startswith((b";Version", b"&"))

    assert bare(held, is_elsewhere)
    assert len(bare(gone, is_elsewhere)) < len(bare(held, is_elsewhere))


def test_the_search_finds_a_copy_that_was_freed_and_not_wiped() -> None:
    """A text that Python has freed lies there still, as ours would."""
    script = """
    import sys
    made = "".join(reversed(sys.argv[1]))
    text = bytes(made, "ascii")
    del made, text
    print("gone", flush=True)
    sys.stdin.readline()
    """
    secret = "a text that is not written anywhere as it is, until it is turned round"
    program = start(script, secret[::-1], with_input=True, environment={"PYTHONMALLOC": "malloc"})
    say(program, "gone")
    found = reads(program, secret)
    assert finish(program, "\n").code == 0
    assert found
