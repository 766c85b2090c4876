"""How often the verdict tells equal optimizers apart (A/A), and what differences it finds.

    python -m experiments.analysis.statistics.calibration [FOLDER...] [--out FOLDER] [--suites 1000]

FOLDER: runs of one optimizer with many seeds (random search, say), to draw from; without any,
the synthetic populations alone. Writes `calibration.csv` and `power.csv`. About five minutes
on one core; the same arguments give the same bytes.

Calibration, by population, optimizers, tasks and seeds, over simulated suites of one optimizer
under several names:
- suites_pct: suites with any "distinguishable" in the verdict; at most 5 is claimed.
- verdicts_pct: pairs called "distinguishable".
- nemenyi_pct: suites with two mean ranks further apart than the critical difference; empty where
  the tasks do not support one.
- t_suites_pct: suites in which paired t tests with Holm within the tasks would have called any
  two runs' means different; empty where runs have no success, to which they have no answer.
"""

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from itertools import chain, combinations
from pathlib import Path

import numpy as np
from scipy.stats import t as t_distribution

from experiments.analysis.results import Floats, load
from experiments.analysis.statistics.paired import holm
from experiments.analysis.statistics.power import across_tasks, within_a_task
from experiments.analysis.statistics.ranks import critical_difference
from experiments.analysis.statistics.simulated import SYNTHETIC, Population, logged, suite_of
from experiments.analysis.statistics.verdict import LEVEL, verdict
from experiments.running.mistakes import answered

SEEDS = (5, 10, 20)
DESIGNS = ((12, 1), (3, 1), (12, 12))
"""Optimizers, tasks."""

IN_MANY_TASKS = ("two local optima", "logged runs")
"""The populations of the third design, which takes nearly all of the time."""

_SEED = 20_260


def calibrate(
    population: Population, n_optimizers: int, n_tasks: int, n_seeds: int, n_suites: int
) -> dict[str, float | None]:
    """Return the rates of false claims, in percent."""
    rng = np.random.default_rng([_SEED, n_optimizers, n_tasks, n_seeds])
    any_claim = claims = verdicts = nemenyi = ranked = tested = any_t = 0
    for _ in range(n_suites):
        values = population(rng, (n_tasks, n_optimizers, n_seeds))
        suite = suite_of(values)
        found = verdict(suite)
        told = [one.distinguishable for one in (*found.across, *found.within)]
        any_claim += any(told)
        claims += sum(told)
        verdicts += len(told)
        critical = critical_difference(suite, LEVEL)
        if critical is not None:
            ranked += 1
            nemenyi += np.ptp(list(critical.mean_ranks.values())) >= critical.difference
        if np.isfinite(values).all():  # a t test has no answer to a run without a success
            tested += 1
            any_t += _t_tests(values)
    return {
        "suites_pct": 100 * any_claim / n_suites,
        "verdicts_pct": 100 * claims / verdicts,
        "nemenyi_pct": 100 * nemenyi / ranked if ranked else None,
        "t_suites_pct": 100 * any_t / tested if tested == n_suites else None,
    }


def _t_tests(values: Floats) -> bool:
    """Tell whether paired t tests with Holm would call any two runs' means different."""
    pairs = list(combinations(range(values.shape[1]), 2))
    first, second = ([pair[i] for pair in pairs] for i in (0, 1))
    d = values[:, first] - values[:, second]  # (n_tasks, n_pairs, n_seeds)
    error = d.std(axis=2, ddof=1) / np.sqrt(d.shape[2])
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * t_distribution.sf(np.abs(d.mean(axis=2)) / error, d.shape[2] - 1)
    return min(holm(np.nan_to_num(p, nan=1.0).ravel().tolist())) < LEVEL


def _calibrations(populations: dict[str, Population], n_suites: int) -> Iterator[dict[str, object]]:
    for n_optimizers, n_tasks in DESIGNS:
        for name, population in populations.items():
            for n_seeds in SEEDS if n_tasks == 1 or name in IN_MANY_TASKS else ():
                rates = calibrate(population, n_optimizers, n_tasks, n_seeds, n_suites)
                yield {
                    "population": name,
                    "optimizers": n_optimizers,
                    "tasks": n_tasks,
                    "seeds": n_seeds,
                    "suites": n_suites,
                    **{key: "" if x is None else round(x, 3) for key, x in rates.items()},
                }


def write(path: Path, rows: Iterator[dict[str, object]]) -> None:
    """Write rows as CSV, printing each as it comes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first = next(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(first), lineterminator="\n")
        writer.writeheader()
        for row in chain([first], rows):
            writer.writerow(row)
            print(*row.values(), sep=", ", flush=True)


def main(arguments: Sequence[str]) -> int:
    """Run the simulations; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.analysis.statistics.calibration",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=Path("results/statistics_calibration"))
    parser.add_argument("--suites", type=int, default=1000, help="simulated suites a row")
    given = parser.parse_args(arguments)

    def command() -> int:
        populations = dict(SYNTHETIC)
        if given.folders:
            populations["logged runs"] = logged(load(given.folders))
        write(given.out / "calibration.csv", _calibrations(populations, given.suites))
        write(given.out / "power.csv", chain(within_a_task(), across_tasks()))
        return 0

    return answered(command, list(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
