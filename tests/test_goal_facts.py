"""Facts of the methods of several goals, worked by hand or by quadrature."""

import math

import moocore
import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from objectives.space import build_space
from objectives.trial import Evaluation, Goal, Trial
from optimizers.optuna_bridge import OptunaBridge
from optimizers.parego import ParEGO
from optimizers.qlognehvi import QLogNEHVI

SPACE = build_space({"x": {"type": "float", "lower": 0.0, "upper": 1.0}})
GOALS = {
    "a": Goal(minimise=True, reference=1.2),
    "b": Goal(minimise=False, reference=-1.2),
}
PLACES = (0.05, 0.2, 0.4, 0.6, 0.8, 0.95)


def _both(a: float, b: float) -> Evaluation:
    """Return an evaluation of two goals; `b` is given so that less is better."""
    return Evaluation(None, 0.0, {"a": a, "b": -b})


def _taught(goals: dict[str, Goal]) -> QLogNEHVI:
    """Return qLogNEHVI that knows a smooth function of each goal at six places."""
    made = QLogNEHVI(
        SPACE,
        seed=1,
        goals=goals,
        limits={},
        n_initial=2,
        num_restarts=1,
        raw_samples=8,
        mc_samples=256,
    )
    for id, x in enumerate(PLACES):
        a, b = (x - 0.1) ** 2, (x - 0.7) ** 2
        evaluation = _both(a, b) if len(goals) > 1 else Evaluation((x - 0.45) ** 2, 0.0)
        made.tell(Trial(id, {"x": x}), evaluation)
    return made


def _normals(made: QLogNEHVI, x: float) -> list[tuple[float, float]]:
    """Return mean and standard deviation of each of the models' outcomes, more is better."""
    assert made._models is not None
    with torch.no_grad():
        posterior = made._models.posterior(torch.tensor([[x]], dtype=torch.double))
    means, variances = posterior.mean[0].tolist(), posterior.variance[0].tolist()
    return [(m, math.sqrt(v)) for m, v in zip(means, variances, strict=True)]


def _best_means(made: QLogNEHVI) -> np.ndarray:
    """Return the models' means at the places told, (6, goals)."""
    return np.array([[mean for mean, _ in _normals(made, x)] for x in PLACES])


def _worth(made: QLogNEHVI, x: float) -> float:
    """Return the exponential of the acquisition."""
    acquisition = made._acquisition(seed=5)
    with torch.no_grad():
        return math.exp(float(acquisition(torch.tensor([[[x]]], dtype=torch.double))))


def test_the_gain_of_two_goals_is_the_expected_hypervolume_by_quadrature() -> None:
    made, x = _taught(GOALS), 0.3
    found = _worth(made, x)
    front = -_best_means(made)  # less is better; the places are known almost without noise
    reference = made._reference
    before = moocore.hypervolume(front, ref=reference)
    # Gauss-Hermite on the two independent normals of the new point.
    nodes, weights = np.polynomial.hermite_e.hermegauss(16)
    (m1, s1), (m2, s2) = _normals(made, x)
    expected = sum(
        w1 * w2 * (moocore.hypervolume(np.vstack([front, new]), ref=reference) - before)
        for z1, w1 in zip(nodes, weights, strict=True)
        for z2, w2 in zip(nodes, weights, strict=True)
        for new in [[-(m1 + s1 * z1), -(m2 + s2 * z2)]]
    ) / (2 * math.pi)
    assert found == pytest.approx(expected, rel=0.05)


def test_the_gain_of_one_goal_is_the_expected_improvement_by_quadrature() -> None:
    made, x = _taught({}), 0.45
    found = _worth(made, x)
    # The best place is surely 0.4: the next one is worse by 2.7 deviations. So the gain is that of
    # a normal number, the difference of both values.
    assert made._models is not None
    with torch.no_grad():
        both = made._models.posterior(torch.tensor([[x], [0.4]], dtype=torch.double))
    (new, best), cov = both.mean[:, 0].tolist(), both.mvn.covariance_matrix
    sd = math.sqrt(float(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1]))
    expected, _ = quad(lambda d: d * norm.pdf(d, new - best, sd), 0.0, 1.0)
    assert found == pytest.approx(expected, rel=0.05)


def test_hypervolume_of_a_small_front_of_three_goals_by_hand() -> None:
    # Up to (2, 2, 2): the boxes have 2 x 1 x 1 each, and share 1 x 1 x 1, of all three too.
    front = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    assert moocore.hypervolume(front, ref=[2.0, 2.0, 2.0]) == pytest.approx(3 * 2 - 3 * 1 + 1)


def test_parego_models_the_augmented_tchebycheff_function_of_the_scaled_goals() -> None:
    made = _parego()
    told = [(1.0, 5.0), (3.0, 1.0), (2.0, 2.0)]
    for id, (a, b) in enumerate(told):
        made.ask(1)
        made.tell(Trial(id, {"x": (id + 1) / 4}), _both(a, b))
    g = np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.25]])  # by the ranges 1 to 3 and 1 to 5
    w = made.weights(3)
    assert w.sum() == pytest.approx(1.0) and (10 * w).tolist() == pytest.approx((10 * w).round())
    expected = (g * w).max(axis=1) + 0.05 * (g * w).sum(axis=1)
    assert made._targets() == pytest.approx(expected)


def test_parego_draws_every_weight_vector_about_as_often() -> None:
    made = _parego()
    first = [round(10 * made.weights(id)[0]) for id in range(2200)]
    counts = np.bincount(first, minlength=11)
    # 200 each are expected, with a standard deviation of sqrt(2200 x 1/11 x 10/11) = 13.5.
    assert len(counts) == 11 and abs(counts - 200).max() < 5 * 13.5


@pytest.mark.parametrize("seed", range(5))
def test_nsga2_keeps_the_ends_and_drops_the_most_crowded(seed: int) -> None:
    # A generation of four, and children that are copies of their parents. On the line
    # (p, 1 - p), the crowding distance of a point is twice the distance of its neighbours.
    options = {"population_size": 4, "crossover_prob": 0.0, "mutation_prob": 0.0}
    made = OptunaBridge(SPACE, seed=seed, sampler="NSGAIISampler", options=options, goals=GOALS)

    def generation(places: list[float]) -> list[object]:
        asked = made.ask(4)
        for trial, p in zip(asked, places, strict=True):
            made.tell(trial, _both(p, 1 - p))
        return [trial.config["x"] for trial in asked]

    first = generation([0.0, 0.1, 0.5, 1.0])
    assert len(set(first)) == 4
    second = generation([0.11, 0.12, 0.13, 0.14])
    assert set(second) <= set(first)
    # In the order of p: infinite, .22, .04, .04, .04, .74, 1.72, infinite. So the four survivors
    # are p = 0, .14, .5 and 1.
    survivors = {first[0], second[3], first[2], first[3]}
    for _ in range(3):
        assert {trial.config["x"] for trial in made.ask(4)} <= survivors


def _parego() -> ParEGO:
    return ParEGO(
        SPACE,
        seed=0,
        goals=GOALS,
        n_initial=2,
        acquisition="log_ei",
        beta=4.0,
        noiseless=True,
        exploit_every=2,
        candidates=64,
        starts=1,
    )
