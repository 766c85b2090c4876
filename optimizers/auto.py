"""A rule that chooses an optimizer by the space and the budget, as Optuna's AutoSampler does.

The rule, in this order, with n the budget in full evaluations and d the number of parameters that
have several values:

1. n > 1,000, where a model of all evaluations would dominate the running time: `many_typed` if
there are conditions or if more than half of the parameters are choices without an order, else
`many`.
2. Everything else: `few`.

conf/optimizer/auto.yaml defines the optimizer of each name. This is the evidence, at 50
evaluations:

- `few` is gp_bo. results/synthetic_small_budget: best mean rank of 12 optimizers (3.7 over 31
tasks), and on no task worse than random. results/serving_sim (18 parameters, conditions, rules):
best mean rank (3.5) and near the best in 5 of 20 runs (tpe: in 1), but not significantly different
from tpe. These two results are of gp_bo's version 1. tests/benchmarks/families.py: first in mean
rank on 12 BBOB
  problems (2.7 of 16), on the conditional space of `mixed` (1.2 of 13 over 6 seeds; tpe: 9.4), and
  on 8 problems of 5 and 6 parameters among 20 and 60 (2.0 of 7 over 3 seeds; tpe: 4.1). saasbo and
  turbo take thirty times as long there and have too few runs to be compared yet
  (conf/experiment/high_dimensional.yaml), so the rule does not use the number of parameters.
- `many` is cma_es, and `many_typed` is tpe. No experiment of this suite has such large budgets, so
these two are assumptions, as in Optuna's AutoSampler. Their asks take milliseconds.

The chosen optimizer runs unchanged, with the run's seed: its trials are the same as in a run that
names it directly.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace
from hydra.utils import instantiate

from objectives.space import UnitCube
from optimizers.lhs import design_size
from optimizers.optimizer import Optimizer

MANY = 1000  # evaluations; above this, the optimizer has no model of all evaluations


def branch(space: ConfigurationSpace, n: int) -> str:
    """Return which branch of the rule a space and a budget of `n` evaluations fall into."""
    cube = UnitCube(space)
    free = cube.n_values > 1
    d = int(np.sum(free))
    n_choices = int(np.sum(free & cube.categorical & (cube.n_values > 2)))  # two are ordered
    if n > MANY:
        return "many_typed" if space.conditions or 2 * n_choices > d else "many"
    return "few"


def build(
    space: ConfigurationSpace,
    *,
    seed: int,
    budget: float,
    few: Mapping[str, Any],
    many: Mapping[str, Any],
    many_typed: Mapping[str, Any],
) -> Optimizer:
    """Return the optimizer that the rule chooses.

    Args:
        space: the space of the run.
        seed: the seed of the run.
        budget: the budget of the run.
        few: the settings of the optimizer for the branch of this name, with its `_target_`. The
            other branches have the same form.

    Raises:
        ValueError: the optimizer cannot be created.
    """
    choices = {"few": few, "many": many, "many_typed": many_typed}
    for name, settings in choices.items():
        if not isinstance(settings, Mapping) or "_target_" not in settings:
            raise ValueError(f"auto.{name}: expected settings with _target_, got {settings!r}")
    chosen = choices[branch(space, design_size("auto", budget))]
    made: Optimizer = instantiate(dict(chosen), space=space, seed=seed, _convert_="all")
    made.own = True  # the rule belongs to this suite
    made.extendable = False  # another budget may choose another optimizer
    return made
