"""What real workers cost: efficiency at two workers, and a runner with 1,000 trials in flight.

    PYTHONPATH=.:tests python tests/benchmarks/workers.py [--executors processes,ray]

Efficiency: 40 evaluations that sleep 1 s on two workers; the time that the evaluations take,
divided by two workers times the wall time, once with the start of the workers and once from the
first answer to the last. Target: at least 0.9.

In flight: a stand-in for workers answers each of 1,000 trials one second after it was submitted,
10,000 trials in all; as with real workers, the log need not be flushed for each answer. The runner
keeps up if it takes at least 950 answers per second between the first and the last one.
"""

import argparse
import heapq
import tempfile
import time
from pathlib import Path
from typing import Any

from experiments.running.events import Evaluated
from experiments.running.executors.choice import RayChoice, SlurmChoice, processes
from experiments.running.executors.executor import Answer
from experiments.running.executors.handover import Handover
from experiments.running.run import Run, RunSettings
from experiments.running.run_log import read
from objectives.objective import Objective
from objectives.space import build_space
from objectives.trial import Evaluation, Trial

N_EVALUATIONS = 40
N_IN_FLIGHT = 1000
N_ANSWERS = 10_000
RANDOM = {"_target_": "optimizers.random_search.RandomSearch"}
FACTORIES: dict[str, Any] = {
    "processes": processes,
    "ray": RayChoice(cpus=2),
    "slurm": SlurmChoice(poll_s=1.0),
}


class Sleeping(Objective):
    """Sleeps for a second."""

    space = build_space({f"x{i}": {"type": "float", "lower": 0.0, "upper": 1.0} for i in range(5)})

    def evaluate(self, trial: Trial) -> Evaluation:
        time.sleep(1.0)
        return Evaluation(1.0, 1.0, {"accuracy": 0.5})


class InFlight:
    """Answers every trial one second after it was submitted."""

    rounds = False
    flush = False

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Trial]] = []

    def start(self, folder: Path, pending: list[Trial]) -> list[Answer]:
        self._handover = Handover(folder)
        return []

    def submit(self, trial: Trial) -> None:
        heapq.heappush(self._due, (time.monotonic() + 1.0, trial.id, trial))

    def next(self) -> Answer:
        due, _, trial = heapq.heappop(self._due)
        time.sleep(max(due - time.monotonic(), 0.0))
        return Answer(trial, Evaluation(1.0, 1.0, {"accuracy": 0.5}))

    def forget(self, trials: list[Trial]) -> None:
        for trial in trials:
            self._handover.remove(trial)

    def test(self, trial: Trial) -> dict[str, float]:
        return {}

    def close(self) -> None:
        pass


def settings(budget: int, workers: int) -> RunSettings:
    names = {"optimizer": "random", "objective": "sleeping"}
    return RunSettings(names, RANDOM, {}, 0, float(budget), workers)


def _times(log: Path) -> list[float]:
    return [event.time for event in read(log).events if isinstance(event, Evaluated)]


def efficiency(name: str) -> tuple[float, float]:
    """Return the efficiency of two workers with their start, and without it."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run = Run(settings(N_EVALUATIONS, 2), Sleeping(), FACTORIES[name])
        with run.open(Path(folder)) as log:
            run.execute(log)
            wall = time.perf_counter() - started
        times = _times(log.path)
    steady = (len(times) - 2) / (2 * (times[-1] - times[0]))
    return N_EVALUATIONS / (2 * wall), steady


def answers_per_s() -> tuple[float, float]:
    """Return the answers per second, and processor time per trial in ms."""
    with tempfile.TemporaryDirectory() as folder:
        run = Run(settings(N_ANSWERS, N_IN_FLIGHT), Sleeping(), lambda *given: InFlight())
        with run.open(Path(folder)) as log:
            processor = time.process_time()
            run.execute(log)
            cpu = time.process_time() - processor
        times = _times(log.path)
    return (N_ANSWERS - 1) / (times[-1] - times[0]), cpu / N_ANSWERS * 1e3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--executors", default="processes")
    given = parser.parse_args()
    rate, cpu_ms = answers_per_s()
    print(f"{N_IN_FLIGHT} in flight: {rate:.0f} answers/s, {cpu_ms:.3f} ms of processor time each")
    for name in filter(None, given.executors.split(",")):
        whole, steady = efficiency(name)
        print(f"{name:10} 2 workers: efficiency {whole:.3f} with their start, {steady:.3f} without")


if __name__ == "__main__":
    main()
