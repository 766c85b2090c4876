"""The interface of load generators, which send a load and measure the answers."""

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
    """The result of sending a load.

    Attributes:
        requests: one row for every request that was sent.
        unsent: number of requests that were never sent or had no answer when the load was stopped.
        late_s: largest delay, caused by the client itself, in sending a request.
    """

    requests: Requests
    unsent: int
    late_s: float


class LoadGenerator(ABC):
    """Sends the requests of a plan to a server with OpenAI's API for completions."""

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
            url: the server's address.
            engine: the engine, which determines the form of a request.
            plan: the requests.
            seed: seed of the prompts' text.
            timeout_s: time in seconds after which the load is stopped.
            ended: returns how the server ended, or None while it runs. The load is stopped when the
                server has ended.
        """


def prompts(plan: Plan, tokens: tuple[int, int], seed: int) -> list[list[int]]:
    """Return random prompts of the plan's lengths, as token ids, with the plan's shared prefix.

    Args:
        plan: the requests.
        tokens: the first and the last token id to draw from.
        seed: seed of the draw. Prompt i does not depend on the number of prompts.
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
