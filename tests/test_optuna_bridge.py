"""Facts of the bridge to Optuna."""

from typing import Any

import pytest

from asking import LENGTH, MIXED, SPACES, answers, converse, every_third_fails
from objectives.space import build_space, check
from objectives.trial import Evaluation, Trial
from optimizers.optuna_bridge import OptunaBridge

SAMPLERS = ["CmaEsSampler", "GPSampler", "NSGAIISampler", "QMCSampler", "RandomSampler"]


def _make(sampler: str, space: Any = MIXED, **options: Any) -> OptunaBridge:
    return OptunaBridge(space, seed=0, sampler=sampler, options=options)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("space_name", ["mixed with forbidden combinations", "conditional"])
def test_other_samplers_serve_the_typed_space(sampler: str, space_name: str) -> None:
    space = SPACES[space_name]
    trials = converse(_make(sampler, space), every_third_fails(space))
    assert [trial.id for trial in trials] == list(range(LENGTH))
    for trial in trials:
        check(space, trial.config)


def test_a_sampler_that_exhausts_a_finite_space_ends_the_run() -> None:
    space = build_space({"n": {"type": "int", "lower": 1, "upper": 4}})
    trials = converse(_make("BruteForceSampler", space), answers(space))
    assert sorted(int(trial.config["n"]) for trial in trials) == [1, 2, 3, 4]


def _asked(space: Any, sign: int) -> list[Trial]:
    def answer(trial: Trial) -> Evaluation:
        return Evaluation(sign * float(trial.config["rate"]), cost=1.0)

    return converse(_make("TPESampler", space, n_startup_trials=12), answer, length=13)


@pytest.mark.parametrize(
    ("sampler", "options"),
    [("BruteForceSampler", {}), ("GridSampler", {"search_space": {"n": [1]}})],
)
def test_a_sampler_that_cannot_search_the_space_is_named(sampler: str, options: Any) -> None:
    space = build_space({"x": {"type": "float", "lower": 0, "upper": 1}})
    with pytest.raises(ValueError, match=f"^optuna.sampler: expected one .* got {sampler}: "):
        _make(sampler, space, **options).ask()


def test_options_reach_the_sampler() -> None:
    # Random until the 12th trial: the values told make no difference before, and do after.
    space = SPACES["one float"]
    near, far = _asked(space, sign=1), _asked(space, sign=-1)
    assert near[:12] == far[:12]
    assert near[12] != far[12]


def test_an_unknown_sampler_is_answered_with_the_names_and_the_closest() -> None:
    with pytest.raises(ValueError) as caught:
        _make("GpSampler")
    message = str(caught.value)
    assert message.startswith("optuna.sampler: expected one of BruteForceSampler, ")
    assert message.endswith("got 'GpSampler'; did you mean GPSampler?")
    assert "BaseSampler" not in message
    assert "\n" not in message


def test_an_option_that_the_sampler_does_not_take_is_named() -> None:
    with pytest.raises(ValueError, match="optuna.options: expected arguments of TPESampler.*wrong"):
        _make("TPESampler", wrong=1)


def test_a_trial_that_was_never_asked_is_learnt_from() -> None:
    space = SPACES["one float"]
    told, untold = (_make("TPESampler", space, n_startup_trials=3) for _ in range(2))
    for id, rate in enumerate((1e-7, 1e-6, 1e-3, 1e-2, 1e-1)):
        trial = Trial(id, {"rate": rate})
        told.tell(trial, Evaluation(rate, cost=1.0))
    (first,), (other,) = told.ask(1), untold.ask(1)
    assert first.id == 5
    assert first.config != other.config
