"""Every optimizer on two goals and a limit: it searches them, or one line says why not.

An optimizer of one value searches them under a scalarisation, each under one of the three.
"""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

import pytest

from asking import NAMES
from experiments.running.scalarised import METHODS
from experiments.testing.goals_suite import GOAL_FACTS, GOALS, LIMITS, GoalsSuite, refusal
from experiments.testing.plug_ins import OptimizerYaml
from scripted_endpoint import endpoint


@pytest.fixture(scope="module", autouse=True)
def a_language_model() -> Iterator[None]:
    """Serve the optimizers that ask a language model."""
    with endpoint() as (url, _), pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEOFF_LLM_URL", url)
        yield


LIMITED = {name: OptimizerYaml(name, goals=GOALS, limits=LIMITS) for name in NAMES}
TAKEN = [name for name in NAMES if refusal(LIMITED[name]) is None]
OTHERS = {
    name: OptimizerYaml(name, goals=GOALS, limits=LIMITS, scalarise=METHODS[place % len(METHODS)])
    for place, name in enumerate(name for name in NAMES if name not in TAKEN)
}
"""The optimizers of one value, each under a scalarisation."""


@pytest.mark.parametrize("name", NAMES)
def test_an_optimizer_takes_two_goals_or_one_line_refuses_it(name: str) -> None:
    line = refusal(OptimizerYaml(name, goals=GOALS))
    if line is not None:
        assert "\n" not in line and "scalarise=" in line and "loss" in line
        assert name not in TAKEN


QUICK = ("test_failures_of_every_evaluation_are_survived", "test_an_unknown_trial_is_learned_from")
"""The facts that take only a few seconds for every optimizer."""

COSTLY = ("qlognehvi", "smac_rf", "botorch", "saasbo", "rembo", "turbo", "auto", "mf_gp")
"""Optimizers for which the other facts take more than a few seconds of CPU time."""

LONG = {
    (fact, name)
    for fact in ("test_a_replay_resumes_from_every_line", "test_numbers_of_any_size_are_survived")
    for name in ("gp_bo", "optuna")
}
"""Further facts that take seconds; parego, which is on gp_bo's model, keeps them in `make test`."""


def _cases(names: Iterable[str]) -> list[Any]:
    return [
        pytest.param(fact, name, marks=[pytest.mark.slow] if _is_slow(fact, name) else [])
        for fact, name in product(GOAL_FACTS, names)
    ]


def _is_slow(fact: str, name: str) -> bool:
    return (name in COSTLY and fact not in QUICK) or (fact, name) in LONG


@pytest.mark.parametrize(("fact", "name"), _cases(TAKEN))
def test_an_optimizer_of_several_goals_keeps_the_contract(fact: str, name: str) -> None:
    getattr(GoalsSuite.of(LIMITED[name])(), fact)()


@pytest.mark.parametrize(("fact", "name"), _cases(OTHERS))
def test_an_optimizer_under_a_scalarisation_keeps_the_contract(fact: str, name: str) -> None:
    getattr(GoalsSuite.of(OTHERS[name])(), fact)()
