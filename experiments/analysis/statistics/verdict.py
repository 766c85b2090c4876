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
from dataclasses import dataclass

import numpy as np

from experiments.analysis.results import ROUNDING
from experiments.analysis.statistics.anytime import Suite, Task
from experiments.analysis.statistics.comparisons import (
    Comparison,
    across_tasks,
    corrected,
    testable_kinds,
    within_task,
)
from experiments.analysis.statistics.paired import least_p, least_pairs

LEVEL = 0.05
_MOST_NAMED = 6  # tasks in one sentence


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
    kinds = {
        "across": across_tasks(suite, level, equal) if len(suite.tasks) > 1 else [],
        "within": [one for task in suite.tasks for one in within_task(task, level, equal)],
    }
    tested = {
        kind: [one.test.n for one in each if one.test.p is not None] for kind, each in kinds.items()
    }
    sizes = {kind: (max(each), len(each)) for kind, each in tested.items() if each}
    testable = testable_kinds(sizes, level)
    share = max(1, len(testable))
    across, within = (corrected(each, share) for each in kinds.values())
    return Verdict(across, within, testable, level, equal)


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
        what = _compared(suite, [task], found)
        alike.setdefault((what, _about(task, own, found)), []).append(task.name)
    for (what, outcome), names in alike.items():
        said.append(f"{_on(names, len(suite.tasks))} {what}, {outcome}")
    return said


def _compared(suite: Suite, tasks: Sequence[Task], found: Verdict) -> str:
    """Return what is compared, after which budget, and what counts as a tie, in brackets."""
    low, high = (round(pick(task.budget for task in tasks), 6) for pick in (min, max))
    budget = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    given = max(task.given for task in tasks)
    of_more = f" of at most {given:g}" if given > high + ROUNDING else ""
    noun = "evaluation" if high == 1 and not of_more else "evaluations"
    ties = f"; differences up to {found.equal:g} are ties" if found.equal else ""
    return f"({suite.quantity} after {budget}{of_more} {noun}{ties})"


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
    where = f"Across {len(suite.tasks)} tasks {_compared(suite, suite.tasks, found)}"
    if "across" not in found.testable:
        need = least_pairs(max(1, len(found.across)), found.level)
        return (
            f"{where}, nothing can be said: a test over tasks has one number per task, and "
            f"{counted(len(found.across), 'comparison')} would take at least {need} tasks."
        )
    return f"{where}, at the level {found.level:g} (Holm): {_pairs(found.across)}."


def _about(task: Task, comparisons: Sequence[Comparison], found: Verdict) -> str:
    """Return what is said of a task, after where it is said."""
    sizes = [one.test.n for one in comparisons]
    n, least = max(sizes, default=0), min(sizes, default=0)
    noun = "instance" if task.instances else "seed"
    pairs = counted(n, noun) if least == n else f"{least} to {counted(n, noun)}"
    fixed = _fixed(task)
    if not any(one.test.p is not None for one in comparisons):
        if not n:
            return f"nothing can be tested: no two optimizers have common seeds.{fixed}"
        return (
            f"nothing can be tested: over {pairs}, no optimizer's runs depend on the seed, so "
            f"each has one result.{fixed}"
        )
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
    """Say which optimizers' runs are one trajectory, and what that means for their tests."""
    if not task.fixed:
        return ""
    names = listed(sorted(task.fixed))
    if len(task.fixed) == 1:
        return (
            f" {names} does not depend on the seed: all its runs are the same, so they count as "
            f"one constant, to which the runs of the others are compared."
        )
    return (
        f" {names} do not depend on the seed: all runs of each are the same, so they count as one "
        f"constant, to which the runs of the others are compared."
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
    if rest == 0:
        return said
    verb = "is" if rest == 1 else "are"
    return f"{said}; the other {rest} of {tested} pairs {verb} not distinguishable"


def counted(n: int, noun: str) -> str:
    """Return "1 seed" or "2 seeds"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def listed(names: Sequence[str]) -> str:
    """Return "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
