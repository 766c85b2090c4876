"""An experiment, which is a named set of runs: optimizers x objectives x seeds under one budget.

`conf/experiment/<name>.yaml` has four keys: optimizers, objectives, seeds and budget. An entry of
`optimizers` or `objectives` has the form of the text after `optimizer=` or `objective=` on the
command line of `tuneoff run`: a name and then overrides in Hydra's grammar. An override with
several values, such as `range(1,25)` or `1,2,5`, is expanded to several entries. `${seed}` is the
seed of the run, so `objective.instance=${seed}` gives every seed its own instance.

Five more keys are optional. `workers` is the number of trials that a run evaluates at once; a list
such as `[1, 4, 16]` makes a run for each number. `start` gives the configurations that every run
evaluates first. `transfer` names earlier runs that every optimizer learns from; an entry of
`optimizers` may name others, as in `gp_bo transfer=FOLDER`. `stop` is the rule that may end each
run early, as a name and overrides, such as `patience stop.patience=10`. `executor` says where
trials are evaluated, as a name and overrides, such as `simulated executor.rounds=true`; the default
is `auto`.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from experiments.running import provenance
from experiments.running.command_line import check_settings
from experiments.running.composing import config_dirs, options
from experiments.running.executors.choice import executor_of
from experiments.running.executors.pool import TaskPool, Work
from experiments.running.header import Header
from experiments.running.making_objective import with_allowed
from experiments.running.readers import path as as_path
from experiments.running.run import Run, RunSettings, folder_name
from experiments.sweeping.entries import (
    expanded,
    name_of,
    named_entry,
    seeds_of,
    shown,
    workers_of,
)
from experiments.sweeping.entry_settings import (
    composed_with,
    entry_settings,
    objective_of,
    of_family,
    plain,
    resolved_with,
    settings_of,
)
from objectives.objective import Objective, Resources
from objectives.plain_yaml import read_yaml

KEYS = ("optimizers", "objectives", "seeds", "budget")
OPTIONAL = ("workers", "start", "transfer", "executor", "stop")
TRANSFER = "transfer"
"""The key of the earlier runs, which an optimizer's entry may have too."""

CHANGES = (*KEYS, *OPTIONAL)
"""The keys that the command line may override."""

Spreader = Callable[[Work, int, Resources], TaskPool]
"""Makes a pool from the work, the number of tasks at once and the resources of each."""


@dataclass(frozen=True)
class PlannedRun:
    """One run of an experiment.

    Attributes:
        optimizer: the expanded entry of the optimizer.
        objective: the expanded entry of the objective.
        settings: the settings of the run.
        header: the header of its log.
    """

    optimizer: str
    objective: str
    settings: RunSettings
    header: Header

    @cached_property
    def folder(self) -> str:
        """The run's folder below the experiment's."""
        return str(folder_name(self.header))

    def __str__(self) -> str:
        return f"{self.optimizer} on {self.objective}, seed {self.header.seed}"


