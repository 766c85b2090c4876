"""Seconds of one step of an engine, from the work in it and the costs of its kernels.

    layer = GEMMs of qkv, o, gate-up and down, split over tp, + attention + small kernels
            + two all-reduces where tp > 1
    stage = layers / pp of them, and the output layer's GEMM over the sampled tokens
    step  = pp stages with a send between them, + the host's h0 + h1 per sequence,
            or the longer of both where scheduling is asynchronous

A step that no CUDA graph covers cannot be faster than the host launches its kernels.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from objectives.serving.simulator.compiled import compiled
from objectives.serving.simulator.kernels import (
    all_reduce_s,
    decode_attention_s,
    gemm_s,
    prefill_attention_s,
)

Floats = NDArray[np.float64]


class Gemm(NamedTuple):
    """Bytes of an operand and the constants of `gemm_s`."""

    width: float
    flops: float
    bandwidth: float
    fixed: float
    q: float


class Decode(NamedTuple):
    """The constants of `decode_attention_s`."""

    bandwidth: float
    fixed: float
    each: float


class Prefill(NamedTuple):
    """The constants of `prefill_attention_s`."""

    flops: float
    bandwidth: float
    fixed: float


class Costs(NamedTuple):
    """What one GPU of a replica computes with: sizes in elements per GPU, SI units."""

    hidden: float
    qkv: float
    query: float
    key: float
    intermediate: float
    vocabulary: float
    layers: float  # of one stage
    stages: int
    tensor: float
    layer: Gemm
    output: Gemm
    cache_width: float  # bytes of a cached element
    decode: Decode
    prefill: Prefill
    alpha: float
    beta: float
    small_bandwidth: float  # of a layer's small kernels
    send_s: float
    host_fixed: float
    host_each: float
    hidden_host: bool  # behind the GPU, where scheduling is asynchronous
    graph_tokens: float  # steps of at most that many tokens replay a graph; 0: none
    full_graph: bool  # of steps that only decode; else attention is launched by the host
    launch_layer: float  # host seconds to launch one layer without a graph
    launch_attention: float  # and one attention between two pieces of a graph


@compiled
def product_s(m: float, n: float, k: float, g: Gemm) -> float:
    """Return the seconds of one GEMM."""
    return gemm_s(m, n, k, g.width, g.flops, g.bandwidth, g.fixed, g.q)


@compiled
def layer_s(work: Floats, c: Costs) -> float:
    """Return the GPU's seconds of one layer."""
    tokens, decodes, cached, pairs, chunks = work[0], work[1], work[2], work[3], work[4]
    seconds: float = product_s(tokens, c.qkv, c.hidden, c.layer)
    seconds += product_s(tokens, c.hidden, c.query, c.layer)
    seconds += product_s(tokens, 2.0 * c.intermediate, c.hidden, c.layer)
    seconds += product_s(tokens, c.hidden, c.intermediate, c.layer)
    if decodes > 0:
        d = c.decode
        seconds += decode_attention_s(
            cached, decodes, c.query, c.key, c.cache_width, d.bandwidth, d.fixed, d.each
        )
    if chunks > 0:
        p = c.prefill
        seconds += prefill_attention_s(pairs, chunks, c.query, c.key, p.flops, p.bandwidth, p.fixed)
    # Norms with residual read and write four times `hidden`; rotation and activation the rest.
    moved = 2.0 * tokens * (8.0 * c.hidden + 2.0 * c.qkv + 3.0 * c.intermediate)
    seconds += moved / c.small_bandwidth
    if c.tensor > 1:
        seconds += 2.0 * all_reduce_s(2.0 * tokens * c.hidden, c.tensor, c.alpha, c.beta)
    return seconds


@compiled
def step_s(work: Floats, c: Costs) -> tuple[float, float]:
    """Return until the first stage takes the next batch, and until the step's tokens are out.

    `work` holds: tokens, sequences that decode, their cached tokens, the sum over chunks of
    chunk^2 + 2 chunk past, the chunks' tokens, and the tokens sampled.
    """
    tokens, decodes, chunks, sampled = work[0], work[1], work[4], work[5]
    gpu = c.layers * layer_s(work, c)
    launch = c.layers * c.launch_layer
    if tokens <= c.graph_tokens:
        launch = 0.0 if c.full_graph and chunks == 0 else c.layers * c.launch_attention
    stage = max(gpu, launch)
    last = stage + product_s(sampled, c.vocabulary, c.hidden, c.output)
    host = c.host_fixed + c.host_each * (decodes + (1.0 if chunks > 0 else 0.0))
    last = max(last, host) if c.hidden_host else last + host
    send = c.send_s + 2.0 * tokens * c.hidden / c.tensor / c.beta
    return last, (c.stages - 1) * (stage + send) + last
