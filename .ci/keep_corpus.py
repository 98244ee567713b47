"""Keep in fuzz/corpus/<target> what fuzzing has reached and nothing there does, the most telling inputs first.

libFuzzer's own merge would keep hundreds of inputs for each target, because each line of a parser is a feature to it.
The committed corpora are for replaying on each run of the tests, so they have a bound.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST_FILES = 38


def features(binary: Path, folders: list[Path]) -> dict[Path, set[str]]:
    """What each input reaches, from the record that libFuzzer writes while it merges."""
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "record"
        into = Path(folder) / "merged"
        into.mkdir()
        options = ["-set_cover_merge=1", "-use_counters=0", f"-merge_control_file={record}"]
        subprocess.run([binary, *options, into, *folders], cwd=ROOT, check=True, capture_output=True)
        lines = record.read_text("utf-8").splitlines()
    # The number of files, how many of them are there already, and their names; then what was seen, by position.
    names = [Path(line) for line in lines[2 : 2 + int(lines[0])]]
    seen = [line.split() for line in lines if line.startswith("FT ")]
    return {names[int(position)]: set(reached) for _, position, *reached in seen}


def keep(target: str) -> None:
    """Copy the inputs that add most, one after the other, until nothing is added or the corpus is full."""
    kept, found = Path("fuzz/corpus") / target, Path("target/fuzz-corpus") / target
    binary = ROOT / "target/fuzz/x86_64-unknown-linux-gnu/release" / target
    reached = features(binary, [kept, found])
    covered = set[str]().union(*(reached[path] for path in reached if path.is_relative_to(kept)))
    candidates = [path for path in reached if path.is_relative_to(found)]
    count = len(list((ROOT / kept).iterdir()))
    while candidates and count < MOST_FILES:
        best = max(candidates, key=lambda path: (len(reached[path] - covered), -(ROOT / path).stat().st_size))
        if not reached[best] - covered:
            break
        covered |= reached[best]
        candidates.remove(best)
        shutil.copyfile(ROOT / best, ROOT / kept / best.name)
        count += 1
    missed = len(set[str]().union(*reached.values()) - covered)
    print(f"{kept}: {count} inputs reach {len(covered)} places of the code, and leave out {missed} that were reached")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        keep(name)
