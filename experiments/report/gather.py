"""Read the runs of a report: which there are, which are missing, and what must be said of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.ledger import read_plan, states
from experiments.report import problems
from experiments.results import Run, load
from experiments.statistics.anytime import (
    Missing,
    Quantity,
    Suite,
    Task,
    compare_on,
    problem,
)
from objectives.objective import Objective

@dataclass(frozen=True)
class Gathered:
    """What is reported on.

    Attributes:
        runs: all that have an evaluation.
        suite: the same on common budgets.
        objectives: by `problem(run)`, those that could be made again.
        sources: the paths that were given.
    """

    runs: list[Run]
    suite: Suite
    objectives: dict[str, Objective]
    sources: list[str]

    def runs_of(self, task: Task) -> list[Run]:
        """Return the runs of a task, by optimizer and seed."""
        return [run for own in task.runs.values() for run in own.values()]

    def objective_of(self, task: Task) -> Objective | None:
        """Return the objective of a task, of its first run where they are several instances."""
        return self.objectives.get(problem(self.runs_of(task)[0]))


def gather(paths: Sequence[Path], quantity: Quantity | None) -> Gathered:
    """Read and compare.

    Raises:
        ValueError: there is nothing to compare, a log is damaged or of another format, runs of
            one objective differ in their data or model, or no run has the metric.
        OSError: a path cannot be read.
    """
    for path in paths:
        if not path.exists():
            raise ValueError(f"{path}: expected a folder of runs, got none there")
    every = load(paths)
    runs = [run for run in every if len(run.ids)]
    if not runs:
        where = ", ".join(map(str, paths))
        raise ValueError(f"{where}: expected evaluations, got {len(every)} runs without any")
    _check_metric(runs, quantity)
    missing = [_begun(run) for run in every if not len(run.ids)]
    for path in paths:
        missing += _missing(path, every)
    made = problems.made_again(runs)
    optima = {key: each.optimum for key, each in made.items() if each.optimum is not None}
    suite = compare_on(runs, quantity, optima, missing)
    return Gathered(runs, suite, made, [str(path) for path in paths])


def _check_metric(runs: Sequence[Run], quantity: Quantity | None) -> None:
    if quantity is None or quantity.metric is None:
        return
    known = {name for run in runs for name in run.metrics}
    known |= {name for run in runs for test in run.tests for name in test["metrics"]}
    if quantity.metric not in known:
        names = ", ".join(sorted(known)) or "none, as these runs have no metrics"
        raise ValueError(f"metric: expected one of {names}, got {quantity.metric}")


def _begun(run: Run) -> Missing:
    return Missing(run.optimizer, run.objective, run.seed, failed=False)


def _missing(path: Path, runs: Sequence[Run]) -> list[Missing]:
    """Return the planned runs of an experiment's folder that have no log."""
    if not (path / "experiment.json").is_file():
        return []
    plan = read_plan(path)
    found = states(path, plan)
    by_identity = {run.header["identity"]: run for run in runs}
    labels = {
        (family, each[family]): getattr(by_identity[each["identity"]], family)
        for each in plan["runs"]
        if each["identity"] in by_identity
        for family in ("optimizer", "objective")
    }
    return [
        Missing(
            labels.get(("optimizer", each["optimizer"]), each["optimizer"]),
            labels.get(("objective", each["objective"]), each["objective"]),
            each["seed"],
            failed=found[each["identity"]].state == "failed",
        )
        for each in plan["runs"]
        if each["identity"] not in by_identity
    ]
