"""A configured engine on a node: its costs, its memory, how long it starts, whether it can.

KV blocks of one GPU = floor((util memory - weights / (tp pp) - activations - graphs - 3.5 GB
- 0.35 GB if tp > 1) / (2 n_kv / tp d layers / pp bytes block)); the constants are
aiconfigurator's (`other_mem`, `nccl_mem`).

Assumed, not measured, here: the activations' size, what a captured graph takes, the seconds of a
start, what the host needs to launch kernels and for a step (`Overheads`), the slow-down of a KV
cache of 8 bits on an A100, and how often n-gram speculation drafts and is right.
"""

from dataclasses import dataclass

from objectives.serving.simulator.cards import GIB, WIDTHS, Model, System
from objectives.serving.simulator.kernels import constants
from objectives.serving.simulator.state import POLICIES, Rules
from objectives.serving.simulator.steps import Costs, Decode, Gemm, Prefill

OTHER_BYTES = 3.5e9
COLLECTIVE_BYTES = 0.35e9
FP8_WITHOUT_HARDWARE = 0.8  # of the decode bandwidth, where 8 bits are expanded in software
COMPILATIONS = ("eager", "piecewise", "full")


@dataclass(frozen=True)
class Overheads:
    """Seconds that no kernel table holds, and one that it holds too much of.

    Attributes:
        host_fixed, host_each: of the host in a step, and per sequence in it.
        launch_eager, launch_compiled: of the host for a layer whose kernels no graph replays.
        launch_attention: and for an attention between two pieces of a graph.
        graph_fixed: whether a quantised GEMM's constant is that of 16 bits: the tables'
            includes launches that a graph does not pay.
    """

    host_fixed: float
    host_each: float
    launch_eager: float
    launch_compiled: float
    launch_attention: float
    graph_fixed: bool


# Host and `graph_fixed`: chosen on the calibration half of the measured points (`validate.py`).
OVERHEADS = {
    "vllm": Overheads(1.0e-3, 15e-6, 400e-6, 120e-6, 15e-6, False),
    "sglang": Overheads(1.0e-3, 15e-6, 400e-6, 120e-6, 15e-6, False),
    "trtllm": Overheads(0.5e-3, 10e-6, 400e-6, 120e-6, 15e-6, True),
}


@dataclass(frozen=True)
class Settings:
    """What a user of the engine sets; the names, and the defaults, are vLLM's."""

    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    data_parallel_size: int = 1
    gpu_memory_utilization: float = 0.9
    max_num_seqs: int = 256
    max_num_batched_tokens: int = 2048
    enable_chunked_prefill: bool = True
    max_num_partial_prefills: int = 1
    block_size: int = 16
    enable_prefix_caching: bool = True
    kv_cache_dtype: str = "auto"
    scheduling_policy: str = "fcfs"
    async_scheduling: bool = False
    compilation: str = "full"
    cudagraph_max_size: int = 512
    disable_custom_all_reduce: bool = False
    num_speculative_tokens: int = 0
    prompt_lookup_max: int = 4


@dataclass(frozen=True)
class Deployment:
    """A model in a number format, on a node, under an engine."""

    model: Model
    system: System
    engine: str
    dtype: str
    overheads: Overheads
    noise: float


def cache_width(settings: Settings) -> float:
    """Return the bytes of a cached element."""
    return 2.0 if settings.kv_cache_dtype == "auto" else 1.0


def captured_sizes(settings: Settings) -> int:
    """Return how many graphs vLLM captures: 1, 2, 4, every 8 up to 256, every 16 beyond."""
    if settings.compilation == "eager":
        return 0
    largest = settings.cudagraph_max_size
    below, beyond = min(largest, 256) // 8, max(largest - 256, 0) // 16
    return min(largest.bit_length(), 3) + below + beyond


def activation_bytes(deployment: Deployment, settings: Settings) -> float:
    """Return the peak of a step with a full budget of tokens: assumed."""
    model, tp = deployment.model, settings.tensor_parallel_size
    token = 2.0 * (3 * model.hidden + 3 * model.intermediate / tp)
    logits = 8.0 * model.vocabulary * settings.max_num_seqs
    return settings.max_num_batched_tokens * token + logits


def graph_bytes(deployment: Deployment, settings: Settings) -> float:
    """Return what the captured graphs take: assumed, 6 MiB a size and 32 layers, full twice."""
    per_stage = deployment.model.layers / settings.pipeline_parallel_size / 32
    twice = 2.0 if settings.compilation == "full" else 1.0
    return captured_sizes(settings) * 6 * 2**20 * per_stage * twice


def weight_bytes(deployment: Deployment, settings: Settings) -> float:
    """Return the weights on one GPU."""
    gpus = settings.tensor_parallel_size * settings.pipeline_parallel_size
    return deployment.model.weight_bytes(WIDTHS[deployment.dtype]) / gpus


