"""Spaces and sequences of asks and tells for the conformance suite of optimizers."""

from collections.abc import Callable
from typing import Any

import numpy as np
from ConfigSpace import (
    AndConjunction,
    ConfigurationSpace,
    EqualsCondition,
    ForbiddenAndConjunction,
    ForbiddenEqualsClause,
    ForbiddenInClause,
    ForbiddenLessThanRelation,
    GreaterThanCondition,
    InCondition,
    LessThanCondition,
    OrConjunction,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)

from objectives.space import UnitCube, add_rules, build_space
from objectives.trial import Config, EarlierTask, Evaluation, Fidelities, Trial
from optimizers.optimizer import Optimizer

_ROUNDING = 1e-9  # fractions such as 1/3 do not add up exactly
LENGTH = 13  # the number of evaluations: three more than the largest initial design, which has 10
FIDELITIES = Fidelities(
    (1 / 27, *(ninths / 9 for ninths in range(1, 9)), 1.0),
    changeable=("x0", "x1", "x2", "rate", "n", "x"),
)
"""Fidelities that include the powers of 1/3 and enough steps for population-based training."""

Answer = Callable[[Trial], Evaluation]


def floats(dim: int) -> ConfigurationSpace:
    """Return a continuous space with one logarithmic parameter."""
    axes: dict[str, dict[str, Any]] = {
        f"x{axis}": {"type": "float", "lower": -5, "upper": 5} for axis in range(dim - 1)
    }
    return build_space({**axes, "rate": {"type": "float", "lower": 1e-8, "upper": 1, "log": True}})


def conjunctions() -> ConfigurationSpace:
    """Return a space with conditions and forbidden clauses that the YAML form cannot express."""
    space = ConfigurationSpace(
        {"size": (1, 16), "rate": (0.0, 1.0), "kind": ["a", "b", "c"], "deep": (0.0, 1.0)}
    )
    space.add(OrdinalHyperparameter("level", [1, 2, 4]), UniformFloatHyperparameter("mix", 0, 1))
    space.add(UniformIntegerHyperparameter("steps", 1, 9), UniformFloatHyperparameter("end", 0, 1))
    large, slow = (
        GreaterThanCondition(space["level"], space["size"], 4),
        LessThanCondition(space["level"], space["rate"], 0.5),
    )
    space.add(OrConjunction(large, slow))
    space.add(
        AndConjunction(
            GreaterThanCondition(space["mix"], space["level"], 1),
            InCondition(space["mix"], space["kind"], ["a", "b"]),
        )
    )
    space.add(
        OrConjunction(
            EqualsCondition(space["steps"], space["kind"], "c"),
            AndConjunction(
                LessThanCondition(space["steps"], space["mix"], 0.7),
                EqualsCondition(space["steps"], space["level"], 4),
            ),
        )
    )
    space.add(GreaterThanCondition(space["end"], space["steps"], 3))
    space.add(ForbiddenLessThanRelation(space["deep"], space["rate"]))
    either = ForbiddenInClause(space["kind"], ["a", "c"]), ForbiddenEqualsClause(space["size"], 16)
    space.add(ForbiddenAndConjunction(*either, ForbiddenEqualsClause(space["level"], 4)))
    return space


def fits_the_node(config: Config) -> bool:
    """Return whether a configuration needs at most 8 GPUs, which holds for a third of the space."""
    taken = 1.0
    for name in ("tensor", "pipeline", "data"):
        taken *= float(config[name])
    return taken <= 8 and (config["chunked"] is True or float(config["batch"]) >= 2048)


def with_rules() -> ConfigurationSpace:
    """Return a space whose rules exclude most of it; the rules need no evaluation."""
    space = build_space(
        {
            "tensor": {"type": "ordinal", "choices": [1, 2, 4, 8]},
            "pipeline": {"type": "ordinal", "choices": [1, 2, 4]},
            "data": {"type": "ordinal", "choices": [1, 2, 4, 8]},
            "chunked": {"type": "categorical", "choices": [True, False]},
            "batch": {"type": "int", "lower": 64, "upper": 8192, "log": True},
            "partial": {"type": "int", "lower": 1, "upper": 4, "when": {"chunked": True}},
        }
    )
    add_rules(space, fits_the_node)
    return space


