"""Reads the memory of a child process, as a core dump would show it."""

import re
from dataclasses import dataclass
from pathlib import Path

SKIPPED = 16
"""What the C library writes over the beginning of memory that was freed; a text is looked for by what comes after."""

CONTEXT = 64
"""How much is kept on either side of a finding, in bytes."""


@dataclass
class Found:
    """A copy of a secret: where it is, what stands before its skipped beginning, and what follows it."""

    address: int
    before: bytes
    after: bytes


def copies_of(secret: str, pid: int) -> list[Found]:
    """Every copy in the memory of a process of which all but the beginning is still there."""
    tail = secret[SKIPPED:].encode()
    found = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for start, size in _regions(pid):
            try:
                memory.seek(start)
                content = memory.read(size)
            except OSError:
                # The kernel's own pages can be listed and not be read.
                continue
            at = content.find(tail)
            while at >= 0:
                begin, end = at - SKIPPED, at + len(tail)
                before = content[max(begin - CONTEXT, 0) : max(begin, 0)]
                found.append(Found(start + at, before, content[end : end + CONTEXT]))
                at = content.find(tail, at + 1)
    return found


def _regions(pid: int) -> list[tuple[int, int]]:
    """The readable parts of a process's address space: where each begins, and its size."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    matches = (re.match(r"([0-9a-f]+)-([0-9a-f]+) r\S+ \S+ \S+ \S+ *(.*)", line) for line in lines)
    spans = [(int(each[1], 16), int(each[2], 16)) for each in matches if each and not each[3].startswith("[v")]
    return [(start, end - start) for start, end in spans]
