"""The answer of a comparison in short: a ranking, and who is not distinguishable from whom.

The ranking is by mean rank. The groups are the maximal sets of optimizers of which no two are
distinguishable by the verdict's tests. They are found by H.-P. Piepho's insert-and-absorb (*An
Algorithm for a Letter-Based Representation of All-Pairwise Comparisons*, J. Comput. Graph. Stat.
13, 2004). A group need not be contiguous in the ranking, because tests of pairs are not ordered.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.analysis.statistics.anytime import Suite, Task
from experiments.analysis.statistics.comparisons import Comparison
from experiments.analysis.statistics.ranks import rank_table, task_ranks
from experiments.analysis.statistics.verdict import Verdict, listed

_MOST_NAMED = 6


@dataclass(frozen=True)
class Answer:
    """The ranking of optimizers on one task, or over all of them if `task` is None.

    Attributes:
        ranks: mean ranks by optimizer, the best first; ties are in alphabetical order.
        groups: the maximal groups of which no two are distinguishable, each in the order of the
            ranks; empty if nothing could be tested.
        better: for each optimizer, those that it is better than, in the order of the ranks.
        tested: whether the tests can reach significance at all.
    """

    task: str | None
    ranks: dict[str, float]
    groups: list[list[str]]
    better: dict[str, list[str]]
    tested: bool

    def letters(self, optimizer: str) -> str:
        """Return the letters of the groups of an optimizer; optimizers that share one are alike."""
        own = [i for i, group in enumerate(self.groups) if optimizer in group]
        return " ".join(_letter(i) for i in own)


def _letter(number: int) -> str:
    """Return a, b, ..., z, a2, b2, ..."""
    turn, place = divmod(number, 26)
    return chr(ord("a") + place) + (str(turn + 1) if turn else "")


def answer(suite: Suite, found: Verdict) -> Answer | None:
    """Return the answer over all tasks; None with one optimizer or without any ranks."""
    if len(suite.tasks) == 1:
        return answer_on(suite.tasks[0], found)
    _, table = rank_table(suite)
    if len(suite.optimizers) < 2 or not len(table):
        return None
    ranks = dict(zip(suite.optimizers, table.mean(axis=0).tolist(), strict=True))
    return _answer(None, ranks, found.across, "across" in found.testable)


def answer_on(task: Task, found: Verdict) -> Answer | None:
    """Return the answer on one task; None with one optimizer or without common seeds."""
    names = list(task.curves)
    row = task_ranks(task, names)
    if len(names) < 2 or row is None:
        return None
    own = [one for one in found.within if one.task == task.name]
    tested = "within" in found.testable and any(one.test.p is not None for one in own)
    return _answer(task.name, dict(zip(names, row.tolist(), strict=True)), own, tested)


def _answer(
    task: str | None, ranks: dict[str, float], pairs: Sequence[Comparison], tested: bool
) -> Answer:
    ordered = dict(sorted(ranks.items(), key=lambda item: (round(item[1], 9), item[0])))
    names = list(ordered)
    better: dict[str, list[str]] = {name: [] for name in names}
    for one in pairs:
        if one.better is not None:
            better[one.better].append(one.second if one.better == one.first else one.first)
    better = {name: sorted(own, key=names.index) for name, own in better.items()}
    told = {frozenset((name, other)) for name, own in better.items() for other in own}
    return Answer(task, ordered, groups(names, told) if tested else [], better, tested)


def groups(names: Sequence[str], told: set[frozenset[str]]) -> list[list[str]]:
    """Return the maximal sets of names that contain no pair in `told`, in the order of names."""
    columns = [frozenset(names)]
    for pair in sorted(told, key=sorted):
        split = [column for column in columns if pair <= column]
        parts = [column - {name} for column in split for name in pair]
        every = {*(column for column in columns if not pair <= column), *parts}
        columns = [one for one in every if not any(one < other for other in every)]
    found = [sorted(column, key=names.index) for column in columns]
    return sorted(found, key=lambda group: [names.index(name) for name in group])


def sentence(found: Answer) -> str:
    """Return the answer in one sentence."""
    names = list(found.ranks)
    first, rank = names[0], found.ranks[names[0]]
    tied = [name for name in names if abs(found.ranks[name] - rank) < 1e-9]
    where = f"On {found.task}, " if found.task else ""
    share = "share" if len(tied) > 1 else "has"
    scale = f"{rank:.2f}, where 1 is best and {len(names)} is worst"
    said = f"{where}{listed(tied)} {share} the best mean rank ({scale})"
    if not found.tested:
        return f"{said}, but no test with this amount of data can tell it from chance."
    beaten = found.better[first]
    ahead = [name for name in names if first in found.better[name]]
    alike = [name for name in names[1:] if name not in [*beaten, *ahead]]
    if len(tied) > 1:
        return f"{said}; the groups below say who is distinguishable."
    if ahead:  # tests and ranks differ: a test also weighs how large the differences are
        verb = "is" if len(ahead) == 1 else "are"
        return f"{said}, but {listed(ahead)} {verb} better than {first} by the paired test."
    if not beaten:
        return f"{said}, but it is not distinguishable from any of the others."
    if not alike:
        return f"{said}, and it is better than {_named(beaten, len(names))}."
    return (
        f"{said}; it is better than {_named(beaten, len(names))}, and not distinguishable from "
        f"{listed(alike)}."
    )


def _named(beaten: Sequence[str], n: int) -> str:
    if len(beaten) == n - 1:
        return "all others"
    return listed(beaten) if len(beaten) <= _MOST_NAMED else f"{len(beaten)} others"
