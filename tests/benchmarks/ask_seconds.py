"""CPU seconds of every optimizer in conf/optimizer: of an ask, and of a whole run.

    PYTHONPATH=. OMP_NUM_THREADS=1 python tests/benchmarks/ask_seconds.py
    PYTHONPATH=. OMP_NUM_THREADS=1 python tests/benchmarks/ask_seconds.py --dimension 20 \
        --optimizers gp_bo turbo

Prints Markdown. A run has 50 full evaluations of a BBOB function (f8), one trial at a time. An
optimizer that needs fidelities has mf_hartmann6 in 6-D instead, and the same budget in full
evaluations, so more trials. An ask is the ask with the tell of its answer; "late" is the median of
the last ten. Imports are left out, but not what a library does at its first ask. The time is CPU
time of all threads of the process. About two CPU minutes for all in 5-D.
"""

import argparse
from pathlib import Path
from time import process_time

import numpy as np
import tables

from experiments.running.composing import composed
from experiments.running.making import Problem, make_optimizer
from experiments.running.making_objective import make_objective
from objectives.objective import Objective
from objectives.trial import Trial

BUDGET = 50
FIDELITIES = "mf_hartmann6"
Times = list[float]


def objective(words: list[str]) -> Objective:
    """Return an objective as the command line would make it."""
    settings = composed("config", [f"objective={words[0]}", *words[1:]]).objective
    return make_objective(dict(settings))


def asks(name: str, function: Objective) -> Times:
    """Return the CPU seconds of each ask with its tell in one run.

    Raises:
        ValueError: the optimizer cannot be made for this objective.
    """
    words = [f"optimizer={word}" if at == 0 else word for at, word in enumerate(name.split())]
    settings = composed("config", [*words, f"budget={BUDGET}", "seed=1"]).optimizer
    problem = Problem(function.space, function.fidelities)
    made = make_optimizer(dict(settings), problem, seed=1)
    shares: dict[int, float] = {}
    found: Times = []
    spent = 0.0
    while spent < BUDGET - 1e-9:
        start = process_time()
        trials = made.ask(1)
        seconds = process_time() - start
        if not trials:
            break
        (trial,) = trials
        spent += trial.fidelity - _resumed(trial, shares)
        evaluation = function.evaluate(trial)
        shares[trial.id] = trial.fidelity
        start = process_time()
        made.tell(trial, evaluation)
        found.append(seconds + process_time() - start)
    made.close()
    return found


def _resumed(trial: Trial, shares: dict[int, float]) -> float:
    return 0.0 if trial.resumes is None else shares[trial.resumes]


def row(name: str, dimension: int) -> list[str]:
    """Return the cells of one optimizer."""
    full = ["bbob", "objective.function=8", f"objective.dimension={dimension}"]
    found: Times = []
    reason = ""
    for words in (full, [FIDELITIES]):
        try:
            found = asks(name, objective(words))
            break
        except ValueError as error:
            reason = str(error)
    if not found:
        return [name, "-", "-", "-", reason]
    late = 1000 * float(np.median(found[-10:]))
    shown = f"{late:.2g}" if late < 10 else f"{late:.0f}"
    first = f"{1000 * found[0]:.2g}" if found[0] < 0.01 else f"{1000 * found[0]:.0f}"
    return [name, first, shown, f"{sum(found):.2g}", str(len(found))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dimension", type=int, default=5)
    parser.add_argument("--optimizers", nargs="+")
    given = parser.parse_args()
    every = sorted(path.stem for path in Path("conf/optimizer").glob("*.yaml"))
    rows = []
    for name in given.optimizers or [*every, "optuna optimizer.sampler=GPSampler"]:
        rows.append(row(name, given.dimension))
        print(" ".join(rows[-1]), flush=True)
    rows.sort(key=lambda cells: float("inf") if cells[3] == "-" else float(cells[3]))
    head = ["optimizer", "first ask (ms)", "late ask (ms)", "run (CPU s)", "trials"]
    print(f"\n{tables.table(head, rows)}")


if __name__ == "__main__":
    main()
