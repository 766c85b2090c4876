"""mf_gp: the model of fidelities, the explained variance, promotions and exploitation."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from objectives.space import UnitCube, build_space
from objectives.trial import Config, Evaluation, Fidelities, Trial
from optimizers.fidelity_model import AtFullFidelity, FidelityFeatures, FidelityProcess
from optimizers.mf_gp import MultiFidelityGaussianProcess

THIRDS = Fidelities((1 / 9, 1 / 3, 1.0))
UNIT = {"type": "float", "lower": 0.0, "upper": 1.0}
LINE = build_space({"x": UNIT})
MIXED = build_space(
    {
        "kind": {"type": "categorical", "choices": ["a", "b"]},
        "n": {"type": "int", "lower": 1, "upper": 4, "when": {"kind": "a"}},
        "x": UNIT,
    }
)


def make(
    space: Any = LINE, fidelities: Fidelities | None = THIRDS, **changes: Any
) -> MultiFidelityGaussianProcess:
    settings = {"eta": 3, "least": None, "n_initial": 4, "candidates": 64, "starts": 2}
    return MultiFidelityGaussianProcess(
        space, seed=0, fidelities=fidelities, **{**settings, **changes}
    )


def conversation(
    optimizer: MultiFidelityGaussianProcess, value: Callable[[float, float], float], n: int
) -> list[Trial]:
    trials = []
    for _ in range(n):
        (trial,) = optimizer.ask()
        trials.append(trial)
        x = trial.config["x"]
        assert isinstance(x, float)
        optimizer.tell(trial, Evaluation(value(x, trial.fidelity), 0.0))
    return trials


def similar(x: float, share: float) -> float:
    return (x - 0.37) ** 2 + 0.1 * (1 - share)


def other(x: float, share: float) -> float:
    return float((x - 0.37) ** 2 if share == 1 else np.sin(40 * x) + share)


def fitted(value: Callable[[float, float], float], n: int = 8) -> FidelityProcess:
    """Return the model with n points at each of two fidelities, z = 0 and z = 1."""
    gp = FidelityProcess(UnitCube(LINE))
    x = (np.arange(n) + 0.5) / n
    rows = np.array([[a, z] for a in x for z in (0.0, 1.0)])
    y = np.array([value(a, 1.0 if z else 1 / 9) for a, z in rows])
    gp.fit(rows, y, refit=True)
    return gp


def test_the_columns_are_those_of_the_space_and_the_fidelity() -> None:
    features = FidelityFeatures(UnitCube(MIXED))
    # Two columns of the choice, one of n, one of x, and z; four length scales.
    assert features.n_columns == 5 and features.n_axes == 4
    assert features.numeric.tolist() == [2, 3, 4]
    row = features.of(np.array([[0.9, 0.1, 0.25, 0.5]]))[0]
    # The second choice: n is inactive, at 1/2.
    assert row == pytest.approx([0.0, 1 / np.sqrt(2), 0.5, 0.25, 0.5])


def test_an_evaluation_explains_itself_and_a_useless_fidelity_nothing() -> None:
    at = np.array([[0.21], [0.83]])
    gp = fitted(other)
    assert gp.explained(at, np.ones(2)).min() > 0.9
    assert gp.explained(at, np.zeros(2)).max() < 0.3
    # A model that knows the shift between the fidelities learns much from a low fidelity elsewhere.
    few = FidelityProcess(UnitCube(LINE))
    rows = np.array([[a, z] for a in (0.1, 0.3, 0.5) for z in (0.0, 1.0)])
    few.fit(rows, np.array([similar(a, 1.0 if z else 1 / 9) for a, z in rows]), refit=True)
    assert few.explained(np.array([[0.9]]), np.zeros(1))[0] > 0.5


def test_the_derivatives_at_full_fidelity_are_those_of_differences() -> None:
    full, step = AtFullFidelity(fitted(other)), 1e-6
    x = np.array([[0.13], [0.77]])
    slopes = full.slopes(x)
    above, below = full.at(x + step), full.at(x - step)
    assert slopes.d_mean[:, 0] == pytest.approx((above[0] - below[0]) / (2 * step), rel=1e-3)
    assert slopes.d_variance[:, 0] == pytest.approx(
        (above[1] - below[1]) / (2 * step), rel=1e-2, abs=1e-6
    )


def test_the_density_of_a_value_given_the_others_is_that_of_a_fit_without_it() -> None:
    gp = fitted(other, 4)
    left_out = gp.leave_one_out()
    x, y, theta, m = gp.x, gp.z, gp.theta.copy(), gp.m
    kept = np.arange(len(x)) != 3
    axes = gp.features.n_axes
    noise = float(np.exp(theta[-1]))
    prior = _kernel(gp, x) + noise * np.eye(len(x))
    inverse = np.linalg.inv(prior[np.ix_(kept, kept)])
    mean = m + prior[3, kept] @ inverse @ (y[kept] - m)
    variance = prior[3, 3] - prior[3, kept] @ inverse @ prior[kept, 3]
    log_density = -0.5 * (np.log(2 * np.pi * variance) + (y[3] - mean) ** 2 / variance)
    slopes = gp._warp.log_slopes(gp._t) - np.log(gp._scale.unit)
    assert axes == 2
    assert left_out[3] == pytest.approx(log_density + slopes[3], rel=1e-6)


def _kernel(gp: FidelityProcess, x: Any) -> Any:
    """Return the kernel matrix of the latent function."""
    return gp._cross(x)[0]


def test_the_design_is_at_the_lowest_rung_and_exploitation_follows_in_full() -> None:
    trials = conversation(make(), similar, 5)
    assert [round(1 / trial.fidelity) for trial in trials] == [9, 9, 9, 9, 1]


def test_after_the_first_ones_half_of_the_budget_is_spent_on_exploitation() -> None:
    optimizer = make()
    conversation(optimizer, similar, 60)
    # Four exploitations come after three steps each; then the steps catch up.
    assert optimizer._exploited >= 4
    assert optimizer._exploited == pytest.approx(optimizer._explored, abs=2.0 + 1e-9)


def test_a_promotion_resumes_where_the_objective_continues_and_pays_the_difference() -> None:
    for resumable in (True, False):
        fidelities = Fidelities(THIRDS.grid, resumable=resumable)
        space = build_space({"x": {"type": "ordinal", "choices": [0.1, 0.2, 0.3]}})
        optimizer = make(space, fidelities, n_initial=3)
        trials = conversation(optimizer, similar, 5)
        known: dict[float, Trial] = {}
        n_again = 0
        for trial in trials:
            x = trial.config["x"]
            assert isinstance(x, float)
            before = known.get(x)
            if before is not None:
                n_again += 1
                assert trial.fidelity > before.fidelity
                assert trial.resumes == (before.id if resumable else None)
            known[x] = trial
        assert n_again > 0


def test_a_finite_space_ends_when_all_is_evaluated_in_full_or_failed() -> None:
    space = build_space({"x": {"type": "ordinal", "choices": [0.1, 0.2, 0.3]}})
    optimizer = make(space, n_initial=2)
    shares: dict[Any, float] = {}
    for _ in range(20):
        trials = optimizer.ask()
        if not trials:
            break
        failed = trials[0].config["x"] == 0.2
        shares[trials[0].config["x"]] = trials[0].fidelity
        error = "failed" if failed else None
        value = None if failed else similar(0.1, trials[0].fidelity)
        optimizer.tell(trials[0], Evaluation(value, 0.0, error=error))
    assert shares[0.1] == shares[0.3] == 1.0 and optimizer.ask() == []


def test_useless_fidelities_are_left_alone() -> None:
    trials = conversation(make(), other, 24)
    late = [trial.fidelity for trial in trials[14:]]
    assert late.count(1.0) >= 8


def test_pending_trials_are_neither_repeated_nor_promoted() -> None:
    optimizer = make()
    conversation(optimizer, similar, 6)
    trials = optimizer.ask(6)
    configs: list[Config] = [trial.config for trial in trials]
    assert all(a != b for i, a in enumerate(configs) for b in configs[:i])
    assert [trial.id for trial in trials] == list(range(6, 12))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fidelities": None}, "expected one that offers fidelities"),
        ({"eta": 1}, "optimizer.eta: expected an integer of at least 2, got 1"),
        ({"n_initial": 0}, "n_initial: expected an integer of at least 1 and at most 10000, got 0"),
        ({"candidates": 3}, "candidates: expected a power of two, got 3"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make(**changes)
