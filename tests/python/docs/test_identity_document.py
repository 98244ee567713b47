"""What docs/identity.md says of the credentials."""

import re
from pathlib import Path

import hubpass.identity
from hubpass import _native

TEXT = (Path(__file__).parents[3] / "docs/identity.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of a section's table, without its head."""
    section = TEXT.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = re.findall(r"^\| (.*) \|$", section, flags=re.MULTILINE)
    return [line.split(" | ") for line in lines[1:]]


def test_the_table_has_every_credential() -> None:
    names = {name for name in hubpass.identity.__all__ if name.endswith("Credential")}
    found = [row[0].strip("`") for row in rows("The credentials")]
    assert set(found) == names
    assert len(found) == len(names)


def test_the_codes_of_errors_are_those_of_the_core() -> None:
    classes = _native.error_codes()
    for error, codes, _ in rows("Errors"):
        for code in re.findall(r"`(\w+)`", codes):
            assert classes[code] == error.strip("`")
