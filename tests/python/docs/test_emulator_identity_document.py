"""`docs/emulator-identity.md` is compared with the emulator: its code is run, and its lists are whole."""

import re
from pathlib import Path
from typing import get_args

import pytest

from hubpass.emulator import IdentityControl, IdentityEndpoints
from hubpass.emulator.command_line import _parser
from hubpass.emulator.control_records import FaultRoute
from hubpass.emulator.entra_errors import ON_ORDER
from hubpass.emulator.identity_routes import KUBERNETES_ROUTES, MACHINE_ROUTES

DOCUMENT = (Path(__file__).parents[3] / "docs/emulator-identity.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", DOCUMENT, flags=re.DOTALL)
EMULATOR = Path(__file__).parents[3] / "python/hubpass/emulator"


@pytest.mark.parametrize("code", BLOCKS)
def test_the_code_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "emulator-identity.md", "exec"), {})  # noqa: S102 - the document is ours


def test_there_is_code_to_run() -> None:
    assert len(BLOCKS) == 1


def test_the_table_of_routes_is_whole() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([A-Z]+ .*?)` \|$", DOCUMENT, flags=re.MULTILINE)
    routes = (*MACHINE_ROUTES, *KUBERNETES_ROUTES)
    assert rows == [(route.name, route.shown_as) for route in routes]
    assert {route.name for route in routes} <= set(get_args(FaultRoute))


def test_the_table_of_the_control_client_is_whole() -> None:
    control = DOCUMENT.partition("\n## Control\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| .*$", control, flags=re.MULTILINE))))
    assert named == {name for name in vars(IdentityControl) if not name.startswith("_")}


def test_the_table_of_numbers_is_whole() -> None:
    """Every AADSTS number that the token endpoint can give by itself is in the table."""
    sources = ("client_authentication.py", "entra_endpoint.py", "resources.py")
    code = "\n".join((EMULATOR / name).read_text(encoding="utf-8") for name in sources)
    given = set(re.findall(r"\b(?:5|7|9)\d{4,6}\b", code)) - {str(number) for number in ON_ORDER}
    # These are about a form that no library sends, and about a grant that is none of this document's.
    others = {"900561", "9000411", "70003"}
    table = DOCUMENT.partition("| AADSTS | Status |")[2].partition("\n\n")[0]
    named = set(re.findall(r"\b\d{5,7}\b", table))
    assert given - others == named


def test_what_it_names_exists() -> None:
    known = {option for action in _parser()._actions for option in action.option_strings}
    assert set(re.findall(r"(--[a-z][a-z-]+)", DOCUMENT)) <= known
    attributes = set(re.findall(r"azure\.identity\.(\w+)`", DOCUMENT))
    assert attributes
    assert attributes <= {*IdentityEndpoints.__dataclass_fields__, "imds_environment", "arc_environment"}
