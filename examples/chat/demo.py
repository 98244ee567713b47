"""Runs the chat against a local Azure: `make demo`, or this file with `--port` to choose the page's port.

The local Azure refuses static keys. It plays the platform as well, which gives the chat's server a managed identity;
with that the server buys temporary keys, and every new one is a line in the terminal.

Ctrl-C or SIGTERM ends everything, with code 0. If the local Azure or the web server ends before that, the
demo says which, ends the other, and leaves with code 1.
"""

import argparse
import asyncio
import contextlib
import http.client
import logging
import math
import os
import signal
import socket
import sys
from pathlib import Path

import uvicorn
from typing_extensions import override

from hubpass.emulator import ControlClient, Emulator, EmulatorError

HERE = Path(__file__).parent
# What the policy in `server.py` counts on. A key is given out for so short a time that each renewal brings a new one.
KEY_LIFE_SECONDS = 20
KEY_ISSUE_SECONDS = 1
# The first role lets the server have temporary keys, the second one send messages.
ROLES = ("SignalR App Server", "SignalR REST API Owner")
# Browsers keep connections open that nobody will use again; leaving is not worth a longer wait.
GRACE_SECONDS = 2


def main() -> int:
    parser = argparse.ArgumentParser(prog="examples/chat/demo.py", description="Chat in two browser tabs.")
    parser.add_argument("--port", type=int, default=0, help="port of the page (default: a free one)")
    port = parser.parse_args().port
    if not (HERE / "node_modules").is_dir():
        return failed("the page needs @microsoft/signalr. Run `make demo`, or `npm ci` in examples/chat.")
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        return failed(f"The web server cannot listen on port {port}: {error}.")
    with listener:
        return asyncio.run(run(listener))


async def run(listener: socket.socket) -> int:
    stopping = stop_signals()
    azure = Emulator(key_life=KEY_LIFE_SECONDS, key_issue_for=KEY_ISSUE_SECONDS, roles=ROLES, local_auth_disabled=True)
    failure: str | None = None
    try:
        # In a thread, so that a signal is noticed meanwhile and never cuts the start in two.
        await asyncio.to_thread(azure.start)
        if not stopping.is_set():
            failure = await chat(azure, listener)
    except EmulatorError as error:
        failure = str(error)
    try:
        await asyncio.to_thread(azure.stop)
    except EmulatorError as error:
        failure = str(error)
    return 0 if failure is None or stopping.is_set() else failed(failure)


def stop_signals() -> asyncio.Event:
    """An event that Ctrl-C and SIGTERM set from now on."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop(*_: object) -> None:
        # A signal that comes when the loop is closed comes too late to matter.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stopping.set)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    return stopping


async def chat(azure: Emulator, listener: socket.socket) -> str:
    """Serve the page until somebody stops the server or the local Azure ends; says who went first."""
    give_identity(azure)
    show_keys()
    server = WebServer(azure.endpoint)
    serving = asyncio.ensure_future(server.run_until_stopped(listener))
    ending = asyncio.ensure_future(asyncio.to_thread(wait_for_end, azure.control))
    await asyncio.wait({serving, ending}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        return "The web server ended unexpectedly."
    server.should_exit = True
    await serving
    return "The local Azure ended unexpectedly."


def give_identity(azure: Emulator) -> None:
    """Set the variables that Azure App Service sets for an app with a managed identity and a service to use it with."""
    os.environ["AZURE_SIGNALR_CONNECTIONSTRING"] = azure.managed_identity_connection_string
    os.environ["IDENTITY_ENDPOINT"] = azure.identity_endpoint
    os.environ["IDENTITY_HEADER"] = azure.identity_header


def show_keys() -> None:
    """Print what becomes of the temporary keys. A rotation is routine, and routine is logged for debugging alone."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("  %(asctime)s  %(message)s", "%H:%M:%S"))
    log = logging.getLogger("hubpass.keys")
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)


class WebServer(uvicorn.Server):
    """Serves `server.py` beside this file and tells people when they can come.

    A signal ends it, and is raised again when it has ended, so that the handlers of this file see it too.
    """

    def __init__(self, azure: str) -> None:
        super().__init__(uvicorn.Config("server:app", log_level="warning", timeout_graceful_shutdown=GRACE_SECONDS))
        self.azure = azure

    async def run_until_stopped(self, listener: socket.socket) -> None:
        """Serve; also return if the application cannot be loaded, for which uvicorn has logged the reason."""
        with contextlib.suppress(SystemExit):
            await self.serve(sockets=[listener])

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        port = sockets[0].getsockname()[1] if sockets else 0
        print(
            f"""
  The chat is open:    http://127.0.0.1:{port}/

  Open it in two browser tabs, give each a name, and write.
  Every message goes   tab -> POST /messages -> send_to_all -> every tab
  through a local Azure SignalR Service at {self.azure}

  There is no shared key. The server's managed identity gets it temporary keys that live for {KEY_LIFE_SECONDS} seconds.
  Watch them rotate while a tab is open; no tab notices. Ctrl-C ends everything.
""",
            flush=True,
        )


def wait_for_end(control: ControlClient) -> None:
    """Return when the local Azure no longer answers."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        control.wait_until(lambda _: False, timeout=math.inf)


def failed(reason: str) -> int:
    print(f"demo: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
