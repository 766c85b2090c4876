"""KV memory in blocks: allocation, preemption, release, and the shared prefix of all prompts."""

from objectives.serving.simulator.compiled import compiled
from objectives.serving.simulator.state import (
    FREE,
    PREEMPTED,
    RESIDENT,
    RUNNING,
    USERS,
    WAITING,
    Rules,
    State,
)


@compiled
def take_blocks(state: State, rules: Rules, i: int, tokens: int, now: float) -> bool:
    """Allocate a request's blocks for `tokens`, preempting others; False if it has to wait."""
    count = state.counter
    need = -(-tokens // rules.block) - state.held[i] - state.shares[i] * count[RESIDENT]
    while need > count[FREE]:
        if evict(state):
            continue
        victim = -1
        for place in range(count[RUNNING] - 1, -1, -1):
            one = state.running[place]
            if state.ready[one] <= now and state.chunk[one] == 0:
                victim = one
                break
        if victim < 0:
            return False
        leave(state, victim)
        for place in range(count[WAITING], 0, -1):
            state.waiting[place] = state.waiting[place - 1]
        state.waiting[0] = victim
        count[WAITING] += 1
        state.target[victim] = state.prompt[victim] + state.generated[victim]
        state.computed[victim] = 0
        count[PREEMPTED] += 1
        if victim == i:
            return False
    if need > 0:
        state.held[i] += need
        count[FREE] -= need
    return True


@compiled
def evict(state: State) -> bool:
    """Free the shared prefix if no request uses it."""
    count = state.counter
    if count[RESIDENT] == 0 or count[USERS] > 0:
        return False
    count[FREE] += count[RESIDENT]
    count[RESIDENT] = 0
    return True


@compiled
def leave(state: State, i: int) -> None:
    """Remove a request from the running ones and free its blocks."""
    count = state.counter
    place = 0
    while state.running[place] != i:
        place += 1
    for after in range(place, count[RUNNING] - 1):
        state.running[after] = state.running[after + 1]
    count[RUNNING] -= 1
    count[FREE] += state.held[i]
    state.held[i] = 0
    count[USERS] -= state.shares[i]
    state.shares[i] = 0


@compiled
def keep_prefix(state: State, rules: Rules, i: int) -> None:
    """Move the full blocks of the shared prefix to the cache once they are computed."""
    count = state.counter
    whole = rules.prefix // rules.block
    if whole == 0 or count[RESIDENT] > 0 or state.prompt[i] <= rules.prefix:
        return
    if state.computed[i] >= rules.prefix:
        count[RESIDENT] = whole
        state.held[i] -= whole
        state.shares[i] = 1
        count[USERS] += 1
