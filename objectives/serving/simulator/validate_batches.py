"""Compare the simulator with offline batches of vLLM on A100 and H100.

Usage: `python -m objectives.serving.simulator.validate_batches CSV [half=test] [table=FILE]`.

The CSV file has the form of `measured_batches.csv` (argonne-lcf/LLM-Inference-Bench, BSD-3): each
row holds the latency of one batch with equally many input and output tokens. For each card, number
of GPUs and batch size, the program prints the median ratio of simulated to measured latency and the
median error.

The source does not state the version of vLLM, its settings or the memory of the A100. The
measurements are from 2024, when vLLM's scheduler ran between the steps and took longer for every
sequence. `HOST_FIXED` and `HOST_EACH` describe that scheduler. They were chosen on the calibration
half, the rows whose CRC-32 is even. The A100 is assumed to have 40 GB.
"""

import csv
import sys
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from objectives.serving.load.arrivals import Plan
from objectives.serving.simulator.cards import MODELS, Model, System, system_of
from objectives.serving.simulator.deployment import OVERHEADS, Deployment, Settings
from objectives.serving.simulator.memory import kv_blocks
from objectives.serving.simulator.node import serve_load
from objectives.serving.simulator.words import TABLE, Program, choice, write_table

HOST_FIXED = 1.5e-3  # seconds per step of vLLM's scheduler of 2024
HOST_EACH = 60e-6  # seconds per sequence
HALVES = ("all", "calibration", "test")
HEADER = ("card", "gpus", "batch", "rows", "ratio", "median_error", "refused")
COLUMNS = ("Hardware", "Num of Hardware", "Model", "Input Output Length", "Batch Size", "Latency")
CARDS: Mapping[str, System] = {
    "Nvidia A100 GPU": system_of("a100_sxm", 40.0, 1.555),
    "Nvidia H100 GPU": system_of("h100_sxm"),
}
SHAPES = {  # from each model's config.json
    "meta-llama/Llama-2-7b-hf": Model("llama-2-7b", 32, 4096, 32, 32, 128, 11008, 32000),
    "meta-llama/Meta-Llama-3-8B": MODELS["llama-3.1-8b"],
    "mistralai/Mistral-7B-v0.1": Model("mistral-7b", 32, 4096, 32, 8, 128, 14336, 32000),
    "Qwen/Qwen2-7B": Model("qwen2-7b", 28, 3584, 28, 4, 128, 18944, 152064),
    "meta-llama/Llama-2-70b-hf": Model("llama-2-70b", 80, 8192, 64, 8, 128, 28672, 32000),
    "meta-llama/Meta-Llama-3-70B": MODELS["llama-3.1-70b"],
    "Qwen/Qwen2-72B": Model("qwen2-72b", 80, 8192, 64, 8, 128, 29568, 152064),
}


PROGRAM = Program(
    "objectives.serving.simulator.validate_batches",
    "Compare the simulator with measured batches, and print the ratios by card, GPUs and batch.",
    [("batches.csv", "the test half"), ("batches.csv half=all table=ratios.csv", "all rows")],
    "a CSV of measured batches",
    {"half": choice("Which rows: all, or one half.", "test", HALVES), "table": TABLE},
)


def main(arguments: Sequence[str]) -> int:
    """Print the table; return the exit status."""
    return PROGRAM.answer(arguments, _print)


def _print(path: Path, words: dict[str, str]) -> None:
    half = words["half"]
    lines = table([row for row in read(path) if half in ("all", half_of(row))])
    write_table(words["table"], [HEADER, *lines])
    for line in [HEADER, *lines]:
        print("  ".join(cell.ljust(16) for cell in line).rstrip())


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of the models whose shape is known.

    Raises:
        OSError: the file cannot be read.
        ValueError: a column is missing.
    """
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path}: expected the columns {list(COLUMNS)}, got no {missing[0]}")
        return [row for row in reader if row["Model"] in SHAPES and row["Hardware"] in CARDS]


def half_of(row: Mapping[str, str]) -> str:
    """Return the half to which a row belongs, by the CRC-32 of its configuration."""
    text = ",".join(row[name] for name in COLUMNS[:-1])
    return HALVES[1 + zlib.crc32(text.encode()) % 2]


def table(rows: Sequence[Mapping[str, str]]) -> list[tuple[str, ...]]:
    """Return the lines under `HEADER`."""
    ratios: dict[tuple[str, int, int], list[float | None]] = defaultdict(list)
    for row in rows:
        key = (row["Hardware"], int(row["Num of Hardware"]), int(row["Batch Size"]))
        simulated = latency_s(row)
        measured = float(row["Latency"])
        ratios[key].append(None if simulated is None else simulated / measured)
    lines: list[tuple[str, ...]] = []
    for (card, gpus, batch), found in sorted(ratios.items()):
        known = np.array([ratio for ratio in found if ratio is not None])
        figures = ("", "")
        if len(known):
            error = np.median(np.abs(known - 1))
            figures = (f"{np.median(known):.3f}", f"{error:.3f}")
        counts = (str(len(found)), *figures, str(len(found) - len(known)))
        lines.append((card, str(gpus), str(batch), *counts))
    return lines


def latency_s(row: Mapping[str, str]) -> float | None:
    """Return the simulated seconds of a batch; None if it does not fit into the memory."""
    gpus, length = int(row["Num of Hardware"]), int(row["Input Output Length"])
    batch = int(row["Batch Size"])
    over = replace(OVERHEADS["vllm"], host_fixed=HOST_FIXED, host_each=HOST_EACH)
    shape, card = SHAPES[row["Model"]], CARDS[row["Hardware"]]
    deployment = Deployment(shape, card, "vllm", "bfloat16", over, 0.0)
    settings = Settings(
        tensor_parallel_size=gpus,
        max_num_seqs=max(batch, 8),
        max_num_batched_tokens=8192,
        enable_prefix_caching=False,
    )
    if kv_blocks(deployment, settings) * settings.block_size < 2 * length:
        return None
    lengths = np.full(batch, length)
    plan = Plan(lengths, lengths, np.zeros(batch), None, 0)
    return float(np.nanmax(serve_load(deployment, settings, plan, 1e9, (0,)).requests.end_s))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
