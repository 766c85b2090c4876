"""A bound on the regret of a run's incumbent, by Optuna's evaluator.

The regret is the incumbent's value minus the smallest possible value. Under a Gaussian process
fitted to the better half of the evaluations (at least 20), it is at most

    min over evaluated x of [m(x) + sqrt(beta) s(x)]  -  min over all x of [m(x) - sqrt(beta) s(x)]

with high probability, where m and s are the mean and the standard deviation of the posterior
(Makarova et al. 2022, "Automatic Termination for Hyperparameter Optimization", eq. 4).
"""

import warnings
from importlib import import_module

from experiments.running.history import History
from objectives.space import UnitCube, build_space

LEAST = 20
"""The number of successful full evaluations from which on there is a bound."""

_SEED = 0  # of the random points among which the lower bound is minimised


def regret_bound(history: History) -> float | None:
    """Return the bound in units of the value; None while there is too little to compute it from.

    Raises:
        ValueError: the log does not describe its space.
    """
    header = history.header
    assert header is not None
    if not header.space:
        raise ValueError("stop.regret: expected a log that describes its space, got one without")
    told = [
        (history.trials[id].config, evaluation.value)
        for id, evaluation in history.evaluations.items()
        if evaluation.error is None and evaluation.value is not None
        if history.trials[id].fidelity == 1.0
    ]
    if len(told) < LEAST:
        return None
    cube = UnitCube(build_space(header.space, header.forbidden))
    return _bound([cube.point(config).tolist() for config, _ in told], [y for _, y in told])


def check_installed() -> None:
    """Raise `ModuleNotFoundError` unless Optuna and PyTorch are installed."""
    for module in ("optuna", "torch"):
        import_module(module)


def _bound(points: list[list[float]], values: list[float]) -> float:
    """Return Optuna's bound for points of the unit cube, (n, dim), and their values, (n,)."""
    import optuna
    from optuna.terminator import RegretBoundEvaluator

    dim = len(points[0])
    axes = {f"u{axis}": optuna.distributions.FloatDistribution(0.0, 1.0) for axis in range(dim)}
    trials = [
        optuna.trial.create_trial(
            value=y, params=dict(zip(axes, point, strict=True)), distributions=axes
        )
        for point, y in zip(points, values, strict=True)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        evaluator = RegretBoundEvaluator(min_n_trials=LEAST, seed=_SEED)
        return float(evaluator.evaluate(trials, optuna.study.StudyDirection.MINIMIZE))
