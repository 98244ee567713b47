"""The command ``hubpass emulator run -- COMMAND``: a program with the local Azure in its environment."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from hubpass.emulator.environment import with_settings
from hubpass.emulator.process import Emulator, EmulatorError

# As shells have it: 128 and the number of the signal, 126 and 127 for what cannot be run or is not there.
_BY_SIGNAL = 128
_NOT_EXECUTABLE, _NOT_FOUND = 126, 127
_FORWARDED = (signal.SIGINT, signal.SIGTERM)


def main(arguments: Sequence[str]) -> int:
    """Start the local Azure, run the command, stop the local Azure; returns the command's exit code."""
    options = _parser().parse_args(arguments)
    command: list[str] = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        print("hubpass emulator run needs a command: hubpass emulator run -- python app.py", file=sys.stderr)
        return 2
    try:
        with Emulator(port=options.port, show_log=options.show_log) as emulator:
            return _run(command, with_settings(os.environ, emulator))
    except EmulatorError as error:
        print(error, file=sys.stderr)
        return 1


def _run(command: list[str], environment: dict[str, str]) -> int:
    try:
        process = subprocess.Popen(command, env=environment)  # noqa: S603 - to run a command is what was asked for
    except OSError as error:
        print(f"hubpass cannot run {command[0]}: {error.strerror or error}", file=sys.stderr)
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE
    with _forwarding_signals(process):
        code = process.wait()
    return code if code >= 0 else _BY_SIGNAL - code


@contextmanager
def _forwarding_signals(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Let the command decide what a signal means: it ends, and then so does this process."""

    def forward(number: int, _: FrameType | None) -> None:
        # A terminal sends Ctrl-C to the whole group: the command has it already.
        if number != signal.SIGINT or not sys.stdin.isatty():
            process.send_signal(number)

    previous = {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hubpass emulator run",
        description="Run a command with the local Azure in its environment, where from_env() of a client finds it. The "
        "local Azure ends with the command.",
    )
    parser.add_argument("--port", type=int, default=0, help="port of the service (default: the system picks one)")
    parser.add_argument("--show-log", action="store_true", help="show the log of the local Azure on standard error")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND ...", help="what to run")
    return parser
