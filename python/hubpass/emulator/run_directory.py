"""The directory for the files of one run: challenge secrets, certificates made on order, and developer tools.

Its name is known from the start, so that it can be told; it comes to exist with the first file, readable by its
owner alone, and is gone after the run.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from pathlib import Path

_PRIVATE_DIRECTORY = 0o700


class RunDirectory:
    """A directory under the system's directory for temporary files."""

    def __init__(self) -> None:
        # Nobody can take the place of a directory whose name they cannot guess, and `mkdir` refuses one that is there.
        self.path = Path(tempfile.gettempdir()).resolve() / f"hubpass-local-azure-{secrets.token_hex(16)}"

    def subdirectory(self, name: str) -> Path:
        """The directory of that name in it, made at first use."""
        if not self.path.exists():
            self.path.mkdir(_PRIVATE_DIRECTORY)
        directory = self.path / name
        directory.mkdir(_PRIVATE_DIRECTORY, exist_ok=True)
        return directory

    def remove(self) -> None:
        """Delete it with everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def write_private(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a new file that nobody else can read, not even for a moment; raises `FileExistsError`."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
