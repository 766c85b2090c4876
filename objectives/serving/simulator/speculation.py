"""N-gram speculation: how many drafted tokens are right is a matter of the text, not of the run.

A step drafts with probability `found`; each drafted token is right with probability `accepted`
until the first that is not: (1 - a^(k + 1))/(1 - a) tokens a step for k drafts.
"""

import numpy as np

from objectives.serving.simulator.compiled import compiled
from objectives.serving.simulator.state import Rules, State


@compiled
def drafted_right(state: State, rules: Rules, i: int) -> int:
    """Return how many drafted tokens a request accepts: a matter of its text, not of the run."""
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
    """Return a number in [0, 1) that looks random: splitmix64's finaliser of a place."""
    z = np.uint64(place + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return float(z >> np.uint64(11)) / 9007199254740992.0
