"""The emulator shares no code with what it tests, and its client needs no server packages."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import hubpass.emulator
from emulator.support import python

PACKAGE = Path(hubpass.emulator.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
SERVER_PACKAGES = {"cryptography", "msgpack", "starlette", "uvicorn", "typing_extensions", "wsproto"}
# What `import hubpass.emulator` loads must do without them.
CLIENT_MODULES = {
    "__init__.py",
    "control_client.py",
    "control_records.py",
    "identity_control.py",
    "identity_records.py",
    "process.py",
}


def imported(module: Path) -> set[str]:
    """The full names that a module imports, wherever in the file it does so."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module.name} imports relatively, which this test does not follow"
            assert node.module is not None
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_there_is_something_to_look_at() -> None:
    assert len(MODULES) > 20


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_nothing_of_hubpass_but_the_emulator_is_imported(module: Path) -> None:
    for name in imported(module):
        top = name.partition(".")[0]
        if top == "hubpass":
            assert name.startswith("hubpass.emulator"), f"{module.name} imports {name}"
        else:
            assert top in sys.stdlib_module_names | SERVER_PACKAGES, f"{module.name} imports {name}"
    text = module.read_text(encoding="utf-8")
    assert "_native" not in text
    assert "import_module" not in text
    assert "__import__" not in text


@pytest.mark.parametrize("name", sorted(CLIENT_MODULES))
def test_the_client_side_is_made_of_the_standard_library(name: str) -> None:
    tops = {found.partition(".")[0] for found in imported(PACKAGE / name)}
    assert tops - {"hubpass"} <= set(sys.stdlib_module_names)
    own = {found.split(".")[2] for found in imported(PACKAGE / name) if found.startswith("hubpass.emulator.")}
    assert {f"{found}.py" for found in own} <= CLIENT_MODULES


WITHOUT_SERVER_PACKAGES = (
    "import sys\n"
    "for name in ('starlette', 'uvicorn', 'wsproto', 'h11', 'cryptography', 'msgpack', 'typing_extensions'):\n"
    "    sys.modules[name] = None\n"
)


def test_importing_it_needs_no_server_package() -> None:
    command, environment = python("-c", f"{WITHOUT_SERVER_PACKAGES}import hubpass.emulator; hubpass.emulator.Emulator")
    subprocess.run(command, env=environment, check=True, timeout=60)


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "wsproto", "h11", "cryptography"])
def test_running_it_without_a_server_package_says_what_to_install(missing: str) -> None:
    script = (
        f"import sys\nsys.modules[{missing!r}] = None\n"
        "from hubpass.emulator.command_line import main\nsys.exit(main([]))"
    )
    command, environment = python("-c", script)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert missing in done.stderr
    assert 'pip install "hubpass[emulator]"' in done.stderr
    assert done.stdout == ""
