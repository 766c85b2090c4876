"""N-gram speculation, in which the accepted tokens depend on the text and not on the run.

A step drafts tokens with probability `found`. Each drafted token is right with probability
`accepted` (a), until the first wrong token. With k drafted tokens, a step yields (1 - a^(k + 1))/(1
- a) tokens on average.
"""

import numpy as np

from objectives.serving.simulator.compiled import compiled
from objectives.serving.simulator.state import Rules, State


@compiled
def drafted_right(state: State, rules: Rules, i: int) -> int:
    """Return the number of accepted tokens, which depends only on the request and its position."""
    if rules.drafts == 0:
        return 0
    place = i * 1_000_003 + state.generated[i] * 64
    if uniform(place) >= rules.found:
        return 0
    right = 0
    while right < rules.drafts and uniform(place + 1 + right) < rules.accepted:
        right += 1
    return right


@compiled
def uniform(place: int) -> float:
    """Return a pseudo-random number in [0, 1): splitmix64's finaliser applied to a position."""
    z = np.uint64(place + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return float(z >> np.uint64(11)) / 9007199254740992.0
