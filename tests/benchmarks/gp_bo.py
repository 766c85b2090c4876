"""Compare `gp_bo` with BoTorch's default method and Optuna's GPSampler: CPU time and regret.

    PYTHONPATH=. OMP_NUM_THREADS=1 python tests/benchmarks/gp_bo.py
    PYTHONPATH=. OMP_NUM_THREADS=1 python tests/benchmarks/gp_bo.py --regret --seeds 10

The first takes a minute, the second an hour (`--functions` selects some). Times are CPU seconds of
a whole ask, including the fit, after `N_TOLD` evaluations of the shifted Levy function in 5-D; the
target for ours is 0.010. For the regret, all three have equal budgets and the same Latin hypercube,
so that the runs of one seed are pairs. If Wilcoxon's signed-rank test on log regrets, with Holm's
correction over the functions, is not significant at 5 %, the verdict is "not distinguishable".
"""

import argparse
import warnings
from collections.abc import Callable
from time import process_time

import numpy as np
import optuna
import torch
from botorch.acquisition import LogExpectedImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.optim import optimize_acqf
from gpytorch.mlls import ExactMarginalLogLikelihood
from numpy.typing import NDArray
from omegaconf import OmegaConf
from scipy.stats import wilcoxon

from objectives.functions import synthetic
from objectives.functions.box import BoxFunction
from objectives.space import UnitCube
from objectives.trial import Evaluation, Trial
from optimizers.gp_bo import GaussianProcessOptimizer

N_INITIAL = 10
N_TOLD = 50
N_TIMED = 7

Points = NDArray[np.float64]
Ask = Callable[[Points, Points], Points]
"""A function from all unit points (n, d) and values (n,) so far to the next unit point (d,)."""

FUNCTIONS: dict[str, Callable[[int], BoxFunction]] = {
    "branin": lambda seed: synthetic.Branin(shift=seed, space={}),
    "rosenbrock-2": lambda seed: synthetic.Rosenbrock(dimension=2, shift=seed, space={}),
    "hartmann-3": lambda seed: synthetic.Hartmann3(shift=seed, space={}),
    "hartmann-6": lambda seed: synthetic.Hartmann6(shift=seed, space={}),
    "ackley-5": lambda seed: synthetic.Ackley(dimension=5, shift=seed, space={}),
    "levy-5": lambda seed: synthetic.Levy(dimension=5, shift=seed, space={}),
    "shekel-10": lambda seed: synthetic.Shekel(shift=seed, space={}),
}


def ours(function: BoxFunction, seed: int) -> tuple[Ask, Points]:
    """Return `gp_bo` with its defaults, and its initial design."""
    settings = OmegaConf.to_container(OmegaConf.load("conf/optimizer/gp_bo.yaml"))
    assert isinstance(settings, dict)
    del settings["_target_"]
    named = {str(name): value for name, value in settings.items()}
    named["n_initial"] = N_INITIAL  # the design of all three
    optimizer = GaussianProcessOptimizer(function.space, seed=seed, **named)
    cube = UnitCube(function.space)
    pending = optimizer.ask(N_INITIAL)
    design = np.array([cube.point(trial.config) for trial in pending])

    def ask(u: Points, y: Points) -> Points:
        for trial, value in zip(pending, y[-len(pending) :], strict=True):
            optimizer.tell(trial, Evaluation(float(value), 0.0))
        pending[:] = optimizer.ask(1)
        return cube.point(pending[0].config)

    return ask, design


def botorch_default(function: BoxFunction, seed: int) -> Ask:
    """Return BoTorch's default method: SingleTaskGP, LogEI, 10 restarts of 512 samples."""
    torch.manual_seed(seed)
    bounds = torch.tensor([[0.0], [1.0]], dtype=torch.float64).repeat(1, len(function.names))

    def ask(u: Points, y: Points) -> Points:
        values = -torch.from_numpy(y)[:, None]
        model = SingleTaskGP(torch.from_numpy(u), values)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        worth = LogExpectedImprovement(model, best_f=values.max())
        best, _ = optimize_acqf(worth, bounds, q=1, num_restarts=10, raw_samples=512)
        point: Points = best[0].numpy()
        return point

    return ask


