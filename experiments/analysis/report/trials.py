"""The trials that the page holds, so that a reader gets from a point to its configuration.

A page with every trial of thousands of runs would be too large. It holds all incumbents first, then
the evaluations that were incumbents for a while, then others drawn evenly, up to a limit, and says
how many there are.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.analysis.report.chart import Number, numbers
from experiments.analysis.report.over_budget import view_of
from experiments.analysis.report.shown import Shown, show
from experiments.analysis.report.subject import Subject
from experiments.analysis.results import Run
from experiments.analysis.statistics.anytime import Task
from experiments.analysis.statistics.fronts import front
from experiments.running.incumbent import places

MOST = 10_000
"""The maximum number of trials on a page, divided evenly among the objectives."""

_LONG = 160  # maximum characters shown of an error or of a text in a configuration

_Place = tuple[Run, int]


def trials(subject: Subject) -> list[dict[str, Any]]:
    """Return the trials of each task as columns of plain values."""
    suite = subject.suite
    most = max(1, MOST // len(suite.tasks))
    return [
        _columns(suite.optimizers, show(suite, task), task, _chosen(subject.runs_of(task), most))
        for task in suite.tasks
    ]


def _chosen(runs: Sequence[Run], most: int) -> list[_Place]:
    """Return up to `most` evaluations: incumbents, then former incumbents, then others."""
    best = [(run, i) for run in runs for i in _last(run)]
    former = [(run, i) for run in runs for i in _improvements(run)]
    seen = {(id(run), i) for run, i in best}
    rng = np.random.default_rng(0)
    found = list(best)
    for group in (former, [(run, i) for run in runs for i in range(len(run.ids))]):
        rest = [place for place in group if (id(place[0]), place[1]) not in seen]
        room = max(0, most - len(found))
        drawn = [rest[k] for k in sorted(rng.permutation(len(rest))[:room].tolist())]
        found += drawn
        seen |= {(id(run), i) for run, i in drawn}
    order = {id(run): number for number, run in enumerate(runs)}
    return sorted(found, key=lambda place: (order[id(place[0])], place[1]))


def _last(run: Run) -> list[int]:
    """Return the incumbent, or the incumbents of several goals."""
    if run.header.several:
        return front(run)
    i = run.incumbent()
    return [] if i is None else [i]


def _improvements(run: Run) -> list[int]:
    """Return the evaluations that were the incumbent at any time."""
    if run.header.several:
        return []
    lost = run.failed | ~run.kept
    found = places(run.values.tolist(), run.fidelities.tolist(), lost)
    return sorted({i for i in found if i is not None})


def _columns(
    optimizers: Sequence[str], shown: Shown, task: Task, chosen: Sequence[_Place]
) -> dict[str, Any]:
    numbered = {name: i for i, name in enumerate(optimizers)}
    each = {id(run): shown.each(run) for run, _ in chosen}
    spent = {id(run): run.spent for run, _ in chosen}
    best = {id(run): set(_last(run)) for run, _ in chosen}
    kept = {id(run): run.kept for run, _ in chosen}
    failed = [run.errors[i] is not None for run, i in chosen]
    names = list(dict.fromkeys(name for run, i in chosen for name in run.configs[i]))
    header = next(iter(chosen))[0].header
    judged = [name for name in (*header.goals, *header.limits) if name != header.metric]
    return {
        "all": sum(len(run.ids) for own in task.runs.values() for run in own.values()),
        "label": shown.each_label,
        "log": shown.log,
        "sign": shown.sign if shown.each_label == shown.label else 0,
        "view": view_of(shown) if shown.each_label == shown.label else None,
        "optimizer": [numbered[run.optimizer] for run, _ in chosen],
        "seed": [run.seed for run, _ in chosen],
        "id": run_ids(chosen),
        "at": numbers((spent[id(run)][i] for run, i in chosen), 5),
        "fidelity": numbers((run.fidelities[i] for run, i in chosen), 4),
        "y": numbers((each[id(run)][i] if not bad else np.nan
                      for (run, i), bad in zip(chosen, failed, strict=True)), 5),
        "error": {k: _short(run.errors[i]) for k, (run, i) in enumerate(chosen) if failed[k]},
        "metrics": {name: _measured(name, chosen) for name in dict.fromkeys(judged)},
        "broken": [k for k, (run, i) in enumerate(chosen) if not (failed[k] or kept[id(run)][i])],
        "best": [k for k, (run, i) in enumerate(chosen) if i in best[id(run)]],
        "parameters": {
            name: [_plain(run.configs[i].get(name)) for run, i in chosen] for name in names
        },
    }  # fmt: skip


def _measured(name: str, chosen: Sequence[_Place]) -> list[Number]:
    """Return a metric of evaluations; None where it was not measured."""
    return numbers(
        (run.metrics[name][i] if name in run.metrics else np.nan for run, i in chosen), 5
    )


def run_ids(chosen: Sequence[_Place]) -> list[int]:
    """Return the ids of trials."""
    return [int(run.ids[i]) for run, i in chosen]


def _plain(value: Any) -> Any:
    """Return a value of a configuration with few digits; None if it is inactive."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    return _short(value) if isinstance(value, str) else value


def _short(text: str | None) -> str:
    line = " ".join((text or "").split())
    return line if len(line) <= _LONG else line[: _LONG - 1] + "…"
