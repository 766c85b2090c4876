"""The random numbers of objectives.

An experiment often gives the seed of the run to the objective too (`objective.shift=${seed}`).
Optimizers draw from `np.random.default_rng(seed)`. If an objective drew from the same generator,
its hidden choices would equal an optimizer's proposals: the first point of random search would be
where the shift put the optimum. Objectives therefore draw from a sequence of their own.
"""

import numpy as np

_OBJECTIVES = 0x6F626A  # no optimizer begins its seed with this number


def draws(*seeds: int) -> np.random.Generator:
    """Return a generator that depends on the seeds, independent of any optimizer's.

    Args:
        seeds: integers >= 0, such as an objective's seed and the id of a trial.
    """
    # The length is there because numpy does not tell [3] and [3, 0] apart.
    return np.random.default_rng([_OBJECTIVES, len(seeds), *seeds])
