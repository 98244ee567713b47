"""Contestants that take turns, and what is said of them: minimum, median, and the ratios of both.

Taking turns puts whatever slows the machine down on all of them. Goals are ratios, judged by the minimum,
which says what the code costs; the median beside it says how much the machine added.
"""

import statistics
from collections.abc import Callable, Mapping
from typing import NamedTuple


class Spread(NamedTuple):
    """Seconds for one call, or the quotient of two of them."""

    minimum: float
    median: float

    def ratio_to(self, other: "Spread") -> "Spread":
        """Say how many times the other this one is."""
        return Spread(self.minimum / other.minimum, self.median / other.median)


def interleave(contestants: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Spread]:
    """Let each contestant measure itself once in each round, and print and return what came of it.

    A contestant returns the seconds that one call took. A round before the first fills caches and does not
    count.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for counts in [False] + [True] * rounds:
        for name, measure in contestants.items():
            seconds = measure()
            if counts:
                times[name].append(seconds)
    spreads = {name: Spread(min(taken), statistics.median(taken)) for name, taken in times.items()}
    print(f"{rounds} interleaved rounds; minimum / median")
    for name, spread in spreads.items():
        print(f"  {name:<44} {spread.minimum * 1e6:>12.3f} / {spread.median * 1e6:.3f} us")
    return spreads


def goal_met(what: str, ratio: Spread, *, at_least: float = 0.0, at_most: float = float("inf")) -> bool:
    """Print a ratio with its goal and say whether the minimum meets it."""
    goal = f"at least {at_least:g}" if at_least else f"at most {at_most:g}"
    met = at_least <= ratio.minimum <= at_most
    print(f"  {what:<44} {ratio.minimum:>12.2f} / {ratio.median:.2f} ({goal}: {'met' if met else 'MISSED'})")
    return met
