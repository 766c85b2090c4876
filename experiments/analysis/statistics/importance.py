"""fANOVA: the share of variance that each quantity's own main effect has.

F. Hutter, H. Hoos and K. Leyton-Brown, *An Efficient Approach for Assessing Hyperparameter
Importance* (ICML 2014), by Optuna's evaluator: a random forest's variance over the space; what is
left of 1 is interactions.
"""

from collections.abc import Mapping

import numpy as np

from experiments.analysis.results import Floats

_SEED = 0


def fanova(
    points: Mapping[str, Floats],
    ends: Mapping[str, tuple[float, float]],
    values: Floats,
    n_trees: int,
    max_depth: int,
) -> dict[str, float]:
    """Return the shares of the quantities.

    Args:
        points: by quantity, (n,); what lies outside its ends is taken to them.
        ends: by quantity, its range, over which the variance is taken.
        values: (n,).
        n_trees: of the forest.
        max_depth: of a tree.
    """
    import optuna  # the extra `optuna`
    from optuna.distributions import FloatDistribution
    from optuna.importance import FanovaImportanceEvaluator

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    axes = {name: FloatDistribution(low, high) for name, (low, high) in ends.items()}
    held = {name: np.clip(points[name], *ends[name]).tolist() for name in ends}
    study = optuna.create_study()
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={name: column[i] for name, column in held.items()},
                distributions=axes,
                value=value,
            )
            for i, value in enumerate(values.tolist())
        ]
    )
    evaluator = FanovaImportanceEvaluator(n_trees=n_trees, max_depth=max_depth, seed=_SEED)
    shares = evaluator.evaluate(study)
    return {name: float(shares[name]) for name in ends}
