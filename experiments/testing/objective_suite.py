"""Tests of the facts that must hold for every objective. Other projects can run them too.

    # test_mine.py
    from experiments.testing.objective_suite import ObjectiveSuite

    class TestMine(ObjectiveSuite):
        def make(self):
            return Mine(space={"x": {"type": "float", "lower": 0, "upper": 1}})

pytest collects the methods. `ObjectiveSuite.of(maker)` creates such a class from a function.
Tests of values need many evaluations; they are skipped unless the objective declares that it is
cheap.
"""

import json
import math
import pickle
import random
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from ConfigSpace import ConfigurationSpace
from numpy.random.mtrand import get_bit_generator

from experiments.testing.plug_ins import MakeObjective
from objectives.objective import Objective, Resources
from objectives.space import UnitCube, check
from objectives.trial import Config, Evaluation, Fidelities, Goal, Limit, Trial


class ObjectiveSuite:
    """The tests. A subclass defines how its objective is created."""

    def make(self) -> Objective:
        """Return the objective; every call must return an equal one."""
        raise NotImplementedError

    @classmethod
    def of(cls, maker: MakeObjective) -> "type[ObjectiveSuite]":
        """Return the suite for the objective that a function creates."""
        return cast("type[ObjectiveSuite]", type("Suite", (cls,), {"make": staticmethod(maker)}))

    def test_the_space_is_one_that_the_unit_cube_maps(self) -> None:
        space = self.make().space
        assert isinstance(space, ConfigurationSpace)
        assert UnitCube(space).dim == len(space) >= 1

    def test_a_config_outside_the_space_raises(self) -> None:
        objective = self.make()
        inside = sampled(objective, 1)[0]
        for outside in ({}, {**inside, "no such parameter": 1}):
            try:
                objective.evaluate(Trial(0, outside))
            except ValueError as error:
                assert "config" in str(error), f"expected it to name the config, got {error}"
            else:
                raise AssertionError(f"expected a ValueError for {outside}, got an evaluation")

    def test_an_objective_travels_to_another_process(self) -> None:
        objective = self.make()
        there: Objective = pickle.loads(pickle.dumps(objective))
        assert sampled(there, 50) == sampled(objective, 50)
        assert there.optimum == objective.optimum
        assert list(there.minimisers) == list(objective.minimisers)
        assert there.fingerprint() == objective.fingerprint()
        assert there.notice() == objective.notice()

    def test_the_fingerprint_is_plain_json_and_repeats(self) -> None:
        fingerprint = self.make().fingerprint()
        assert json.loads(json.dumps(fingerprint)) == fingerprint == self.make().fingerprint()

    def test_what_is_said_about_the_objective_has_its_form(self) -> None:
        objective = self.make()
        notice = objective.notice()
        assert notice is None or "\n" not in notice
        assert isinstance(objective.version, int) and objective.version >= 1
        assert isinstance(objective.resources, Resources)
        assert isinstance(objective.fidelities, Fidelities | None)
        assert all(isinstance(goal, Goal) for goal in objective.goals.values())
        assert all(isinstance(limit, Limit) for limit in objective.limits.values())
        assert all(set(point) == set(objective.goals) for point in objective.front)
        assert objective.noise_sd >= 0

    def test_the_default_is_in_the_space(self) -> None:
        objective = self.make()
        if objective.default is not None:
            check(objective.space, objective.default)

    def test_the_value_at_a_known_minimiser_is_the_optimum(self) -> None:
        objective = self.make()
        assert (objective.optimum is None) == (not objective.minimisers)
        for minimiser in objective.minimisers if objective.cheap else []:
            assert objective.optimum is not None
            measured = values(objective, [Trial(id, minimiser) for id in range(20)])
            assert measured, f"expected a success at the minimiser {minimiser}, got none"
            off = max(abs(value - objective.optimum) for value in measured)
            assert off <= tolerance(objective), f"expected the optimum, got a value {off} off"

    def test_no_sampled_point_lies_below_the_optimum(self) -> None:
        objective = self.make()
        lowest = -math.inf if objective.optimum is None else objective.optimum
        if objective.cheap:
            trials = [Trial(id, config) for id, config in enumerate(sampled(objective, 500))]
            measured = values(objective, trials)  # none with several goals
            assert min(measured, default=lowest) >= lowest - tolerance(objective)

    def test_the_same_config_gives_the_same_value_or_its_declared_noise(self) -> None:
        objective = self.make()
        for config in sampled(objective, 20) if objective.cheap else []:
            measured = values(objective, [Trial(id, config) for id in range(20)])
            # Two draws differ by less than 12 sd if each is within 6 sd of the mean.
            assert not measured or max(measured) - min(measured) <= 12 * objective.noise_sd

    def test_the_same_trial_gives_the_same_value_in_any_order_and_copy(self) -> None:
        objective = self.make()
        if objective.cheap:
            trials = [Trial(id, config) for id, config in enumerate(sampled(objective, 30))]
            there: Objective = pickle.loads(pickle.dumps(objective))
            assert values(objective, trials) == values(there, trials[::-1])[::-1]

    def test_an_evaluation_is_plain_and_finite_and_measures_every_goal(self) -> None:
        objective = self.make()
        if not objective.cheap:
            return
        trials = [Trial(id, config) for id, config in enumerate(sampled(objective, 30))]
        for evaluation in evaluated(objective, trials):
            fields: dict[str, Any] = evaluation.to_json()
            assert json.loads(json.dumps(fields, allow_nan=False)) == fields
            assert set(objective.goals) | set(objective.limits) <= set(evaluation.metrics)
            assert (evaluation.value is None) == (len(objective.goals) > 1)

    def test_a_higher_fidelity_does_not_cost_less(self) -> None:
        objective = self.make()
        if not objective.cheap:
            return
        grid = Fidelities((1.0,)) if objective.fidelities is None else objective.fidelities
        known = [*objective.minimisers, *sampled(objective, 100)]  # a table may lack some configs
        config = next(c for c in known if evaluated(objective, [Trial(0, c)]))
        least, most = (
            min(e.cost for e in evaluated(objective, [Trial(i, config, share) for i in range(50)]))
            for share in (grid.least, 1.0)
        )
        # The smallest of 50 measured times; the factor of five allows for other load.
        assert 0 <= least <= 5 * most

    def test_evaluating_leaves_the_global_random_state_alone(self) -> None:
        before = pickle.dumps((random.getstate(), get_bit_generator().state))
        objective = self.make()
        if objective.cheap:
            configs = enumerate(sampled(objective, 5))
            evaluated(objective, [Trial(id, config) for id, config in configs])
        assert pickle.dumps((random.getstate(), get_bit_generator().state)) == before


def sampled(objective: Objective, n: int) -> list[Config]:
    """Return n configurations that the space allows."""
    cube = UnitCube(objective.space)
    return [cube.config(u) for u in cube.draw(np.random.default_rng(0), n)]


def evaluated(objective: Objective, trials: Sequence[Trial]) -> list[Evaluation]:
    """Return the evaluations that did not fail."""
    done = []
    for trial in trials:
        try:
            evaluation = objective.evaluate(trial)
        except RuntimeError:  # a documented failure of some objectives
            continue
        if evaluation.error is None:
            done.append(evaluation)
    return done


def values(objective: Objective, trials: Sequence[Trial]) -> list[float]:
    """Return the values of the evaluations that did not fail."""
    found = [evaluation.value for evaluation in evaluated(objective, trials)]
    return [value for value in found if value is not None]


def tolerance(objective: Objective) -> float:
    """Return the largest change due to rounding and six standard deviations of the noise."""
    return 1e-9 * max(1.0, abs(objective.optimum or 0.0)) + 6 * objective.noise_sd


FACTS = [name for name in vars(ObjectiveSuite) if name.startswith("test_")]
"""The names of the tests."""
