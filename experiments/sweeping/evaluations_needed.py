"""The number of evaluations that each optimizer needs to come near the best of a random sample.

    python -m experiments.sweeping.evaluations_needed FOLDER... [random=2000] [tolerance=0.01]
        [objective.noise=0] [design=grid:120,lhs:500] [out=TABLE.csv]

FOLDER contains the runs of one objective, or is a file written by `tuneoff pack`. The objective is
created again from the runs' settings, changed by `objective.<key>=`; with `objective.noise=0` its
values are the true ones. Its version has to be the one of the runs. A configuration is "near" if
its value is within `tolerance` of the best of `random` configurations, all of which the space
allows. `design` adds optimizers that are asked for the given number of configurations at once, with
20 seeds.

The columns are the number of seeds, the budget, the number of runs that came near, the median
number of evaluations that this took over all runs (a run that never came near counts as more than
its budget), and the median distance of the best value to the near threshold, if any evaluation
succeeded.
"""

import csv
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from hydra.utils import instantiate

from experiments.analysis.results import Run, load
from experiments.running import provenance
from experiments.running.readers import number, whole
from experiments.running.readers import path as as_path
from experiments.running.settings import Command, Given, Setting
from experiments.running.whole_files import whole as whole_file
from experiments.sweeping.remake import remake
from objectives.objective import Objective
from objectives.plain_yaml import parsed
from objectives.space import UnitCube
from objectives.trial import Config, Trial

HEADER = ("method", "seeds", "budget", "came_near", "median_evaluations", "median_distance")
DESIGN_SEEDS = 20


