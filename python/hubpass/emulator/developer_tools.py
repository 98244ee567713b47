"""Stand-ins for Azure CLI (`az`) and Azure Developer CLI (`azd`), which ask the local Azure what to print.

They are small programs in a directory of their own. All that they do is decided here, so it can be changed while they
exist, and faults can hold or delay them like any request. They need a POSIX shell.
"""

from __future__ import annotations

import secrets
import shlex
import sys
from pathlib import Path
from typing import Literal, get_args

from hubpass.emulator.addresses import Address
from hubpass.emulator.redaction import Redactor
from hubpass.emulator.run_directory import RunDirectory, write_private

Tool = Literal["az", "azd"]
TOOLS: tuple[Tool, ...] = get_args(Tool)
ToolMode = Literal["signed_in", "signed_out", "session_expired", "warning", "warning_in_output", "garbage"]
TOOL_MODES: tuple[ToolMode, ...] = get_args(ToolMode)
SECRET_HEADER = "X-Tool-Secret"  # noqa: S105 - the name of a header
_EXECUTABLE = 0o700
# `exec` leaves one process, so that whoever gives up on the program and kills it kills the one that waits.
_LAUNCHER = '#!/bin/sh\nexec {python} -I -S "$0.py" "$@"\n'
# The secret stands on a line of its own because a traceback shows the line that failed.
_PROGRAM = '''\
"""Prints what a local Azure says that this tool would print."""
import http.client
import json
import sys

SECRET = {secret!r}
connection = http.client.HTTPConnection({host!r}, {port})
connection.request("POST", "/tools/{tool}", json.dumps({{"arguments": sys.argv[1:]}}), {{{header!r}: SECRET}})
answer = json.loads(connection.getresponse().read())
sys.stdout.write(answer["stdout"])
sys.stderr.write(answer["stderr"])
sys.exit(answer["exit_code"])
'''


class DeveloperTools:
    """The two programs, and how each of them behaves; `modes` starts with a developer who is signed in."""

    def __init__(self, files: RunDirectory, redactor: Redactor, machine: Address) -> None:
        self._files = files
        self._machine = machine
        self.secret = secrets.token_hex(32)
        redactor.learn(self.secret)
        self.modes: dict[Tool, ToolMode] = dict.fromkeys(TOOLS, "signed_in")

    def reset(self) -> None:
        """Sign the developer in to both programs."""
        self.modes = dict.fromkeys(TOOLS, "signed_in")

    def install(self) -> Path:
        """Write the programs, unless they are there, and return their directory, for the variable `PATH`."""
        directory = self._files.subdirectory("tools")
        for tool in TOOLS:
            if not (directory / tool).exists():
                program = _PROGRAM.format(
                    secret=self.secret,
                    host=self._machine.host,
                    port=self._machine.port,
                    tool=tool,
                    header=SECRET_HEADER,
                )
                write_private(directory / f"{tool}.py", program.encode())
                launcher = _LAUNCHER.format(python=shlex.quote(sys.executable))
                write_private(directory / tool, launcher.encode(), _EXECUTABLE)
        return directory
