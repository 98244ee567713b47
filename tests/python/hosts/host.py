"""Hosts of applications, started as their users start them, and what can be asked of them."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

import httpx

from emulator.support import WATCHDOG_SECONDS, Azure
from hosts.settings import WORKER
from signalr.scripts import Outcome, environment_of_programs


@dataclass(frozen=True)
class Negotiated:
    """A token, and the process that has signed it."""

    worker: str
    token: str


class Host(Protocol):
    """Something that runs one or more processes which negotiate."""

    def negotiate(self, client: str) -> Negotiated:
        """Ask any worker for a token of one of its clients, as ``connect`` names them."""

    def report(self, kid: str) -> None:
        """Tell some worker, or all, that a key is dead."""


class WebHost:
    """A web server on this machine. Each request has a connection of its own, so that any worker may take it."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def negotiate(self, client: str) -> Negotiated:
        answer = self._request("POST", f"/{client}/negotiate")
        return Negotiated(answer.headers[WORKER], answer.json()["accessToken"])

    def report(self, kid: str) -> None:
        self._request("DELETE", f"/chat/keys/{kid}")

    def _request(self, method: str, path: str) -> httpx.Response:
        # Made without looking for certificates, which would take longer than the request.
        with httpx.Client(trust_env=False, verify=False, timeout=WATCHDOG_SECONDS) as http:  # noqa: S501 - plain http
            return http.request(method, self._url + path, headers={"Connection": "close"}).raise_for_status()


class ProgramHost:
    """A program that takes an order a line and answers each with a line."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._lock = threading.Lock()

    def negotiate(self, client: str) -> Negotiated:
        answer = self._order("negotiate", client)
        assert isinstance(answer, dict)
        return Negotiated(**answer)

    def report(self, kid: str) -> None:
        self._order("report", kid)

    def _order(self, *order: str) -> object:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())


class Running:
    """A host under way. ``outcome`` tells how it ended, once it has."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self.outcome: Outcome | None = None

    def assert_ended_cleanly(self, *, code: int = 0) -> None:
        """Fail unless the host ended with this exit code and has nothing to complain about."""
        assert self.outcome is not None
        assert (self.outcome.code, self.outcome.errors) == (code, ""), self.outcome


def module(*arguments: str) -> list[str]:
    """The command of a module of this interpreter."""
    return [sys.executable, "-m", *arguments]


@contextmanager
def running(
    command: Sequence[str],
    azure: Azure,
    *,
    with_input: bool = False,
    fds: Sequence[int] = (),
    more: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """Start a program that finds this local Azure; end it, by the end of its input or SIGTERM, with the block.

    ``more`` are environment variables.
    """
    found: Mapping[str, str] = {
        **environment_of_programs(),
        **environment(azure),
        # It finds what the tests find.
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        **(more or {}),
    }
    pipe = subprocess.PIPE if with_input else subprocess.DEVNULL
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command, env=found, stdin=pipe, stdout=subprocess.PIPE, stderr=errors, pass_fds=fds, start_new_session=True
        )
        host = Running(process)
        try:
            yield host
            if not with_input:
                process.terminate()
            output, _ = process.communicate(timeout=WATCHDOG_SECONDS)
        except BaseException:
            # Workers that outlive their parent would keep the machine busy; they are of its session.
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            errors.seek(0)
            sys.stderr.write(errors.read().decode())
            raise
        errors.seek(0)
        host.outcome = Outcome(process.returncode, output.decode(), errors.read().decode())


def environment(azure: Azure) -> Mapping[str, str]:
    """What the applications need to find this local Azure."""
    emulator = azure.emulator
    return {
        "SIGNALR_CONNECTION_STRING": emulator.entra_connection_string,
        "SIGNALR_AUTHORITY": emulator.authority,
        "SIGNALR_CA_FILE": emulator.ca_file,
    }


Command = Callable[[int], Sequence[str]]
"""What starts a web server on a listening socket that it inherits, by the number of the socket."""


@contextmanager
def serving(command: Command, azure: Azure) -> Iterator[tuple[WebHost, Running]]:
    """Start a web server. It is ready at once: connections wait in the listener's queue until a worker takes them."""
    with ExitStack() as stack:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            host = stack.enter_context(running(command(listener.fileno()), azure, fds=[listener.fileno()]))
        # From here on a server that has ended refuses connections, since this process has let go of the listener.
        yield WebHost(port), host
