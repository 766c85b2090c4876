"""Facts of freezing: fixed parameters, those never fixed, and those that become free again."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from ConfigSpace import ConfigurationSpace

from asking import MIXED, SPACES, answers, converse
from experiments.testing.plug_ins import OptimizerYaml
from objectives.space import UnitCube, build_space
from objectives.trial import Evaluation, Trial
from optimizers.freeze import Freeze, importances, reduced
from optimizers.random_search import RandomSearch

AXES = [f"x{axis}" for axis in range(6)]
SPACE = build_space({name: {"type": "float", "lower": 0.0, "upper": 1.0} for name in AXES})


def _make(space: ConfigurationSpace = SPACE, **changes: Any) -> Freeze:
    settings = {
        "inner": RandomSearch,
        "budget": 60,
        "after": 0.5,
        "review_every": 10,
        "keep": 0.9,
        "explore_every": 0,
        "importance": "ped_anova",
    }
    return Freeze(space, seed=0, **{**settings, **changes})


def _only(name: str, trial: Trial) -> Evaluation:
    value = trial.config[name]
    assert isinstance(value, float)
    return Evaluation((value - 0.3) ** 2, 1.0)


def test_nothing_is_fixed_before_its_share_of_the_budget() -> None:
    plain = converse(RandomSearch(SPACE, seed=0), partial(_only, "x2"), 30)
    assert converse(optimizer := _make(), partial(_only, "x2"), 30) == plain
    assert "x2" not in optimizer.fixed and len(optimizer.fixed) >= 2


@pytest.mark.parametrize("importance", ["ped_anova", "fanova"])
def test_what_does_not_matter_is_fixed_at_the_incumbents_values(importance: str) -> None:
    optimizer = _make(importance=importance)
    trials = converse(optimizer, partial(_only, "x2"), 30)
    best = min(trials, key=lambda trial: _only("x2", trial).value or 0.0)
    fixed = optimizer.fixed
    assert fixed.items() <= best.config.items() and "x2" not in fixed
    later = converse(optimizer, partial(_only, "x2"), 5)
    assert all(fixed.items() <= trial.config.items() for trial in later)
    assert len({trial.config["x2"] for trial in later}) == 5
    assert [trial.id for trial in later] == [30, 31, 32, 33, 34]


def test_some_later_trials_draw_what_is_fixed() -> None:
    optimizer = _make(explore_every=4)
    converse(optimizer, partial(_only, "x2"), 30)
    fixed = optimizer.fixed
    later = converse(optimizer, partial(_only, "x2"), 8)
    explored = [trial.id for trial in later if not fixed.items() <= trial.config.items()]
    assert explored == [32, 36]


def test_what_was_fixed_comes_back_when_it_matters_after_all() -> None:
    optimizer = _make(explore_every=1, budget=120, after=0.25)
    converse(optimizer, partial(_only, "x2"), 30)
    back = next(iter(optimizer.fixed))
    converse(optimizer, lambda trial: Evaluation(10 * (_only(back, trial).value or 0.0), 1.0), 90)
    assert back not in optimizer.fixed


def test_importance_is_the_share_of_the_axis_that_the_values_follow() -> None:
    points = np.random.default_rng(0).random((80, 4))
    for evaluator in ("ped_anova", "fanova"):
        shares = importances(points, (points[:, 1] - 0.3) ** 2, evaluator, seed=0)
        assert shares.sum() == pytest.approx(1.0)
        assert shares[1] > 0.7, evaluator


def test_equal_values_have_no_importance_to_tell_apart() -> None:
    shares = importances(np.random.default_rng(0).random((20, 4)), np.ones(20), "ped_anova", 0)
    assert shares.sum() == pytest.approx(1.0) and np.all(np.isfinite(shares))


def test_what_others_depend_on_stays_free() -> None:
    assert _make(SPACES["conditional"])._freezable == {"degree", "c", "width"}
    assert _make(MIXED)._freezable == {"n", "x"}
    assert _make(SPACES["conjunctions"])._freezable == {"end"}


def test_a_reduced_space_keeps_its_conditions_and_what_it_forbids() -> None:
    space = SPACES["conditional"]
    small = reduced(space, {"c": 1.0, "degree": 3})
    cube = UnitCube(small)
    assert cube.names == UnitCube(space).names
    for trial in converse(RandomSearch(small, seed=0), answers(small), 20):
        assert trial.config["c"] == 1.0
        assert trial.config.get("degree") == (3 if trial.config["kernel"] == "poly" else None)
    still = reduced(MIXED, {"x": 0.5})
    assert len(still.forbidden_clauses) == len(MIXED.forbidden_clauses)


def test_a_run_with_few_successes_fixes_nothing() -> None:
    optimizer = _make()
    converse(optimizer, lambda trial: Evaluation(None, 1.0, error="always"), 40)
    assert optimizer.fixed == {}


def test_the_wrapped_optimizer_is_chosen_by_its_yaml() -> None:
    made = OptimizerYaml("freeze")(SPACE, 0, 20)
    assert isinstance(made, Freeze)
    assert made.version == 1000 + made._inner.version
    with pytest.raises(
        ValueError, match="freeze.after: expected a finite number above 0 and at most 1, got 0"
    ):
        _make(after=0)
    with pytest.raises(
        ValueError, match=r"freeze.importance: expected one of ped_anova, fanova, got"
    ):
        _make(importance="shap")
