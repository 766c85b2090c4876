"""What one replica knows: rules, requests and counters, as arrays that compiled code takes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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
    pace: float  # multiplies every step's time: the run's own


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
