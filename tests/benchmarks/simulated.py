"""Throughput under the simulated clock, and the CPU time of a simulated trial.

    PYTHONPATH=. python tests/benchmarks/simulated.py

`random` and `asha` spend 300 full evaluations of 1 to 8 simulated seconds with 1 and with 64
workers; `asha` asks for the shares 1/9, 1/3 and 1. Throughput is the number of full evaluations per
simulated second, including the final phase in which fewer and fewer workers are busy. The target is
that 64 workers reach at least 20 times the throughput of one. The time per trial is the executor's
own, without the evaluation: `submit` and `next` together, with 1,024 pending trials.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

from experiments.running.executors.choice import SimulatedChoice
from experiments.running.executors.simulated import Simulated
from experiments.running.run import Run, RunSettings
from objectives.objective import Objective
from objectives.space import build_space
from objectives.trial import Evaluation, Fidelities, Trial

N_PENDING = 1024
N_TRIALS = 100_000
LEAST_RATIO = 20.0

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "random": {"_target_": "optimizers.random_search.RandomSearch"},
    "asha": {"_target_": "optimizers.asha.Asha", "eta": 3, "least": None},
}


class Costly(Objective):
    """A parabola whose cost differs between configurations, from 1 to 8 s."""

    space = build_space({"x": {"type": "float", "lower": 0.0, "upper": 1.0}})
    fidelities = Fidelities((1 / 9, 1 / 3, 1.0))
    cheap = True
    simulates_cost = True

    def evaluate(self, trial: Trial) -> Evaluation:
        x = float(trial.config["x"])
        return Evaluation((x - 0.37) ** 2, trial.fidelity * (1 + 7 * x))


def simulated_s(optimizer: str, workers: int, folder: Path) -> tuple[float, float, int]:
    """Return full evaluations per simulated second, wall seconds, and the number of trials."""
    settings = RunSettings(
        {"optimizer": optimizer, "objective": "costly"},
        OPTIMIZERS[optimizer],
        {},
        0,
        300.0,
        workers,
    )
    run = Run(settings, Costly(), SimulatedChoice())
    started = time.perf_counter()
    with run.open(folder) as log:
        run.execute(log)
        history = log.history
    wall = time.perf_counter() - started
    last = [
        line for line in (folder / "log.jsonl").read_text().splitlines() if "simulated_s" in line
    ]
    ends = float(last[-1].rpartition('"simulated_s": ')[2].rstrip("}"))
    return history.done / ends, wall, len(history.evaluations)


def microseconds() -> float:
    """Return the executor's own time per trial, with many pending trials."""
    executor = Simulated(Costly())
    plain = Costly()
    trials = [Trial(id, {"x": id % 1000 / 1000}) for id in range(N_TRIALS)]
    started = time.process_time()
    for trial in trials:
        plain.evaluate(trial)
    own = time.process_time() - started
    started = time.process_time()
    for trial in trials[:N_PENDING]:
        executor.submit(trial)
    for trial in trials[N_PENDING:]:
        executor.next()
        executor.submit(trial)
    return (time.process_time() - started - own) / N_TRIALS * 1e6


def main() -> None:
    for optimizer in OPTIMIZERS:
        rates = {}
        for workers in (1, 64):
            with tempfile.TemporaryDirectory() as name:
                rates[workers], wall, n = simulated_s(optimizer, workers, Path(name) / "run")
            print(
                f"{optimizer:7} {workers:3} workers: {rates[workers]:.3f} full evaluations per "
                f"simulated second, {n} trials in {wall:.2f} s of wall time"
            )
        ratio = rates[64] / rates[1]
        print(f"{optimizer:7} ratio {ratio:.1f}, target at least {LEAST_RATIO:g}")
    print(f"the executor's own time: {microseconds():.1f} us a trial, {N_PENDING} pending")


if __name__ == "__main__":
    main()
