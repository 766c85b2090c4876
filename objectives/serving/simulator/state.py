"""The state of one replica: rules, requests and counters, as arrays for compiled code."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

POLICIES = ("fcfs", "priority", "lpm", "lof")
"""The policies: first come first served, shortest prompt, longest cached prefix, longest answer."""

# Indices into `State.counter`.
RUNNING, WAITING, BATCH, FREE, RESIDENT, USERS, GAPS, ENDED, SENT, KNOWN = range(10)
PREEMPTED, STEPS, LARGEST = 10, 11, 12
# Indices into `State.work`, the work of one step.
TOKENS, DECODES, CACHED, PAIRS, CHUNKS, SAMPLED = range(6)


class Rules(NamedTuple):
    """The rules of the scheduler, in tokens, blocks and seconds."""

    max_sequences: int
    token_budget: int
    chunked: bool
    prefill_first: bool  # no decodes in a step with prompts: SGLang, or no chunked prefill
    chunk_limit: int  # tokens of one prompt in one step, so that several prompts share the budget
    block: int
    blocks: int
    policy: int
    prefix: int  # tokens that all prompts share; 0 without prefix caching
    concurrency: int  # of a closed loop; 0 in an open loop
    limit_s: float  # time at which the load is stopped
    drafts: int
    found: float  # probability that a step drafts tokens
    accepted: float  # probability that a drafted token is accepted if the one before it was
    noise: float  # standard deviation of log(step time)
    pace: float  # the run's factor on the time of every step


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
