"""What the page needs to rank again when a reader leaves out optimizers, seeds or objectives.

Mean ranks depend on who is compared, so the page computes them again, from integers that order
the runs of each seed at each step. Tests of significance are not computed again: a pair is tested
on its own runs, and its p-value stays corrected over all pairs, so a selection makes no new claim.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.analysis.report.over_budget import rank_steps
from experiments.analysis.report.subject import Subject
from experiments.analysis.statistics.anytime import Suite, Task
from experiments.analysis.statistics.comparisons import Comparison
from experiments.analysis.statistics.ranks import order_codes
from experiments.analysis.statistics.verdict import Verdict, about_task

_FIRST_CODE = 48  # "0"; codes are characters, since there is one per run and step


def selection(subject: Subject, found: Verdict) -> dict[str, Any]:
    """Return, as plain values: the steps, and by task the codes, the pairs and the verdict."""
    suite = subject.suite
    steps = rank_steps(suite)
    tasks = [
        {
            "name": task.name,
            "codes": _codes(suite, task, steps),
            "pairs": _pairs(suite, [one for one in found.within if one.task == task.name],
                            "within" in found.testable),
            "said": about_task(suite, task, found) if len(suite.optimizers) > 1 else "",
        }
        for task in suite.tasks
    ]  # fmt: skip
    number = {task.name: i for i, task in enumerate(suite.tasks)}
    runs = [
        [number[run.objective], suite.optimizers.index(run.optimizer), run.seed, len(run.ids),
         int(run.failed.sum())]
        for run in subject.runs
    ]  # fmt: skip
    across = _pairs(suite, found.across, "across" in found.testable)
    return {
        "optimizers": suite.optimizers,
        "steps": steps.tolist(),
        "tasks": tasks,
        "across": across if len(suite.tasks) > 1 else tasks[0]["pairs"],
        "runs": runs,
    }


def _codes(suite: Suite, task: Task, steps: np.ndarray) -> dict[int, dict[int, str]]:
    """Return, by optimizer and seed, one character per step that orders the runs of the seed."""
    places = np.clip(np.searchsorted(task.grid, steps, "right") - 1, 0, None)
    found: dict[int, dict[int, str]] = {suite.optimizers.index(name): {} for name in task.curves}
    for seed in sorted({seed for own in task.curves.values() for seed in own}):
        names = [name for name, own in task.curves.items() if seed in own]
        values = np.array([task.curves[name][seed][places] for name in names])
        for name, row in zip(names, order_codes(values).tolist(), strict=True):
            text = "".join(chr(_FIRST_CODE + code) for code in row)
            found[suite.optimizers.index(name)][seed] = text
    return found


def _pairs(suite: Suite, pairs: Sequence[Comparison], testable: bool) -> dict[str, Any]:
    """Return how many pairs were tested, and for each distinguishable one better and worse."""
    index = {name: i for i, name in enumerate(suite.optimizers)}
    better = [
        [index[one.better], index[one.second if one.better == one.first else one.first]]
        for one in pairs
        if one.better is not None
    ]
    tested = [
        [index[one.first], index[one.second]]
        for one in pairs
        if one.test.p is not None and testable
    ]
    return {"tested": tested, "better": better}
