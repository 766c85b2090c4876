"""How many evaluations each optimizer needs to come near the best of a large random sample.

    python -m experiments.sweeping.evaluations_needed FOLDER... [--random 2000] [--tolerance 0.01]
        [--set noise=0] [--grid 120 --grid 2000] [--out TABLE.csv]

FOLDER holds the runs of one objective, or a file by `experiments.analysis.pack`. The objective is
built again from the runs' settings, with those of `--set` changed; with `noise=0` its values are
the truth. "Near" is within `tolerance` of the best of `--random` configurations (those that the
space forbids are not drawn). A factorial grid of some size is searched in shuffled order.

Columns: seeds; the runs that came near; the median evaluations that took, over all runs (a run
that did not counts as more than its budget); and the median of the best value's distance to the
sample's best, where any evaluation succeeded.
"""

import argparse
import csv
import math
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from experiments.analysis.results import Run, load
from experiments.running import provenance
from experiments.running.mistakes import explain
from experiments.sweeping.remake import remake
from objectives.objective import Objective
from objectives.space import UnitCube
from objectives.trial import Config, Trial

HEADER = ("method", "seeds", "budget", "came_near", "median_evaluations", "median_distance")
GRID_SEEDS = 20


class Truth:
    """The values of an objective, each configuration evaluated once; inf where it fails."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self._known: dict[str, float] = {}

    def __call__(self, config: Config) -> float:
        key = repr(sorted(config.items()))
        if key not in self._known:
            found = self.objective.evaluate(Trial(0, config))
            failed = found.error is not None or found.value is None
            self._known[key] = math.inf if failed or found.value is None else found.value
        return self._known[key]


def main(arguments: Sequence[str]) -> None:
    """Print the table, and write it where `--out` says."""
    parser = argparse.ArgumentParser(prog="python -m experiments.sweeping.evaluations_needed")
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--random", type=int, default=2000)
    parser.add_argument("--tolerance", type=float, default=0.01)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--grid", action="append", default=[], type=int)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    runs = load(given.paths)
    truth = Truth(rebuilt(runs, given.set))
    sample = np.array([truth(config) for config in drawn(truth.objective, given.random)])
    near = float(sample.min()) + given.tolerance
    table = [random_line(sample, near)]
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        groups[run.optimizer].append(run)
    for name, group in sorted(groups.items()):
        budget = max(len(run.configs) for run in group)
        table.append(line(name, [[truth(c) for c in run.configs] for run in group], near, budget))
    for size in given.grid:
        values = [[truth(c) for c in grid(truth.objective, size, s)] for s in range(GRID_SEEDS)]
        table.append(line(f"full grid of {len(values[0])}", values, near, len(values[0])))
    best = float(sample.min())
    print(f"best of {len(sample)} random configurations: {best:.4f}; near: up to {near:.4f}")
    print(f"of these, {np.isfinite(sample).sum()} succeed and {(sample <= near).sum()} are near")
    for row in (HEADER, *table):
        print("  ".join(str(cell).ljust(18) for cell in row).rstrip())
    if given.out:
        with given.out.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([HEADER, *table])


def rebuilt(runs: Sequence[Run], changes: Sequence[str]) -> Objective:
    """Return the runs' objective with some settings changed.

    Raises:
        ValueError: the runs have different objectives, or a change names no setting.
    """
    names = sorted({run.objective for run in runs})
    if len(names) > 1:
        raise ValueError(f"runs: expected those of one objective, got {names}")
    settings: dict[str, Any] = dict(runs[0].header.objective)
    for change in changes:
        key, _, value = change.partition("=")
        if key not in settings:
            raise ValueError(f"--set: expected one of {list(settings)}, got {key}")
        settings[key] = yaml.safe_load(value)
    return remake(settings)


def drawn(objective: Objective, n: int) -> list[Config]:
    """Return n random configurations that the space does not forbid."""
    cube, generator = UnitCube(objective.space), np.random.default_rng(0)
    configs: list[Config] = []
    while len(configs) < n:
        config = cube.config(generator.random(cube.dim))
        if cube.allows(config):
            configs.append(config)
    return configs


def grid(objective: Objective, size: int, seed: int) -> list[Config]:
    """Return the configurations of a factorial grid, in the order that the seed shuffles."""
    conf = str(provenance.CONF)
    with initialize_config_dir(conf, version_base=None):
        settings = compose(overrides=["+optimizer=grid", f"+budget={size}"]).optimizer
    searcher: Any = instantiate(settings, space=objective.space, seed=seed, _convert_="all")
    return [trial.config for trial in searcher.ask(size)]


def line(name: str, values: list[list[float]], near: float, budget: int) -> tuple[Any, ...]:
    """Return a method's row of the table from the true values of its runs, in order."""
    needed = [next((i + 1 for i, x in enumerate(run) if x <= near), math.inf) for run in values]
    median = float(np.median(needed))
    best = [min(run, default=math.inf) for run in values]
    distance = float(np.median(best)) - near
    return (
        name,
        len(values),
        budget,
        sum(math.isfinite(one) for one in needed),
        f"{median:g}" if math.isfinite(median) else f"> {budget}",
        f"{distance:.3f}" if math.isfinite(distance) else "none succeeded",
    )


def random_line(sample: np.ndarray, near: float) -> tuple[Any, ...]:
    """Return what a random search of any length expects, from the sample itself.

    Of k good ones among n in random order the first is expected at (n + 1)/(k + 1).
    """
    n, k = len(sample), int((sample <= near).sum())
    return ("random, expected", "", n, "", f"{(n + 1) / (k + 1):.0f}", "0.000")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, OSError) as mistake:
        sys.exit(explain(mistake, []) or str(mistake))
