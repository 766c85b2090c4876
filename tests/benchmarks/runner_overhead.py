"""The runner's overhead per evaluation, including its durable log.

    PYTHONPATH=. python tests/benchmarks/runner_overhead.py
    PYTHONPATH=. python tests/benchmarks/runner_overhead.py --folder /dev/shm

The optimizer and the objective do almost nothing; they have five parameters and three metrics, like
`lora_ft`. The overhead is the user and system CPU time, minus that of the same asks, evaluations
and tells in a plain loop. The target is 0.1 ms beyond `fdatasync`. An evaluation has two events and
one `fdatasync`, whose CPU time in the kernel depends on the disk and its other users. It is shown
separately, from a loop of only the same writes, and is almost zero in memory (/dev/shm). Waiting
for the disk takes no CPU time, but it is part of the wall time.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from experiments.running.executors.inline import Inline
from experiments.running.header import Header
from experiments.running.run import Run, RunSettings
from experiments.running.run_log import RunLog
from experiments.running.runner import run
from objectives.objective import Objective
from objectives.space import build_space
from objectives.trial import Config, Evaluation, Trial
from optimizers.optimizer import Optimizer

N_EVALUATIONS = 500
N_REPEATS = 5

SPACE = build_space({f"parameter_{i}": {"type": "float", "lower": 0, "upper": 1} for i in range(5)})
CONFIG: Config = {f"parameter_{i}": 0.1234567890123456 + i / 10 for i in range(5)}
METRICS = {"accuracy": 0.4321, "accuracy_norm": 0.5432, "held_out_loss": 1.23456789}


class Fixed(Optimizer):
    """Asks for the same configuration repeatedly."""

    def ask(self, n: int = 1) -> list[Trial]:
        return [self._trial(CONFIG) for _ in range(n)]

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        pass


class Constant(Objective):
    """Returns a fixed answer."""

    space = SPACE
    cheap = True

    def evaluate(self, trial: Trial) -> Evaluation:
        return Evaluation(0.5679, 0.0, METRICS)


def plain(folder: Path) -> None:
    """Do what the optimizer and the objective do in a run, without a runner."""
    optimizer, objective = Fixed(SPACE, seed=0), Constant()
    for _ in range(N_EVALUATIONS):
        for trial in optimizer.ask(1):
            optimizer.tell(trial, objective.evaluate(trial))


@cache
def header() -> Header:
    """Return the header of the log, which is created once."""
    names = {"optimizer": "fixed", "objective": "constant"}
    settings = {"_target_": "optimizers.random_search.RandomSearch"}  # only for the header
    return Run(RunSettings(names, settings, {}, 0, N_EVALUATIONS), Constant()).header


def logged(folder: Path) -> None:
    """Make the run, as `run.py` does after it has read its settings."""
    optimizer, objective = Fixed(SPACE, seed=0), Constant()
    with RunLog(folder) as log:
        log.begin(header())
        run(optimizer, N_EVALUATIONS, log, Inline(objective))
    assert len(log.history.evaluations) == N_EVALUATIONS


def written(folder: Path) -> None:
    """Write the lines of that run's log to the disk again, one by one."""
    lines = (folder / "log.jsonl").read_bytes().splitlines(keepends=True)
    file = os.open(folder / "again", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for line in lines:
        os.write(file, line)
        if b'"event": "evaluation"' in line:  # an ask is on the disk with its evaluation
            os.fdatasync(file)
    os.close(file)


def milliseconds(work: Callable[[Path], None], folder: Path) -> tuple[float, float]:
    """Return CPU and wall time of one call, in ms per evaluation."""
    processor, wall = time.process_time(), time.perf_counter()
    work(folder)
    spent = (time.process_time() - processor, time.perf_counter() - wall)
    return spent[0] * 1e3 / N_EVALUATIONS, spent[1] * 1e3 / N_EVALUATIONS


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", help="where to write (default: the folder for temporary files)")
    arguments = parser.parse_args()
    header()
    rows: dict[str, list[float]] = {
        "runner with log, CPU": [],
        "fdatasync alone, CPU": [],
        "wall": [],
    }
    for _ in range(N_REPEATS):
        with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
            own, _ = milliseconds(plain, Path(name))
            whole, wall = milliseconds(logged, Path(name))
            disk, _ = milliseconds(written, Path(name))
        for times, ms in zip(rows.values(), (whole - own, disk, wall), strict=True):
            times.append(ms)
    for label, times in rows.items():
        each = ", ".join(f"{ms:.3f}" for ms in times)
        print(f"{label:22} {statistics.median(times):.3f} ms an evaluation  ({each})")


if __name__ == "__main__":
    main()
