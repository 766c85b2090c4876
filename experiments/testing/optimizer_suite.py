"""Tests of the facts that must hold for every optimizer. Other projects can run them too.

    # test_mine.py
    from experiments.testing.optimizer_suite import OptimizerSuite

    class TestMine(OptimizerSuite):
        def make(self, space, seed, budget):
            return Mine(space, seed=seed, shrink=0.95)

pytest collects the methods. `OptimizerSuite.of(maker)` creates such a class from a function, for
example from `OptimizerYaml("mine", config_dirs=(Path("conf"),))`.
"""

import json
import os
import random
import sys
import tempfile
from collections.abc import Iterable
from contextlib import chdir
from typing import Any, cast

import numpy as np
from ConfigSpace import ConfigurationSpace
from numpy.random import mtrand

from experiments.testing.conversation import (
    LENGTH,
    MIXED,
    SPACES,
    Answer,
    answers,
    converse,
    every_third_fails,
    floats,
    spend,
    value,
)
from experiments.testing.elsewhere import asked, asked_elsewhere
from experiments.testing.hard_answers import SIZES, all_fail, graded_failures
from experiments.testing.plug_ins import MakeOptimizer
from objectives.space import UnitCube, check
from objectives.trial import Config, Evaluation, Trial
from optimizers.optimizer import Optimizer

SPHERE_LENGTH = 35


