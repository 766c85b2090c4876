"""Mean ranks when the budget is counted in evaluations, in time, or in cost.

- evaluations: full-evaluation equivalents, the budget of the run.
- time: the sum of the evaluations' cost and the optimizer's seconds in ask and tell; pauses and
  parallel workers are ignored. If the clock is simulated, it is the simulated time, which reflects
  parallel workers but not the optimizer's own seconds.
- cost: the evaluations' cost alone.

In time and cost, the common budget of a task is the smallest total that any run of it spent. So a
slow optimizer is judged by what it had found by then, and one that had found nothing ranks last.
Two rules prevent a common budget so small that nothing could be found within it:
- In these totals, an evaluation that cost less than a tenth of a typical one counts as a typical
  one, because refusals and crashes cost little. So an optimizer that always fails at no cost does
  not reduce the common budget to 0. The typical cost is the median weighted by cost: half of the
  total was spent on evaluations that cost less.
- A run that did not spend the common budget of evaluations does not set the common budget, unless
  this is so for all runs.
Such a run keeps its incumbent up to the common budget. Whether an evaluation failed plays no part,
so a failure that costs as much as a success affects only its own run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np

from experiments.analysis.labels import is_own
from experiments.analysis.results import ROUNDING, Floats, Run
from experiments.analysis.statistics import budgets
from experiments.analysis.statistics.anytime import Suite, Task
from experiments.analysis.statistics.ranks import rank_columns, rank_table

Currency = Literal["evaluations", "time", "cost"]
_DIGITS = 9
_CHEAP = 0.1
CURRENCIES: tuple[Currency, ...] = ("evaluations", "time", "cost")


@dataclass(frozen=True)
class CurrencyRanks:
    """Mean ranks by optimizer in each currency, and where two of them change order.

    Attributes:
        ranks: by currency and optimizer; over the tasks that all optimizers have.
        flips: (optimizer ahead in evaluations, optimizer ahead in the currency, the currency).
        budgets: the common budget by currency and task.
        own_share: by optimizer, the seconds in ask and tell as a share of its total time.
        others: by optimizer, the mean ranks in evaluations without this suite's own methods; empty
            if no such method, or fewer than two other optimizers, took part.
    """

    ranks: dict[Currency, dict[str, float]]
    flips: list[tuple[str, str, Currency]]
    budgets: dict[Currency, dict[str, float]]
    own_share: dict[str, float]
    others: dict[str, float]


def currency_ranks(suite: Suite) -> CurrencyRanks | None:
    """Return the ranks; None if no task has runs of all optimizers."""
    names, table = rank_table(suite)
    if not names:
        return None
    tasks = [task for task in suite.tasks if task.name in names]
    ranks: dict[Currency, dict[str, float]] = {
        "evaluations": _named(suite.optimizers, table.mean(axis=0))
    }
    common: dict[Currency, dict[str, float]] = {
        "evaluations": {task.name: task.budget for task in tasks}
    }
    for currency in ("time", "cost"):
        common[currency] = {task.name: _common(task, currency) for task in tasks}
        rows = [_ranks(task, suite.optimizers, currency) for task in tasks]
        ranks[currency] = _named(suite.optimizers, np.mean(rows, axis=0))
    return CurrencyRanks(ranks, _flips(ranks), common, _own_shares(suite), _others(suite))


def _others(suite: Suite) -> dict[str, float]:
    """Return mean ranks among the optimizers that are not this suite's own."""
    others = [name for name in suite.optimizers if not is_own(name)]
    if not 2 <= len(others) < len(suite.optimizers):
        return {}
    tasks = [
        replace(task, curves={name: task.curves[name] for name in others if name in task.curves})
        for task in suite.tasks
    ]
    found, table = rank_table(replace(suite, optimizers=others, tasks=tasks))
    return _named(others, table.mean(axis=0)) if found else {}


def _named(names: Sequence[str], numbers: Floats) -> dict[str, float]:
    # Equal means of ranks may differ in the last digit, which must not count as a difference.
    return {name: round(float(x), _DIGITS) for name, x in zip(names, numbers, strict=True)}


def spent(run: Run, currency: Currency) -> Floats:
    """Return the cumulative spending at each answer, (n,), in evaluations or seconds."""
    if currency == "evaluations":
        return budgets.spent(run)
    if currency == "time" and run.ends is not None:
        return run.ends
    return np.asarray(np.cumsum(run.costs + _own_seconds(run, currency)), dtype=np.float64)


def _own_seconds(run: Run, currency: Currency) -> Floats:
    """Return the optimizer's own seconds before each answer, (n,); zeros for currency cost."""
    if currency != "time" or not len(run.ids):
        return np.zeros(len(run.ids))
    return np.asarray(run.ask_s + np.append(0.0, run.tell_s[:-1]), dtype=np.float64)


def _common(task: Task, currency: Currency) -> float:
    """Return the common budget of a task in a currency."""
    runs = [run for by_seed in task.runs.values() for run in by_seed.values()]
    finished = [run for run in runs if budgets.total(run) >= task.budget - ROUNDING]
    typical = _typical_cost(task, runs)
    return min((_charged(task, run, typical, currency) for run in finished or runs), default=0.0)


def _typical_cost(task: Task, runs: Sequence[Run]) -> float:
    """Return the median cost of a full evaluation, weighted by cost, in seconds."""
    counted = [budgets.within(run, task.budget) for run in runs]
    costs = np.concatenate([run.costs[own] for run, own in zip(runs, counted, strict=True)])
    prices = np.concatenate([run.prices[own] for run, own in zip(runs, counted, strict=True)])
    whole = costs / np.maximum(prices, ROUNDING)
    order = np.argsort(whole)
    passed = np.cumsum(costs[order])
    if not len(passed) or passed[-1] <= 0:
        return 0.0
    middle = int(np.searchsorted(passed, passed[-1] / 2))
    return float(whole[order][middle])


def _charged(task: Task, run: Run, typical: float, currency: Currency) -> float:
    """Return a run's total spending, with its cheapest evaluations counted as typical ones."""
    usual = typical * run.prices
    charged = np.where(run.costs < usual * _CHEAP, usual, run.costs)
    counted = budgets.within(run, task.budget)
    if currency == "time" and run.ends is not None:
        least = float(charged[counted].sum()) / run.header.workers  # if no worker was ever idle
        return max(float(run.ends[counted].max(initial=0.0)), least)
    return float((charged + _own_seconds(run, currency))[counted].sum())


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
    """Return the quantity at the run's incumbent once this budget of the currency was spent."""
    counted = int(budgets.within(run, task.budget).sum())
    n = int((spent(run, currency)[:counted] <= budget * (1 + 1e-9)).sum())
    evaluations = float(budgets.spent(run)[n - 1]) if n else 0.0
    step = int(np.searchsorted(task.grid, evaluations + ROUNDING, side="right")) - 1
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
