"""The comparisons of a verdict: every pair of optimizers, over all tasks and within each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import lcm

import numpy as np

from experiments.analysis.statistics.anytime import Suite, Task
from experiments.analysis.statistics.improvement import Margin, by_seeds, margins
from experiments.analysis.statistics.paired import PairedTest, holm, least_p, paired_rows
from experiments.analysis.statistics.signed_rank import signed_rank


@dataclass(frozen=True)
class Comparison:
    """The comparison of one pair, on one task or, if `task` is None, across all tasks.

    Attributes:
        test: the test of first against second; lower is better.
        corrected: the Holm-corrected p-value, doubled if two kinds of claims share the level;
            None if there is nothing to test.
        level: the significance level with which `corrected` is compared.
    """

    first: str
    second: str
    task: str | None
    test: PairedTest
    corrected: float | None
    level: float

    @property
    def distinguishable(self) -> bool:
        """Whether the difference is significant: the corrected p-value is below the level."""
        return self.corrected is not None and self.corrected < self.level and self.test.sign != 0

    @property
    def better(self) -> str | None:
        """The better optimizer of the two; None if they are not distinguishable."""
        if not self.distinguishable:
            return None
        return self.first if self.test.sign < 0 else self.second


def across_tasks(suite: Suite, level: float, equal: float) -> list[Comparison]:
    """Test every pair across tasks, by one margin of wins per task."""
    by_task = [margins(task, suite.optimizers, equal) for task in suite.tasks]
    pairs = list(combinations(suite.optimizers, 2))
    own = {pair: [found[pair] for found in by_task if pair in found] for pair in pairs}
    return [Comparison(*pair, None, over_tasks(own[pair]), None, level) for pair in pairs]


def over_tasks(found: Sequence[Margin]) -> PairedTest:
    """Test a pair across tasks; `wins` is the mean share of wins.

    The margins of the tasks, as shares of their comparisons, are ranked as integers over a common
    denominator. Ties are therefore exact, and names and order do not matter.
    """
    if not found:
        return PairedTest(None, 0, 0.5, 0, "signed-rank")
    common = lcm(*(margin.n for margin in found))
    ahead = [margin.ahead * (common // margin.n) for margin in found]
    places = {size: place for place, size in enumerate(sorted({0, *map(abs, ahead)}))}
    behind = np.array([places[abs(x)] * (-1.0 if x > 0 else 1.0) for x in ahead])
    p, sign = signed_rank(behind)  # negative where the first wins, as lower is better
    wins = (1 + sum(ahead) / (common * len(ahead))) / 2
    return PairedTest(p, sign, wins, len(ahead), "signed-rank")


def within_task(task: Task, level: float, equal: float = 0.0) -> list[Comparison]:
    """Test every pair of optimizers of a task on their common seeds, without correction."""
    tests: dict[tuple[str, str], PairedTest] = {}
    for seeds, group in by_seeds(task, list(task.curves)).items():
        finals = {
            name: task.final(name, seeds) for name in {name for pair in group for name in pair}
        }
        firsts, seconds = (np.array([finals[pair[i]] for pair in group]) for i in (0, 1))
        fixed = [(a in task.fixed, b in task.fixed) for a, b in group]
        tests.update(zip(group, paired_rows(firsts, seconds, fixed, equal), strict=True))
    pairs = combinations(task.curves, 2)
    return [Comparison(*pair, task.name, tests[pair], None, level) for pair in pairs]


def testable_kinds(kinds: Mapping[str, tuple[int, int]], level: float) -> frozenset[str]:
    """Return the kinds of claims that can be significant at their share of the level.

    Args:
        kinds: by kind, the largest number of pairs of any of its tests, and the number of tests.
        level: the significance level of all kinds together.
    """
    for share in (2, 1):
        found = {kind for kind, (n, tests) in kinds.items() if least_p(n) * tests * share < level}
        if len(found) >= share:
            return frozenset(found)
    return frozenset()


def corrected(comparisons: Sequence[Comparison], share: int) -> list[Comparison]:
    """Return the comparisons with their p-values Holm-corrected and multiplied by `share`."""
    p_values = iter(holm([one.test.p for one in comparisons if one.test.p is not None]))
    return [
        one if one.test.p is None else replace(one, corrected=min(1.0, share * next(p_values)))
        for one in comparisons
    ]