def optuna_gp(function: BoxFunction, seed: int) -> Ask:
    """Return Optuna's GPSampler, told that the objective is deterministic."""
    axes = {name: optuna.distributions.FloatDistribution(0.0, 1.0) for name in function.names}
    sampler = optuna.samplers.GPSampler(
        seed=seed, n_startup_trials=N_INITIAL, deterministic_objective=True
    )
    study = optuna.create_study(sampler=sampler)
    pending: list[optuna.Trial] = []

    def ask(u: Points, y: Points) -> Points:
        if pending:
            study.tell(pending.pop(), float(y[-1]))
        n_known = len(study.get_trials(deepcopy=False))
        for point, value in zip(u[n_known:], y[n_known:], strict=True):
            params = dict(zip(function.names, point.tolist(), strict=True))
            study.add_trial(
                optuna.trial.create_trial(params=params, distributions=axes, value=float(value))
            )
        pending.append(study.ask(axes))
        return np.array([pending[0].params[name] for name in function.names])

    return ask


def run(function: BoxFunction, ask: Ask, design: Points, budget: int) -> tuple[Points, Points]:
    """Return the values (budget,) and the CPU seconds of the asks after the design."""
    cube = UnitCube(function.space)

    def value(point: Points) -> float:
        answer = function.evaluate(Trial(0, cube.config(np.clip(point, 0.0, 1.0)))).value
        assert answer is not None
        return answer

    points, seconds = list(design), []
    values = [value(point) for point in design]
    while len(values) < budget:
        start = process_time()
        point = ask(np.array(points), np.array(values))
        seconds.append(process_time() - start)
        points.append(point)
        values.append(value(point))
    return np.array(values), np.array(seconds)


def three(function: BoxFunction, seed: int, budget: int) -> dict[str, tuple[Points, Points]]:
    """Run the three on one seed."""
    ask, design = ours(function, seed)
    asks = {
        "gp_bo": ask,
        "botorch": botorch_default(function, seed),
        "optuna": optuna_gp(function, seed),
    }
    return {name: run(function, asks[name], design, budget) for name in asks}


def report_times() -> None:
    runs = three(FUNCTIONS["levy-5"](0), 0, N_TOLD + N_TIMED)
    print(f"CPU s per ask, 5-D, {N_TOLD} to {N_TOLD + N_TIMED - 1} told: median, mean, largest")
    for name, (_, seconds) in runs.items():
        last = seconds[-N_TIMED:]
        print(f"  {name:8} {np.median(last):.3f} {last.mean():.3f} {last.max():.3f}")


def report_regret(names: list[str], n_seeds: int, budget: int) -> None:
    print(f"median regret after {budget} evaluations, {n_seeds} seeds")
    logs: dict[str, dict[str, list[float]]] = {}
    seconds: dict[str, float] = {"gp_bo": 0.0, "botorch": 0.0, "optuna": 0.0}
    for name in names:
        logs[name] = {rival: [] for rival in seconds}
        for seed in range(n_seeds):
            function = FUNCTIONS[name](seed)
            assert function.optimum is not None
            for rival, (values, spent) in three(function, seed, budget).items():
                logs[name][rival].append(np.log10(max(values.min() - function.optimum, 1e-12)))
                seconds[rival] += float(spent.mean()) / (n_seeds * len(names))
        medians = [f"{rival} {10 ** np.median(log):.3g}" for rival, log in logs[name].items()]
        print(f"  {name:13} " + "   ".join(medians), flush=True)
    print("  CPU s per ask " + "   ".join(f"{rival} {s:.3f}" for rival, s in seconds.items()))
    for rival in ("botorch", "optuna"):
        report_pairs(rival, {n: np.array(logs[n]["gp_bo"]) - logs[n][rival] for n in names})


def report_pairs(rival: str, differences: dict[str, Points]) -> None:
    """Print, per function and in total, whether gp_bo and a peer are distinguishable."""
    print(f"gp_bo against {rival}: seeds with lower regret, p (Holm over functions), verdict")
    chances = {name: float(wilcoxon(delta).pvalue) for name, delta in differences.items()}
    largest = 0.0
    for rank, name in enumerate(sorted(chances, key=lambda key: chances[key])):
        largest = max(largest, min(1.0, chances[name] * (len(chances) - rank)))
        print_verdict(name, differences[name], largest)
    pooled = np.concatenate(list(differences.values()))
    print_verdict("all", pooled, float(wilcoxon(pooled).pvalue))


def print_verdict(name: str, delta: Points, chance: float) -> None:
    better = "gp_bo better" if np.median(delta) < 0 else "gp_bo worse"
    verdict = better if chance < 0.05 else "not distinguishable"
    print(f"  {name:13} {(delta < 0).sum():3d} of {len(delta):3d}   p = {chance:.3g}   {verdict}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--regret", action="store_true", help="compare the regret as well")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget", type=int, default=40)
    parser.add_argument("--functions", nargs="+", default=list(FUNCTIONS), choices=FUNCTIONS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # warnings of the peers
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    report_times()
    if arguments.regret:
        report_regret(arguments.functions, arguments.seeds, arguments.budget)


if __name__ == "__main__":
    main()
