"""What each part of `gp_bo` contributes: the optimizer without it, on the problems of `ranks.py`.

    PYTHONPATH=.:tests/benchmarks OMP_NUM_THREADS=1 \\
        python tests/benchmarks/ablation.py out=results/gp_bo_ablation/ablation.csv

144 problems: BBOB's 24 functions in 5-D, each on three instances as COCO has them and on three
whose optimum is uniform over the cube. The instances, 1,001 to 1,006, are among those on which
`gp_bo` may be tuned. A function is the statistical unit: its log10 regrets, at least 1e-8, are
averaged over its problems. Wilcoxon's signed-rank test compares each variant with the whole
optimizer, corrected by Holm over the variants of a budget. About 15 CPU minutes.
"""

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import ranks
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from experiments.analysis.statistics.paired import holm
from objectives.space import UnitCube
from objectives.trial import Trial
from optimizers.acquisition_search import AcquisitionSearch
from optimizers.features import Features
from optimizers.gaussian_process import GaussianProcess
from optimizers.gp_bo import GaussianProcessOptimizer

SETTINGS: dict[str, Any] = {
    "n_initial": 4,
    "acquisition": "log_ei",
    "beta": 4.0,
    "noiseless": True,
    "exploit_every": 2,
    "candidates": 256,
    "starts": 3,
}
LEVEL = 0.05
N_INSTANCES = 6


class NoLinear(Features):
    """The inputs without linear main effects."""

    def linear(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.zeros_like(super().linear(x))


class NoQuadratic(Features):
    """The inputs without quadratic main effects."""

    def quadratic(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.zeros_like(super().quadratic(x))

    def quadratic_slope(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.zeros_like(super().quadratic_slope(x))


class NoEffects(NoLinear, NoQuadratic):
    """The inputs of a Matern kernel alone."""


Model = Callable[[UnitCube], GaussianProcess]
VARIANTS: dict[str, tuple[dict[str, Any], Model]] = {
    "whole": ({}, GaussianProcess),
    "no warp": ({}, lambda cube: GaussianProcess(cube, warps=(None,))),
    "no cap": ({}, lambda cube: GaussianProcess(cube, cap=float("inf"))),
    "no quadratic effects": ({}, lambda cube: GaussianProcess(cube, features=NoQuadratic(cube))),
    "no main effects": ({}, lambda cube: GaussianProcess(cube, features=NoEffects(cube))),
    "no minima of the mean": ({"exploit_every": 0}, GaussianProcess),
    "design of 10 points": ({"n_initial": 10}, GaussianProcess),
    "expected improvement": ({"acquisition": "ei"}, GaussianProcess),
    "none of these": (
        {"exploit_every": 0, "n_initial": 10},
        lambda cube: GaussianProcess(
            cube, warps=(None,), cap=float("inf"), features=NoEffects(cube)
        ),
    ),
}


class Variant(GaussianProcessOptimizer):
    """`gp_bo` with another model."""

    def __init__(self, space: Any, *, seed: int, model: Model, **settings: Any) -> None:
        super().__init__(space, seed=seed, **settings)
        self._gp = model(self._cube)
        self._search = AcquisitionSearch(
            self._cube,
            self._gp.features,
            candidates=settings["candidates"],
            starts=settings["starts"],
            seed=seed,
        )


def regrets(name: str, problem: str) -> list[float]:
    """Return the log10 regrets of a variant at 20, 30 and 50 evaluations."""
    function = ranks.problem(problem)
    assert function.optimum is not None
    changes, model = VARIANTS[name]
    made = Variant(function.space, seed=0, model=model, **{**SETTINGS, **changes})
    best: list[float] = []
    while len(best) < ranks.BUDGET:
        trial: Trial
        (trial,) = made.ask(1)
        evaluation = function.evaluate(trial)
        assert evaluation.value is not None
        made.tell(trial, evaluation)
        best.append(min([evaluation.value - function.optimum, *best[-1:]]))
    return [float(np.log10(max(best[mark - 1], 1e-8))) for mark in ranks.MARKS]


def main(arguments: list[str]) -> None:
    out = Path(dict(argument.split("=", 1) for argument in arguments)["out"])
    functions = list(range(1, 25))
    problems = ranks.names(functions, 5, N_INSTANCES)
    table = {}
    for name in VARIANTS:
        found = np.array([regrets(name, problem) for problem in problems])
        table[name] = found.reshape(N_INSTANCES, len(functions), len(ranks.MARKS)).mean(axis=0)
        print(name, np.round(table[name].mean(axis=0), 3).tolist(), flush=True)
    rows = []
    variants = [name for name in VARIANTS if name != "whole"]
    for column, mark in enumerate(ranks.MARKS):
        deltas = [table[name][:, column] - table["whole"][:, column] for name in variants]
        chances = holm([float(wilcoxon(delta).pvalue) for delta in deltas])
        for name, delta, p in zip(variants, deltas, chances, strict=True):
            words = "worse" if delta.mean() > 0 else "better"
            rows.append(
                {
                    "evaluations": mark,
                    "variant": name,
                    "log10 regret more": round(float(delta.mean()), 3),
                    "worse on": int((delta > 0).sum()),
                    "functions": len(delta),
                    "p (Holm)": f"{p:.2g}",
                    "verdict": words if p < LEVEL else "not distinguishable",
                }
            )
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
