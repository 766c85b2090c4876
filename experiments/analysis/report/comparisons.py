"""Charts that compare optimizers: critical difference, ranks by currency, and centre bias."""

from dataclasses import dataclass

import numpy as np

from experiments.analysis.report.chart import Axis, Chart, Series, numbers
from experiments.analysis.report.shown import FLOOR
from experiments.analysis.results import Floats, Run
from experiments.analysis.statistics.answer import Answer
from experiments.analysis.statistics.anytime import Suite, Task
from experiments.analysis.statistics.currencies import CURRENCIES, CurrencyRanks
from experiments.analysis.statistics.intervals import interval
from experiments.analysis.statistics.ranks import CriticalDifference
from experiments.analysis.statistics.verdict import listed

MUCH = 3.0
"""An optimizer gains if its ratio of distances is this many times the median optimizer's."""


def critical_difference(found: CriticalDifference) -> Chart:
    """Return a chart of mean ranks, with bars joining optimizers that are not distinguishable."""
    ordered = sorted(found.mean_ranks, key=lambda name: -found.mean_ranks[name])
    place = {name: i for i, name in enumerate(ordered)}
    half = found.difference / 2
    series = [
        Series(
            name,
            numbers([rank]),
            [place[name]],
            numbers([rank - half]),
            numbers([rank + half]),
        )
        for name, rank in found.mean_ranks.items()
    ]
    p = f"p = {found.p:.3f}" if found.p >= 0.001 else "p < 0.001"
    return Chart(
        "critical_difference",
        "Critical difference",
        "dot",
        Axis("mean rank (1 is best)"),
        Axis("", ticks=ordered),
        series,
        caption=f"Over {found.n_tasks} objectives (Friedman test: {p}). Two mean ranks differ "
        f"significantly if they are at least {found.difference:.2f} apart (Nemenyi test); bars on "
        f"the right join optimizers that it does not distinguish. A true difference of "
        f"{found.detectable:.2f} would be detected with a power of 80 %.",
        brackets=[[place[name] for name in group] for group in found.groups],
    )


def ranking(found: Answer) -> Chart:
    """Return a chart of the answer: mean ranks, and a bar for each group that is alike."""
    ordered = [*found.ranks][::-1]
    place = {name: i for i, name in enumerate(ordered)}
    where = found.task or "all objectives"
    bars = (
        "A bar on the right joins optimizers of which no two are distinguishable; its dots mark "
        "them."
        if found.tested
        else "No test can tell the optimizers apart with this amount of data, so there are no bars."
    )
    return Chart(
        "ranking",
        f"Mean ranks on {where}",
        "dot",
        Axis("mean rank (1 is best)", limits=(0.75, len(ordered) + 0.25)),
        Axis("", ticks=ordered),
        [Series(name, numbers([rank]), [place[name]]) for name, rank in found.ranks.items()],
        caption=f"Mean ranks at the common budget. {bars}",
        brackets=[[place[name] for name in group] for group in found.groups if len(group) > 1],
        follows=("optimizers", "seeds", "objectives"),
    )


def currencies(found: CurrencyRanks) -> Chart:
    """Return a chart of mean ranks in each currency, with one line per optimizer."""
    names = list(found.ranks["evaluations"])
    limits = (len(names) + 0.25, 0.75)
    return Chart(
        "currencies",
        "Ranks in three currencies",
        "line",
        Axis("what the budget is counted in", ticks=[*CURRENCIES], limits=(-0.2, 2.2)),
        Axis("mean rank (1 is best)", limits=limits),
        [
            Series(name, [0, 1, 2], numbers(found.ranks[each][name] for each in CURRENCIES))
            for name in names
        ],
        caption="Time counts the seconds of the evaluations and of the optimizer itself; cost "
        "counts those of the evaluations alone. In each currency, all runs are compared at the "
        "total that the cheapest run spent.",
    )


@dataclass(frozen=True)
class Pair:
    """One objective with its optimum in the published position and in a shifted position."""

    name: str
    centred: Task
    shifted: Task


def centre_pairs(suite: Suite) -> list[Pair]:
    """Return the objectives with runs on the published position of the optimum and on another."""
    moved = [task for task in suite.tasks if _a_run(task).header.moved]
    pairs = []
    for task in suite.tasks:
        if _a_run(task).header.moved is False:
            other = next((each for each in moved if _differ_in_one_setting(task, each)), None)
            if other is not None:
                pairs.append(Pair(_common(task.name, other.name), task, other))
    return pairs


