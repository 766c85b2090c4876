"""A rule that chooses an optimizer by the space and the budget, as Optuna's AutoSampler does.

The rule, in this order, with n the budget in full evaluations and d the number of parameters that
have several values:

1. n > 1,000, where a model of all evaluations takes most of the time: `many_typed` if there are
   conditions or if more than half of the parameters are choices without an order, else `many`.
2. Everything else: `few`.

What stands behind each name is in conf/optimizer/auto.yaml. The evidence, at 50 evaluations:

- `few` is gp_bo. results/synthetic_small_budget: best mean rank of 12 optimizers (3.7 over 31
  tasks), worse than random on none. results/serving_sim (18 parameters, conditions, rules): best
  mean rank (3.5) and near the best in 5 of 20 runs (tpe: in 1), though not told apart from tpe.
  These two are of gp_bo's version 1. tests/benchmarks/families.py: first in mean rank on 12 BBOB
  problems (2.7 of 16), on the conditional space of `mixed` (1.2 of 13 over 6 seeds; tpe: 9.4), and
  on 8 problems of 5 and 6 parameters among 20 and 60 (2.0 of 7 over 3 seeds; tpe: 4.1). saasbo
  and turbo take thirty times as long there and have too few runs yet to be compared
  (conf/experiment/high_dimensional.yaml), so the number of parameters is no part of the rule.
- `many` is cma_es, and `many_typed` is tpe. No experiment of this suite's has such budgets: these
  two are assumptions, as in Optuna's AutoSampler. Their asks take milliseconds.

The optimizer that was chosen is the one that runs, unchanged, with the run's seed: its trials are
those of a run that names it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace
from hydra.utils import instantiate

from objectives.space import UnitCube
from optimizers.lhs import design_size
from optimizers.optimizer import Optimizer

MANY = 1000  # evaluations; more are for an optimizer without a model of all of them


def branch(space: ConfigurationSpace, n: int) -> str:
    """Return which branch of the rule a space and a budget of `n` evaluations fall into."""
    cube = UnitCube(space)
    free = cube.n_values > 1
    d = int(np.sum(free))
    n_choices = int(np.sum(free & cube.categorical & (cube.n_values > 2)))  # two have an order
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
        space: of the run.
        seed: of the run.
        budget: of the run.
        few: the settings of an optimizer, with its `_target_`, for the branch of this name; and
            so on for the other branches.

    Raises:
        ValueError: the optimizer cannot be made.
    """
    choices = {"few": few, "many": many, "many_typed": many_typed}
    for name, settings in choices.items():
        if not isinstance(settings, Mapping) or "_target_" not in settings:
            raise ValueError(f"auto.{name}: expected settings with _target_, got {settings!r}")
    chosen = choices[branch(space, design_size("auto", budget))]
    made: Optimizer = instantiate(dict(chosen), space=space, seed=seed, _convert_="all")
    made.own = True  # the rule is this suite's
    made.extendable = False  # another budget may choose another optimizer
    return made
