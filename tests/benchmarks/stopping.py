"""The stop rules replayed on committed runs: the budget that they save, the regret that they cost.

    PYTHONPATH=. OMP_NUM_THREADS=1 python tests/benchmarks/stopping.py results/* --out table.md

A rule is asked after each evaluation, as the run loop does with one worker, and sees the log up to
that evaluation. The budget saved is the share of the run's budget that was left. The regret lost
is the incumbent's value at the stop minus that at the end of the run, as a share of the task's
scale: the median of all successful full evaluations on the same objective minus the best of them.
The bound of `stop.regret` is a share of the same scale, and is computed after every fifth
evaluation of at most 60 runs of a folder. About 15 CPU minutes for all folders.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.analysis.results import Run, load
from experiments.running.events import Ask, Evaluated
from experiments.running.history import History
from experiments.running.regret import LEAST, regret_bound
from experiments.running.stopping import Limits
from objectives.trial import Evaluation, Trial

PATIENCE = (5, 10, 15, 20, 30)
REGRET = (0.02, 0.1, 0.5, 2.0)
EVERY, MOST_RUNS = 5, 60
LITTLE = 0.01


@dataclass(frozen=True)
class Outcome:
    """What a rule did to one run: the share of the budget saved, and the regret lost."""

    saved: float
    lost: float


def histories(run: Run) -> Iterator[History]:
    """Yield the log of a run after each of its evaluations; it is the same object each time."""
    history = History()
    history.begin(run.header)
    for i, id in enumerate(run.ids.tolist()):
        trial = Trial(id, run.configs[i], float(run.fidelities[i]))
        at, cost = float(run.times[i]), float(run.costs[i])
        value = float(run.values[i])
        measured = {name: float(column[i]) for name, column in run.metrics.items()}
        metrics = {name: x for name, x in measured.items() if x == x}
        told = Evaluation(None if value != value else value, cost, metrics, run.errors[i])
        history.take(Ask(1, [trial], 0.0, {}, at - cost))
        history.take(Evaluated(id, told, at))
        yield history


def at_patience(run: Run) -> dict[str, int | None]:
    """Return the place at which each patience stops a run; None if it does not."""
    rules = {f"patience {n}": Limits(patience=n) for n in PATIENCE}
    found: dict[str, int | None] = dict.fromkeys(rules)
    for place, history in enumerate(histories(run)):
        for name, rule in rules.items():
            if found[name] is None and rule.reason(history) is not None:
                found[name] = place
    return found


def at_regret(run: Run, scale: float) -> dict[str, int | None]:
    """Return the place at which each bound on the regret stops a run; None if it does not."""
    found: dict[str, int | None] = {f"regret {share:g}": None for share in REGRET}
    for place, history in enumerate(histories(run)):
        n = place + 1
        if n < LEAST or n % EVERY or None not in found.values():
            continue
        bound = regret_bound(history)
        for share in REGRET:
            name = f"regret {share:g}"
            if found[name] is None and bound is not None and bound <= share * scale:
                found[name] = place
    return found


def outcome(run: Run, place: int | None, scale: float) -> Outcome:
    """Return what stopping a run after an evaluation saves and costs."""
    last = run.incumbent()
    if place is None or last is None:
        return Outcome(0.0, 0.0)
    then = run.incumbent(float(run.spent[place]))
    saved = max(0.0, 1.0 - float(run.spent[place]) / run.budget)
    if then is None:
        return Outcome(saved, 1.0)
    return Outcome(saved, float(run.values[then] - run.values[last]) / scale)


def scales(runs: Sequence[Run]) -> dict[str, float]:
    """Return the scale of each objective by its settings."""
    values: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        good = ~run.failed & (run.fidelities == 1.0) & ~np.isnan(run.values)
        values[key(run)] += run.values[good].tolist()
    return {
        name: float(np.median(each) - min(each)) for name, each in values.items() if len(each) > 1
    }


def searches(run: Run) -> bool:
    """Return whether a run is a search with one goal, and resumes no trial."""
    plain = not run.header.several and "confirms" not in run.header.optimizer
    return plain and bool(len(run.ids)) and bool(np.array_equal(run.prices, run.fidelities))


def key(run: Run) -> str:
    """Return the settings of a run's objective as JSON."""
    return json.dumps(run.header.objective, sort_keys=True)


def replayed(runs: Sequence[Run]) -> dict[str, list[Outcome]]:
    """Return the outcomes of each rule over runs with one goal."""
    known = {name: scale for name, scale in scales(runs).items() if scale > 0}
    usable = [run for run in runs if searches(run) and key(run) in known]
    found: dict[str, list[Outcome]] = defaultdict(list)
    _replay(usable, at_patience, known, found)
    stride = max(1, len(usable) // MOST_RUNS)
    sample = [run for run in usable[::stride] if len(run.ids) >= LEAST]
    _replay(sample, lambda run: at_regret(run, known[key(run)]), known, found)
    return found


def _replay(
    runs: Sequence[Run],
    places: Callable[[Run], dict[str, int | None]],
    known: dict[str, float],
    found: dict[str, list[Outcome]],
) -> None:
    for run in runs:
        for name, place in places(run).items():
            found[name].append(outcome(run, place, known[key(run)]))


def rows(folder: str, found: dict[str, list[Outcome]]) -> list[str]:
    """Return the rows of the table for one folder."""
    lines = []
    for name, each in found.items():
        saved = np.array([one.saved for one in each])
        lost = np.array([one.lost for one in each])
        cells = [
            folder,
            name,
            str(len(each)),
            f"{np.mean(saved > 0):.0%}",
            f"{saved.mean():.0%}",
            f"{np.mean(lost > LITTLE):.0%}",
            f"{lost.mean():.3f}",
            f"{np.quantile(lost, 0.9):.3f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


HEAD = (
    "| runs of | rule | runs | stopped | budget saved, mean | runs that lost more than 1 % | "
    "regret lost, mean | regret lost, 90th percentile |",
    "|---|---|---|---|---|---|---|---|",
)


def main() -> None:
    """Print the table, or write it to a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    lines = list(HEAD)
    for folder in given.folders:
        try:
            runs = load([folder])
        except ValueError:  # it holds no runs
            continue
        lines += rows(folder.name, replayed(runs))
        print(f"{folder.name}: {len(runs)} runs", flush=True)
    text = "\n".join(lines) + "\n"
    if given.out is None:
        print(text)
    else:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
