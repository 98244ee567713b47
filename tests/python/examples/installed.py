"""The package as its users have it: a wheel, installed where nothing of this repository is."""

import os
import shutil
import subprocess
import sys
import sysconfig
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from signalr.service_double import WATCHDOG

ROOT = Path(__file__).resolve().parents[3]
STARTERS = ROOT / "examples/starters"


def build_wheel(folder: Path) -> Path:
    """The wheel of the extension that the other tests use, which is compiled already."""
    maturin = [
        sys.executable,
        "-m",
        "maturin",
        "build",
        "--quiet",
        "--features",
        "python,testing",
        "--out",
        str(folder),
    ]
    # Nothing here is published, and a check for other systems would take patchelf.
    subprocess.run([*maturin, "--skip-auditwheel"], check=True, cwd=ROOT, timeout=WATCHDOG * 20, env=clean())
    (wheel,) = folder.glob("*.whl")
    return wheel


def clean(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a person who has never seen this repository, and whose Azure is none."""
    ours = ("AZURE_", "Azure", "IDENTITY_", "PYTEST_", "PYTHONPATH", "COV_", "COVERAGE_", "HUBPASS_", "WEBSITE_")
    return {**{name: value for name, value in os.environ.items() if not name.startswith(ours)}, **(more or {})}


class Installed:
    """An environment with the wheel in it, and a folder with the examples as they are."""

    def __init__(self, folder: Path, wheel: Path, interpreter: str = sys.executable) -> None:
        self.folder = folder / "project"
        shutil.copytree(STARTERS, self.folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        environment = folder / "venv"
        subprocess.run([interpreter, "-m", "venv", "--without-pip", environment], check=True, timeout=WATCHDOG * 4)
        self.bin = environment / "bin"
        pip = [sys.executable, "-m", "pip", "--python", self.python, "install", "--no-deps", "--no-index", "--quiet"]
        subprocess.run([*pip, "--disable-pip-version-check", wheel], check=True, timeout=WATCHDOG * 4)

    @property
    def python(self) -> str:
        return str(self.bin / "python")

    def share(self, packages: str) -> None:
        """Let it use other packages that are installed already, after its own and without their `.pth` files."""
        (site,) = self.bin.parent.glob("lib/*/site-packages")
        (site / "shared.pth").write_text(packages)

    def with_azure(self, *command: str) -> list[str]:
        """A command with the local Azure in its environment."""
        return [str(self.bin / "hubpass"), "emulator", "run", "--", *command]

    def run(self, *command: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            command,
            check=False,
            cwd=self.folder,
            env=clean(more),
            capture_output=True,
            text=True,
            timeout=WATCHDOG * 3,
        )

    @contextmanager
    def serving(self, command: Sequence[str], url: str, **more: str) -> Iterator[None]:
        """Run a server until the block ends, and fail unless it ends as it should."""
        with subprocess.Popen(command, cwd=self.folder, env=clean(more), start_new_session=True) as server:
            try:
                wait_for(url, server)
                yield
                server.terminate()
                # The signal is passed on; servers end in order, or by it.
                assert server.wait(WATCHDOG) in {0, 128 + 15}
            finally:
                server.kill()


def with_shared_packages(folder: Path, wheel: Path) -> Installed:
    """One that uses the packages of the interpreter that runs the tests, except for the package itself."""
    made = Installed(folder, wheel)
    made.share(sysconfig.get_paths()["purelib"])
    where = made.run(made.python, "-c", "import hubpass; print(hubpass.__file__)").stdout
    assert where.startswith(str(made.bin.parent)), where
    return made


def wait_for(url: str, server: "subprocess.Popen[bytes]") -> None:
    """Until the server answers, whatever it answers."""
    ends = time.monotonic() + WATCHDOG
    while time.monotonic() < ends and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - a loopback URL made by the test
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
            continue
        return
    raise AssertionError(f"the server does not answer; exit code {server.poll()}")
