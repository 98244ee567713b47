"""The code and the tables of a document."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]


class Document:
    """A document of this repository, by its path."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.text = (ROOT / path).read_text(encoding="utf-8")

    def section(self, heading: str) -> str:
        """What stands under a heading, until the next."""
        found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", self._outside_code, re.MULTILINE | re.DOTALL)
        assert found is not None, heading
        return self._with_hashes(found.group(1))

    def code(self, heading: str, number: int = 0) -> str:
        """A block in Python under a heading."""
        blocks: list[str] = re.findall(r"```python\n(.*?)```", self.section(heading), flags=re.DOTALL)
        return blocks[number]

    def run(self, heading: str, number: int = 0) -> dict[str, Any]:
        """Run a block; the names that it makes."""
        names: dict[str, Any] = {"__name__": "document"}
        exec(compile(self.code(heading, number), self.path, "exec"), names)  # noqa: S102 - the document is ours
        return names

    def rows(self, heading: str) -> list[list[str]]:
        """The rows of the first table under a heading, without its head."""
        table = re.search(r"(?:^\|.*\n)+", self.section(heading), re.MULTILINE)
        assert table is not None, heading
        lines = table.group().splitlines()[2:]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]

    @property
    def _outside_code(self) -> str:
        """The text, with comments in code that do not look like headings."""
        return re.sub(r"```.*?```", lambda block: block.group().replace("\n#", "\n\0"), self.text, flags=re.DOTALL)

    def _with_hashes(self, text: str) -> str:
        return text.replace("\0", "#")
