"""A rule that chooses an optimizer by the space and the budget, as Optuna's AutoSampler does.

The rule, in this order, with n the budget in full evaluations and d the number of parameters that
have several values:

1. `typed`: a space with conditions, or in which a parameter of two is a choice without an order.
2. `many`: n > 1,000, where a model of all evaluations takes most of the time.
3. `wide`: d > 20.
4. `few`: everything else, which is a mostly numeric space of few parameters and evaluations.

What stands behind each name is in conf/optimizer/auto.yaml. The evidence from this suite's own
experiments (results/), of which the last column says how much it is worth:

==========  ========  ============================================================  =============
branch      choice    evidence                                                      worth
==========  ========  ============================================================  =============
few         gp_bo     synthetic_small_budget: best mean rank of 12 (3.7), worse     31 tasks
                      than random on none of 31 tasks
typed       tpe       serving_sim (18 parameters, conditions, rules): ahead of      one task; not
                      nevergrad and four others, least median distance (.202 of     told apart
                      gp_bo's .232, smac_rf's .433); a ninth of gp_bo's time        from gp_bo
many        cma_es    synthetic_small_budget: 7 ms a run and better than four       not measured
                      designs; models take seconds an ask beyond 1,000              at such n
wide        saasbo    tests/benchmarks/families.py: six dimensions that matter      2 functions,
                      among 20                                                      few seeds
==========  ========  ============================================================  =============

What is not numbered in results/ is an assumption and says so. The optimizer that was chosen is the
one that runs, unchanged, with the run's seed: its trials are those of a run that names it.
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
WIDE = 20  # parameters; more are for an optimizer that finds those that matter


def branch(space: ConfigurationSpace, n: int) -> str:
    """Return which branch of the rule a space and a budget of `n` evaluations fall into."""
    cube = UnitCube(space)
    free = cube.n_values > 1
    d = int(np.sum(free))
    n_choices = int(np.sum(free & cube.categorical & (cube.n_values > 2)))
    if space.conditions or 2 * n_choices > d:
        return "typed"
    if n > MANY:
        return "many"
    return "wide" if d > WIDE else "few"


def build(
    space: ConfigurationSpace,
    *,
    seed: int,
    budget: float,
    few: Mapping[str, Any],
    typed: Mapping[str, Any],
    many: Mapping[str, Any],
    wide: Mapping[str, Any],
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
    choices = {"few": few, "typed": typed, "many": many, "wide": wide}
    chosen = choices[branch(space, design_size("auto", budget))]
    made: Optimizer = instantiate(dict(chosen), space=space, seed=seed, _convert_="all")
    made.own = True  # the rule is this suite's
    made.extendable = False  # another budget may choose another optimizer
    return made
