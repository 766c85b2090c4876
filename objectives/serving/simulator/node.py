"""Simulate how the replicas of a configured engine on a node serve a load.

The replicas of data parallelism receive the requests in turn and share nothing.
"""

from dataclasses import dataclass

import numpy as np

from objectives.serving.load.arrivals import Plan
from objectives.serving.load.measures import Requests
from objectives.serving.simulator.deployment import Deployment, Settings
from objectives.serving.simulator.engine import rules, step_costs
from objectives.serving.simulator.scheduler import serve
from objectives.serving.simulator.state import GAPS, LARGEST, PREEMPTED, STEPS, State, new_state


@dataclass(frozen=True)
class Served:
    """The result of a simulated load.

    Attributes:
        requests: one row per request.
        ended: number of requests that got their complete answer.
        preempted: number of times that a request lost its blocks.
        steps: number of steps of all replicas.
        largest_step: number of tokens of the largest step.
    """

    requests: Requests
    ended: int
    preempted: int
    steps: int
    largest_step: int


def serve_load(
    deployment: Deployment, settings: Settings, plan: Plan, limit_s: float, seed: tuple[int, ...]
) -> Served:
    """Serve a load; the result is determined by the seed.

    Args:
        limit_s: time at which the load is stopped; requests that have not ended by then have
            failed.
        seed: seed of the run's speed and of the steps' noise.
    """
    n = len(plan)
    replicas = min(settings.data_parallel_size, n)
    costs = step_costs(deployment, settings)
    generator = np.random.default_rng(seed)
    pace = 1.0
    if deployment.run_noise > 0:
        pace = float(np.exp(deployment.run_noise * generator.standard_normal()))
    states: list[State] = []
    for one in range(replicas):
        part = slice(one, None, replicas)
        # In a closed loop, replica `one` of r gets the slots one, one + r, one + 2 r, ...
        slots = 0 if plan.concurrency is None else -(-(plan.concurrency - one) // replicas)
        obeyed = rules(deployment, settings, plan.shared_prefix, max(slots, 0), limit_s, pace)
        arrivals = None if plan.arrivals_s is None else plan.arrivals_s[part].copy()
        prompts, answers = plan.prompt_tokens[part].copy(), plan.answer_tokens[part].copy()
        state = new_state(prompts, answers, arrivals, obeyed)  # copies are contiguous
        serve(state, obeyed, costs, generator)
        states.append(state)
    return _gathered(plan, states, replicas)


def _gathered(plan: Plan, states: list[State], replicas: int) -> Served:
    """Merge the replicas' requests in the order of arrival."""
    columns = np.full((4, len(plan)), np.nan)
    for one, state in enumerate(states):
        parts = (state.arrived, state.first, state.ended, state.generated)
        for row, part in zip(columns, parts, strict=True):
            row[one::replicas] = part
    arrival, first, end, answer = columns
    done = np.isfinite(end)
    last = max(float(np.nanmax(one)) for one in (arrival, first, end) if np.isfinite(one).any())
    return Served(
        requests=Requests(
            arrival_s=arrival,
            first_s=first,
            end_s=np.where(done, end, last),
            prompt_tokens=plan.prompt_tokens,
            answer_tokens=answer.astype(np.int64),
            errors=tuple("" if one else "not answered in time" for one in done),
            gaps_s=np.concatenate([state.gaps[: state.counter[GAPS]] for state in states]),
        ),
        ended=int(done.sum()),
        preempted=sum(int(state.counter[PREEMPTED]) for state in states),
        steps=sum(int(state.counter[STEPS]) for state in states),
        largest_step=max(int(state.counter[LARGEST]) for state in states),
    )
