"""The command ``hubpass``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

_USAGE = """\
usage: hubpass emulator [options]             start the local Azure (hubpass emulator --help)
       hubpass emulator run -- COMMAND ...    run a command with the local Azure in its environment
       hubpass --version
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:2] == ["emulator", "run"]:
        from hubpass.emulator.run_command import main as run

        return run(given[2:])
    if given[:1] == ["emulator"]:
        from hubpass.emulator.command_line import main as emulator

        return emulator(given[1:])
    if given == ["--version"]:
        from hubpass import __version__

        print(f"hubpass {__version__}")  # noqa: T201 - what the option is for
        return 0
    wants_help = given in ([], ["--help"], ["-h"])
    print(_USAGE, end="", file=sys.stdout if wants_help else sys.stderr)
    return 0 if wants_help else 2
