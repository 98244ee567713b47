"""The secrets with which the agent of Azure Arc makes callers prove that they may read its directory.

Source: "Authenticate against Azure resources with Azure Arc-enabled servers" of Microsoft's documentation. Clients
must refuse a file outside the agent's directory, without the suffix `.key`, or of more than 4096 bytes, so the agent
can be made to name such a file.
"""

from __future__ import annotations

import hmac
import secrets
import uuid
from pathlib import Path
from typing import Literal, get_args

from hubpass.emulator.redaction import Redactor
from hubpass.emulator.run_directory import RunDirectory, write_private

ArcChallenge = Literal["right", "too_large", "outside", "wrong_suffix", "missing_file", "without_realm"]
ARC_CHALLENGES: tuple[ArcChallenge, ...] = get_args(ArcChallenge)
_LARGEST_FILE = 4096
# Whoever asks and never answers must not fill the disk.
_MOST_UNANSWERED = 100


class ArcAgent:
    """Writes a secret for each challenge, and takes each of them once.

    `challenge` is the kind of the next challenges. `set_directory` points the agent to another place, such as the one
    of the real agent, which clients of Microsoft insist on: `/var/opt/azcmagent/tokens` on Linux.
    """

    def __init__(self, files: RunDirectory, redactor: Redactor) -> None:
        self._files = files
        self._redactor = redactor
        self._unanswered: dict[str, Path] = {}
        self._directory: Path | None = None
        self.challenge: ArcChallenge = "right"

    @property
    def directory(self) -> Path:
        """Where the files of good challenges are."""
        return self._directory or self._files.path / "arc"

    def set_directory(self, directory: Path) -> None:
        """Write the files of challenges there; the directory is made if need be, and stays."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory

    def new_challenge(self) -> str:
        """The value of `WWW-Authenticate` for a new secret."""
        if self.challenge == "without_realm":
            return "Basic"
        secret = secrets.token_hex(32)
        if self.challenge == "too_large":
            secret += secrets.token_hex(_LARGEST_FILE // 2)
        self._redactor.learn_passing(secret)
        outside = self.challenge == "outside"
        directory = self._files.subdirectory("outside") if outside else self._own_directory()
        path = directory / f"{uuid.uuid4()}{'.txt' if self.challenge == 'wrong_suffix' else '.key'}"
        if self.challenge != "missing_file":
            write_private(path, secret.encode())
        self._unanswered[secret] = path
        while len(self._unanswered) > _MOST_UNANSWERED:
            self._take(next(iter(self._unanswered)))
        return f"Basic realm={path}"

    def accepts(self, authorization: str) -> bool:
        """Whether the header carries the secret of an unanswered challenge, whose file is gone from now on."""
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() != "basic":
            return False
        found = next((one for one in self._unanswered if hmac.compare_digest(one.encode(), given.encode())), None)
        if found is None:
            return False
        self._take(found)
        return True

    def remove_files(self) -> None:
        """Delete what no caller has answered, also where the directory stays."""
        for secret in list(self._unanswered):
            self._take(secret)

    def _own_directory(self) -> Path:
        return self._directory or self._files.subdirectory("arc")

    def _take(self, secret: str) -> None:
        self._unanswered.pop(secret).unlink(missing_ok=True)
