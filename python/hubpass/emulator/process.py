"""Starts the local Azure in a process of its own, for tests and scripts."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, final

from hubpass.emulator.control_client import ControlClient
from hubpass.emulator.identity_records import IdentityEndpoints

_EXIT_SECONDS = 10.0
_MOST_LOG_LINES = 5_000


class EmulatorError(RuntimeError):
    """The emulator did not start, or did not end in order; the text holds its last log lines."""


@final
class Emulator:
    """A local Azure that lives as long as a `with` block.

    ```python
    with Emulator() as azure:
        client = SignalRServiceClient.from_connection_string(azure.connection_string, "chat")
    ```

    Beside Azure SignalR Service it plays Azure Web PubSub, at an address and with access keys of its own.

    It has an Entra of its own, whose one application, two managed identities and one developer can do everything
    unless `roles` says otherwise. Entra is reached over https; `ca_file` is the certificate to trust.

    Parameters: `host`, a loopback address (default `127.0.0.1`); `port`, 0 lets the system pick one;
    `service_mode`, `Serverless` (default) or `Default`; `access_key`, the primary key (default: random);
    `ping_interval`, `client_timeout`, `handshake_timeout` and `poll_timeout` in seconds (defaults: those of ASP.NET
    Core SignalR);
    `key_life` and `key_issue_for`, seconds for which a temporary access key signs (default 5400) and is given
    out (default 300); `roles`, the built-in roles of all identities (default: `SignalR Service Owner` and
    `Web PubSub Service Owner`);
    `local_auth_disabled`, whether the static keys are refused (default: no);
    `arc_directory`, where Azure Arc writes its secrets (default: a directory of this run);
    `start_timeout`, seconds to wait for the emulator to be ready; `show_log`, whether its log goes to this
    process's standard error as well.

    The process ends with this one, also if this one is killed. Needs the extra `emulator`.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        service_mode: Literal["Serverless", "Default"] = "Serverless",
        access_key: str | None = None,
        ping_interval: float | None = None,
        client_timeout: float | None = None,
        handshake_timeout: float | None = None,
        poll_timeout: float | None = None,
        key_life: float | None = None,
        key_issue_for: float | None = None,
        roles: Sequence[str] | None = None,
        local_auth_disabled: bool = False,
        arc_directory: str | None = None,
        start_timeout: float = 30.0,
        show_log: bool = False,
    ) -> None:
        self._arguments = ["--host", host, "--port", str(port), "--service-mode", service_mode]
        optional = {
            "--ping-interval": ping_interval,
            "--client-timeout": client_timeout,
            "--handshake-timeout": handshake_timeout,
            "--poll-timeout": poll_timeout,
            "--key-life": key_life,
            "--key-issue-for": key_issue_for,
        }
        for name, value in optional.items():
            if value is not None:
                self._arguments.append(f"{name}={value}")
        self._access_key = access_key
        if access_key is not None:
            # Whoever may list processes sees their arguments.
            self._arguments.append("--access-key-from-input")
        if roles is not None:
            self._arguments.extend([f"--role={role}" for role in roles] or ["--no-roles"])
        if local_auth_disabled:
            self._arguments.append("--disable-local-auth")
        if arc_directory is not None:
            self._arguments.append(f"--arc-directory={arc_directory}")
        self._start_timeout = start_timeout
        self._show_log = show_log
        self._process: subprocess.Popen[str] | None = None
        self._threads: list[threading.Thread] = []
        self._output: queue.Queue[str | None] = queue.Queue()
        self._log: deque[str] = deque(maxlen=_MOST_LOG_LINES)
        self._ready: dict[str, Any] = {}
        self._control: ControlClient | None = None

    def __enter__(self) -> Emulator:
        """Start the emulator."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the emulator."""
        self.stop()

    def start(self) -> None:
        """Start the process and wait until it is ready; raises `EmulatorError` if it does not get there."""
        if self._process is not None:
            raise EmulatorError("this emulator was started already")
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter, our own module
            [sys.executable, "-m", "hubpass.emulator", "--exit-with-parent", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=_environment(),
        )
        self._pass_key(self._process.stdin)
        self._follow(self._process.stdout, self._take_output)
        self._follow(self._process.stderr, self._take_log)
        line: str | None = None
        with contextlib.suppress(queue.Empty):
            line = self._output.get(timeout=self._start_timeout)
        if line is None:
            self._end(kill=True)
            raise EmulatorError("the local Azure did not start:\n" + "\n".join(self._log))
        self._ready = json.loads(line)
        self._control = ControlClient(self._ready["control_url"], self._ready["control_token"])

    def stop(self) -> None:
        """End the process; raises `EmulatorError` if it does not end in order by itself."""
        if self._process is None or (self._process.poll() is not None and not self._threads):
            return
        code = self._end(kill=False)
        if code != 0:
            raise EmulatorError(f"the local Azure ended with code {code}:\n" + "\n".join(self._log))

    @property
    def endpoint(self) -> str:
        """Scheme, host and port of the service, such as `http://127.0.0.1:34309`."""
        return str(self._ready["endpoint"])

    @property
    def connection_string(self) -> str:
        """The connection string with the primary key of the start; a rotation returns the new ones."""
        return str(self._ready["primary_connection_string"])

    @property
    def secondary_connection_string(self) -> str:
        """The connection string with the secondary key as it was at the start."""
        return str(self._ready["secondary_connection_string"])

    @property
    def authority(self) -> str:
        """The URL of Entra, such as `https://127.0.0.1:41723`: an authority host without a tenant."""
        return str(self._ready["authority"])

    @property
    def ca_file(self) -> str:
        """Path of the certificate (PEM) that TLS clients of `authority` must trust; gone after the end."""
        return str(self._ready["ca_file"])

    @property
    def tenant_id(self) -> str:
        """The tenant of the service and of the application."""
        return str(self._ready["tenant_id"])

    @property
    def client_id(self) -> str:
        """The client id of the application."""
        return str(self._ready["client_id"])

    @property
    def client_secret(self) -> str:
        """The client secret of the application."""
        return str(self._ready["client_secret"])

    @property
    def object_id(self) -> str:
        """The object id of the application's service principal, which roles are assigned to."""
        return str(self._ready["object_id"])

    @property
    def entra_connection_string(self) -> str:
        """The connection string with the application's client secret."""
        return str(self._ready["entra_connection_string"])

    @property
    def identity_endpoint(self) -> str:
        """The managed identity endpoint, for the environment variable `IDENTITY_ENDPOINT`."""
        return str(self._ready["identity_endpoint"])

    @property
    def identity_header(self) -> str:
        """The secret that goes with it, for the environment variable `IDENTITY_HEADER`."""
        return str(self._ready["identity_header"])

    @property
    def identity(self) -> IdentityEndpoints:
        """Where IMDS, Azure Arc and the Kubernetes issuer are, and who the developer is."""
        return IdentityEndpoints(**self._ready["identity"])

    @property
    def managed_identity_object_id(self) -> str:
        """The object id of the system-assigned managed identity."""
        return str(self._ready["managed_identity_object_id"])

    @property
    def managed_identity_connection_string(self) -> str:
        """The connection string of the system-assigned managed identity."""
        return str(self._ready["managed_identity_connection_string"])

    @property
    def user_assigned_client_id(self) -> str:
        """The client id of the user-assigned managed identity."""
        return str(self._ready["user_assigned_client_id"])

    @property
    def user_assigned_object_id(self) -> str:
        """The object id of the user-assigned managed identity."""
        return str(self._ready["user_assigned_object_id"])

    @property
    def user_assigned_resource_id(self) -> str:
        """The Azure resource id of the user-assigned managed identity."""
        return str(self._ready["user_assigned_resource_id"])

    @property
    def web_pubsub_endpoint(self) -> str:
        """Scheme, host and port of Web PubSub, such as `http://127.0.0.1:41235`."""
        return str(self._ready["web_pubsub_endpoint"])

    @property
    def web_pubsub_connection_string(self) -> str:
        """The connection string with the primary key of Web PubSub as it was at the start."""
        return str(self._ready["web_pubsub_primary_connection_string"])

    @property
    def web_pubsub_secondary_connection_string(self) -> str:
        """The connection string with the secondary key of Web PubSub as it was at the start."""
        return str(self._ready["web_pubsub_secondary_connection_string"])

    @property
    def web_pubsub_entra_connection_string(self) -> str:
        """The connection string of Web PubSub with the application's client secret."""
        return str(self._ready["web_pubsub_entra_connection_string"])

    @property
    def web_pubsub_managed_identity_connection_string(self) -> str:
        """The connection string of Web PubSub with the system-assigned managed identity."""
        return str(self._ready["web_pubsub_managed_identity_connection_string"])

    @property
    def control(self) -> ControlClient:
        """The client of the control API."""
        if self._control is None:
            raise EmulatorError("this emulator is not started")
        return self._control

    @property
    def control_url(self) -> str:
        """The URL of the control API."""
        return str(self._ready["control_url"])

    @property
    def control_token(self) -> str:
        """The secret that the control API asks for, for a `ControlClient` in another process."""
        return str(self._ready["control_token"])

    @property
    def log_lines(self) -> list[str]:
        """What the emulator has logged so far; credentials are redacted."""
        return list(self._log)

    @property
    def pid(self) -> int:
        """The id of the emulator's process."""
        if self._process is None:
            raise EmulatorError("this emulator is not started")
        return self._process.pid

    def _pass_key(self, stream: IO[str] | None) -> None:
        """Write the access key as the first line of the input; in JSON it is one line, whatever is in it."""
        # A process that has ended already says why on its standard error.
        with contextlib.suppress(OSError):
            if stream is not None and self._access_key is not None:
                stream.write(json.dumps(self._access_key) + "\n")
                stream.flush()

    def _take_output(self, line: str | None) -> None:
        self._output.put(line)

    def _take_log(self, line: str | None) -> None:
        if line is not None:
            self._log.append(line)
            if self._show_log:
                print(line, file=sys.stderr)

    def _follow(self, stream: IO[str] | None, take: Any) -> None:
        """Read a pipe to its end in the background, so that the emulator never blocks on a full pipe."""

        def follow() -> None:
            if stream is not None:
                with stream:
                    for line in stream:
                        take(line.rstrip("\n"))
            take(None)

        thread = threading.Thread(target=follow, name="hubpass-emulator-output", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _end(self, *, kill: bool) -> int | None:
        process = self._process
        if process is None:
            return None
        with contextlib.suppress(OSError):
            if process.stdin is not None:
                # The end of its input is the emulator's sign to stop, on every platform.
                process.stdin.close()
        if kill:
            process.kill()
        try:
            code: int | None = process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            code = None
        for thread in self._threads:
            thread.join(_EXIT_SECONDS)
        self._threads.clear()
        return code


def _environment() -> dict[str, str]:
    """The environment of this process, with the place of this package findable by a new interpreter."""
    environment = dict(os.environ)
    here = str(Path(__file__).absolute().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [environment.get("PYTHONPATH"), here]))
    environment["PYTHONUNBUFFERED"] = "1"
    return environment
