"""Compute the seconds of one step of an engine from its work and the costs of its kernels.

    layer = GEMMs of qkv, o, gate-up and down, split over tp, + attention + small kernels
            + two all-reduces if tp > 1
    stage = layers / pp times layer, + the output layer's GEMM over the sampled tokens step = pp
    stages with a send between them, + the host's h0 + h1 per sequence,
            or the maximum of the two if scheduling is asynchronous

A step without a CUDA graph takes at least the time in which the host launches its kernels. A step
with a graph is padded to the next captured size (`padded`). With a piecewise graph, the GPU idles
for a moment at each attention, because the host launches it. With one graph of the whole step, it
does not. Every all-reduce waits for the slowest rank (`skew_s`).
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
    """The bytes of an operand and the constants of `gemm_s`."""

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
    """The quantities of one GPU of a replica: sizes in elements per GPU, all else in SI units."""

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
    skew_s: float  # time that the ranks wait for the slowest one at an all-reduce
    small_bandwidth: float  # of a layer's small kernels
    send_s: float
    host_fixed: float
    host_each: float
    hidden_host: bool  # whether the host's time is hidden by the GPU's (asynchronous scheduling)
    graph_tokens: float  # the largest captured size, up to which steps replay a graph; 0: none
    full_tokens: float  # the same for graphs of a whole step, used by steps that only decode
    launch_layer: float  # host seconds to launch one layer without a graph
    launch_pieces: float  # host seconds to launch one layer's graph pieces and the attention
    gap: float  # seconds that the GPU idles at an attention between two pieces of a graph


@compiled
def product_s(m: float, n: float, k: float, g: Gemm) -> float:
    """Return the seconds of one GEMM."""
    return gemm_s(m, n, k, g.width, g.flops, g.bandwidth, g.fixed, g.q)


@compiled
def padded(tokens: float) -> float:
    """Return the captured size that a step with a number of tokens replays.

    vLLM captures 1, 2, 4, the multiples of 8 up to 256, and the multiples of 16 above.
    """
    if tokens <= 2.0:
        return max(tokens, 1.0)
    if tokens <= 4.0:
        return 4.0
    width = 8.0 if tokens <= 256.0 else 16.0
    return float(np.ceil(tokens / width) * width)


@compiled
def layer_s(work: Floats, tokens: float, c: Costs) -> float:
    """Return the GPU's seconds of one layer; `tokens` includes the padding."""
    decodes, cached, pairs, chunks = work[1], work[2], work[3], work[4]
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
    # The norms with residual read and write four times `hidden`; rotation and activation the rest.
    moved = 2.0 * tokens * (8.0 * c.hidden + 2.0 * c.qkv + 3.0 * c.intermediate)
    seconds += moved / c.small_bandwidth
    if c.tensor > 1:
        size = 2.0 * tokens * c.hidden
        seconds += 2.0 * (all_reduce_s(size, c.tensor, c.alpha, c.beta) + c.skew_s)
    return seconds


@compiled
def step_s(work: Floats, c: Costs) -> tuple[float, float]:
    """Return the seconds until the first stage is free and until the step's tokens are out.

    `work` holds the tokens, the decoding sequences, their cached tokens, the sum over chunks of
    chunk^2 + 2 chunk past, the chunks' tokens, and the tokens sampled.
    """
    tokens, decodes, chunks, sampled = work[0], work[1], work[4], work[5]
    size = padded(tokens)
    if chunks == 0 and size <= c.full_tokens:
        stage = c.layers * layer_s(work, size, c)
    elif size <= c.graph_tokens:
        stage = c.layers * max(layer_s(work, size, c) + c.gap, c.launch_pieces)
    else:
        stage = c.layers * max(layer_s(work, tokens, c), c.launch_layer)
    last = stage + product_s(sampled, c.vocabulary, c.hidden, c.output)
    host = c.host_fixed + c.host_each * (decodes + (1.0 if chunks > 0 else 0.0))
    last = max(last, host) if c.hidden_host else last + host
    send = c.send_s + 2.0 * tokens * c.hidden / c.tensor / c.beta
    return last, (c.stages - 1) * (stage + send) + last
