"""The benchmark of leaks, small: what it bounds is bounded at every size."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[3] / "benches/leaks.py"


@pytest.mark.timeout(300)
def test_nothing_is_left_of_negotiations_and_clients() -> None:
    counts = ["--negotiations", "20000", "--awaits", "20000", "--clients", "50"]
    command = [sys.executable, "-W", "error", str(BENCH), *counts]
    bench = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert (bench.returncode, bench.stderr) == (0, ""), bench.stdout
    assert bench.stdout.count("(met)") == 6
