"""The study repeated with seeds: the differences that 30 runs per optimizer can establish.

- Until the plateau: the number of the first evaluation within 0.002 of the surface's optimum, or
  infinity if there is none (the tests use only ranks).
- MMLU at the incumbent, which is the first evaluation with the smallest value.
- Pairs: `statistics.paired` over the seeds. It is Wilcoxon's exact signed-rank test, or the sign
  test against an optimizer whose runs do not depend on the seed. Two such optimizers cannot be
  tested against each other. The p-values of a quantity are corrected over its pairs by Holm (1979).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from experiments.analysis.results import Run
from experiments.analysis.statistics.paired import holm, paired
from experiments.analysis.statistics.references import fixed_optimizers
from experiments.paper.published import Floats, ranges
from objectives.objective import Objective
from objectives.trial import Trial

NEAR = 0.002
LEVEL = 0.05
_AGREE = 1e-9


@dataclass(frozen=True)
class Sample:
    """The results of one optimizer's runs; arrays have one entry per seed, shape (n_seeds,).

    Attributes:
        name: the name of the optimizer, with the settings that distinguish it from others.
        until: the number of evaluations until the plateau; infinite if it was not reached.
        best: HellaSwag at the incumbent.
        mmlu: MMLU at the incumbent.
        regret: the optimum minus the best accuracy so far, shape (n_seeds, budget).
        n_evaluations: the smallest number of evaluations of a run.
        fixed: whether all seeds gave the same configurations in the same order.
    """

    name: str
    seeds: list[int]
    until: Floats
    best: Floats
    mmlu: Floats
    regret: Floats
    n_evaluations: int
    fixed: bool

    @property
    def reached(self) -> int:
        """The number of seeds that reached the plateau."""
        return int(np.isfinite(self.until).sum())

    @property
    def runs(self) -> str:
        """The description of the runs for numbers.json."""
        return f"{self.name} seed {ranges(self.seeds)}"


def samples(runs: Sequence[Run], objective: Objective, where: str) -> list[Sample]:
    """Return the optimizers' samples, with the fastest first.

    Raises:
        ValueError: a run is unfinished, the runs have different budgets or another objective, or
            the optimizers have different seeds.
    """
    by_name: dict[str, list[Run]] = {}
    for run in runs:
        by_name.setdefault(run.optimizer, []).append(run)
    budgets, seeds = (
        {run.budget for run in runs},
        [run.seed for run in next(iter(by_name.values()))],
    )
    if len(budgets) != 1 or not all(run.ended for run in runs):
        raise ValueError(f"{where}: expected finished runs of one budget, got {sorted(budgets)}")
    for name, group in by_name.items():
        if [run.seed for run in group] != seeds:
            got = ranges(run.seed for run in group)
            raise ValueError(f"{where}: expected seeds {ranges(seeds)} of {name}, got {got}")
        _check_surface(group[0], objective, where)
    found = [_sample(name, group, objective) for name, group in by_name.items()]
    return sorted(found, key=_speed)


def _speed(sample: Sample) -> tuple[float, float]:
    """Return the sort key: the median and the mean, with infinity counted as the budget + 1."""
    within = np.minimum(sample.until, sample.regret.shape[1] + 1)
    return float(np.median(within)), float(within.mean())


def _check_surface(run: Run, objective: Objective, where: str) -> None:
    """Raise `ValueError` unless the objective still gives the value that the run recorded."""
    answer = objective.evaluate(Trial(0, run.configs[0])).value
    if answer is None or abs(answer - run.values[0]) > _AGREE:
        raise ValueError(
            f"{where}: expected runs on the current surface, where {run.optimizer}'s first "
            f"evaluation has the value {answer}, got {run.values[0]}; repeat the runs"
        )


def _sample(name: str, runs: Sequence[Run], objective: Objective) -> Sample:
    assert objective.optimum is not None
    budget = int(runs[0].budget)
    until, best, mmlu, regrets = [], [], [], []
    for run in runs:
        values = np.where(run.failed | np.isnan(run.values), np.inf, run.values)
        near = np.flatnonzero(values <= objective.optimum + NEAR)
        until.append(float(near[0] + 1) if len(near) else np.inf)
        first = int(np.argmin(values))
        best.append(run.metrics["hellaswag_acc"][first])
        mmlu.append(run.metrics["mmlu_acc"][first])
        so_far = np.minimum.accumulate(values)
        held = np.full(budget, so_far[-1])  # a design can have fewer points than the budget
        n = min(budget, len(so_far))
        held[:n] = so_far[:n]
        regrets.append(held - objective.optimum)
    by_seed = {run.seed: run for run in runs}
    fixed = fixed_optimizers({name: by_seed}, float(budget))
    return Sample(
        name,
        [run.seed for run in runs],
        np.array(until),
        np.array(best),
        np.array(mmlu),
        np.array(regrets),
        min(len(run.values) for run in runs),
        fixed=bool(fixed),
    )


@dataclass(frozen=True)
class Comparison:
    """The comparison of one pair of optimizers in one quantity.

    Attributes:
        p: the Holm-corrected p-value; None if neither optimizer varies over the seeds.
        sign: -1 if the first optimizer's values are lower by the test's statistic, 1 if they are
            higher, otherwise 0.
    """

    first: str
    second: str
    p: float | None
    sign: int

    @property
    def distinguishable(self) -> bool:
        """Whether the difference is significant."""
        return self.p is not None and self.p < LEVEL and self.sign != 0


def compare(quantities: dict[str, Floats], fixed: Collection[str] = ()) -> list[Comparison]:
    """Test every pair of optimizers, paired over the seeds.

    Args:
        quantities: the values of each optimizer, shape (n_seeds,).
        fixed: the optimizers whose runs do not depend on the seed.
    """
    raw = []
    for first, second in combinations(quantities, 2):
        constant = first in fixed, second in fixed
        found = paired(quantities[first], quantities[second], constant)
        raw.append((first, second, found.p, found.sign))
    corrected = iter(holm([p for _, _, p, _ in raw if p is not None]))
    return [
        Comparison(first, second, None if p is None else next(corrected), sign)
        for first, second, p, sign in raw
    ]
