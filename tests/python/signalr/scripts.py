"""Python programs of their own, for what can only be seen from outside a process."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from textwrap import dedent

from signalr.service_double import WATCHDOG


@dataclass
class Outcome:
    """How a program ended."""

    code: int
    output: str
    errors: str


# Python handles the interrupt only if it finds it as the system has it. Under nohup, or in the background of a shell,
# it is ignored, and children inherit that.
_INTERRUPTIBLE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"


def environment_of_programs() -> dict[str, str]:
    """The environment without what would measure coverage in it.

    A tracer adds locks of its own, which a fork among threads leaves taken, and it cannot be loaded in every
    interpreter that a program starts. The local Azure, which does neither, is measured.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


def start(
    script: str, *arguments: str, environment: dict[str, str] | None = None, with_input: bool = False
) -> "subprocess.Popen[str]":
    """Start a program without waiting for it; warnings are errors in it, as in the tests."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", _INTERRUPTIBLE + dedent(script), *arguments],
        stdin=subprocess.PIPE if with_input else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment_of_programs(), **(environment or {})},
        # A group of its own, so that its forked children can be ended with it.
        start_new_session=True,
    )


def kill(process: "subprocess.Popen[str]") -> str:
    """End a program and its forked children, which hold the pipe, and give what it has written on standard error."""
    os.killpg(process.pid, signal.SIGKILL)
    return process.communicate()[1]


def go_on(process: "subprocess.Popen[str]") -> None:
    """Let a program go on that waits for a line of input."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def finish(process: "subprocess.Popen[str]", last_input: str | None = None, seconds: float = WATCHDOG) -> Outcome:
    """Wait for a program; one that does not end is killed and fails the test."""
    try:
        output, errors = process.communicate(last_input, timeout=seconds)
    except subprocess.TimeoutExpired:
        sys.stderr.write(kill(process))
        raise
    return Outcome(process.returncode, output, errors)


def run(script: str, *arguments: str, environment: dict[str, str] | None = None) -> Outcome:
    """Run a program to its end."""
    return finish(start(script, *arguments, environment=environment))
