"""Derive the scheduler's rules and the kernels' costs from the settings of an engine.

Two quantities here are assumed and not measured: the slow-down of an 8-bit KV cache on an A100, and
how often n-gram speculation drafts tokens and is right. `deployment.py` lists the assumptions about
the host.
"""

import math

from objectives.serving.simulator.cards import WIDTHS
from objectives.serving.simulator.deployment import Deployment, Settings
from objectives.serving.simulator.kernels import constants
from objectives.serving.simulator.memory import cache_width, kv_blocks
from objectives.serving.simulator.state import POLICIES, Rules
from objectives.serving.simulator.steps import Costs, Decode, Gemm, Prefill

FP8_WITHOUT_HARDWARE = 0.8  # share of the decode bandwidth left when software expands 8 bits


def rules(
    deployment: Deployment,
    settings: Settings,
    prefix: int,
    concurrency: int,
    limit_s: float,
    pace: float = 1.0,
) -> Rules:
    """Return the rules of one replica's scheduler; `pace` multiplies the time of every step."""
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
        # A longer n-gram is found less often, and the tokens that follow it are right more often.
        found=0.5 * 0.8**lookup if settings.num_speculative_tokens else 0.0,
        accepted=1 - 0.5 * 0.75**lookup,
        noise=deployment.noise,
        pace=pace,
    )


def step_costs(deployment: Deployment, settings: Settings) -> Costs:
    """Return the costs of a step of one replica.

    Raises:
        ValueError: the tables hold no kernel for the deployment.
    """
    model, tp = deployment.model, settings.tensor_parallel_size
    over = deployment.overheads
    eager = settings.compilation == "eager"
    alpha, beta, alpha_eager = _collective(deployment, settings)
    slow = deployment.host_slowdown
    launch = slow * (over.launch_eager if eager else over.launch_compiled)
    graphs = 0 if eager else settings.cudagraph_max_size
    full = min(graphs, settings.max_num_seqs) if settings.compilation == "full" else 0
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
        prefill=_prefill(deployment),
        alpha=alpha,
        beta=beta,
        skew_s=over.skew * math.log2(tp),
        small_bandwidth=0.8 * deployment.system.bandwidth,
        send_s=10e-6,
        host_fixed=over.host_fixed,
        host_each=over.host_each,
        hidden_host=settings.async_scheduling,
        graph_tokens=float(largest_captured(graphs)),
        full_tokens=float(largest_captured(full)),
        launch_layer=launch + (2 * slow * alpha_eager if tp > 1 else 0.0),
        launch_pieces=slow * over.launch_pieces,
        gap=over.gap,
    )


def largest_captured(limit: int) -> int:
    """Return the largest size up to a limit that vLLM captures; 0 if there is none.

    The sizes are 1, 2, 4, the multiples of 8 up to 256, and the multiples of 16 above.
    """
    if limit < 8:
        return 4 if limit >= 4 else limit if limit < 3 else 2
    return limit // 8 * 8 if limit <= 256 else 256 + (limit - 256) // 16 * 16


def _constants(deployment: Deployment, kernel: str, dtype: str) -> tuple[float, ...]:
    return constants(deployment.system.name, deployment.engine, kernel, dtype)


def _gemm(deployment: Deployment, dtype: str) -> Gemm:
    found = Gemm(WIDTHS[dtype], *_constants(deployment, "gemm", dtype))
    found = found._replace(bandwidth=deployment.bandwidth_share * found.bandwidth)
    if deployment.overheads.graph_fixed:
        return found._replace(fixed=_constants(deployment, "gemm", "bfloat16")[2])
    return found


def _prefill(deployment: Deployment) -> Prefill:
    found = Prefill(*_constants(deployment, "prefill", "bfloat16"))
    return found._replace(bandwidth=deployment.bandwidth_share * found.bandwidth)


def _decode(deployment: Deployment, settings: Settings) -> Decode:
    """Return the constants of the decode attention for the format of the KV cache."""
    narrow = settings.kv_cache_dtype != "auto"
    in_hardware = "fp8" in deployment.system.dtypes
    dtype = "fp8" if narrow and in_hardware else "bfloat16"
    found = Decode(*_constants(deployment, "decode", dtype))
    share = FP8_WITHOUT_HARDWARE if narrow and not in_hardware else 1.0
    return found._replace(bandwidth=share * deployment.bandwidth_share * found.bandwidth)


def _collective(deployment: Deployment, settings: Settings) -> tuple[float, float, float]:
    """Return alpha and beta of an all-reduce, and alpha for launches by the host."""
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
    except ValueError:  # TensorRT-LLM's tables hold only graphs
        return alpha, beta, alpha