SPACES: dict[str, ConfigurationSpace] = {
    "one float": floats(1),
    "one integer": build_space({"n": {"type": "int", "lower": 3, "upper": 9}}),
    "one choice": build_space({"kind": {"type": "categorical", "choices": ["a", "b", "c"]}}),
    "an integer with one value": build_space({"n": {"type": "int", "lower": 4, "upper": 4}}),
    "constants": build_space(
        {"a": {"type": "constant", "value": 1.5}, "b": {"type": "constant", "value": "on"}}
    ),
    "one value and one float": build_space(
        {
            "n": {"type": "int", "lower": 4, "upper": 4},
            "x": {"type": "float", "lower": 0.0, "upper": 1.0},
        }
    ),
    "conditional": build_space(
        {
            "degree": {"type": "int", "lower": 2, "upper": 5, "when": {"kernel": "poly"}},
            "kernel": {"type": "categorical", "choices": ["rbf", "poly", "linear"]},
            "c": {"type": "float", "lower": 1e-4, "upper": 1e4, "log": True},
            "width": {"type": "float", "lower": 0.1, "upper": 9, "when": {"kernel": ["rbf"]}},
        }
    ),
    "two parents": build_space(
        {
            "degree": {"type": "int", "lower": 2, "upper": 5, "when": {"kernel": "b", "n": [1, 3]}},
            "kernel": {"type": "categorical", "choices": ["a", "b"]},
            "n": {"type": "int", "lower": 1, "upper": 4},
            "deep": {
                "type": "float",
                "lower": 1e-4,
                "upper": 1,
                "log": True,
                "when": {"degree": [3, 4, 5], "kernel": "b"},
            },
        }
    ),
    "a forbidden default": build_space(
        {
            "kind": {"type": "categorical", "choices": ["a", "b", "c"]},
            "flag": {"type": "categorical", "choices": [True, False]},
            "n": {"type": "int", "lower": 1, "upper": 9, "when": {"kind": ["a", "c"]}},
        },
        forbidden=[{"kind": ["a", "b"], "flag": True}, {"kind": "c", "n": 5}],
    ),
    "a constant on a log scale": build_space(
        {
            "decay": {"type": "float", "lower": 0, "upper": 0, "log": True},
            "rate": {"type": "float", "lower": 1e-5, "upper": 1, "log": True},
        }
    ),
    "conjunctions": conjunctions(),
    "rules": with_rules(),
    "mixed with forbidden combinations": build_space(
        {
            "kind": {"type": "categorical", "choices": ["a", "b", "c"]},
            "flag": {"type": "categorical", "choices": [True, False]},
            "level": {"type": "ordinal", "choices": ["low", "middle", "high"]},
            "n": {"type": "int", "lower": 1, "upper": 512, "log": True},
            "x": {"type": "float", "lower": -1, "upper": 1},
            "fixed": {"type": "constant", "value": 7},
        },
        forbidden=[{"kind": "a", "level": "high"}, {"flag": True, "kind": "b"}],
    ),
}
MIXED = SPACES["mixed with forbidden combinations"]


def value(space: ConfigurationSpace, trial: Trial, optimum: float = 0.3) -> float:
    """Return the squared distance in the unit cube from an optimum away from the centre."""
    return float(sum((UnitCube(space).point(trial.config) - optimum) ** 2))


def earlier_tasks(space: ConfigurationSpace, n: int) -> tuple[EarlierTask, ...]:
    """Return earlier tasks of 12 evaluations, of which every fourth failed.

    Their optima and the scales of their values differ.
    """
    cube, tasks = UnitCube(space), []
    for place in range(n):
        points = cube.draw(np.random.default_rng(place), 12)
        configs = tuple(cube.config(u) for u in points)
        evaluations = tuple(
            Evaluation(None, 0.0, error="failed in an earlier run")
            if i % 4 == 3
            else Evaluation(10**place * value(space, Trial(i, config), 0.2 + 0.3 * place), 0.0)
            for i, config in enumerate(configs)
        )
        tasks.append(EarlierTask(configs, evaluations))
    return tuple(tasks)


def answers(space: ConfigurationSpace) -> Answer:
    """Return a function that evaluates every trial successfully."""
    return lambda trial: Evaluation(value(space, trial), cost=1.0)


def converse(optimizer: Optimizer, answer: Answer, length: int = LENGTH, n: int = 1) -> list[Trial]:
    """Ask for up to `n` trials at a time and tell them, until `length` are told or none is left."""
    told: list[Trial] = []
    while len(told) < length:
        trials = optimizer.ask(min(n, length - len(told)))
        if not trials:
            break
        for trial in trials:
            optimizer.tell(trial, answer(trial))
        told += trials
    return told


def spend(optimizer: Optimizer, answer: Answer, budget: float) -> list[Trial]:
    """Ask for and tell one trial at a time until the budget cannot pay for the next trial.

    The budget is in full evaluations. A trial that resumes another costs the difference of their
    fidelities.
    """
    told: dict[int, Trial] = {}
    spent = 0.0
    while trials := optimizer.ask(1):
        (trial,) = trials
        before = told[trial.resumes].fidelity if trial.resumes is not None else 0.0
        spent += trial.fidelity - before
        if spent > budget + _ROUNDING:
            break
        told[trial.id] = trial
        optimizer.tell(trial, answer(trial))
    return list(told.values())


def every_third_fails(space: ConfigurationSpace) -> Answer:
    """Return a function that lets the trials 0, 3, 6, ... fail."""
    failed = Evaluation(None, cost=1.0, error="every third fails")
    return lambda trial: failed if trial.id % 3 == 0 else answers(space)(trial)
