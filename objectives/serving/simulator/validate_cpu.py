"""Compare signs and order of a measured CPU sweep with the simulator's scheduler.

Usage: `python -m objectives.serving.simulator.validate_cpu [table=FILE]`. The sweep ran llama.cpp
with SmolLM2-135M on two cores, with 8 requests in flight and 16 in total. Each prompt had 64 shared
tokens and about 86 others, and each answer had 32 tokens. The sweep was measured once; the base
configuration was measured five times and varied by 4 %.

Two constants are set by hand from two of the rows: the computing rate from the base's time to first
token, and the bandwidth from the latency between tokens with one slot. Nothing else is fitted, so
only the signs (relative to the base) and the order are meaningful. Flash attention, formats of the
KV cache, oversubscribed threads and static batches are left out, because the simulator does not
model them.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from objectives.serving.simulator.deployment import Settings
from objectives.serving.simulator.scheduler import serve
from objectives.serving.simulator.state import GAPS, Rules, new_state
from objectives.serving.simulator.steps import Costs, Decode, Gemm, Prefill
from objectives.serving.simulator.words import Program, write_table

COMPUTE = 1.75e11  # FLOP/s of two cores, from the base's TTFT
BANDWIDTH = 1.0e10  # bytes/s of weights, from one slot's ITL
WIDTH = 0.625  # bytes of a weight, Q4_1
METRICS = ("tokens_per_s", "ttft_p50_s", "itl_p50_s")
NOISE = 0.08  # two standard deviations; a smaller measured change has no sign
SHARED, PROMPT, ANSWER, REQUESTS, CONCURRENCY = 64, 150, 32, 16, 8


@dataclass(frozen=True)
class Case:
    """One setting and its measured metrics, in the order of `METRICS`."""

    name: str
    measured: tuple[float, float, float]
    slots: int = 8
    batch: int = 2048
    compute: float = COMPUTE
    shared: int = SHARED


CASES = (
    Case("base", (68.5, 1.696, 0.0405)),
    Case("batch 64", (70.6, 0.546, 0.037), batch=64),
    Case("threads_batch 1", (40.8, 2.820, 0.068), compute=COMPUTE / 2),
    Case("slots 1", (65.0, 3.534, 0.0087), slots=1),
    Case("slots 2", (64.0, 3.057, 0.017), slots=2),
    Case("slots 4", (69.0, 2.493, 0.026), slots=4),
    Case("slots 16", (68.0, 2.451, 0.041), slots=16),
    Case("no prompt cache", (55.1, 3.332, 0.042), shared=0),
)


def costs(compute: float) -> Costs:
    """Return SmolLM2-135M on the CPU: 30 layers, 576 wide, 9 heads of 64, 3 of keys."""
    gemm = Gemm(WIDTH, compute, BANDWIDTH, 0.0, 1.0)
    return Costs(
        hidden=576.0,
        qkv=(9 + 2 * 3) * 64.0,
        query=576.0,
        key=192.0,
        intermediate=1536.0,
        vocabulary=49152.0,
        layers=30.0,
        stages=1,
        tensor=1.0,
        layer=gemm,
        output=gemm,
        cache_width=2.0,
        decode=Decode(BANDWIDTH, 0.0, 0.0),
        prefill=Prefill(compute, BANDWIDTH, 0.0),
        alpha=0.0,
        beta=1e11,
        skew_s=0.0,
        small_bandwidth=BANDWIDTH,
        send_s=0.0,
        host_fixed=0.0,
        host_each=0.0,
        hidden_host=False,
        graph_tokens=0.0,
        full_tokens=0.0,
        launch_layer=0.0,
        launch_pieces=0.0,
        gap=0.0,
    )


def simulated(case: Case) -> tuple[float, ...]:
    """Return the metrics of a setting, in the order of `METRICS`."""
    rules = Rules(
        max_sequences=case.slots,
        token_budget=case.batch,
        chunked=True,
        prefill_first=False,
        chunk_limit=case.batch,
        block=Settings().block_size,
        blocks=100_000,
        policy=0,
        prefix=case.shared,
        concurrency=CONCURRENCY,
        limit_s=1e6,
        drafts=0,
        found=0.0,
        accepted=0.0,
        noise=0.0,
        pace=1.0,
    )
    prompts, answers = np.full(REQUESTS, PROMPT), np.full(REQUESTS, ANSWER)
    state = new_state(prompts, answers, None, rules)
    end = serve(state, rules, costs(case.compute), np.random.default_rng(0))
    ttft = float(np.median(state.first - state.arrived))
    gaps = state.gaps[: state.counter[GAPS]]
    return REQUESTS * ANSWER / end, ttft, float(np.median(gaps))


def sign(value: float, base: float) -> int:
    """Return the sign of a change, 0 within the noise."""
    change = value / base - 1
    return 0 if abs(change) <= NOISE else int(np.sign(change))


PROGRAM = Program(
    "objectives.serving.simulator.validate_cpu",
    "Compare signs and order of a measured CPU sweep with those of the simulator.",
    [("table=signs.csv", "also writes the table")],
)


def main(arguments: Sequence[str]) -> int:
    """Print the sweep, the signs that agree and the rank correlations; return the exit status."""
    return PROGRAM.answer(arguments, _print)


def _print(_: Path, words: dict[str, str]) -> None:
    found = np.array([simulated(case) for case in CASES])
    measured = np.array([case.measured for case in CASES])
    lines: list[list[str]] = [["metric", "setting", "measured", "simulated", "signs"]]
    for column, metric in enumerate(METRICS):
        agreed = clear = 0
        for row, case in enumerate(CASES):
            ours = sign(found[row, column], found[0, column])
            theirs = sign(measured[row, column], measured[0, column])
            agreed += theirs != 0 and ours == theirs
            clear += theirs != 0
            signs = f"{theirs:+d} {ours:+d}" if row else ""
            values = [f"{table[row, column]:.4g}" for table in (measured, found)]
            lines.append([metric, case.name, *values, signs])
        rho = spearmanr(found[:, column], measured[:, column]).statistic
        lines.append([metric, "(all)", f"{agreed} of {clear} signs", f"rho {rho:.2f}", ""])
    for one in lines:
        print("  ".join(cell.ljust(18) for cell in one).rstrip())
    write_table(words["table"], lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
