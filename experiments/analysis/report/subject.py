"""Read the runs of a report, find the missing ones, and collect notes on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.analysis.results import Run, load
from experiments.analysis.statistics.anytime import Missing, Suite, Task, compare_on
from experiments.analysis.statistics.fronts import referred
from experiments.analysis.statistics.gather import known_optima, missing, quantity_of


@dataclass(frozen=True)
class Subject:
    """The runs that a report is about.

    Attributes:
        runs: all compared runs that have an evaluation.
        suite: the same runs on common budgets.
    """

    runs: list[Run]
    suite: Suite

    def runs_of(self, task: Task) -> list[Run]:
        """Return the runs of a task, by optimizer and seed."""
        return [run for own in task.runs.values() for run in own.values()]


def read_subject(
    paths: Sequence[Path],
    metric: str | None,
    direction: str | None,
    references: Mapping[str, float] | None = None,
) -> Subject:
    """Read the runs and put them on common budgets.

    Args:
        paths: as for `experiments.analysis.results.load`.
        metric: compared at the incumbents instead of the value.
        direction: min or max; required if no log declares the direction of the metric.
        references: references of goals instead of the declared ones, by metric.

    Raises:
        ValueError: there is nothing to compare, a log is damaged or of another format, runs of
            one objective differ in their data or model, or no run has the metric.
        OSError: a path cannot be read.
    """
    for path in paths:
        if not path.exists():
            raise ValueError(f"{path}: expected a path that exists, got one that does not")
    every = referred(load(paths), references or {})
    where = ", ".join(map(str, paths))
    return subject_of(every, metric, direction, missing(paths, every), where)


def subject_of(
    every: Sequence[Run],
    metric: str | None = None,
    direction: str | None = None,
    planned: Sequence[Missing] = (),
    where: str = "runs",
) -> Subject:
    """Put loaded runs on common budgets.

    Args:
        every: the runs, those without an evaluation too.
        metric: as for `read_subject`.
        direction: as for `read_subject`.
        planned: planned runs that failed or have not been made yet.
        where: what an error names.

    Raises:
        ValueError: as `read_subject`.
    """
    runs = [run for run in every if len(run.ids)]
    if not runs:
        raise ValueError(f"{where}: expected evaluations, got {len(every)} runs without any")
    quantity = quantity_of(runs, metric, direction)
    suite = compare_on(runs, quantity, known_optima(runs), [*_begun(every), *planned])
    compared = {task.name for task in suite.tasks}
    return Subject([run for run in runs if run.objective in compared], suite)


def _begun(runs: Sequence[Run]) -> list[Missing]:
    """Return the runs that have no evaluation yet."""
    return [
        Missing(run.optimizer, run.objective, run.seed, failed=False)
        for run in runs
        if not len(run.ids)
    ]
