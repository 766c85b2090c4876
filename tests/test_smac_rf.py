"""Facts of the bridge to SMAC."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asking import LENGTH, SPACES, answers, converse, floats
from objectives.space import build_space
from objectives.trial import Evaluation, Trial
from optimizers.smac_rf import SmacRandomForest

SETTINGS: dict[str, Any] = {
    "n_initial": 10,
    "n_trees": 10,
    "n_challengers": 1000,
    "n_local_searches": 5,
    "random_probability": 0.2,
    "retrain_after": 1,
}


def _make(space: Any, seed: int = 0, **settings: Any) -> SmacRandomForest:
    return SmacRandomForest(space, seed=seed, **{**SETTINGS, **settings})


def test_the_initial_design_does_not_depend_on_what_is_told() -> None:
    space = floats(2)
    told = converse(_make(space), answers(space))
    untold = _make(space).ask(10)
    assert told[:10] == untold


def test_pending_trials_are_never_proposed_again() -> None:
    space = floats(2)
    optimizer = _make(space)
    converse(optimizer, answers(space), length=10)
    configs = [str(trial.config) for trial in optimizer.ask(6)]
    assert len(set(configs)) == 6


def test_a_finite_space_is_seen_whole_before_anything_is_repeated() -> None:
    space = build_space({"n": {"type": "int", "lower": 1, "upper": 5}})
    values = [trial.config["n"] for trial in converse(_make(space), answers(space), length=9)]
    assert sorted(values[:5]) == [1, 2, 3, 4, 5]
    assert len(values) == 9


def test_failures_before_the_first_value_wait_for_it() -> None:
    # If they were told as 0, the failed trials would look better than every value (at least 1).
    space = SPACES["one float"]
    optimizer = _make(space)

    def answer(trial: Any) -> Evaluation:
        if trial.id < 3:
            return Evaluation(None, cost=1.0, error="failed")
        return Evaluation(1.0 + trial.id, cost=1.0)

    converse(optimizer, answer)
    history = optimizer._facade.runhistory
    costs = [value.cost for value in history.values()]
    # The waiting ones get the first value, which is the worst so far: 1 + 3.
    assert costs[:LENGTH] == [4.0] * 3 + [1.0 + id for id in range(3, LENGTH)]


def test_no_file_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.chdir(tmp_path)
    space = SPACES["conditional"]
    converse(_make(space), answers(space))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("n_initial", 0, "smac_rf.n_initial: expected an integer of at least 1, got 0"),
        ("n_trees", 2.5, "smac_rf.n_trees: expected an integer of at least 1, got 2.5"),
        (
            "random_probability",
            2,
            "smac_rf.random_probability: expected a finite number of at least 0 and at most 1, got",
        ),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        _make(floats(1), **{name: value})


def test_the_forest_answers_what_was_told_just_before() -> None:
    space = floats(2)
    one, other = _make(space), _make(space)
    for optimizer in (one, other):
        converse(optimizer, answers(space), length=12)
    (trial,) = one.ask(1)
    assert other.ask(1) == [trial]
    one.tell(trial, Evaluation(-10.0, cost=1.0))
    other.tell(trial, Evaluation(10.0, cost=1.0))
    assert one.ask(3) != other.ask(3)


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(lambda v: 1.7e308 * (2 * v - 1), id="up to 1.7e308, of both signs"),
        pytest.param(lambda v: 1e-300 * v, id="near 1e-300"),
        pytest.param(lambda v: 1e9 + 1e-3 * v, id="a relative spread of 1e-12"),
    ],
)
def test_no_size_of_the_values_makes_it_blind_or_end(told: Callable[[float], float]) -> None:
    optimizer = _make(SPACES["one float"])
    converse(optimizer, lambda trial: Evaluation(told(_place(trial)), cost=1.0), length=14)
    _, learnt = optimizer._facade._runhistory_encoder.transform()
    costs = np.array([value.cost for value in optimizer._facade.runhistory.values()])
    assert np.isfinite(learnt).all()
    costs, places = np.unique(costs, return_index=True)
    assert len(costs) > 5 and (np.diff(learnt[places, 0]) > 0).all()  # no difference is lost


def _place(trial: Trial) -> float:
    """Return where in [0, 1] the rate of a trial lies, on its log scale from 1e-8 to 1."""
    return 1 + math.log10(float(trial.config["rate"])) / 8
