"""Predict the failures of a real engine: for its flags, at start-up, and under load.

refused n-gram speculation with asynchronous scheduling, which vLLM 0.14 rejects out_of_memory no KV
block is left, or too few for one request of the longest length died a step's fragmentation
(assumed: half of its activations) does not fit into the memory outside the engine's share
"""

from objectives.serving.grades import Failure
from objectives.serving.simulator.cards import GIB
from objectives.serving.simulator.deployment import Deployment, Settings
from objectives.serving.simulator.memory import (
    activation_bytes,
    headroom_bytes,
    kv_blocks,
    startup_s,
    weight_bytes,
)

REFUSAL_S = 10.0  # time until flags are refused: assumed
FRAGMENTED = 0.5  # share of a step's activations: assumed


def start(deployment: Deployment, settings: Settings, max_model_len: int) -> float:
    """Return the duration of the start in seconds.

    Raises:
        Failure: the engine would not start. Its metrics hold `startup_s`, the time until the
            failure.
    """
    if settings.async_scheduling and settings.num_speculative_tokens > 0:
        reason = "async_scheduling is not supported with ngram speculation"
        raise _failed(Failure("refused", reason), REFUSAL_S)
    blocks = kv_blocks(deployment, settings)
    if blocks * settings.block_size < max_model_len:
        share = settings.gpu_memory_utilization * deployment.system.memory / GIB
        weights = weight_bytes(deployment, settings) / GIB
        reason = (
            f"KV cache for one request of {max_model_len} tokens does not fit: "
            f"{max(blocks, 0)} blocks of {settings.block_size} are left of {share:.0f} GiB beside "
            f"{weights:.0f} GiB of weights"
        )
        elapsed = startup_s(deployment, Settings(compilation="eager"))
        raise _failed(Failure("out_of_memory", reason), elapsed)
    return startup_s(deployment, settings)


def check_survives(deployment: Deployment, settings: Settings, largest_step: int) -> None:
    """Raise `Failure` if the largest step would have run out of memory."""
    share = largest_step / settings.max_num_batched_tokens
    spike = FRAGMENTED * share * activation_bytes(deployment, settings)
    if spike > headroom_bytes(deployment, settings):
        raise Failure(
            "died",
            f"out of memory in a step of {largest_step} tokens: {spike / GIB:.1f} GiB beside "
            f"gpu_memory_utilization {settings.gpu_memory_utilization:.3g}",
        )


def _failed(failure: Failure, elapsed_s: float) -> Failure:
    failure.metrics = {"startup_s": elapsed_s}
    return failure
