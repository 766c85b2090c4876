"""The verdict: which optimizers are distinguishable on which tasks at a significance level.

There are two kinds of claims, each Holm-corrected over all its comparisons:
- across tasks: the signed-rank test with one number per task and pair, the share of runs in which
  the first is better. The conclusion is about tasks like these.
- within a task: paired runs of one seed or instance (`paired`). The conclusion is about this task.

If both kinds are possible, each gets half of the level, so that the probability of any false claim
in the whole verdict is at most the level. A kind that cannot become significant (too few tasks or
too few seeds) gets no share of the level, and the verdict says so.
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
_MOST_NAMED = 6  # tasks named in one sentence


@dataclass(frozen=True)
class Verdict:
    """All comparisons of a suite.

    Attributes:
        across: the comparisons across tasks, by pair; empty if there is one task.
        within: the comparisons within tasks, by task and pair.
        testable: the kinds of claims that can become significant.
        equal: differences up to this size are ties.
    """

    across: list[Comparison]
    within: list[Comparison]
    testable: frozenset[str]
    level: float
    equal: float


def verdict(suite: Suite, level: float = LEVEL, equal: float = 0.0) -> Verdict:
    """Compare every pair of optimizers.

    Args:
        suite: the runs.
        level: the family-wise error rate: the probability of any false claim.
        equal: final values that differ by at most this are ties, because a smaller difference is
            of no practical importance.

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
    """Return the verdict as sentences."""
    if len(suite.optimizers) < 2:
        return [f"There is only one optimizer, {suite.optimizers[0]}: nothing can be compared."]
    said = []
    if len(suite.tasks) > 1:
        said.append(_about_all(suite, found))
    alike: dict[tuple[str, str], list[str]] = {}
    for task in suite.tasks:
        alike.setdefault(_what_and_outcome(suite, task, found), []).append(task.name)
    for (what, outcome), names in alike.items():
        said.append(f"{_on(names, len(suite.tasks))} {what}, {outcome}")
    return said


def about_task(suite: Suite, task: Task, found: Verdict) -> str:
    """Return the verdict on one task as a sentence."""
    what, outcome = _what_and_outcome(suite, task, found)
    return f"On {task.name} {what}, {outcome}"


def _what_and_outcome(suite: Suite, task: Task, found: Verdict) -> tuple[str, str]:
    own = [one for one in found.within if one.task == task.name]
    return _compared(suite, [task], found), _about(task, own, found)


def _compared(suite: Suite, tasks: Sequence[Task], found: Verdict) -> str:
    """Return, in parentheses, what is compared, after which budget, and what counts as a tie."""
    low, high = (round(pick(task.budget for task in tasks), 6) for pick in (min, max))
    budget = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    given = max(task.given for task in tasks)
    of_more = f" of at most {given:g}" if given > high + ROUNDING else ""
    noun = "evaluation" if high == 1 and not of_more else "evaluations"
    ties = f"; differences up to {found.equal:g} are ties" if found.equal else ""
    what = " or ".join(dict.fromkeys(task.compared for task in tasks))
    return f"({what} after {budget}{of_more} {noun}{ties})"


def _on(names: Sequence[str], n_tasks: int) -> str:
    """Return the tasks that a sentence is about."""
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
            f"{where}, no conclusion is possible: the test across tasks uses one number per task, "
            f"and {counted(len(found.across), 'comparison')} would require at least {need} tasks."
        )
    return f"{where}, at significance level {found.level:g} (Holm): {_pairs(found.across)}."


def _about(task: Task, comparisons: Sequence[Comparison], found: Verdict) -> str:
    """Return the conclusion about a task, which follows the name of the task in a sentence."""
    sizes = [one.test.n for one in comparisons]
    n, least = max(sizes, default=0), min(sizes, default=0)
    noun = "instance" if task.instances else "seed"
    pairs = counted(n, noun) if least == n else f"{least} to {counted(n, noun)}"
    fixed = _fixed(task)
    if not any(one.test.p is not None for one in comparisons):
        if not n:
            return f"no test is possible: no two optimizers have common seeds.{fixed}"
        return (
            f"no test is possible: over {pairs}, no optimizer's runs depend on the seed, so each "
            f"has a single result.{fixed}"
        )
    family = sum(one.test.p is not None for one in found.within)
    share = max(1, len(found.testable))
    left = family - sum(one.distinguishable for one in found.within)  # Holm's last factor
    claimed = any(one.distinguishable for one in comparisons)
    possible = "within" in found.testable and least_p(n) * left * share < found.level
    if not (claimed or possible):
        need = least_pairs(family * share, found.level)
        return (
            f"no pair is distinguishable: with {pairs}, no test can reach significance level "
            f"{found.level:g}; {counted(family, 'comparison')} would need at least {need}.{fixed}"
        )
    told = _pairs(comparisons)
    return f"over {pairs}, at significance level {found.level:g} (Holm): {told}.{fixed}"


def _fixed(task: Task) -> str:
    """Say which optimizers' runs are one trajectory, and what that means for their tests."""
    if not task.fixed:
        return ""
    names = listed(sorted(task.fixed))
    if len(task.fixed) == 1:
        return (
            f" {names} does not depend on the seed: all its runs are identical, so they count as "
            f"one constant, with which the runs of the others are compared."
        )
    return (
        f" {names} do not depend on the seed: all runs of each are identical, so they count as one "
        f"constant, with which the runs of the others are compared."
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
