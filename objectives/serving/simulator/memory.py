"""The memory of one GPU under an engine, and how long the engine takes to start.

KV blocks of one GPU = floor((util memory - weights / (tp pp) - activations - graphs - other
- 0.35 GB if tp > 1) / (2 n_kv / tp d layers / pp bytes block)).

Two quantities here are assumed and not measured: the size of the activations and the duration of a
start. A captured graph takes 3 MiB for 32 layers, and twice as much if it holds the whole step. For
the default sizes, this gives 0.15 and 0.3 GiB; vLLM's start-up logs report 0.12 to 0.45 GiB.
"""

from objectives.serving.simulator.cards import GIB, WIDTHS
from objectives.serving.simulator.deployment import Deployment, Settings

COLLECTIVE_BYTES = 0.35e9  # aiconfigurator's `nccl_mem`
GRAPH_BYTES = 3 * 2**20  # of one captured size, for 32 layers


def cache_width(settings: Settings) -> float:
    """Return the bytes of one element of the KV cache."""
    return 2.0 if settings.kv_cache_dtype == "auto" else 1.0


def captured_sizes(settings: Settings) -> int:
    """Return the number of graphs that vLLM captures (sizes: `engine.py`)."""
    if settings.compilation == "eager":
        return 0
    largest = settings.cudagraph_max_size
    below, beyond = min(largest, 256) // 8, max(largest - 256, 0) // 16
    return min(largest.bit_length(), 3) + below + beyond


def activation_bytes(deployment: Deployment, settings: Settings) -> float:
    """Return the peak activation memory of a step with a full budget of tokens (assumed)."""
    model, tp = deployment.model, settings.tensor_parallel_size
    token = 2.0 * (3 * model.hidden + 3 * model.intermediate / tp)
    logits = 8.0 * model.vocabulary * settings.max_num_seqs
    return settings.max_num_batched_tokens * token + logits


def graph_bytes(deployment: Deployment, settings: Settings) -> float:
    """Return the memory of the captured graphs; a graph of a whole step takes twice as much."""
    per_stage = deployment.model.layers / settings.pipeline_parallel_size / 32
    twice = 2.0 if settings.compilation == "full" else 1.0
    return captured_sizes(settings) * GRAPH_BYTES * per_stage * twice


def weight_bytes(deployment: Deployment, settings: Settings) -> float:
    """Return the bytes of the weights on one GPU."""
    gpus = settings.tensor_parallel_size * settings.pipeline_parallel_size
    return deployment.model.weight_bytes(WIDTHS[deployment.dtype]) / gpus


def kv_blocks(deployment: Deployment, settings: Settings) -> int:
    """Return the number of blocks that fit on one GPU; 0 or less means none."""
    model, tp = deployment.model, settings.tensor_parallel_size
    free = settings.gpu_memory_utilization * deployment.system.memory
    free -= weight_bytes(deployment, settings) + activation_bytes(deployment, settings)
    free -= graph_bytes(deployment, settings) + deployment.overheads.other_bytes
    free -= COLLECTIVE_BYTES if tp > 1 else 0.0
    token = 2 * max(model.key_heads / tp, 1) * model.head * cache_width(settings)
    token *= model.layers / settings.pipeline_parallel_size
    return int(free // (token * settings.block_size))


def memory_bytes(deployment: Deployment, settings: Settings) -> float:
    """Return one GPU's memory in use after the start, when blocks fill the engine's share."""
    return settings.gpu_memory_utilization * deployment.system.memory


def headroom_bytes(deployment: Deployment, settings: Settings) -> float:
    """Return the memory outside the engine's share, less 0.6 GiB for the driver (assumed)."""
    return (1 - settings.gpu_memory_utilization) * deployment.system.memory - 0.6 * GIB


def startup_s(deployment: Deployment, settings: Settings) -> float:
    """Return the assumed seconds of a start: weights at 2 GB/s per GPU, compiling, capturing."""
    depth = deployment.model.layers / settings.pipeline_parallel_size / 32
    compiling = {"eager": 0.0, "piecewise": 25.0, "full": 30.0}[settings.compilation]
    twice = 2.0 if settings.compilation == "full" else 1.0
    load = weight_bytes(deployment, settings) / 2e9
    return 15.0 + load + depth * (compiling + 0.15 * twice * captured_sizes(settings))
