"""The random numbers of objectives.

An experiment often gives the seed of the run to the objective too (`objective.shift=${seed}`).
Optimizers draw from `np.random.default_rng(seed)`. If an objective drew from the same generator,
its hidden choices would equal an optimizer's proposals: the first point of random search would be
the shifted optimum. Objectives therefore draw from a separate sequence.
"""

import numpy as np

_OBJECTIVES = 0x6F626A  # no optimizer begins its seed with this number


def draws(*seeds: int) -> np.random.Generator:
    """Return a generator that depends on the seeds, independent of any optimizer's.

    Args:
        seeds: integers >= 0, such as an objective's seed and the id of a trial.
    """
    # The length is included because numpy does not distinguish [3] and [3, 0].
    return np.random.default_rng([_OBJECTIVES, len(seeds), *seeds])
