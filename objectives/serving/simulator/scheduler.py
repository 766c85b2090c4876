"""Simulate one replica of a serving engine: continuous batching with paged KV memory.

This is the loop of vLLM's scheduler, version 1. Within a budget of tokens, a step takes first the
decodes, then the prompts in progress, then new prompts. A request is admitted if a sequence slot
and KV blocks for its first chunk are free. When blocks run out, the youngest request is preempted:
its blocks are freed, its tokens become prompt tokens again, and it moves to the front of the queue.
Without chunked prefill, a step of prompts holds only whole prompts, and decodes stall meanwhile.

Pipeline parallelism: the first stage takes the next batch as soon as it is free. A request is in
one batch at a time and returns when the last stage has processed it.

Prefix cache: the full blocks of the prefix that all prompts share are computed once. They are kept
until memory is short and no request uses them. Speculation: a step verifies the drafted tokens.
Each token is accepted with a fixed probability, until the first rejected token.

There are two departures from vLLM: the blocks of a finished request are freed at the end of the
first stage of its last step, and the cache holds only the shared prefix.
"""

import numpy as np

from objectives.serving.simulator.blocks import evict, keep_prefix, leave, take_blocks
from objectives.serving.simulator.compiled import compiled
from objectives.serving.simulator.speculation import drafted_right
from objectives.serving.simulator.state import (
    BATCH,
    CACHED,
    CHUNKS,
    DECODES,
    ENDED,
    FREE,
    GAPS,
    KNOWN,
    LARGEST,
    PAIRS,
    RESIDENT,
    RUNNING,
    SAMPLED,
    SENT,
    STEPS,
    TOKENS,
    USERS,
    WAITING,
    Rules,
    State,
)
from objectives.serving.simulator.steps import Costs, step_s


@compiled
def serve(state: State, rules: Rules, costs: Costs, generator: np.random.Generator) -> float:
    """Serve all requests until the time limit; return the time of the last step."""
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
        factor = rules.pace
        if rules.noise > 0:
            factor *= np.exp(rules.noise * generator.standard_normal())
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
    """Return the time at which the next request arrives or returns from the pipeline."""
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
    """Choose the requests of the next step and allocate their blocks."""
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
    """Add the requests whose prompt is computed; return the remaining budget."""
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
    """Add the next chunks of the prompts in progress; return the remaining budget."""
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
    """Admit waiting requests in the policy's order while slots, tokens and blocks last."""
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
    """Return the queue position of the request that the policy admits next."""
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
def settle(state: State, rules: Rules, end: float) -> None:
    """Process the end of a step: emit tokens, record computed prompts, finish requests."""
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
def emit(state: State, i: int, tokens: int, now: float) -> None:
    """Send tokens to the client; the last token ends the request."""
    count = state.counter
    if state.generated[i] == 0:
        state.first[i] = now
    else:
        state.gaps[count[GAPS]] = now - state.last[i]
        count[GAPS] += tokens  # tokens after the first come with it, with gaps of 0
    state.last[i] = now
    state.generated[i] += tokens
    if state.generated[i] >= state.answer[i]:
        state.ended[i] = now
        count[ENDED] += 1
        leave(state, i)
        if count[KNOWN] < len(state.prompt):
            state.arrived[count[KNOWN]] = now
            count[KNOWN] += 1
