"""Optimizers that take earlier runs keep the suite's facts with them too.

`make test` asks for what is quick to see of one optimizer for each way of transfer, and
`make test-slow` for every fact of all of them.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest

from asking import MIXED, NAMES
from experiments.running.making import Problem, make_optimizer
from experiments.running.transfer import optimizers_with_transfer
from experiments.testing.conversation import LENGTH, converse, floats, value
from experiments.testing.elsewhere import asked_elsewhere
from experiments.testing.optimizer_suite import FACTS, QUICK_FACTS, OptimizerSuite
from experiments.testing.plug_ins import OptimizerYaml
from objectives.space import UnitCube
from objectives.trial import EarlierTask, Evaluation, Trial

TAKING = optimizers_with_transfer()
WAYS = ("cma_es", "gp_bo", "tpe")  # the others share the code of these
ON_THE_SPHERE = OptimizerSuite.test_one_that_learns_beats_random_search_on_the_sphere.__name__
"""A fact of optimizers that know nothing: earlier runs of another sphere may mislead them."""

REPLAY = OptimizerSuite.test_a_replay_resumes_from_every_line.__name__
"""Takes seconds of every optimizer that fits earlier tasks; tests/test_transfer.py resumes runs."""


def maker(name: str) -> OptimizerYaml:
    return OptimizerYaml(name, n_earlier=2)


@cache
def _elsewhere() -> dict[str, Any]:
    """Return what all of them ask in one process with another hash seed."""
    return dict(zip(TAKING, asked_elsewhere([maker(name) for name in TAKING]), strict=True))


CASES = [
    pytest.param(fact, name, marks=[] if quick else [pytest.mark.slow])
    for name in TAKING
    for fact in FACTS
    if fact != ON_THE_SPHERE
    for quick in [name in WAYS and fact in QUICK_FACTS and fact != REPLAY]
]


@pytest.mark.parametrize(("fact", "name"), CASES)
def test_an_optimizer_with_earlier_runs_keeps_the_contract(
    fact: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = OptimizerSuite.of(maker(name))()
    monkeypatch.setattr(suite, "thorough", True)
    monkeypatch.setattr(suite, "asked_elsewhere", lambda: _elsewhere()[name])
    getattr(suite, fact)()


def _best(name: str, optimum: float, tasks: Sequence[EarlierTask], seed: int) -> float:
    """Return the best of five values on the sphere."""
    space = floats(4)
    settings = OptimizerYaml(name).settings_for(5)
    optimizer = make_optimizer(settings, Problem(space, transfer=tasks), seed)

    def answer(trial: Trial) -> Evaluation:
        return Evaluation(value(space, trial, optimum), cost=1.0)

    return min(value(space, trial, optimum) for trial in converse(optimizer, answer, 5))


@pytest.mark.parametrize("name", WAYS)
def test_earlier_runs_of_a_similar_task_help_in_most_seeds(name: str) -> None:
    space, wins = floats(4), 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        optimum = float(rng.uniform(0.2, 0.8))
        configs = [UnitCube(space).config(u) for u in rng.random((40, 4))]
        near = [value(space, Trial(0, config), optimum + 0.03) for config in configs]
        task = EarlierTask(tuple(configs), tuple(Evaluation(100 * y, 0.0) for y in near))
        wins += _best(name, optimum, [task], seed) < _best(name, optimum, [], seed)
    assert wins >= 8


@pytest.mark.parametrize("name", [name for name in NAMES if name != "llm"])  # needs an endpoint
def test_the_yaml_files_state_which_optimizers_take_earlier_runs(name: str) -> None:
    try:
        maker(name)(MIXED, 1, LENGTH)
    except ValueError as error:
        assert name not in TAKING, error
        assert "transfer" in str(error) and "\n" not in str(error)
    else:
        assert name in TAKING
