"""Mean ranks when the budget is counted in evaluations, in time, or in cost.

- evaluations: full-evaluation equivalents, the budget of the run.
- time: the evaluations' cost and the optimizer's own seconds in ask and tell, one after the
  other; pauses and parallel workers are left out.
- cost: the evaluations' cost alone.

In time and cost the common budget of a task is what the least run of it spent in all, as in
evaluations; so a slow optimizer is judged by what it had found by then, and one that had found
nothing is last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from experiments.analysis.results import Floats, Run
from experiments.analysis.statistics.anytime import Suite, Task
from experiments.analysis.statistics.ranks import rank_columns, rank_table

Currency = Literal["evaluations", "time", "cost"]
CURRENCIES: tuple[Currency, ...] = ("evaluations", "time", "cost")


@dataclass(frozen=True)
class CurrencyRanks:
    """Mean ranks by optimizer in each currency, and where two of them change order.

    Attributes:
        ranks: by currency and optimizer; over the tasks that all optimizers have.
        flips: (ahead in evaluations, ahead in the other currency, the currency).
        budgets: by currency and task, the common budget.
        own_share: by optimizer, its own seconds as a share of all its time.
    """

    ranks: dict[Currency, dict[str, float]]
    flips: list[tuple[str, str, Currency]]
    budgets: dict[Currency, dict[str, float]]
    own_share: dict[str, float]


def currency_ranks(suite: Suite) -> CurrencyRanks | None:
    """Return the ranks; None where no task has runs of all optimizers."""
    names, table = rank_table(suite)
    if not names:
        return None
    tasks = [task for task in suite.tasks if task.name in names]
    ranks: dict[Currency, dict[str, float]] = {
        "evaluations": _named(suite.optimizers, table.mean(axis=0))
    }
    budgets: dict[Currency, dict[str, float]] = {
        "evaluations": {task.name: float(task.grid[-1]) for task in tasks}
    }
    for currency in ("time", "cost"):
        budgets[currency] = {task.name: _common(task, currency) for task in tasks}
        rows = [_ranks(task, suite.optimizers, currency) for task in tasks]
        ranks[currency] = _named(suite.optimizers, np.mean(rows, axis=0))
    return CurrencyRanks(ranks, _flips(ranks), budgets, _own_shares(suite))


def _named(names: Sequence[str], numbers: Floats) -> dict[str, float]:
    return {name: float(x) for name, x in zip(names, numbers, strict=True)}


def spent(run: Run, currency: Currency) -> Floats:
    """Return what was spent until each answer, (n,): evaluations, or seconds."""
    if currency == "evaluations":
        return np.cumsum(run.fidelities)
    own = run.ask_s if currency == "time" else 0.0
    learning = np.append(0.0, run.tell_s[:-1]) if currency == "time" else 0.0
    return np.asarray(np.cumsum(run.costs + own + learning), dtype=np.float64)


def _within(task: Task, run: Run) -> int:
    """Return how many evaluations lie within the common budget of evaluations."""
    return int((np.cumsum(run.fidelities) <= task.grid[-1] + 1e-9).sum())


def _common(task: Task, currency: Currency) -> float:
    totals = [
        float(spent(run, currency)[: _within(task, run)][-1])
        for by_seed in task.runs.values()
        for run in by_seed.values()
        if _within(task, run)
    ]
    return min(totals, default=0.0)


def _ranks(task: Task, optimizers: Sequence[str], currency: Currency) -> Floats:
    """Return mean ranks over the common seeds at the common budget, (n_optimizers,)."""
    budget = _common(task, currency)
    rows = []
    for name in optimizers:
        row = []
        for seed in task.seeds:
            run = task.runs.get(name, {}).get(seed)
            row.append(np.inf if run is None else _held(task, run, seed, budget, currency))
        rows.append(row)
    return np.asarray(rank_columns(np.array(rows)).mean(axis=1))


def _held(task: Task, run: Run, seed: int, budget: float, currency: Currency) -> float:
    """Return the run's quantity when so much of the currency was spent."""
    n = int((spent(run, currency)[: _within(task, run)] <= budget * (1 + 1e-9)).sum())
    evaluations = float(run.fidelities[:n].sum())
    step = int(np.searchsorted(task.grid, evaluations + 1e-9, side="right")) - 1
    return float(task.curves[run.optimizer][seed][step]) if step >= 0 else float("inf")


def _flips(ranks: dict[Currency, dict[str, float]]) -> list[tuple[str, str, Currency]]:
    found: list[tuple[str, str, Currency]] = []
    first = ranks["evaluations"]
    for a, b in combinations(sorted(first, key=lambda name: first[name]), 2):
        for currency in CURRENCIES[1:]:
            if first[a] < first[b] and ranks[currency][a] > ranks[currency][b]:
                found.append((a, b, currency))
    return found


def _own_shares(suite: Suite) -> dict[str, float]:
    shares = {}
    for name in suite.optimizers:
        runs = [run for task in suite.tasks for run in task.runs.get(name, {}).values()]
        own = sum(float(run.ask_s.sum() + run.tell_s.sum()) for run in runs)
        every = own + sum(float(run.costs.sum()) for run in runs)
        shares[name] = own / every if every > 0 else 0.0
    return shares
