"""What sends a load to a server and measures the answers."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from objectives.serving.engine import Engine
from objectives.serving.load.arrivals import Plan
from objectives.serving.load.measures import Requests


@dataclass(frozen=True)
class Load:
    """A load as it went.

    Attributes:
        requests: a row for every request that was sent.
        unsent: how many were never sent, or had no answer when the load was broken off.
        late_s: the most by which the client itself was late in sending a request.
    """

    requests: Requests
    unsent: int
    late_s: float


class LoadGenerator(ABC):
    """Sends the requests of a plan to a server that speaks OpenAI's completions."""

    @abstractmethod
    def run(
        self,
        url: str,
        engine: Engine,
        plan: Plan,
        *,
        seed: int,
        timeout_s: float,
        ended: Callable[[], str | None],
    ) -> Load:
        """Send a load and wait for its answers.

        Args:
            url: of the server.
            engine: says how a request looks.
            plan: the requests.
            seed: of the prompts' text.
            timeout_s: after which the load is broken off.
            ended: says how the server ended, None while it runs; then the load is broken off.
        """


def prompts(plan: Plan, tokens: tuple[int, int], seed: int) -> list[list[int]]:
    """Return random prompts of the plan's lengths, as token ids; equal ones begin every prompt.

    Args:
        plan: the requests.
        tokens: the first and the last id to draw from.
        seed: of the draw: prompt i is the same whatever n.
    """
    generator = np.random.default_rng(seed)
    low, high = tokens
    prefix = generator.integers(low, high, size=plan.shared_prefix, endpoint=True)
    found = []
    for i, n in enumerate(plan.prompt_tokens.tolist()):
        own = np.random.default_rng((seed, i)).integers(low, high, size=n, endpoint=True)
        text: NDArray[np.int64] = np.concatenate([prefix, own])[:n]
        found.append(text.tolist())
    return found
