"""The verdict's rate of false claims for equal optimizers (A/A tests), and its power.

    python -m experiments.analysis.statistics.calibration [FOLDER...] [out=FOLDER] [suites=1000]

FOLDER: runs of one optimizer, such as random search, with many seeds, from which suites are drawn;
without a folder, only the synthetic populations are used. Writes `calibration.csv` and `power.csv`.
It takes about five minutes on one core; the same arguments give the same bytes.

Calibration simulates suites in which one optimizer has several names, by population and by number
of optimizers, tasks and seeds. `runs_are` says whether the runs of a task are seeds of one problem
or instances of it; only runs of the same instance are compared:
- suites_pct: suites whose verdict calls any pair distinguishable; it should be at most 5.
- verdicts_pct: pairs called distinguishable.
- nemenyi_pct: suites in which two mean ranks are further apart than the critical difference; empty
  where the number of tasks does not support one.
- t_suites_pct: suites in which paired t tests, Holm-corrected within each task, would call the
  means of any two optimizers different; empty where runs lack a success, which a t test cannot
  handle.

The standard error of a share p of n suites is sqrt(p (1 - p) / n): 0.7 points for 5 % of 1,000.
"""

import csv
from collections.abc import Iterator, Sequence
from itertools import chain, product
from pathlib import Path

import numpy as np

from experiments.analysis.results import load
from experiments.analysis.statistics.equal_suites import (
    false_claims,
    nemenyi_claims,
    t_test_claims,
)
from experiments.analysis.statistics.power import across_tasks, within_a_task
from experiments.analysis.statistics.simulated import SYNTHETIC, Population, logged
from experiments.running.readers import path as as_path
from experiments.running.readers import whole
from experiments.running.settings import Command, Given, Setting
from experiments.running.whole_files import whole as whole_file

OPTIMIZERS = (2, 3, 5, 12)
ONE_TASK = ((1, "seeds", 5), (1, "seeds", 10), (1, "seeds", 20))
MANY_TASKS = tuple(
    (n_tasks, kind, n)
    for n_tasks in (12, 31)
    for kind, n in (
        ("instances", 3), ("instances", 5), ("instances", 6), ("seeds", 5), ("seeds", 10)
    )
)  # fmt: skip
"""The number of tasks, whether a task's runs are seeds or instances, and their number."""

IN_MANY_TASKS = ("two local optima", "six values", "logged runs")
"""The populations that are also simulated with many tasks."""

_SEED = 20_260
_AT_ONCE = 40  # suites simulated together, which limits the memory


def calibrate(
    population: Population,
    n_optimizers: int,
    n_tasks: int,
    n_seeds: int,
    n_suites: int,
    instances: bool = False,
) -> dict[str, float | None]:
    """Return the rates of false claims, in percent."""
    rng = np.random.default_rng([_SEED, n_optimizers, n_tasks, n_seeds])
    any_claim = claims = verdicts = 0
    nemenyi: list[int | None] = []
    by_t: list[int | None] = []
    for begin in range(0, n_suites, _AT_ONCE):
        n = min(_AT_ONCE, n_suites - begin)
        drawn = population(rng, (n * n_tasks, n_optimizers, n_seeds))
        values = drawn.reshape(n, n_tasks, n_optimizers, n_seeds)
        found = false_claims(values, instances)
        any_claim, claims = any_claim + found.any_claim, claims + found.claims
        verdicts += found.verdicts
        nemenyi.append(nemenyi_claims(values))
        by_t.append(t_test_claims(values))
    return {
        "suites_pct": 100 * any_claim / n_suites,
        "verdicts_pct": 100 * claims / verdicts,
        "nemenyi_pct": _share(nemenyi, n_suites),
        "t_suites_pct": _share(by_t, n_suites),
    }


def _share(counts: Sequence[int | None], n: int) -> float | None:
    """Return the percentage; None if a count is None."""
    known = [count for count in counts if count is not None]
    return 100 * sum(known) / n if len(known) == len(counts) else None


def _calibrations(populations: dict[str, Population], n_suites: int) -> Iterator[dict[str, object]]:
    for name, population in populations.items():
        designs = (*ONE_TASK, *(MANY_TASKS if name in IN_MANY_TASKS else ()))
        for n_optimizers, (n_tasks, kind, n) in product(OPTIMIZERS, designs):
            rates = calibrate(population, n_optimizers, n_tasks, n, n_suites, kind == "instances")
            yield {
                "population": name,
                "optimizers": n_optimizers,
                "tasks": n_tasks,
                "runs_are": kind,
                "runs": n,
                "suites": n_suites,
                **{key: "" if x is None else round(x, 3) for key, x in rates.items()},
            }


def write(path: Path, rows: Iterator[dict[str, object]]) -> None:
    """Write rows as CSV, printing each as it comes."""
    first = next(rows)
    with whole_file(path) as new, new.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(first), lineterminator="\n")
        writer.writeheader()
        for row in chain([first], rows):
            writer.writerow(row)
            print(*row.values(), sep=", ", flush=True)


_MODULE = "experiments.analysis.statistics.calibration"
COMMAND = Command(
    "calibration",
    "Simulate suites of equal optimizers, and count how often the verdict tells them apart.",
    [
        (f"python -m {_MODULE} random_search", "with populations drawn from these runs too"),
        (f"python -m {_MODULE} suites=100 out=quick", "synthetic populations, less precisely"),
    ],
    [
        Setting(
            "out", "The folder of the two tables.", as_path, Path("results/statistics_calibration")
        ),
        Setting("suites", "The number of simulated suites of a row.", whole(1), 1000),
    ],
    folders="Runs of one optimizer with many seeds, to draw populations from.",
    least_folders=0,
    module=_MODULE,
)


def main(arguments: Sequence[str]) -> int:
    """Run the simulations; return the exit status."""
    return COMMAND.answer(arguments, _simulate)


def _simulate(given: Given) -> int:
    populations = dict(SYNTHETIC)
    if given.folders:
        populations["logged runs"] = logged(load(given.folders))
    write(given["out"] / "calibration.csv", _calibrations(populations, given["suites"]))
    write(given["out"] / "power.csv", chain(within_a_task(), across_tasks()))
    return 0


if __name__ == "__main__":
    from experiments.entry import start

    start(main=main)
