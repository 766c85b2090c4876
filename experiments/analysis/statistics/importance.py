"""fANOVA: the share of variance due to the main effect of each quantity.

F. Hutter, H. Hoos and K. Leyton-Brown, *An Efficient Approach for Assessing Hyperparameter
Importance* (ICML 2014), by Optuna's evaluator. It decomposes the variance of a random forest's
predictions over the space; the rest up to 1 is due to interactions.
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
        points: by quantity, (n,); clipped to its range.
        ends: by quantity, the range over which the variance is computed.
        values: (n,).
        n_trees: the number of trees in the forest.
        max_depth: the maximum depth of a tree.
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
