"""Fit the closed forms of `kernels.py` to the measured kernel times of aiconfigurator-core.

`python -m objectives.serving.simulator.fit` writes `kernel_constants.csv` next to this file: one
row per system, engine, kernel and number format, with the constants and their errors on a held-out
fifth of the rows. It takes about two minutes on one core.

The tables are `systems/data/<system>/<family>/<engine>/<version>/*.parquet` of
aiconfigurator-core 0.12 (Apache-2.0): milliseconds of one kernel, measured by NVIDIA. For each
engine, the highest version is read. Three groups of rows are kept: GEMMs with m <= 32768 and n, k
>= 512 (no layer of a model here is smaller); attention with heads of 128 elements, without a window
and without Triton kernels; and all-reduces of at least 4 KiB. The fit minimises a smoothed absolute
error of log(time).
"""

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas
from numpy.typing import NDArray
from scipy.optimize import least_squares

from objectives.serving.simulator.kernels import (
    COLUMNS,
    CONSTANTS_FILE,
    all_reduce_s,
    decode_attention_s,
    gemm_s,
    prefill_attention_s,
)

SYSTEMS = ("a100_sxm", "h100_sxm", "h200_sxm", "b200_sxm", "gb200")
ENGINES = ("vllm", "sglang", "trtllm")
BYTES = {"bfloat16": 2.0, "fp8": 1.0, "fp8_block": 1.0, "nvfp4": 0.5}
HEAD = 128  # elements of an attention head
MILLISECOND = 1e-3

Array = NDArray[np.float64]


def main() -> None:
    """Fit every table and write the constants with their held-out errors."""
    with CONSTANTS_FILE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for system in SYSTEMS:
            for engine in ENGINES:
                for row in fitted(system, engine):
                    writer.writerow([_short(value) for value in (system, engine, *row)])
                    print(system, engine, *map(_short, row), flush=True)
            for row in _all_reduce(system, "nccl"):
                writer.writerow([_short(value) for value in (system, "nccl", *row)])


def fitted(system: str, engine: str) -> Iterator[tuple[Any, ...]]:
    """Yield one row of `COLUMNS` (without system and engine) per kernel and number format."""
    table = _table(system, "gemm", engine, "gemm_perf")
    table = table[(table.m <= 32768) & (table.n >= 512) & (table.k >= 512)]
    for dtype, rows in table.groupby("gemm_dtype"):
        if dtype in BYTES:
            best = rows.groupby(["m", "n", "k"], as_index=False).latency.min()
            m, n, k = (best[name].to_numpy(float) for name in ("m", "n", "k"))
            width = BYTES[str(dtype)]
            starts = (250e12 / width * 2, 1.5e12, 6e-6, 1.6)
            yield _fit("gemm", dtype, (m, n, k, width), gemm_s, starts, best.latency)
    yield from _attention(system, engine)
    yield from _all_reduce(system, engine)


def _attention(system: str, engine: str) -> Iterator[tuple[Any, ...]]:
    for kernel, name in (("decode", "generation"), ("prefill", "context")):
        table = _table(system, "attention", engine, f"{name}_attention_perf")
        keep = (table.head_dim == HEAD) & (table.num_key_value_heads <= 8)
        keep &= ~table.kernel_source.str.contains("triton") & (table.attn_dtype == "bfloat16")
        if "window_size" in table:
            keep &= table.window_size == 0
        for dtype, rows in table[keep].groupby("kv_cache_dtype"):
            names = ("batch_size", "num_heads", "num_key_value_heads", "isl", "step")
            batch, heads, kv_heads, isl, step = (rows[one].to_numpy(float) for one in names)
            width = BYTES[str(dtype)]
            shape: tuple[Any, ...]
            if kernel == "decode":
                tokens = batch * (isl + step)
                shape = (tokens, batch, heads * HEAD, kv_heads * HEAD, width)
                yield _fit(
                    kernel, dtype, shape, decode_attention_s, (1.3e12, 1e-5, 1e-11), rows.latency
                )
            else:
                pairs, tokens = batch * isl**2, batch * isl
                shape = (pairs, tokens, heads * HEAD, kv_heads * HEAD)
                yield _fit(
                    kernel, dtype, shape, prefill_attention_s, (2e14, 1e12, 1e-5), rows.latency
                )


def _all_reduce(system: str, engine: str) -> Iterator[tuple[Any, ...]]:
    name = "nccl_perf" if engine == "nccl" else "custom_allreduce_perf"
    table = _table(system, "comm", engine, name)
    table = table[(table.message_size >= 2048) & (table.op_name == "all_reduce")]
    if engine == "nccl":
        table = table[table.nccl_dtype == "half"]
    eager = table.kernel_source.str.contains("eager")
    for mode, part in (("graph", table[~eager]), ("eager", table[eager])):
        for gpus, rows in part.groupby("num_gpus"):
            size = 2.0 * rows.message_size.to_numpy(float)  # elements of two bytes
            shape = (size, float(gpus))
            yield _fit(f"all_reduce_{gpus}", mode, shape, all_reduce_s, (8e-6, 2e11), rows.latency)


def _fit(
    kernel: str,
    dtype: object,
    shape: tuple[Any, ...],
    form: Callable[..., Any],
    starts: tuple[float, ...],
    latency: Any,
) -> tuple[Any, ...]:
    """Fit the constants of one form on four fifths of the rows; compute errors on the rest."""
    seconds = latency.to_numpy(float) * MILLISECOND
    held_out = np.random.default_rng(0).permutation(len(seconds)) % 5 == 0

    def log_ratio(parameters: Array, rows: NDArray[np.bool_]) -> Array:
        part = [one[rows] if isinstance(one, np.ndarray) else one for one in shape]
        ratio: Array = np.log(form(*part, *np.exp(parameters)) / seconds[rows])
        return ratio

    found = least_squares(
        log_ratio, np.log(starts), args=(~held_out,), loss="soft_l1", f_scale=0.1, x_scale=1.0
    )
    errors = np.abs(np.expm1(log_ratio(found.x, held_out)))
    constants = [float(value) for value in np.exp(found.x)]
    constants += [float("nan")] * (4 - len(constants))
    quantiles = (float(np.median(errors)), float(np.quantile(errors, 0.9)))
    return (kernel, dtype, *constants, len(seconds), int(held_out.sum()), *quantiles)


def _table(system: str, family: str, engine: str, name: str) -> Any:
    """Return the table from the highest version of the engine that contains it."""
    import aiconfigurator_core

    root = Path(aiconfigurator_core.__file__).parent / "systems/data" / system / family / engine
    paths = sorted(root.glob(f"*/{name}.parquet"), key=lambda path: _version(path.parent.name))
    if not paths:
        raise FileNotFoundError(f"{root}: expected {name}.parquet in a version's folder, got none")
    return pandas.read_parquet(paths[-1])


def _version(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def _short(value: object) -> object:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.4g}"
    return value


if __name__ == "__main__":
    main()
