"""Runs on a common budget: how good the incumbent was after each full evaluation.

    suite = compare_on([*load(["results/smoke"])])
    suite.tasks[0].curves["lhs"][0]  # (n_steps,), of seed 0

A task is an objective; seeds of one objective are one task. Lower is better throughout. Nothing
is dropped: a failed evaluation spends its budget, a run has no incumbent (infinity) before its
first success, and a run that ended early or is unfinished keeps its incumbent. `Suite.notes` says
what cannot be compared.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from experiments.analysis.results import ROUNDING, Floats, Run
from experiments.analysis.statistics import fronts
from experiments.analysis.statistics.budgets import common_budget, spent, steps, within
from experiments.analysis.statistics.notes import seed_notes, task_notes, waiting_note
from experiments.analysis.statistics.references import fixed_optimizers, references, scales
from experiments.analysis.statistics.same_problem import check_same_problem, problem
from experiments.running.incumbent import places

_WITH_OPTIMA = (None, fronts.HYPERVOLUME)

Optima = Mapping[str, float]
"""Known optima by `problem(run)`."""


@dataclass(frozen=True)
class Missing:
    """A planned run without a log that could be compared.

    Attributes:
        failed: True if the run failed, in which case it counts as a run without a success; False
            if it has not been made yet.
    """

    optimizer: str
    objective: str
    seed: int
    failed: bool


@dataclass(frozen=True)
class Quantity:
    """The quantity that is compared.

    Attributes:
        metric: the metric at the incumbent; None means the value itself.
        sign: 1 where lower is better, -1 where higher is.
    """

    metric: str | None = None
    sign: int = 1

    def __str__(self) -> str:
        return self.metric or "value"


@dataclass(frozen=True)
class Task:
    """All runs on one objective.

    Attributes:
        name: the objective's label.
        grid: budget spent, in full evaluations, (n_steps,); the last is the common budget.
        curves: by optimizer and seed, the quantity at the incumbent, (n_steps,), signed so that
            lower is better; infinite before the first success.
        n_failed: by optimizer and seed, the number of failed evaluations within the common budget.
        instances: whether each seed is a different instance of the problem.
        reference: by seed, the known optimum, or the best value that any run found on that problem.
        scale: by seed, the median over the runs of (first success - reference).
        known: whether the reference is a known optimum.
        fixed: the optimizers whose runs are one and the same trajectory for every seed.
        runs: by optimizer and seed; a failed run without a log is absent.
        given: the largest budget of any run.
        compared: what is compared: the value, the hypervolume, or a metric.
    """

    name: str
    grid: Floats
    curves: dict[str, dict[int, Floats]]
    n_failed: dict[str, dict[int, int]]
    instances: bool
    reference: dict[int, float]
    scale: dict[int, float]
    known: bool
    fixed: frozenset[str]
    runs: dict[str, dict[int, Run]]
    given: float = 0.0
    compared: str = "value"

    @property
    def budget(self) -> float:
        """The common budget, in full evaluations."""
        return float(self.grid[-1])

    @property
    def seeds(self) -> list[int]:
        """The seeds for which every optimizer of the task has a run."""
        each = [set(by_seed) for by_seed in self.curves.values()]
        return sorted(set.intersection(*each)) if each else []

    def matrix(self, optimizer: str, seeds: Sequence[int] | None = None) -> Floats:
        """Return an optimizer's curves, (n_seeds, n_steps), for some or all of its seeds."""
        own = self.curves[optimizer]
        chosen = sorted(own) if seeds is None else seeds
        return np.array([own[seed] for seed in chosen]).reshape(len(chosen), len(self.grid))

    def final(self, optimizer: str, seeds: Sequence[int] | None = None) -> Floats:
        """Return the quantity at the incumbents of its runs at the common budget, (n_seeds,)."""
        return self.matrix(optimizer, seeds)[:, -1]

    def regret(self, optimizer: str, seeds: Sequence[int] | None = None) -> Floats:
        """Return normalised regret, (n_seeds, n_steps).

        This is (best so far - reference) / scale: 0 at the optimum, 1 at a typical first success,
        and infinity before the first success. A value below the optimum, due to noise, counts as 0.
        """
        chosen = sorted(self.curves[optimizer]) if seeds is None else seeds
        reference = np.array([[self.reference[seed]] for seed in chosen]).reshape(-1, 1)
        scale = np.array([[self.scale[seed]] for seed in chosen]).reshape(-1, 1)
        found: Floats = np.maximum(self.matrix(optimizer, chosen) - reference, 0.0) / scale
        return found

    def area(self, optimizer: str, seeds: Sequence[int] | None = None) -> Floats:
        """Return the mean over the steps of normalised regret, each capped at 1, (n_seeds,).

        This is descriptive and is not used for ranks, because the cap depends on the other runs.
        """
        area: Floats = np.minimum(self.regret(optimizer, seeds), 1.0).mean(axis=1)
        return area


@dataclass(frozen=True)
class Suite:
    """The tasks and the optimizers that are compared.

    Attributes:
        optimizers: every optimizer that has a run on some task, sorted by name.
        notes: caveats for the reader: truncated budgets, missing and failed runs, optimizers
            that do not depend on the seed.
    """

    tasks: list[Task]
    optimizers: list[str]
    quantity: Quantity
    notes: list[str]


