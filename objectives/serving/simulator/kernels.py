"""Times of the kernels of a transformer on a GPU: closed forms and their constants.

All quantities are in SI units. `fit.py` fits the forms to measured kernels. `kernel_constants.csv`
holds the constants of each system, engine and number format, with their errors on held-out rows.

    GEMM (m, n, k)      [(2mnk/F)^q + ((w(mk + kn) + 2mn)/B)^q]^(1/q) + c,  w bytes an operand
    decode attention    2 w K n_kv d / B + c + e n_d n_q d,     K cached tokens of n_d sequences
    prefill attention   2 P n_q d / F + 4 m (n_q + n_kv) d / B + c,  P = sum chunk (chunk + 2 past)
    all-reduce          alpha + 2 (t - 1)/t bytes / beta,       t GPUs

n_q and n_kv are the numbers of heads on one GPU, and d is the number of elements of a head.
"""

import csv
from functools import cache
from pathlib import Path

from objectives.serving.simulator.compiled import compiled

CONSTANTS_FILE = Path(__file__).parent / "kernel_constants.csv"
COLUMNS = (
    *("system", "engine", "kernel", "dtype", "a", "b", "c", "d"),
    *("rows", "held_out", "median_error", "p90_error"),
)


@compiled
def gemm_s(
    m: float,
    n: float,
    k: float,
    width: float,
    flops: float,
    bandwidth: float,
    fixed: float,
    q: float,
) -> float:
    """Return the seconds of one (m, k) by (k, n) product with operands of `width` bytes."""
    compute = 2.0 * m * n * k / flops
    memory = (width * (m * k + k * n) + 2.0 * m * n) / bandwidth
    seconds: float = (compute**q + memory**q) ** (1.0 / q) + fixed
    return seconds


@compiled
def decode_attention_s(
    cached: float,
    sequences: float,
    query: float,
    key: float,
    width: float,
    bandwidth: float,
    fixed: float,
    each: float,
) -> float:
    """Return the seconds of one layer's attention over `cached` tokens of all sequences.

    `query` and `key` are the numbers of elements of a token's queries and keys on one GPU. `width`
    is the number of bytes of a cached element.
    """
    return 2.0 * width * cached * key / bandwidth + fixed + each * sequences * query


@compiled
def prefill_attention_s(
    pairs: float,
    tokens: float,
    query: float,
    key: float,
    flops: float,
    bandwidth: float,
    fixed: float,
) -> float:
    """Return the seconds of one layer's causal attention of `tokens` new tokens.

    `pairs` is the sum over the chunks of chunk^2 + 2 chunk past.
    """
    return 2.0 * pairs * query / flops + 4.0 * tokens * (query + key) / bandwidth + fixed


@compiled
def all_reduce_s(size: float, gpus: float, alpha: float, beta: float) -> float:
    """Return the seconds of an all-reduce of `size` bytes over the GPUs of a node."""
    return alpha + 2.0 * (gpus - 1.0) / gpus * size / beta


@cache
def constants(system: str, engine: str, kernel: str, dtype: str) -> tuple[float, ...]:
    """Return a kernel's fitted constants, in the order of the last arguments of its form.

    Raises:
        ValueError: there are no measurements of the kernel.
    """
    with CONSTANTS_FILE.open(newline="") as file:
        for row in csv.DictReader(file):
            if (row["system"], row["engine"], row["kernel"], row["dtype"]) == (
                system,
                engine,
                kernel,
                dtype,
            ):
                return tuple(float(row[name]) for name in "abcd" if row[name])
    raise ValueError(
        f"kernel: expected one of {CONSTANTS_FILE.name}, got {system} {engine} {kernel} {dtype}"
    )
