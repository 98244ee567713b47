"""The command `python -m hubpass.emulator`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from hubpass.emulator.permissions import BUILT_IN_ROLES, DEFAULT_ROLES

INSTALL_HINT = 'pip install "hubpass[emulator]"'
_HIGHEST_PORT = 65535
_SERVER_PACKAGES = frozenset({"starlette", "uvicorn", "wsproto", "h11", "cryptography"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the local Azure until it is stopped; returns the exit code."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    if parsed.access_key_from_input:
        try:
            parsed.access_key = _access_key_from_input()
        except argparse.ArgumentTypeError as error:
            parser.error(str(error))
    try:
        from hubpass.emulator import server
        from hubpass.emulator.addresses import NotLoopbackError
        from hubpass.emulator.service import Timing
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _SERVER_PACKAGES:
            raise
        print(f"The local Azure needs the package {error.name}. Run: {INSTALL_HINT}", file=sys.stderr)
        return 2
    options = server.Options(
        host=parsed.host.strip("[]"),
        port=parsed.port,
        control_port=parsed.control_port,
        access_key=parsed.access_key,
        service_mode=parsed.service_mode,
        timing=Timing(
            ping_interval=parsed.ping_interval,
            client_timeout=parsed.client_timeout,
            handshake_timeout=parsed.handshake_timeout,
            poll_timeout=parsed.poll_timeout,
        ),
        key_life=parsed.key_life,
        key_issue_for=parsed.key_issue_for,
        roles=() if parsed.no_roles else tuple(parsed.role or DEFAULT_ROLES),
        local_auth_disabled=parsed.disable_local_auth,
        exit_with_parent=parsed.exit_with_parent,
        arc_directory=parsed.arc_directory,
    )
    try:
        server.run(options)
    except NotLoopbackError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"The local Azure cannot listen on {options.host}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hubpass.emulator",
        description="A strict local Azure SignalR and Web PubSub. Prints a JSON line when ready; logs go to stderr.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="loopback address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=0, help="port of the service (default: the system picks one)")
    parser.add_argument("--control-port", type=_port, default=0, help="port of the control API (default: picked)")
    keys = parser.add_mutually_exclusive_group()
    keys.add_argument(
        "--access-key",
        type=_access_key,
        help="primary access key (default: random for each run); whoever may list processes sees it here",
    )
    keys.add_argument(
        "--access-key-from-input",
        action="store_true",
        help="read the primary access key, as a JSON string, from the first line of standard input",
    )
    parser.add_argument(
        "--service-mode",
        choices=["Serverless", "Default"],
        default="Serverless",
        help="(default: %(default)s)",
    )
    seconds = "seconds (default: %(default)s)"
    parser.add_argument("--ping-interval", type=_seconds, default=15.0, help=f"pause before a keep-alive, {seconds}")
    parser.add_argument("--client-timeout", type=_seconds, default=30.0, help=f"longest silence of a client, {seconds}")
    parser.add_argument("--handshake-timeout", type=_seconds, default=15.0, help=f"time for the handshake, {seconds}")
    parser.add_argument("--poll-timeout", type=_seconds, default=90.0, help=f"longest wait of a long poll, {seconds}")
    parser.add_argument("--key-life", type=_seconds, default=5400.0, help=f"life of a temporary access key, {seconds}")
    parser.add_argument(
        "--key-issue-for",
        type=_seconds,
        default=300.0,
        help=f"time for which the same temporary access key is given out, {seconds}",
    )
    roles = parser.add_mutually_exclusive_group()
    roles.add_argument(
        "--role",
        action="append",
        choices=BUILT_IN_ROLES,
        help=f"role of the application and of the managed identities, repeatable (default: {', '.join(DEFAULT_ROLES)})",
    )
    roles.add_argument("--no-roles", action="store_true", help="start without any role assignment")
    parser.add_argument("--disable-local-auth", action="store_true", help="refuse the static access keys: Entra only")
    parser.add_argument(
        "--arc-directory",
        type=_directory,
        help="where Azure Arc writes its secrets, such as /var/opt/azcmagent/tokens (default: a directory of this run)",
    )
    parser.add_argument(
        "--exit-with-parent",
        action="store_true",
        help="stop when standard input ends, as it does when a parent dies",
    )
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= _HIGHEST_PORT:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return port


def _directory(text: str) -> str:
    try:
        Path(text).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"the directory cannot be made: {error.strerror}") from error
    return text


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError("a positive number of seconds is needed")
    return seconds


def _access_key_from_input() -> str:
    try:
        key = json.loads(sys.stdin.buffer.readline())
    except ValueError:
        key = None
    if not isinstance(key, str):
        raise argparse.ArgumentTypeError("the first line of standard input is not an access key as a JSON string")
    return _access_key(key)


def _access_key(text: str) -> str:
    # The value is never shown: argparse puts the message of this error, and not the argument, on the screen.
    if not text.strip() or text != text.strip() or ";" in text or not text.isprintable():
        raise argparse.ArgumentTypeError("an access key is printable text without ';' and without spaces around it")
    return text
