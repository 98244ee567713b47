"""`docs/emulator.md` is compared with the emulator: its code is run, and its lists are whole."""

import re
from pathlib import Path

import pytest

from hubpass.emulator.command_line import _parser
from hubpass.emulator.control_client import ControlClient
from hubpass.emulator.routes import ENTRA_ROUTES, IDENTITY_ROUTES, SERVICE_ROUTES
from hubpass.emulator.transports import TRANSPORTS

DOCS = Path(__file__).parents[3] / "docs"
DOCUMENT = (DOCS / "emulator.md").read_text(encoding="utf-8")
OF_WEB_PUBSUB = (DOCS / "emulator-web-pubsub.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", DOCUMENT, flags=re.DOTALL)


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", DOCUMENT, flags=re.MULTILINE | re.DOTALL)
    assert found is not None
    return found.group(1)


@pytest.mark.parametrize("code", BLOCKS)
def test_the_code_runs(code: str) -> None:
    exec(compile(code, "emulator.md", "exec"), {})  # noqa: S102 - the document is ours


def test_there_is_code_to_run() -> None:
    assert len(BLOCKS) == 2


def test_the_table_of_routes_is_whole() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(.*?)` \|$", section("Routes"), flags=re.MULTILINE)
    assert rows == [(route.name, route.shown_as) for route in (*SERVICE_ROUTES, *ENTRA_ROUTES, *IDENTITY_ROUTES)]


def test_the_table_of_transports_is_whole() -> None:
    rows = re.findall(
        r"^\| (\w+) \| (\d) \| yes \| (yes|no) \|", section("Transports and protocols"), flags=re.MULTILINE
    )
    assert rows == [
        (transport.name, str(transport.bit), "yes" if transport.carries_binary else "no") for transport in TRANSPORTS
    ]


def test_the_table_of_the_control_client_is_whole() -> None:
    named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| .*$", section("Control"), flags=re.MULTILINE))))
    # What is for Web PubSub alone is in its own document.
    others = {name for name in vars(ControlClient) if "web_pubsub" in name}
    assert others <= set(re.findall(r"^\| `(\w+)\(", OF_WEB_PUBSUB, flags=re.MULTILINE))
    assert named == {name for name in vars(ControlClient) if not name.startswith("_")} - others


def test_the_options_that_it_names_exist() -> None:
    known = {option for action in _parser()._actions for option in action.option_strings}
    named = set(re.findall(r"`(--[a-z-]+)", DOCUMENT))
    assert named
    assert named <= known
