"""Build the wheel and the sdist into dist/, and prove that they are what we mean to publish.

The wheel must run on any Linux with glibc 2.17 or newer and on every CPython from 3.10, hold the licences,
stay below 4 MB, and install offline with no dependency into a clean environment of every CPython 3.10-3.13 on
this machine. The sdist must build to a package that works as well.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
TOOLS = ROOT / ".venv" / "bin"
SEARCH_PATH = f"{TOOLS}:{os.environ['PATH']}"
SMOKE = ROOT / ".ci" / "wheel_smoke.py"
PLATFORM = "manylinux_2_17_x86_64"
MAX_BYTES = 4_000_000
SUPPORTED = ("3.10", "3.11", "3.12", "3.13")
DESCRIBE = "import ensurepip, platform, sys; print(platform.python_implementation(), *sys.version_info[:2])"


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """Run a command, show what it said only if it failed, and return its standard output."""
    # Package indexes and extra wheel directories must not help an installation that claims to need none.
    inherited = {name: value for name, value in os.environ.items() if name != "PIP_FIND_LINKS"}
    done = subprocess.run(
        command, cwd=cwd, env={**inherited, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{done.stdout}{done.stderr}\nbuild_wheel: failed: {' '.join(map(str, command))}")
    return done.stdout


def require(condition: bool, complaint: str) -> None:
    if not condition:
        sys.exit(f"build_wheel: {complaint}")


def build() -> tuple[Path, Path]:
    """The wheel, linked by zig against an old glibc whatever this machine has, and the sdist."""
    shutil.rmtree(DIST, ignore_errors=True)
    # Panic messages name source files; without this they would name directories of whoever built the wheel.
    cargo_home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    flags = f"--remap-path-prefix={cargo_home}=cargo --remap-path-prefix={ROOT}=hubpass"
    compatibility = ("--zig", "--compatibility", PLATFORM.removesuffix("_x86_64"))
    interpreter = ("--interpreter", TOOLS / "python")
    build = ("build", "--release", *compatibility, *interpreter, "--out", DIST)
    run(TOOLS / "maturin", *build, RUSTFLAGS=flags, PATH=SEARCH_PATH)
    run(TOOLS / "maturin", "sdist", "--out", DIST)
    (wheel,) = DIST.glob("*.whl")
    (sdist,) = DIST.glob("*.tar.gz")
    return wheel, sdist


def check_wheel(wheel: Path) -> None:
    tags = wheel.stem.split("-")
    require(tags[2:4] == ["cp310", "abi3"], f"{wheel.name} is not tagged cp310-abi3")
    require(PLATFORM in tags[4].split("."), f"{wheel.name} is not tagged {PLATFORM}")
    report = " ".join(run(TOOLS / "auditwheel", "show", wheel).split())
    found = re.search(r'consistent with the following platform tag: "([^"]+)"', report)
    require(found is not None and found[1] == PLATFORM, f"auditwheel disagrees with {PLATFORM}: {report}")
    require("abi3" in report, f"auditwheel does not see the stable ABI: {report}")
    size = wheel.stat().st_size
    require(size < MAX_BYTES, f"{wheel.name} has {size} bytes; the limit is {MAX_BYTES}")

    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        folder = next(name.partition("/")[0] for name in names if ".dist-info/" in name)
        for name in ("LICENSE", "THIRD_PARTY_NOTICES"):
            held = archive.read(f"{folder}/licenses/{name}")
            require(held == (ROOT / name).read_bytes(), f"{name} in the wheel differs from the repository's")
        require("hubpass/py.typed" in names, "the wheel lacks py.typed")
        ours = (f"{folder}/", "hubpass/")
        strays = [name for name in names if "__pycache__" in name or not name.startswith(ours)]
        require(not strays, f"the wheel holds files that do not belong there: {strays}")
        for name in names:
            require(str(ROOT).encode() not in archive.read(name), f"{name} names the directory of this build")
    print(f"{wheel.name}: {size:,} bytes, {found[1] if found else ''} by auditwheel")


def interpreters() -> dict[str, Path]:
    """One CPython for each supported version: from PATH, from pyenv, or among those that uv knows."""
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders += sorted((pyenv / "versions").glob("*/bin"))
    candidates = [folder / f"python{version}" for folder in folders for version in SUPPORTED]
    known = run(TOOLS / "uv", "python", "list", "--only-installed", "--offline", "--output-format", "json")
    candidates += [Path(path) for path in re.findall(r'"path":\s*"([^"]+)"', known)]
    found: dict[str, Path] = {}
    for path in candidates:
        if not os.access(path, os.X_OK):
            continue
        # A version manager's shim may stand for a version that is not selected; then it fails.
        answer = subprocess.run([path, "-c", DESCRIBE], capture_output=True, text=True, check=False)
        implementation, *version = answer.stdout.split() or [""]
        if answer.returncode == 0 and implementation == "CPython" and ".".join(version) in SUPPORTED:
            found.setdefault(".".join(version), path)
    return found


def check_installation(archive: Path, interpreter: Path) -> None:
    """Install into a clean environment with neither index nor dependencies, and use the package there."""
    with tempfile.TemporaryDirectory() as folder:
        run(interpreter, "-m", "venv", folder)
        python = Path(folder) / "bin" / "python"
        run(python, "-m", "pip", "install", "--no-index", "--no-deps", archive)
        print(f"{archive.name}: {run(python, '-I', SMOKE, cwd=Path(folder)).strip()}")


def check_sdist(sdist: Path, interpreter: Path) -> None:
    """Build from the sdist, without optimising: what is in question is whether the files are complete."""
    offline = ("--no-index", "--no-deps", "--no-build-isolation")
    with tempfile.TemporaryDirectory() as folder:
        pip_wheel = (TOOLS / "python", "-m", "pip", "wheel", *offline, "--wheel-dir", folder, sdist)
        target = str(ROOT / "target")
        run(*pip_wheel, PATH=SEARCH_PATH, MATURIN_PEP517_ARGS="--profile dev", CARGO_TARGET_DIR=target)
        (wheel,) = Path(folder).glob("*.whl")
        check_installation(wheel, interpreter)


def main() -> None:
    wheel, sdist = build()
    check_wheel(wheel)
    found = interpreters()
    require(bool(found), f"no CPython of {', '.join(SUPPORTED)} was found")
    for version in sorted(found):
        check_installation(wheel, found[version])
    check_sdist(sdist, next(iter(found.values())))
    for version in sorted(set(SUPPORTED) - set(found)):
        print(f"not installed on this machine, not tried: CPython {version}")


if __name__ == "__main__":
    main()