def kv_blocks(deployment: Deployment, settings: Settings) -> int:
    """Return the blocks that fit on one GPU; 0 or less: none."""
    model, tp = deployment.model, settings.tensor_parallel_size
    free = settings.gpu_memory_utilization * deployment.system.memory
    free -= weight_bytes(deployment, settings) + activation_bytes(deployment, settings)
    free -= graph_bytes(deployment, settings) + OTHER_BYTES
    free -= COLLECTIVE_BYTES if tp > 1 else 0.0
    token = 2 * max(model.key_heads / tp, 1) * model.head * cache_width(settings)
    token *= model.layers / settings.pipeline_parallel_size
    return int(free // (token * settings.block_size))


def memory_bytes(deployment: Deployment, settings: Settings) -> float:
    """Return what one GPU holds once the server is up: the engine fills its share with blocks."""
    return settings.gpu_memory_utilization * deployment.system.memory


def headroom_bytes(deployment: Deployment, settings: Settings) -> float:
    """Return what is left beside the engine's share, less 0.6 GiB of the driver's: assumed."""
    return (1 - settings.gpu_memory_utilization) * deployment.system.memory - 0.6 * GIB


def startup_s(deployment: Deployment, settings: Settings) -> float:
    """Return the seconds until healthy: assumed. Weights at 2 GB/s a GPU, compiling, capturing."""
    depth = deployment.model.layers / settings.pipeline_parallel_size / 32
    compiling = {"eager": 0.0, "piecewise": 25.0, "full": 30.0}[settings.compilation]
    twice = 2.0 if settings.compilation == "full" else 1.0
    load = weight_bytes(deployment, settings) / 2e9
    return 15.0 + load + depth * (compiling + 0.15 * twice * captured_sizes(settings))


def rules(
    deployment: Deployment, settings: Settings, prefix: int, concurrency: int, limit_s: float
) -> Rules:
    """Return what the scheduler of one replica obeys."""
    lookup = settings.prompt_lookup_max - 2
    return Rules(
        max_sequences=settings.max_num_seqs,
        token_budget=settings.max_num_batched_tokens,
        chunked=settings.enable_chunked_prefill,
        prefill_first=deployment.engine == "sglang" or not settings.enable_chunked_prefill,
        chunk_limit=max(settings.max_num_batched_tokens // settings.max_num_partial_prefills, 1),
        block=settings.block_size,
        blocks=kv_blocks(deployment, settings),
        policy=POLICIES.index(settings.scheduling_policy),
        prefix=prefix if settings.enable_prefix_caching else 0,
        concurrency=concurrency,
        limit_s=limit_s,
        drafts=settings.num_speculative_tokens,
        # A longer n-gram is found less often, and what follows it is right more often.
        found=0.5 * 0.8**lookup if settings.num_speculative_tokens else 0.0,
        accepted=1 - 0.5 * 0.75**lookup,
        noise=deployment.noise,
    )


def step_costs(deployment: Deployment, settings: Settings) -> Costs:
    """Return what a step of one replica costs.

    Raises:
        ValueError: no kernel was measured for the deployment.
    """
    model, tp = deployment.model, settings.tensor_parallel_size
    over = deployment.overheads
    eager = settings.compilation == "eager"
    alpha, beta, alpha_eager = _collective(deployment, settings)
    launch = over.launch_eager if eager else over.launch_compiled
    return Costs(
        hidden=float(model.hidden),
        qkv=(model.heads / tp + 2 * max(model.key_heads / tp, 1)) * model.head,
        query=model.heads * model.head / tp,
        key=max(model.key_heads / tp, 1) * float(model.head),
        intermediate=model.intermediate / tp,
        vocabulary=model.vocabulary / tp,
        layers=float(-(-model.layers // settings.pipeline_parallel_size)),
        stages=settings.pipeline_parallel_size,
        tensor=float(tp),
        layer=_gemm(deployment, deployment.dtype),
        output=_gemm(deployment, "bfloat16"),
        cache_width=cache_width(settings),
        decode=_decode(deployment, settings),
        prefill=Prefill(*_constants(deployment, "prefill", "bfloat16")),
        alpha=alpha,
        beta=beta,
        small_bandwidth=0.8 * deployment.system.bandwidth,
        send_s=10e-6,
        host_fixed=over.host_fixed,
        host_each=over.host_each,
        hidden_host=settings.async_scheduling,
        graph_tokens=0.0 if eager else float(settings.cudagraph_max_size),
        full_graph=settings.compilation == "full",
        launch_layer=launch + (2 * alpha_eager if tp > 1 else 0.0),
        launch_attention=over.launch_attention,
    )


def _constants(deployment: Deployment, kernel: str, dtype: str) -> tuple[float, ...]:
    return constants(deployment.system.name, deployment.engine, kernel, dtype)


def _gemm(deployment: Deployment, dtype: str) -> Gemm:
    found = Gemm(WIDTHS[dtype], *_constants(deployment, "gemm", dtype))
    if deployment.overheads.graph_fixed:
        return found._replace(fixed=_constants(deployment, "gemm", "bfloat16")[2])
    return found


def _decode(deployment: Deployment, settings: Settings) -> Decode:
    if settings.kv_cache_dtype == "auto":
        return Decode(*_constants(deployment, "decode", "bfloat16"))
    if "fp8" in deployment.system.dtypes:
        return Decode(*_constants(deployment, "decode", "fp8"))
    bandwidth, fixed, each = _constants(deployment, "decode", "bfloat16")
    return Decode(FP8_WITHOUT_HARDWARE * bandwidth, fixed, each)


def _collective(deployment: Deployment, settings: Settings) -> tuple[float, float, float]:
    """Return alpha and beta of an all-reduce, and alpha where the host launches it."""
    tp = settings.tensor_parallel_size
    if tp == 1:
        return 0.0, 1e11, 0.0
    name = f"all_reduce_{tp}"
    if settings.disable_custom_all_reduce:
        alpha, beta = constants(deployment.system.name, "nccl", name, "graph")
        return alpha, beta, alpha
    alpha, beta = _constants(deployment, name, "graph")
    try:
        return alpha, beta, _constants(deployment, name, "eager")[0]
    except ValueError:  # TensorRT-LLM's tables hold graphs only
        return alpha, beta, alpha
