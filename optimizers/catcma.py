"""CatCMA with margin: Hamano et al., arXiv 2504.07884, in the implementation of `cmaes`.

The method has one joint distribution: a Gaussian over floats, integers and ordinals, and a
categorical distribution over the choices. A margin keeps the probability of every integer and every
choice away from 0, so that no value is lost permanently.

`cma_es` uses the same method on spaces with discrete parameters, but differs in two ways: it treats
integers with more than 64 values as continuous, and it searches continuous spaces by CMA-ES. The
restarts and the other departures are those of `cma_es`.
"""

from optimizers.cma_es import CmaEs


class CatCma(CmaEs):
    """Proposes generations of CatCMA with margin on every space, with the settings of CMA-ES."""

    most_levels = 4096  # the margin is computed from the list of all values
    always_mixed = True
