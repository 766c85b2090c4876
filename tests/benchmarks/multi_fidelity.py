"""`mf_gp` beside `gp_bo`, random search and Hyperband on the multi-fidelity functions.

    PYTHONPATH=. OMP_NUM_THREADS=1 python tests/benchmarks/multi_fidelity.py --seeds 20

The budget counts full evaluations, and every optimizer has the same. Compared is the lowest regret
of a full evaluation; seeds shift the function, so that all four solve the same problems. `useless`
is Hartmann-6 whose low fidelities are another function (its own, reflected). Wilcoxon's
signed-rank test compares log regrets, corrected by Holm over the comparisons; above 0.05, the two
are "not distinguishable". `mf_gp` was chosen on seeds 0 to 19; `--first 20` confirms it on others.
About 25 CPU minutes for 20 seeds.
"""

import argparse
import itertools
from collections.abc import Callable
from time import process_time

import numpy as np
from hydra.utils import instantiate
from scipy.stats import wilcoxon

from experiments.running.composing import composed
from experiments.testing.conversation import spend
from objectives.functions.box import BoxFunction, Vector
from objectives.functions.multi_fidelity import (
    MultiFidelityBorehole,
    MultiFidelityBranin,
    MultiFidelityHartmann6,
)
from objectives.trial import Evaluation, Trial

RIVALS = ["gp_bo", "random", "hyperband"]
OURS = "mf_gp"


class Useless(MultiFidelityHartmann6):
    """Hartmann-6 whose low fidelities say nothing: they are Hartmann-6 of 1 - x, permuted."""

    def formula_at(self, x: Vector, z: float) -> float:
        return super().formula_at(x if z == 1 else 1 - x[[3, 5, 0, 2, 1, 4]], 1.0)


FUNCTIONS: dict[str, Callable[[int], BoxFunction]] = {
    "branin": lambda seed: MultiFidelityBranin(shift=seed, space={}),
    "hartmann6": lambda seed: MultiFidelityHartmann6(shift=seed, space={}),
    "borehole": lambda seed: MultiFidelityBorehole(space={}),
    "useless": lambda seed: Useless(shift=seed, space={}),
}


def run(name: str, function: BoxFunction, seed: int, budget: float) -> tuple[float, float, int]:
    """Return log10 of the lowest regret in full, CPU seconds and the number of trials."""
    settings = composed("config", [f"optimizer={name}", f"budget={budget}"]).optimizer
    told = {"fidelities": function.fidelities} if "eta" in settings else {}
    make = instantiate(settings, space=function.space, seed=seed, _partial_=True, _convert_="all")
    start = process_time()

    def answer(trial: Trial) -> Evaluation:
        return function.evaluate(trial)

    trials = spend(make(**told), answer, budget)
    seconds = process_time() - start
    assert function.optimum is not None
    full = [function.evaluate(trial).value for trial in trials if trial.fidelity == 1.0]
    least = min([value for value in full if value is not None], default=np.inf)
    return float(np.log10(max(least - function.optimum, 1e-12))), seconds, len(trials)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--budget", type=float, default=20)
    parser.add_argument("--functions", nargs="+", default=list(FUNCTIONS), choices=FUNCTIONS)
    parser.add_argument("--rivals", nargs="+", default=RIVALS)
    arguments = parser.parse_args()
    deltas: dict[tuple[str, str], Vector] = {}
    print("median log10 regret, CPU s a run, trials a run")
    for name in arguments.functions:
        found: dict[str, Vector] = {}
        for optimizer in [OURS, *arguments.rivals]:
            runs = [
                run(optimizer, FUNCTIONS[name](seed), seed, arguments.budget)
                for seed in range(arguments.first, arguments.first + arguments.seeds)
            ]
            found[optimizer] = np.array([one[0] for one in runs])
            seconds, count = (np.mean([one[k] for one in runs]) for k in (1, 2))
            middle = np.median(found[optimizer])
            print(
                f"  {name:10} {optimizer:10} {middle:6.2f} {seconds:7.2f} {count:6.0f}", flush=True
            )
        for rival in arguments.rivals:
            deltas[name, rival] = found[OURS] - found[rival]
    print_verdicts(deltas)


def print_verdicts(deltas: dict[tuple[str, str], Vector]) -> None:
    """Print wins, median differences and corrected p-values of all comparisons."""
    chances = {pair: float(wilcoxon(delta).pvalue) for pair, delta in deltas.items()}
    ordered = sorted(chances, key=lambda pair: chances[pair])
    scaled = [chances[pair] * (len(ordered) - rank) for rank, pair in enumerate(ordered)]
    corrected = dict(zip(ordered, itertools.accumulate(scaled, max), strict=True))
    for pair, delta in deltas.items():
        p = min(corrected[pair], 1.0)
        better = "better" if np.median(delta) < 0 else "worse"
        verdict = better if p < 0.05 else "not distinguishable"
        print(
            f"  {pair[0]:10} against {pair[1]:10} wins {(delta < 0).sum():2d} of {len(delta)}, "
            f"median {np.median(delta):+.2f}, p = {p:.2g}: {verdict}"
        )


if __name__ == "__main__":
    main()