@dataclass(frozen=True)
class Experiment:
    """The contents of an experiment's YAML file, with all ranges expanded.

    Attributes:
        workers: the numbers of concurrently evaluated trials; each number has separate runs.
        start: the configurations that every run evaluates first.
        transfer: the earlier runs of every optimizer whose entry names no others.
        executor: the entry of the executor that evaluates the trials of each run.
        spread: the entry of the executor that whole runs are spread over; None means processes.
        stop: the entry of the rule that may end each run early.
    """

    name: str
    optimizers: list[str]
    objectives: list[str]
    seeds: list[int]
    budget: float
    workers: tuple[int, ...] = (1,)
    start: Any = None
    transfer: Any = None
    executor: str = "auto"
    spread: str | None = None
    stop: str = "none"

    def plan(self) -> list[PlannedRun]:
        """Return all runs, seed by seed: all runs of one seed come before those of the next.

        Hydra composes each entry once. Each distinct objective is created once to obtain its
        fingerprint.

        Raises:
            ValueError: an entry names something unknown, or two entries describe the same run.
        """
        chosen = {entry: composed_with("optimizer", entry) for entry in self.optimizers}
        optimizers = {entry: of_family("optimizer", each) for entry, each in chosen.items()}
        transfers = {entry: plain(each)[TRANSFER] for entry, each in chosen.items()}
        objectives = {entry: settings_of("objective", entry) for entry in self.objectives}
        executor = entry_settings("executor", self.executor)
        stop = entry_settings("stop", self.stop)
        instances: dict[str, Objective] = {}
        runs: dict[str, PlannedRun] = {}
        for seed, objective, optimizer, workers in itertools.product(
            self.seeds, objectives, optimizers, self.workers
        ):
            earlier = transfers[optimizer] or self.transfer
            alone = {"seed": seed, "budget": self.budget, "workers": workers, TRANSFER: earlier}
            resolved = resolved_with(optimizers[optimizer], objectives[objective], alone)
            resolved["objective"] = with_allowed(resolved["objective"])
            key = provenance.digest(resolved["objective"])
            if key not in instances:
                instances[key] = objective_of(objective, resolved["objective"])
            settings = RunSettings(
                names={"optimizer": name_of(optimizer), "objective": name_of(objective)},
                optimizer=resolved["optimizer"],
                objective=resolved["objective"],
                seed=seed,
                budget=float(self.budget),
                workers=workers,
                optimizer_as_written=optimizers[optimizer],
                start=self.start,
                transfer=resolved[TRANSFER],
                executor=executor,
                stop=stop,
            )
            header = Run(settings, instances[key]).header
            label = shown(optimizer)
            if len(self.workers) > 1:
                label += f" workers={workers}"
            planned = PlannedRun(label, shown(objective), settings, header)
            same = runs.setdefault(header.identity, planned)
            if same is not planned:
                raise ValueError(f"{self.name}: expected different runs, got {planned} twice")
        return list(runs.values())

    def spreader(self) -> Spreader | None:
        """Return the function that makes the pool of whole runs; None means processes."""
        if self.spread is None:
            return None
        factory: Any = executor_of(entry_settings("executor", self.spread))
        spreader: Spreader = factory.spread
        return spreader


def load(name: str, changes: dict[str, Any]) -> Experiment:
    """Read `conf/experiment/<name>.yaml`, or the file at the path `name`.

    Args:
        name: the name of the experiment, or the path of a YAML file.
        changes: values that replace those in the file, by key.

    Raises:
        ValueError: there is no such experiment, or the file does not describe an experiment.
    """
    path = _file(name)
    if path is None:
        known = ", ".join(options("experiment"))
        raise ValueError(f"experiment: expected one of {known}, or a YAML file, got {name}")
    content = read_yaml(path, "YAML")
    if not isinstance(content, dict) or not set(KEYS) <= set(content) <= set(CHANGES):
        got = ", ".join(map(str, content)) if isinstance(content, dict) else repr(content)
        raise ValueError(
            f"{path}: expected the keys {', '.join(KEYS)} and optionally "
            f"{', '.join(OPTIONAL)}, got {got}"
        )
    executors = [content.get("executor"), changes.get("executor")]
    content.update(changes)
    seeds = seeds_of(content["seeds"])
    workers = workers_of(content.get("workers", 1))
    for seed, n_workers in itertools.product(seeds, workers):
        checked = {"seed": seed, "budget": content["budget"], "workers": n_workers}
        unused = {"plot": False, "dry_run": False, "progress": "auto", "tracking": "none"}
        check_settings(OmegaConf.create({**checked, **unused}))
    entries = {family: list(expanded(family, content[family])) for family in KEYS[:2]}
    for family, written in entries.items():
        if len(set(written)) < len(written):
            raise ValueError(f"{family}: expected different entries, got {', '.join(written)}")
    experiment = Experiment(
        path.stem,
        optimizers=entries["optimizers"],
        objectives=entries["objectives"],
        seeds=seeds,
        budget=content["budget"],
        workers=workers,
        start=content.get("start"),
        transfer=content.get(TRANSFER),
        stop=named_entry("stop", content.get("stop") or "none"),
    )
    return _with_executors(experiment, [entry for entry in executors if entry is not None])


def _with_executors(experiment: Experiment, entries: Sequence[Any]) -> Experiment:
    """Return the experiment with its executors.

    An executor that can spread whole runs does that, and leaves the evaluation of their trials to
    the other executor.
    """
    for entry in entries:
        named_entry("executor", entry)
        spreads = hasattr(executor_of(entry_settings("executor", entry)), "spread")
        if spreads:
            experiment = replace(experiment, spread=entry)
        else:
            experiment = replace(experiment, executor=entry)
    return experiment


def _file(name: str) -> Path | None:
    """Return the file of an experiment given by name or path; None if it does not exist."""
    if name.endswith((".yaml", ".yml")):
        paths = [as_path("experiment", name)]
    else:
        paths = [folder / "experiment" / f"{name}.yaml" for folder in config_dirs()]
    return next((path for path in paths if path.is_file()), None)
