"""The study again, with seeds: what 30 runs of each optimizer on the surface can tell apart.

- Until the plateau: the number of the first evaluation within .002 of the surface's optimum; one
  more than the budget where there is none (the tests need its rank alone, and say so).
- MMLU at the incumbent, the first evaluation of the least value.
- Pairs: Wilcoxon's signed-rank test over the seeds (zeros by Pratt), two-sided, by its normal
  approximation; p-values of a quantity corrected over its pairs by Holm (1979).

An optimizer that does not depend on the seed has one value, not a sample. Against one that does,
the test asks on which side of that value the other's seeds lie; between two such, there is
nothing to test.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import wilcoxon

from experiments.paper.published import Floats, ranges
from experiments.results import Run
from objectives.objective import Objective
from objectives.trial import Trial

NEAR = 0.002
LEVEL = 0.05
_AGREE = 1e-9


@dataclass(frozen=True)
class Sample:
    """What the runs of one optimizer came to; arrays have one entry per seed, (n_seeds,).

    Attributes:
        name: of the optimizer, with the settings that tell it from others.
        until: evaluations until near the plateau; the budget + 1 where it was not reached.
        best: HellaSwag at the incumbent.
        mmlu: at the incumbent.
        regret: the optimum less the best accuracy so far, (n_seeds, budget).
        n_evaluations: the fewest of a run.
        fixed: whether every seed asked for the same, in the same order.
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
        """How many seeds came near the plateau."""
        return int((self.until <= self.regret.shape[1]).sum())

    @property
    def runs(self) -> str:
        """The runs' names for numbers.json."""
        return f"{self.name} seed {ranges(self.seeds)}"


def samples(runs: Sequence[Run], objective: Objective, where: str) -> list[Sample]:
    """Return the optimizers' samples, the fastest first.

    Raises:
        ValueError: the runs are not finished runs of one budget on this objective, or the
            optimizers have different seeds.
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
    return sorted(found, key=lambda sample: (np.median(sample.until), sample.until.mean()))


def _check_surface(run: Run, objective: Objective, where: str) -> None:
    """Raise unless the objective still answers what the run was told."""
    answer = objective.evaluate(Trial(0, run.configs[0])).value
    if answer is None or abs(answer - run.values[0]) > _AGREE:
        raise ValueError(
            f"{where}: expected runs on the surface as it is, where {run.optimizer}'s first "
            f"evaluation has the value {answer}, got {run.values[0]}; make them again"
        )


def _sample(name: str, runs: Sequence[Run], objective: Objective) -> Sample:
    assert objective.optimum is not None
    budget = int(runs[0].budget)
    until, best, mmlu, regrets = [], [], [], []
    for run in runs:
        values = np.where(run.failed | np.isnan(run.values), np.inf, run.values)
        near = np.flatnonzero(values <= objective.optimum + NEAR)
        until.append(float(near[0] + 1) if len(near) else float(budget + 1))
        first = int(np.argmin(values))
        best.append(run.metrics["hellaswag_acc"][first])
        mmlu.append(run.metrics["mmlu_acc"][first])
        so_far = np.minimum.accumulate(values)
        held = np.full(budget, so_far[-1])  # a design may have fewer points than the budget
        n = min(budget, len(so_far))
        held[:n] = so_far[:n]
        regrets.append(held - objective.optimum)
    same = [np.array_equal(run.values, runs[0].values, equal_nan=True) for run in runs]
    return Sample(
        name,
        [run.seed for run in runs],
        np.array(until),
        np.array(best),
        np.array(mmlu),
        np.array(regrets),
        min(len(run.values) for run in runs),
        fixed=all(same),
    )


@dataclass(frozen=True)
class Comparison:
    """One pair of optimizers in one quantity.

    Attributes:
        p: Holm-corrected; None where neither varies over the seeds.
        sign: -1 where the first's values are lower (by the sum of signed ranks), 1 higher, or 0.
    """

    first: str
    second: str
    p: float | None
    sign: int

    @property
    def distinguishable(self) -> bool:
        """Whether chance alone would hardly give this."""
        return self.p is not None and self.p < LEVEL and self.sign != 0


def compare(quantities: dict[str, Floats]) -> list[Comparison]:
    """Test every pair of optimizers, paired over the seeds."""
    raw: list[tuple[str, str, float | None, int]] = []
    for first, second in combinations(quantities, 2):
        a, b = quantities[first], quantities[second]
        constant = np.ptp(a) == 0 and np.ptp(b) == 0
        p, sign = (None, 0) if constant else signed_rank(a - b)
        raw.append((first, second, p, sign))
    corrected = iter(holm([p for _, _, p, _ in raw if p is not None]))
    return [
        Comparison(first, second, None if p is None else next(corrected), sign)
        for first, second, p, sign in raw
    ]


def signed_rank(differences: Floats) -> tuple[float, int]:
    """Return Wilcoxon's two-sided p, and the sign of the sum of signed ranks."""
    rounded = np.round(differences, 12)  # equal answers may differ in their last digit
    if not rounded.any():
        return 1.0, 0
    found = wilcoxon(rounded, zero_method="pratt", method="approx")
    size = np.abs(rounded)
    order = np.array([(size < one).sum() + (size == one).sum() / 2 for one in size])
    return float(found.pvalue), int(np.sign((np.sign(rounded) * order).sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's step-down correction: the k-th least of m times m - k + 1, never falling."""
    m = len(p_values)
    corrected = [0.0] * m
    worst = 0.0
    for rank, i in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        worst = max(worst, min(1.0, (m - rank) * p_values[i]))
        corrected[i] = worst
    return corrected


def bootstrap_median(curves: Floats, n_draws: int, seed: int) -> tuple[Floats, Floats]:
    """Return the ends (n_steps,) of 95 % intervals of the median over seeds, by resampling them.

    Args:
        curves: (n_seeds, n_steps).
        n_draws: resamples; of whole curves.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(curves), size=(n_draws, len(curves)))
    medians = np.median(curves[drawn], axis=1)
    low, high = np.quantile(medians, [0.025, 0.975], axis=0)
    return low, high
