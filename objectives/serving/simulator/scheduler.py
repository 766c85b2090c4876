"""One replica of a serving engine, step by step: continuous batching with paged KV memory.

The loop of vLLM's scheduler, version 1. A step takes the decodes first, then the prompts under
way, then new ones, within a budget of tokens; a request is admitted if a sequence slot and KV
blocks for its first chunk are free. When blocks run out, the youngest request is preempted: its
blocks are freed, its tokens become prompt again, and it waits in front. Without chunked prefill
a step holds whole prompts only, and decodes stall meanwhile.

Pipeline parallelism: the first stage takes the next batch as soon as it is free; a request is in
one batch at a time and comes back when the last stage is done with it.

Prefix cache: the full blocks of the prefix that all prompts share are computed once and kept
until memory is short and nobody uses them. Speculation: a step verifies the drafted tokens; each
is accepted with a fixed probability until the first that is not.

Departures from vLLM: blocks of a finished request are free at the end of its step's first stage;
only the shared prefix is ever found in the cache; graph padding is ignored.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from objectives.serving.simulator.compiled import compiled
from objectives.serving.simulator.steps import Costs, step_s

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

POLICIES = ("fcfs", "priority", "lpm", "lof")
"""First come; shortest prompt; longest cached prefix; longest answer first."""

# Places in `State.counter`.
RUNNING, WAITING, BATCH, FREE, RESIDENT, USERS, GAPS, ENDED, SENT, KNOWN = range(10)
PREEMPTED, STEPS, LARGEST = 10, 11, 12
# Places in `State.work`: what one step computes.
TOKENS, DECODES, CACHED, PAIRS, CHUNKS, SAMPLED = range(6)


class Rules(NamedTuple):
    """What the scheduler obeys; tokens and blocks, seconds."""

    max_sequences: int
    token_budget: int
    chunked: bool
    prefill_first: bool  # no decodes in a step with prompts: SGLang, and without chunks
    chunk_limit: int  # of one prompt in one step, so that several share the budget
    block: int
    blocks: int
    policy: int
    prefix: int  # tokens that all prompts share; 0 without prefix caching
    concurrency: int  # of a closed loop; 0: open
    limit_s: float  # the load is broken off then
    drafts: int
    found: float  # probability that a step drafts at all
    accepted: float  # probability that a drafted token is accepted, after the one before
    noise: float  # standard deviation of log(step time)


class State(NamedTuple):
    """Arrays (n,) over the requests, lists of requests, and counters."""

    prompt: Whole
    answer: Whole
    arrived: Floats
    first: Floats
    last: Floats
    ended: Floats
    ready: Floats
    computed: Whole
    target: Whole
    generated: Whole
    held: Whole
    shares: Whole
    chunk: Whole
    running: Whole
    waiting: Whole
    batch: Whole
    gaps: Floats
    counter: Whole
    work: Floats


def new_state(prompt: Whole, answer: Whole, arrived: Floats | None, rules: Rules) -> State:
    """Return the state before the first request; `arrived` is None in a closed loop."""
    n = len(prompt)
    count = np.zeros(13, dtype=np.int64)
    count[FREE] = rules.blocks
    count[KNOWN] = n if arrived is not None else min(rules.concurrency, n)
    return State(
        prompt=prompt,
        answer=answer,
        arrived=np.zeros(n) if arrived is None else arrived.astype(np.float64),
        first=np.full(n, np.nan),
        last=np.full(n, np.nan),
        ended=np.full(n, np.nan),
        ready=np.zeros(n),
        computed=np.zeros(n, dtype=np.int64),
        target=prompt.copy(),
        generated=np.zeros(n, dtype=np.int64),
        held=np.zeros(n, dtype=np.int64),
        shares=np.zeros(n, dtype=np.int64),
        chunk=np.zeros(n, dtype=np.int64),
        running=np.zeros(n, dtype=np.int64),
        waiting=np.zeros(n, dtype=np.int64),
        batch=np.zeros(n, dtype=np.int64),
        gaps=np.zeros(int(answer.sum())),
        counter=count,
        work=np.zeros(6),
    )


@compiled
def serve(state: State, rules: Rules, costs: Costs, generator: np.random.Generator) -> float:
    """Serve all requests, or those that end before the limit; return the time of the last step."""
    count = state.counter
    now = 0.0
    while count[ENDED] < len(state.prompt) and now < rules.limit_s:
        deliver(state, now)
        form_batch(state, rules, now)
        if count[BATCH] == 0:
            later = next_event(state, now)
            if later == np.inf:
                break
            now = later
            continue
        stage, latency = step_s(state.work, costs)
        factor = np.exp(rules.noise * generator.standard_normal()) if rules.noise > 0 else 1.0
        settle(state, rules, now + factor * latency)
        now += factor * stage
        count[STEPS] += 1
        count[LARGEST] = max(count[LARGEST], int(state.work[TOKENS]))
    return now


@compiled
def deliver(state: State, now: float) -> None:
    """Put the requests that have arrived into the queue."""
    count = state.counter
    while count[SENT] < count[KNOWN] and state.arrived[count[SENT]] <= now:
        state.waiting[count[WAITING]] = count[SENT]
        count[WAITING] += 1
        count[SENT] += 1


@compiled
def next_event(state: State, now: float) -> float:
    """Return when the next request arrives or comes back from the pipeline."""
    count = state.counter
    later = np.inf
    if count[SENT] < count[KNOWN]:
        later = max(state.arrived[count[SENT]], now)
    for place in range(count[RUNNING]):
        ready = state.ready[state.running[place]]
        if ready > now:
            later = min(later, ready)
    return later


@compiled
def form_batch(state: State, rules: Rules, now: float) -> None:
    """Choose the requests of the next step and take their blocks."""
    state.counter[BATCH] = 0
    state.work[:] = 0.0
    budget = rules.token_budget
    if not rules.prefill_first:
        budget = decode(state, rules, budget, now)
    budget = proceed(state, rules, budget, now)
    admit(state, rules, budget, now)
    if rules.prefill_first and state.counter[BATCH] == 0:
        decode(state, rules, budget, now)


@compiled
def decode(state: State, rules: Rules, budget: int, now: float) -> int:
    """Add the requests whose prompt is done; return what is left of the budget."""
    tokens = 1 + rules.drafts
    place = 0
    while place < state.counter[RUNNING] and budget >= tokens:
        i = state.running[place]
        if state.ready[i] > now or state.computed[i] < state.target[i]:
            place += 1
            continue
        if take_blocks(state, rules, i, state.computed[i] + tokens, now):
            join(state, i, tokens)
            state.work[TOKENS] += 1.0 + rules.found * rules.drafts
            state.work[DECODES] += 1
            state.work[CACHED] += state.computed[i]
            state.work[SAMPLED] += tokens
            budget -= tokens
            place += 1
        elif place < state.counter[RUNNING] and state.running[place] == i:
            place += 1
    return budget


@compiled
def proceed(state: State, rules: Rules, budget: int, now: float) -> int:
    """Add the next chunks of the prompts under way; return what is left of the budget."""
    place = 0
    while place < state.counter[RUNNING] and budget > 0:
        i = state.running[place]
        left = state.target[i] - state.computed[i]
        if state.ready[i] > now or left <= 0 or state.chunk[i] > 0:
            place += 1
            continue
        tokens = min(left, budget, rules.chunk_limit)
        if take_blocks(state, rules, i, state.computed[i] + tokens, now):
            add_chunk(state, i, tokens)
            budget -= tokens
            place += 1
        elif place < state.counter[RUNNING] and state.running[place] == i:
            place += 1
    return budget


@compiled
def admit(state: State, rules: Rules, budget: int, now: float) -> None:
    """Admit waiting requests, in the policy's order, while slots, tokens and blocks last."""
    count = state.counter
    while count[WAITING] > 0 and count[RUNNING] < rules.max_sequences and budget > 0:
        place = choose(state, rules)
        i = state.waiting[place]
        shared = count[RESIDENT] * rules.block if state.prompt[i] > rules.prefix else 0
        left = state.target[i] - shared
        tokens = min(left, budget, rules.chunk_limit) if rules.chunked else left
        blocks = -(-(shared + tokens) // rules.block) - shared // rules.block
        if tokens > budget or blocks > count[FREE]:
            if not (count[RUNNING] == 0 and tokens <= budget and evict(state)):
                break
            continue
        for after in range(place, count[WAITING] - 1):
            state.waiting[after] = state.waiting[after + 1]
        count[WAITING] -= 1
        state.running[count[RUNNING]] = i
        count[RUNNING] += 1
        state.shares[i] = 1 if shared > 0 else 0
        count[USERS] += state.shares[i]
        state.computed[i] = shared
        state.held[i] = blocks
        count[FREE] -= blocks
        add_chunk(state, i, tokens)
        budget -= tokens


@compiled
def choose(state: State, rules: Rules) -> int:
    """Return the place in the queue of the request that the policy admits next."""
    best = 0
    if rules.policy == 0:
        return best
    for place in range(1, state.counter[WAITING]):
        a, b = state.waiting[place], state.waiting[best]
        if rules.policy == 1:
            better = state.prompt[a] < state.prompt[b]
        elif rules.policy == 2:
            better = state.prompt[a] > rules.prefix and state.prompt[b] <= rules.prefix
        else:
            better = state.answer[a] > state.answer[b]
        if better:
            best = place
    return best


@compiled
def join(state: State, i: int, tokens: int) -> None:
    """Add a request to the step."""
    state.batch[state.counter[BATCH]] = i
    state.counter[BATCH] += 1
    state.chunk[i] = tokens


@compiled
def add_chunk(state: State, i: int, tokens: int) -> None:
    """Add a chunk of a request's prompt to the step."""
    join(state, i, tokens)
    state.work[TOKENS] += tokens
    state.work[CHUNKS] += tokens
    state.work[PAIRS] += float(tokens) * tokens + 2.0 * tokens * state.computed[i]
    if state.computed[i] + tokens >= state.target[i]:
        state.work[SAMPLED] += 1


@compiled
def take_blocks(state: State, rules: Rules, i: int, tokens: int, now: float) -> bool:
    """Give a request the blocks for that many tokens, preempting others; False: it has to wait."""
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
    """Free the shared prefix if nobody uses it."""
    count = state.counter
    if count[RESIDENT] == 0 or count[USERS] > 0:
        return False
    count[FREE] += count[RESIDENT]
    count[RESIDENT] = 0
    return True


@compiled
def leave(state: State, i: int) -> None:
    """Take a request out of the running ones and free what it holds."""
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
def settle(state: State, rules: Rules, end: float) -> None:
    """Do what the step's end does: tokens are out, prompts computed, requests done."""
    for place in range(state.counter[BATCH]):
        i = state.batch[place]
        state.ready[i] = end
        decoding = state.computed[i] >= state.target[i]
        tokens = state.chunk[i]
        state.chunk[i] = 0
        if decoding:
            emitted = min(1 + drafted_right(state, rules, i), state.answer[i] - state.generated[i])
            state.computed[i] += emitted
            state.target[i] += emitted
            emit(state, i, emitted, end)
            continue
        state.computed[i] += tokens
        keep_prefix(state, rules, i)
        if state.computed[i] >= state.target[i]:
            emit(state, i, 1, end)


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


@compiled
def keep_prefix(state: State, rules: Rules, i: int) -> None:
    """Hand the shared prefix's full blocks, once computed, to the cache."""
    count = state.counter
    whole = rules.prefix // rules.block
    if whole == 0 or count[RESIDENT] > 0 or state.prompt[i] <= rules.prefix:
        return
    if state.computed[i] >= rules.prefix:
        count[RESIDENT] = whole
        state.held[i] -= whole
        state.shares[i] = 1
        count[USERS] += 1


@compiled
def emit(state: State, i: int, tokens: int, now: float) -> None:
    """Send tokens to the client; the last one ends the request."""
    count = state.counter
    if state.generated[i] == 0:
        state.first[i] = now
    else:
        state.gaps[count[GAPS]] = now - state.last[i]
        count[GAPS] += tokens  # those after the first come with it: gaps of 0
    state.last[i] = now
    state.generated[i] += tokens
    if state.generated[i] >= state.answer[i]:
        state.ended[i] = now
        count[ENDED] += 1
        leave(state, i)
        if count[KNOWN] < len(state.prompt):
            state.arrived[count[KNOWN]] = now
            count[KNOWN] += 1