def compare_on(
    runs: Sequence[Run],
    quantity: Quantity | None = None,
    optima: Optima | None = None,
    missing: Sequence[Missing] = (),
) -> Suite:
    """Put runs on a common budget, objective by objective.

    Args:
        runs: from `experiments.analysis.results.load`.
        quantity: the quantity to compare; the value by default.
        optima: known optima of problems; for others, the best value of any run is the reference.
        missing: planned runs that failed or are not among `runs`.

    Raises:
        ValueError: there are no evaluations, two runs have one seed, runs differ in data or model,
            or a run lacks the metric.
    """
    if not runs:
        raise ValueError("results: expected runs to compare, got none")
    quantity = quantity or Quantity()
    by_task: dict[str, list[Run]] = defaultdict(list)
    compared, notes = fronts.with_front(runs, quantity.metric)
    for run in compared:
        by_task[run.objective].append(run)
    failed = {(m.optimizer, m.objective, m.seed) for m in missing if m.failed}
    tasks = []
    for name, group in sorted(by_task.items(), key=lambda item: _by_number(item[0])):
        check_same_problem(name, group)
        tasks.append(_task(name, group, quantity, optima or {}, failed, notes))
    notes += waiting_note((m.optimizer, m.objective) for m in missing if not m.failed)
    optimizers = sorted({name for task in tasks for name in task.curves})
    for task in tasks:
        notes += seed_notes(task.name, task.curves, optimizers)
    return Suite(tasks, optimizers, quantity, notes)


def _by_number(name: str) -> list[tuple[str, float]]:
    """Return a sort key by which function=2 comes before function=10."""
    parts = re.split(r"(\d+)", name)
    return [(text, float(digits or 0)) for text, digits in zip_longest(parts[::2], parts[1::2])]


def _task(
    name: str,
    runs: Sequence[Run],
    quantity: Quantity,
    optima: Optima,
    failed: set[tuple[str, str, int]],
    notes: list[str],
) -> Task:
    own_failed = {(o, seed) for o, objective, seed in failed if objective == name}
    budget = common_budget(name, runs, own_failed)
    notes += task_notes(name, runs, budget, own_failed)
    grid = steps(budget)
    curves: dict[str, dict[int, Floats]] = defaultdict(dict)
    n_failed: dict[str, dict[int, int]] = defaultdict(dict)
    by_seed: dict[str, dict[int, Run]] = defaultdict(dict)
    for run in runs:
        curves[run.optimizer][run.seed] = best_so_far(run, grid, quantity)
        n_failed[run.optimizer][run.seed] = int(run.failed[within(run, budget)].sum())
        by_seed[run.optimizer][run.seed] = run
    for optimizer, seed in sorted(own_failed):
        if seed not in curves[optimizer]:
            curves[optimizer][seed] = np.full(len(grid), np.inf)
            n_failed[optimizer][seed] = 0
            notes.append(f"the run of {optimizer} on {name} with seed {seed} failed: it ranks last")
    problems = {seed: problem(run) for own in by_seed.values() for seed, run in own.items()}
    instances = len(set(problems.values())) > 1
    fixed = frozenset() if instances else fixed_optimizers(by_seed, budget)
    reference, known = references(
        curves, problems, optima if quantity.metric in _WITH_OPTIMA else {}
    )
    scale = scales(curves, problems, reference)
    ordered = {optimizer: dict(sorted(curves[optimizer].items())) for optimizer in sorted(curves)}
    return Task(
        name, grid, ordered, dict(n_failed), instances, reference, scale, known, fixed,
        dict(by_seed), max(run.budget for run in runs), _compared(runs, quantity),
    )  # fmt: skip


def _compared(runs: Sequence[Run], quantity: Quantity) -> str:
    """Return what is compared; without a chosen metric, several goals have their hypervolume."""
    several = quantity.metric is None and any(run.header.several for run in runs)
    return fronts.HYPERVOLUME if several else str(quantity)


def best_so_far(run: Run, grid: Floats, quantity: Quantity) -> Floats:
    """Return the quantity at the incumbent after each budget of the grid, (n_steps,).

    Runs are compared at the highest fidelity, so only full evaluations can become the incumbent.

    Raises:
        ValueError: the metric was not measured at an incumbent.
    """
    if run.header.several:
        return fronts.curve(run, grid, quantity.metric)
    partial = run.fidelities < 1.0
    found = places(run.values.tolist(), run.fidelities.tolist(), run.failed | partial | ~run.kept)
    last = np.searchsorted(spent(run), grid + ROUNDING, side="right") - 1
    # The last entry stands for no incumbent: no answer yet, or no success.
    places_at = np.array([*(len(found) if at is None else at for at in found), len(found)])
    incumbent = np.where(last < 0, len(found), places_at[last])
    if quantity.metric is None:
        return np.append(run.values, np.inf)[incumbent]
    measured = quantity.sign * _measured(run, quantity.metric)
    curve: Floats = np.append(measured, np.inf)[incumbent]
    if np.isnan(curve[-1]):
        raise ValueError(
            f"metric: expected {quantity.metric} at the incumbent of {run.optimizer} on "
            f"{run.objective}, seed {run.seed}, got an evaluation without it"
        )
    return curve


def _measured(run: Run, metric: str) -> Floats:
    """Return a metric, or a test metric of incumbents, per evaluation, (n,)."""
    if metric in run.metrics:
        return run.metrics[metric]
    tests = {test["id"]: test["metrics"].get(metric, np.nan) for test in run.tests}
    return np.array([tests.get(id, np.nan) for id in run.ids.tolist()], dtype=np.float64)
