"""Charts of who is ahead: critical difference, three currencies, centre bias."""

import json
from dataclasses import dataclass

import numpy as np

from experiments.report.chart import Axis, Chart, Series, numbers
from experiments.results import Floats
from experiments.statistics.anytime import Suite, Task
from experiments.statistics.currencies import CURRENCIES, CurrencyRanks
from experiments.statistics.intervals import interval
from experiments.statistics.ranks import CriticalDifference


def critical_difference(found: CriticalDifference) -> Chart:
    """Return the mean ranks with bars that join who is not told apart."""
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
        caption=f"Over {found.n_tasks} objectives (Friedman: {p}). Mean ranks differ where they "
        f"are {found.difference:.2f} apart (Nemenyi); bars on the right join those that do not. "
        f"A true difference of {found.detectable:.2f} is found with a power of 80 %.",
        brackets=[(place[group[-1]], place[group[0]]) for group in found.groups],
    )


def currencies(found: CurrencyRanks) -> Chart:
    """Return the ranks in each currency, a line for each optimizer."""
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
        caption="Time: the evaluations' and the optimizer's own seconds; cost: the evaluations' "
        "alone. In each, all are compared at what the least run spent in all.",
    )


@dataclass(frozen=True)
class Pair:
    """One objective with its optimum where it was published, and moved."""

    name: str
    centred: Task
    shifted: Task


def centre_pairs(suite: Suite) -> list[Pair]:
    """Return the objectives of which there are runs with `shift=none` and with a shift."""
    groups: dict[str, dict[bool, Task]] = {}
    for task in suite.tasks:
        run = next(iter(next(iter(task.runs.values())).values()))
        settings = dict(run.header["objective"])
        if "shift" in settings:
            shift = settings.pop("shift")
            settings.pop("instance", None)
            key = run.header["names"]["objective"] + json.dumps(settings, sort_keys=True)
            groups.setdefault(key, {}).setdefault(shift in (None, "none"), task)
    return [
        Pair(_base(each[True].name), each[True], each[False])
        for each in groups.values()
        if len(each) == 2
    ]


def _base(name: str) -> str:
    return " ".join(word for word in name.split() if not word.startswith("shift=")) or name


def centre_bias(pair: Pair) -> Chart:
    """Return the final regrets on both versions, a row for each optimizer.

    Both in units of the shifted version, so that a version that all find easier shows as such.
    """
    names = [name for name in pair.shifted.curves if name in pair.centred.curves][::-1]
    series = []
    for label, task in (("optimum as published", pair.centred), ("optimum moved", pair.shifted)):
        finals = [_above(task, name) for name in names]
        ends = [interval(each.reshape(-1, 1)) for each in finals]
        many = all(len(each) > 1 for each in finals)
        series.append(
            Series(
                label,
                numbers(np.median(each) for each in finals),
                list(range(len(names))),
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
        caption="Hollow: the optimum where it was published. Filled: moved by the shift. "
        "A hollow mark far to the left of its filled one gains from where the optimum lies.",
    )


def _above(task: Task, name: str) -> Floats:
    low = np.array([task.reference[seed] for seed in sorted(task.curves[name])])
    return np.maximum(task.final(name) - low, 1e-8)