class Truth:
    """The values of an objective; each configuration is evaluated once, and failures are inf."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self._known: dict[str, float] = {}

    def __call__(self, config: Config) -> float:
        key = repr(sorted(config.items()))
        if key not in self._known:
            evaluation = self.objective.evaluate(Trial(0, config))
            failed = evaluation.error is not None or evaluation.value is None
            self._known[key] = math.inf if failed or evaluation.value is None else evaluation.value
        return self._known[key]


_MODULE = "experiments.sweeping.evaluations_needed"
_PREFIX = "objective."
COMMAND = Command(
    "evaluations_needed",
    "Count the evaluations that each optimizer needs to come near the best of a random sample.",
    [
        (f"python -m {_MODULE} results/serving_sim objective.noise=0", "on true values"),
        (f"python -m {_MODULE} results/levy design=grid:120,lhs:500", "with two designs"),
    ],
    [
        Setting("random", "The number of random configurations.", whole(1), 2000),
        Setting("tolerance", "How far from the best of them is near.", number(0), 0.01),
        Setting(
            "design",
            "Optimizers that are asked for all configurations at once: OPTIMIZER:BUDGET,...",
            lambda where, text: [named_design(one) for one in text.split(",")],
            [],
            "none",
        ),
        Setting("out", "The CSV file to which the table is written.", as_path),
    ],
    folders="The runs of one objective, or a file by tuneoff pack.",
    notes="objective.<key>=VALUE changes a setting of the runs' objective.",
    module=_MODULE,
)


def main(arguments: Sequence[str]) -> int:
    """Print the table, and write it to the file of `out` if given; return the exit status."""
    changes = [word.removeprefix(_PREFIX) for word in arguments if _is_change(word)]
    rest = [word for word in arguments if not _is_change(word)]
    return COMMAND.answer(rest, lambda given: _count(given, changes))


def _is_change(word: str) -> bool:
    return word.startswith(_PREFIX) and "=" in word


def _count(given: Given, changes: Sequence[str]) -> int:
    runs = load(given.folders)
    truth = Truth(rebuilt(runs, changes))
    sample = np.array([truth(config) for config in drawn(truth.objective, given["random"])])
    near = float(sample.min()) + given["tolerance"]
    table = [random_line(sample, near), *_lines(truth, runs, near)]
    for name, size in given["design"]:
        values = [
            [truth(config) for config in design(truth.objective, name, size, seed)]
            for seed in range(DESIGN_SEEDS)
        ]
        table.append(line(f"{name} of {len(values[0])}", values, near, len(values[0])))
    best = float(sample.min())
    print(f"best of {len(sample)} random configurations: {best:.4f}; near: up to {near:.4f}")
    print(f"of these, {np.isfinite(sample).sum()} succeed and {(sample <= near).sum()} are near")
    for row in (HEADER, *table):
        print("  ".join(str(cell).ljust(18) for cell in row).rstrip())
    if given["out"]:
        with whole_file(given["out"]) as new, new.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([HEADER, *table])
    return 0


def _lines(truth: Truth, runs: Sequence[Run], near: float) -> list[tuple[Any, ...]]:
    """Return the table row of each optimizer, in the order of their names."""
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        groups[run.optimizer].append(run)
    return [
        line(
            name,
            [[truth(config) for config in run.configs] for run in group],
            near,
            max(len(run.configs) for run in group),
        )
        for name, group in sorted(groups.items())
    ]


def rebuilt(runs: Sequence[Run], changes: Sequence[str]) -> Objective:
    """Return the runs' objective with some settings changed.

    Raises:
        ValueError: the runs have different objectives, a change names an unknown setting, or the
            objective has changed since the runs were made.
    """
    names = sorted({run.objective for run in runs})
    if len(names) > 1:
        raise ValueError(f"runs: expected runs of one objective, got {names}")
    settings: dict[str, Any] = dict(runs[0].header.objective)
    for change in changes:
        key, _, value = change.partition("=")
        if key not in settings:
            raise ValueError(f"objective.{key}: expected one of {', '.join(settings)}, got {key}")
        try:
            settings[key] = parsed(value)
        except ValueError as error:
            raise ValueError(f"objective.{key}: expected a value, got {value}: {error}") from None
    try:
        made = remake(settings)
    except HydraException as error:
        told = str(error.__cause__ or error).splitlines()[0]
        raise ValueError(
            f"{names[0]}: expected runs of the current objective, got settings that it does not "
            f"accept ({told}); repeat the runs"
        ) from None
    before = runs[0].header.fingerprint
    now = {"version": made.version, **made.fingerprint()}
    changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    if changed:
        key = changed[0]
        raise ValueError(
            f"{names[0]}: expected runs of the current {key}, {now.get(key)}, got "
            f"{before.get(key)}; their configurations would now have other values; repeat the runs"
        )
    return made


def drawn(objective: Objective, n: int) -> list[Config]:
    """Return n random configurations that the space allows."""
    cube = UnitCube(objective.space)
    return [cube.config(u) for u in cube.draw(np.random.default_rng(0), n)]


def named_design(text: str) -> tuple[str, int]:
    """Return the optimizer and the budget of `optimizer:budget`.

    Raises:
        ValueError: the text does not have this form.
    """
    name, _, size = text.rpartition(":")
    if not name or not size.isdecimal() or int(size) < 1:
        raise ValueError(f"design: expected OPTIMIZER:BUDGET such as lhs:120, got {text}")
    return name, int(size)


def design(objective: Objective, name: str, size: int, seed: int) -> list[Config]:
    """Return the configurations of an optimizer that is asked for all of them at once."""
    conf = str(provenance.CONF)
    with initialize_config_dir(conf, version_base=None):
        settings = compose(overrides=[f"+optimizer={name}", f"+budget={size}"]).optimizer
    searcher: Any = instantiate(settings, space=objective.space, seed=seed, _convert_="all")
    return [trial.config for trial in searcher.ask(size)]


def line(name: str, values: list[list[float]], near: float, budget: int) -> tuple[Any, ...]:
    """Return the table row of a method, given the true values of its runs in order."""
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
    """Return the expected row of a random search of any length, computed from the sample.

    If k of n configurations in random order are near, the expected position of the first of them is
    (n + 1)/(k + 1).
    """
    n, k = len(sample), int((sample <= near).sum())
    return ("random, expected", "", n, "", f"{(n + 1) / (k + 1):.0f}", "0.000")


if __name__ == "__main__":
    from experiments.entry import start

    start(main=main)
