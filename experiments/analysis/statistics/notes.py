"""Notes on a comparison: the caveats that a reader must know before its outcome."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from experiments.analysis.results import ROUNDING, Run
from experiments.analysis.statistics.budgets import total
from experiments.running.fronts import limits_line

_MOST_NAMED = 5


def task_notes(
    name: str, runs: Sequence[Run], budget: float, failed: set[tuple[str, int]]
) -> list[str]:
    """Return the notes on the budgets and the limits of a task's runs.

    Args:
        name: the task's name.
        runs: its runs.
        budget: the common budget.
        failed: optimizer and seed of the failed runs.
    """
    return [*_budget_notes(name, runs, budget, failed), *_limit_notes(name, runs)]


def _budget_notes(
    name: str, runs: Sequence[Run], budget: float, failed: set[tuple[str, int]]
) -> list[str]:
    """Say which runs were given more than the common budget, and which did not reach it."""
    notes = []
    most = max(run.budget for run in runs)
    if budget < most - ROUNDING:
        had = [run for run in runs if run.budget > budget + ROUNDING]
        notes.append(
            f"{name}: runs are compared at the common budget of {budget:g}; {len(had)} of "
            f"{len(runs)} runs had a larger budget, up to {most:g}"
        )
    stopped = [run for run in runs if run.stopped is not None]
    if stopped:
        first = stopped[0]
        notes.append(
            f"{name}: {len(stopped)} of {len(runs)} runs were stopped by a rule, so their "
            f"incumbents are carried forward to the common budget (first: {first.optimizer}, seed "
            f"{first.seed}, at {total(first):g} of {budget:g}; {first.stopped})"
        )
    broken = [
        run
        for run in runs
        if not run.ended and total(run) < budget - ROUNDING
        if (run.optimizer, run.seed) not in failed
    ]
    if broken:
        first = broken[0]
        notes.append(
            f"{name}: {len(broken)} of {len(runs)} runs are unfinished, so their incumbents are "
            f"carried forward to the common budget (first: {first.optimizer}, seed {first.seed}, "
            f"at {total(first):g} of {budget:g}); finish them with the command that started them"
        )
    return notes


def _limit_notes(name: str, runs: Sequence[Run]) -> list[str]:
    """Say in how many runs no evaluation keeps the limits."""
    none = [run for run in runs if run.header.limits and not (run.kept & ~run.failed).any()]
    if not none:
        return []
    return [
        f"{name}: in {len(none)} of {len(runs)} runs, no evaluation keeps the limits "
        f"({limits_line(none[0].header.limits)}), so that they count as runs without a success"
    ]


def seed_notes(
    name: str, seeds: Mapping[str, Collection[int]], optimizers: Sequence[str]
) -> list[str]:
    """Say which optimizers lack seeds of a task that others have.

    Args:
        name: the task's name.
        seeds: the seeds of each optimizer on the task.
        optimizers: the optimizers of all tasks.
    """
    every = {seed for own in seeds.values() for seed in own}
    lacking = {one: len(every - {*seeds.get(one, ())}) for one in optimizers}
    return [
        f"{one} has no run for {n} of {len(every)} seeds on {name}: pairs are compared on the "
        f"seeds that both optimizers have, and ranks use the seeds that all have; if the missing "
        f"runs went badly, {one} looks better than it is"
        for one, n in lacking.items()
        if n
    ]


def waiting_note(waiting: Iterable[tuple[str, str]]) -> list[str]:
    """Say which planned runs have not been made yet, given the optimizer and objective of each."""
    counts = Counter(f"{optimizer} on {objective}" for optimizer, objective in waiting)
    if not counts:
        return []
    shown = ", ".join(f"{name} ({n})" for name, n in list(counts.items())[:_MOST_NAMED])
    more = ", ..." if len(counts) > _MOST_NAMED else ""
    return [f"planned runs that have not been made yet: {counts.total()} ({shown}{more})"]