def _a_run(task: Task, seed: int | None = None) -> Run:
    """Return a run of a task, if possible of this seed."""
    runs = {run.seed: run for own in task.runs.values() for run in own.values()}
    return runs.get(min(runs) if seed is None else seed, runs[min(runs)])


def _differ_in_one_setting(one: Task, other: Task) -> bool:
    """Return whether two tasks are on one objective and differ in a single setting of it."""
    first = _a_run(one).header
    second = _a_run(other, first.seed).header
    a, b = first.objective, second.objective
    return (
        first.names["objective"] == second.names["objective"]
        and sum(a.get(key) != b.get(key) for key in {*a, *b}) == 1
    )


def _common(name: str, other: str) -> str:
    """Return the words that two labels share."""
    return " ".join(word for word in name.split() if word in other.split()) or name


def centre_bias(pair: Pair) -> Chart:
    """Return a chart of the final regrets on both versions, with one row per optimizer.

    Both use the scale of the shifted version, so that a version that is easier for all shows it.
    """
    names = [name for name in pair.shifted.curves if name in pair.centred.curves][::-1]
    series = []
    versions = (
        ("optimum as published", pair.centred, 0.14),
        ("optimum moved", pair.shifted, -0.14),
    )
    for label, task, aside in versions:
        finals = [_above(task, name) for name in names]
        ends = [interval(each.reshape(-1, 1)) for each in finals]
        many = all(len(each) > 1 for each in finals)
        series.append(
            Series(
                label,
                numbers(np.median(each) for each in finals),
                [i + aside for i in range(len(names))],
                numbers(low[0] for low, _ in ends) if many else [],
                numbers(high[0] for _, high in ends) if many else [],
                look="hollow" if task is pair.centred else "filled",
            )
        )
    what = "optimum" if pair.centred.known and pair.shifted.known else "best value seen"
    return Chart(
        "centre_bias",
        pair.name,
        "dot",
        Axis(f"final value above the {what}", log=True),
        Axis("", ticks=names),
        series,
        objective=pair.shifted.name,
        caption="Hollow marks: the optimum is where it was published. Filled marks: it was moved. "
        "An optimizer whose hollow mark lies far to the left of its filled one "
        "benefits from where the published optimum lies.",
    )


def gains(pair: Pair) -> dict[str, float]:
    """Return, by optimizer, the gain from the published position of the optimum.

    This is the ratio of median distances divided by the median ratio of all optimizers. It is 1 if
    the optimizer gains as much as the median one, or if the two intervals overlap. It is empty with
    fewer than three optimizers, for which the median is not informative, and with one run each,
    which gives no interval.
    """
    names = [name for name in pair.shifted.curves if name in pair.centred.curves]
    both = {name: (_above(pair.centred, name), _above(pair.shifted, name)) for name in names}
    if len(names) < 3 or any(len(each) < 2 for pair in both.values() for each in pair):
        return {}
    ratio = {n: float(np.median(moved) / np.median(kept)) for n, (kept, moved) in both.items()}
    middle = float(np.median([*ratio.values()]))
    apart = {n: _high(kept) < -_high(-moved) for n, (kept, moved) in both.items()}
    return {name: ratio[name] / middle if apart[name] else 1.0 for name in names}


def _high(values: Floats) -> float:
    """Return the upper end of the confidence interval of the median."""
    return float(interval(values.reshape(-1, 1))[1][0])


def bias_line(pair: Pair) -> str:
    """Return a sentence on the optimizers that benefit from the published optimum's position."""
    found = gains(pair)
    if not found:
        return (
            f"{pair.name}: at least three optimizers and two seeds are needed to separate an "
            f"optimizer's own gain from one that is common to all optimizers."
        )
    much = sorted((n for n in found if found[n] >= MUCH), key=lambda n: -found[n])
    if not much:
        return (
            f"{pair.name}: relative to the median optimizer, none comes {MUCH:g} times closer to "
            f"the published optimum than to the moved one."
        )
    said = [f"{n} ({'over 1,000' if found[n] > 1000 else f'{found[n]:.2g}'} times)" for n in much]
    return (
        f"{pair.name}: closer to the published optimum than to the moved one, relative to the "
        f"median optimizer: {listed(said)}."
    )


def _above(task: Task, name: str) -> Floats:
    low = np.array([task.reference[seed] for seed in sorted(task.curves[name])])
    return np.asarray(np.maximum(task.final(name) - low, FLOOR), dtype=np.float64)
