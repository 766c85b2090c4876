"""The verdict: which optimizers are distinguishable from which, at what level, on what.

Two kinds of claims, each corrected by Holm over all its comparisons:
- across tasks: one number per task and pair, the share of runs in which the first is better; the
  signed-rank test over tasks. It speaks of tasks like these.
- within a task: pairs of runs of one seed or instance (`paired`). It speaks of this task.

Where both kinds can be made, each gets half of the level, so that the chance of any false claim
in the whole verdict is at most the level. A kind that could not tell anything apart whatever its
numbers (too few tasks, too few seeds) takes nothing, and the verdict says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from experiments.analysis.statistics.anytime import Suite, Task
from experiments.analysis.statistics.improvement import win_shares
from experiments.analysis.statistics.paired import (
    PairedTest,
    holm,
    least_p,
    least_pairs,
    paired_rows,
    signed_rank,
)

LEVEL = 0.05
_MOST_NAMED = 6  # tasks in one sentence


@dataclass(frozen=True)
class Comparison:
    """One pair, on one task or (task None) across all.

    Attributes:
        test: in the order first, second; lower is better.
        corrected: p by Holm, and doubled where two kinds of claims share the level; None where
            there is nothing to test.
        level: that `corrected` is held against.
    """

    first: str
    second: str
    task: str | None
    test: PairedTest
    corrected: float | None
    level: float

    @property
    def distinguishable(self) -> bool:
        """Whether chance alone would hardly give this."""
        return self.corrected is not None and self.corrected < self.level and self.test.sign != 0

    @property
    def better(self) -> str | None:
        """The better of two that are distinguishable."""
        if not self.distinguishable:
            return None
        return self.first if self.test.sign < 0 else self.second


@dataclass(frozen=True)
class Verdict:
    """All comparisons of a suite.

    Attributes:
        across: by pair; empty where there is one task.
        within: by task and pair.
        testable: which of the kinds could tell something apart.
        equal: differences up to this are ties.
    """

    across: list[Comparison]
    within: list[Comparison]
    testable: frozenset[str]
    level: float
    equal: float


def verdict(suite: Suite, level: float = LEVEL, equal: float = 0.0) -> Verdict:
    """Compare every pair of optimizers.

    Args:
        suite: of runs.
        level: the chance of any false claim.
        equal: ends of runs that differ by no more are ties, where less means nothing.

    Raises:
        ValueError: the level is not in (0, 1), or `equal` is negative or infinite.
    """
    if not 0 <= equal < np.inf:
        raise ValueError(f"equal: expected a difference of at least 0, got {equal:g}")
    if not 0 < level < 1:
        raise ValueError(f"level: expected a number between 0 and 1, got {level:g}")
    across = _across(suite, level, equal) if len(suite.tasks) > 1 else []
    within = [one for task in suite.tasks for one in within_task(task, level, equal)]
    kinds = {"across": across, "within": within}
    testable = _testable(kinds, level)
    share = max(1, len(testable))
    corrected = {kind: _corrected(each, share) for kind, each in kinds.items()}
    return Verdict(corrected["across"], corrected["within"], testable, level, equal)


def _across(suite: Suite, level: float, equal: float) -> list[Comparison]:
    """Test every pair over tasks; `wins` is the mean share of wins."""
    shares = [win_shares(task, suite.optimizers, equal) for task in suite.tasks]
    found = []
    for pair in combinations(suite.optimizers, 2):
        numbers = np.array([of_task[pair] for of_task in shares if pair in of_task])
        n = len(numbers)
        p, sign = signed_rank(1 - 2 * numbers) if n else (None, 0)  # < 0 where the first wins
        wins = float(numbers.mean()) if n else 0.5
        test = PairedTest(p, sign, wins, n, "signed-rank")
        found.append(Comparison(*pair, None, test, None, level))
    return found


def within_task(task: Task, level: float = LEVEL, equal: float = 0.0) -> list[Comparison]:
    """Test every pair of optimizers of a task on their common seeds; not corrected yet."""
    pairs = list(combinations(task.curves, 2))
    by_seeds: dict[tuple[int, ...], list[tuple[str, str]]] = {}
    for a, b in pairs:
        common = tuple(sorted(task.curves[a].keys() & task.curves[b].keys()))
        by_seeds.setdefault(common, []).append((a, b))
    tests: dict[tuple[str, str], PairedTest] = {}
    for seeds, group in by_seeds.items():
        finals = {
            name: task.final(name, seeds) for name in {name for pair in group for name in pair}
        }
        firsts, seconds = (np.array([finals[pair[i]] for pair in group]) for i in (0, 1))
        fixed = [(a in task.fixed, b in task.fixed) for a, b in group]
        tests.update(zip(group, paired_rows(firsts, seconds, fixed, equal), strict=True))
    return [Comparison(*pair, task.name, tests[pair], None, level) for pair in pairs]


def _testable(kinds: dict[str, list[Comparison]], level: float) -> frozenset[str]:
    """Return the kinds that could tell a pair apart at their share of the level."""
    for share in (2, 1):
        found = {
            kind
            for kind, each in kinds.items()
            if (tested := [one.test.n for one in each if one.test.p is not None])
            and least_p(max(tested)) * len(tested) * share < level
        }
        if len(found) >= share:
            return frozenset(found)
    return frozenset()


def _corrected(comparisons: Sequence[Comparison], share: int) -> list[Comparison]:
    tested = [one.test.p for one in comparisons if one.test.p is not None]
    corrected = iter(holm(tested))
    return [
        one if one.test.p is None else replace(one, corrected=min(1.0, share * next(corrected)))
        for one in comparisons
    ]


def sentences(suite: Suite, found: Verdict) -> list[str]:
    """Return the verdict in words."""
    if len(suite.optimizers) < 2:
        return [f"{suite.optimizers[0]} alone: nothing to compare it with."]
    said = []
    if len(suite.tasks) > 1:
        said.append(_about_all(suite, found))
    alike: dict[tuple[str, str], list[str]] = {}
    for task in suite.tasks:
        own = [one for one in found.within if one.task == task.name]
        what = f"{suite.quantity} after {task.grid[-1]:g}"
        ties = f"; up to {found.equal:g} is a tie" if found.equal else ""
        alike.setdefault((f"({what}{ties})", _about(task, own, found)), []).append(task.name)
    for (what, outcome), names in alike.items():
        said.append(f"{_on(names, len(suite.tasks))} {what}, {outcome}")
    return said


def _on(names: Sequence[str], n_tasks: int) -> str:
    """Return on which tasks something is said."""
    if len(names) == 1:
        return f"On {names[0]}"
    if len(names) == n_tasks:
        return f"On each of the {n_tasks} tasks"
    if len(names) > _MOST_NAMED:
        few = ", ".join(names[:3])
        return f"On each of {len(names)} of the {n_tasks} tasks ({few}, ...)"
    return f"On each of {listed(names)}"


def _about_all(suite: Suite, found: Verdict) -> str:
    where = f"Across {len(suite.tasks)} tasks"
    if "across" not in found.testable:
        need = least_pairs(max(1, len(found.across)), found.level)
        return (
            f"{where}, nothing can be said: tests over tasks have one number per task, and "
            f"it takes at least {need} for {counted(len(found.across), 'comparison')}."
        )
    return f"{where}, at the level {found.level:g} (Holm): {_pairs(found.across)}."


def _about(task: Task, comparisons: Sequence[Comparison], found: Verdict) -> str:
    """Return what is said of a task, after where it is said."""
    n = max((one.test.n for one in comparisons), default=0)
    pairs = counted(n, "instance" if task.instances else "seed")
    fixed = _fixed(task)
    if not any(one.test.p is not None for one in comparisons):
        why = f"{pairs} without spread" if n else "no two optimizers have common seeds"
        return f"nothing can be tested: {why}.{fixed}"
    family = sum(one.test.p is not None for one in found.within)
    share = max(1, len(found.testable))
    if "within" not in found.testable or least_p(n) * family * share >= found.level:
        need = least_pairs(family * share, found.level)
        return (
            f"not distinguishable: {pairs} cannot tell any pair apart at the level "
            f"{found.level:g}; it takes at least {need} for {counted(family, 'comparison')}.{fixed}"
        )
    told = _pairs(comparisons)
    return f"over {pairs}, at the level {found.level:g} (Holm): {told}.{fixed}"


def _fixed(task: Task) -> str:
    if not task.fixed:
        return ""
    names = listed(sorted(task.fixed))
    one = len(task.fixed) == 1
    return (
        f" {names} {'does' if one else 'do'} not depend on the seed: {'its' if one else 'their'} "
        f"runs are copies of one, held as a constant against which the others' runs are counted."
    )


def _pairs(comparisons: Sequence[Comparison]) -> str:
    """Return who is better than whom, and how many pairs are not distinguishable."""
    beaten: dict[str, list[str]] = {}
    for one in comparisons:
        if one.better is not None:
            loser = one.second if one.better == one.first else one.first
            beaten.setdefault(one.better, []).append(loser)
    tested = sum(one.test.p is not None for one in comparisons)
    rest = tested - sum(map(len, beaten.values()))
    if not beaten:
        if tested == 1:
            pair = next(one for one in comparisons if one.test.p is not None)
            return f"{pair.first} and {pair.second} are not distinguishable"
        return f"none of {tested} pairs is distinguishable"
    alike: dict[tuple[str, ...], list[str]] = {}
    for winner, losers in sorted(beaten.items(), key=lambda item: -len(item[1])):
        alike.setdefault(tuple(sorted(losers)), []).append(winner)
    said = "; ".join(
        f"{listed(ahead)} {'is' if len(ahead) == 1 else 'are each'} better than {listed(losers)}"
        for losers, ahead in alike.items()
    )
    return (
        said if rest == 0 else f"{said}; the other {rest} of {tested} pairs are not distinguishable"
    )


def counted(n: int, noun: str) -> str:
    """Return "1 seed" or "2 seeds"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def listed(names: Sequence[str]) -> str:
    """Return "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
