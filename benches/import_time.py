"""How long ``import hubpass`` takes against ``import azure.identity``, and what it leaves unloaded.

Reproduce with ``make bench``, or with a release build of hubpass: ``python benches/import_time.py``. Each
import happens in a fresh interpreter, which times the statement itself. The process fails if the minimum
misses the goal or a heavy module is loaded.
"""

import subprocess
import sys
from functools import partial

from rounds import goal_met, interleave

BASELINE = "import azure.identity"
IMPORT = "import hubpass"
OTHERS = ("from hubpass import SignalRServiceClient", "import hubpass.aio", "import asyncio")
ROUNDS = 30

TIMED = """
from time import perf_counter
begin = perf_counter()
{statement}
print(perf_counter() - begin)
"""

# What a program that does not need them should not pay for.
HEAVY = {"asyncio", "azure", "dataclasses", "inspect", "json", "logging", "ssl"}


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout


def time_import(statement: str) -> float:
    return float(run(TIMED.format(statement=statement)))


def loaded_heavy_modules() -> list[str]:
    loaded = run(f"import sys\n{IMPORT}\nprint(*sys.modules)").split()
    return sorted(HEAVY & {name.partition(".")[0] for name in loaded})


def main() -> bool:
    statements = (BASELINE, IMPORT, *OTHERS)
    contestants = {statement: partial(time_import, statement) for statement in statements}
    spreads = interleave(contestants, rounds=ROUNDS)
    met = goal_met(f"{BASELINE} / {IMPORT}", spreads[BASELINE].ratio_to(spreads[IMPORT]), at_least=20)
    heavy = loaded_heavy_modules()
    print(f"  heavy modules that {IMPORT} loads: {', '.join(heavy) or 'none'}")
    return met and not heavy


if __name__ == "__main__":
    sys.exit(not main())