class OptimizerSuite:
    """The tests. A subclass defines how its optimizer is created.

    Attributes:
        thorough: whether the log of an optimizer whose asks are slow is cut at every line too.
    """

    thorough = False

    def make(self, space: ConfigurationSpace, seed: int, budget: int) -> Optimizer:
        """Return a fresh optimizer.

        Args:
            space: the space that it searches.
            seed: the seed of its random numbers.
            budget: the number of full evaluations of the run; most optimizers do not need it.
        """
        raise NotImplementedError

    @classmethod
    def of(cls, maker: MakeOptimizer) -> "type[OptimizerSuite]":
        """Return the suite for the optimizers that a picklable function creates."""
        return cast("type[OptimizerSuite]", type("Suite", (cls,), {"make": staticmethod(maker)}))

    def test_trials_are_plain_points_of_the_space_numbered_from_zero(self) -> None:
        for name, space in SPACES.items():
            trials = converse(self.make(space, 1, LENGTH), answers(space))
            assert trials, f"{name}: expected trials, got none"
            assert [trial.id for trial in trials] == list(range(len(trials))), name
            for trial in trials:
                check(space, trial.config)
                assert UnitCube(space).allows(trial.config), name
                assert json.loads(json.dumps(trial.to_json())) == trial.to_json(), name
                kinds = {type(value) for value in trial.config.values()}
                assert kinds <= {bool, int, float, str}, f"{name}: expected plain values"
                assert 0 < trial.fidelity <= 1, name

    def test_an_ask_returns_at_most_n(self) -> None:
        optimizer = self.make(MIXED, 1, LENGTH)
        for n in (0, 1, 2, 5, 3):
            trials = optimizer.ask(n)
            assert len(trials) <= n
            for trial in trials:
                optimizer.tell(trial, answers(MIXED)(trial))

    def test_the_same_seed_asks_the_same_trials(self) -> None:
        first, second = (
            converse(self.make(MIXED, 3, LENGTH), every_third_fails(MIXED)) for _ in range(2)
        )
        assert first == second

    def test_a_process_with_another_hash_seed_asks_the_same_trials(self) -> None:
        assert asked(self.make) == self.asked_elsewhere()

    def asked_elsewhere(self) -> Any:
        """Return the optimizer's trials in a process with another hash seed."""
        return asked_elsewhere([self.make])[0]

    def test_the_global_random_generators_are_left_alone(self) -> None:
        self.make(MIXED, 2, LENGTH)  # an import may use the global generator
        before = _global_states()
        converse(self.make(MIXED, 2, LENGTH), every_third_fails(MIXED), n=2)
        assert _global_states() == before

    def test_the_space_is_left_as_it_was(self) -> None:
        before = repr(MIXED), repr(MIXED.random.get_state())
        converse(self.make(MIXED, 2, LENGTH), answers(MIXED))
        assert (repr(MIXED), repr(MIXED.random.get_state())) == before

    def test_nothing_is_left_in_the_working_folder(self) -> None:
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            converse(self.make(MIXED, 2, LENGTH), answers(MIXED))
            assert os.listdir(folder) == []

    def test_an_empty_ask_changes_nothing(self) -> None:
        space = floats(3)
        often, once = self.make(space, 4, LENGTH), self.make(space, 4, LENGTH)
        pending: list[Trial] = []
        while len(pending) < LENGTH:
            assert often.ask(0) == []
            trials = once.ask(1)
            assert often.ask(1) == trials
            if not trials:
                assert often.ask(2) == []
                break
            pending += trials
        for trial in pending:
            for optimizer in (often, once):
                optimizer.tell(trial, answers(space)(trial))
        assert often.ask(1) == once.ask(1)

    def test_tells_may_come_in_any_order(self) -> None:
        optimizer = self.make(MIXED, 6, LENGTH)
        rng = np.random.default_rng(0)
        pending: list[Trial] = []
        told: list[Trial] = []
        while len(told) < LENGTH:
            pending += optimizer.ask(4)
            if not pending:
                break
            for _ in range(min(2, len(pending))):
                trial = pending.pop(int(rng.integers(len(pending))))
                optimizer.tell(trial, answers(MIXED)(trial))
                told.append(trial)
        ids = [trial.id for trial in told + pending]
        assert sorted(ids) == list(range(len(ids)))
        assert len(told) >= LENGTH - 3

    def test_a_third_of_failures_is_survived(self) -> None:
        self._survives(every_third_fails(MIXED))

    def test_failures_of_every_evaluation_are_survived(self) -> None:
        self._survives(all_fail)

    def test_graded_failures_are_survived(self) -> None:
        self._survives(graded_failures)

    def test_values_of_any_size_are_survived(self) -> None:
        for answer in SIZES.values():
            self._survives(answer, least=2)  # one extreme value may exclude everything else

    def _survives(self, answer: Answer, least: int = LENGTH - 3) -> None:
        trials = converse(self.make(MIXED, 7, LENGTH), answer, n=2)
        assert len(trials) >= least
        for trial in trials:
            check(MIXED, trial.config)

    def test_failures_in_a_finite_space_are_survived(self) -> None:
        for name in ("one integer", "constants"):
            for answer in (every_third_fails(SPACES[name]), all_fail):
                assert converse(self.make(SPACES[name], 7, LENGTH), answer), name

    def test_a_replay_resumes_from_every_line(self) -> None:
        length = LENGTH - 1  # two more than the largest initial design
        answer = every_third_fails(MIXED)
        whole = converse(self.make(MIXED, 8, LENGTH), answer, length)
        for n_told in self.cuts(len(whole)):
            cut = self.make(MIXED, 8, LENGTH)
            converse(cut, answer, n_told)
            # If the log ends after a tell, the next ask returns the next trial. If it ends after
            # an ask, the pending trial is evaluated and told, and the run continues.
            (pending,) = cut.ask(1)
            assert [pending] == whole[n_told : n_told + 1]
            cut.tell(pending, answer(pending))
            assert cut.ask(1) == whole[n_told + 1 : n_told + 2] or n_told + 1 == len(whole)

    def cuts(self, length: int) -> Iterable[int]:
        """Return after how many tells a log of `length` is cut: three times if asks are slow."""
        is_slow = self.make(MIXED, 8, LENGTH).slow and not self.thorough
        return (0, length // 2, length - 2) if is_slow else range(length)

    def test_a_replay_that_drifted_is_survived(self) -> None:
        for name in ("mixed with forbidden combinations", "conditional"):
            self._survives_drift(SPACES[name])

    def _survives_drift(self, space: ConfigurationSpace) -> None:
        optimizer = self.make(space, 9, LENGTH)
        rng = np.random.default_rng(1)
        seen: set[int] = set()
        for turn in range(LENGTH):
            for trial in optimizer.ask(1):
                assert trial.id not in seen
                check(space, trial.config)
                seen.add(trial.id)
                logged = Trial(trial.id, drawn(space, rng)) if turn % 3 == 1 else trial
                optimizer.tell(logged, every_third_fails(space)(logged))
            if turn % 4 == 2:
                unknown = Trial(max(seen) + 2, drawn(space, rng))
                optimizer.tell(unknown, answers(space)(unknown))
                seen.add(unknown.id)
        assert seen

    def test_one_that_learns_beats_random_search_on_the_sphere(self) -> None:
        if not self._learns():
            return
        n_wins = n_losses = 0
        while n_wins < 8 and n_losses < 3:  # stop as soon as 8 wins of 10 are certain or impossible
            if self._wins(seed=n_wins + n_losses):
                n_wins += 1
            else:
                n_losses += 1
        assert n_wins == 8, f"expected to beat random search in 8 of 10 seeds, got {n_wins}"

    def _learns(self) -> bool:
        """Return whether the trials depend on the evaluations."""
        near, far = (self._on_sphere(0, optimum, length=20)[0] for optimum in (0.2, 0.8))
        return near != far

    def _wins(self, seed: int) -> bool:
        """Return whether the optimizer comes closer to the optimum than random search.

        The place of the optimum depends on the seed. Random search is represented by the median of
        15 runs, because a single run is lucky too often.
        """
        optimum = float(np.random.default_rng(seed).uniform(0.15, 0.85))
        bests = [_random_best(1000 + 15 * seed + k, optimum) for k in range(15)]
        return self._on_sphere(seed, optimum)[1] < float(np.median(bests))

    def _on_sphere(
        self, seed: int, optimum: float, length: int = SPHERE_LENGTH
    ) -> tuple[list[Trial], float]:
        """Return the trials in four dimensions, and the best value of a full evaluation."""
        space = floats(4)
        trials = spend(
            self.make(space, seed, length),
            lambda trial: Evaluation(value(space, trial, optimum), cost=1.0),
            length,
        )
        full = [trial for trial in trials if trial.fidelity == 1.0]
        return trials, min(value(space, trial, optimum) for trial in full)


def drawn(space: ConfigurationSpace, rng: np.random.Generator) -> Config:
    """Return one random configuration that the space allows."""
    cube = UnitCube(space)
    (u,) = cube.draw(rng)
    return cube.config(u)


def _random_best(seed: int, optimum: float) -> float:
    """Return the best value of a random search on the sphere."""
    space, rng = floats(4), np.random.default_rng(seed)
    trials = [Trial(id, drawn(space, rng)) for id in range(SPHERE_LENGTH)]
    return min(value(space, trial, optimum) for trial in trials)


def _global_states() -> list[Any]:
    states: list[Any] = [random.getstate(), repr(mtrand._rand.get_state())]
    if "torch" in sys.modules:
        states.append(sys.modules["torch"].get_rng_state().tolist())
    return states


FACTS = [name for name in vars(OptimizerSuite) if name.startswith("test_")]
"""The names of the tests."""

QUICK_FACTS = [
    OptimizerSuite.test_an_ask_returns_at_most_n.__name__,
    OptimizerSuite.test_the_same_seed_asks_the_same_trials.__name__,
    OptimizerSuite.test_a_process_with_another_hash_seed_asks_the_same_trials.__name__,
    OptimizerSuite.test_the_global_random_generators_are_left_alone.__name__,
    OptimizerSuite.test_an_empty_ask_changes_nothing.__name__,
    OptimizerSuite.test_failures_of_every_evaluation_are_survived.__name__,
    OptimizerSuite.test_a_replay_resumes_from_every_line.__name__,
]
"""The tests that are run for an optimizer with slow asks if there is little time."""
