"""An experiment, which is a named set of runs: optimizers x objectives x seeds under one budget.

`conf/experiment/<name>.yaml` has four keys. An entry of `optimizers` or `objectives` has the form
of the text after `optimizer=` or `objective=` on the command line of `tuneoff run`: a name and then
overrides in Hydra's grammar. An override with several values, such as `range(1,25)` or `1,2,5`,
is expanded to several entries. `${seed}` is the seed of the run, so `objective.instance=${seed}`
gives every seed its own instance.
"""

import itertools
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experiments.running import provenance
from experiments.running.command_line import check_settings
from experiments.running.composing import composed, config_dirs, options, values
from experiments.running.header import Header
from experiments.running.mistakes import explain
from experiments.running.readers import path as as_path
from experiments.running.run import Run, RunSettings, folder_name
from objectives.objective import Objective

KEYS = ("optimizers", "objectives", "seeds", "budget")
CHANGES = (*KEYS, "workers", "start")
"""The keys that the command line may override."""

START = "start"  # the configurations that every run evaluates first; none by default
WORKERS = "workers"  # the number of trials of one run that are evaluated at once; 1 by default
_MOST = 100_000  # the largest number of values of one setting; more is probably a typing error


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
    """The contents of an experiment's YAML file, with all ranges expanded."""

    name: str
    optimizers: list[str]
    objectives: list[str]
    seeds: list[int]
    budget: float
    workers: int = 1
    start: Any = None

    def plan(self) -> list[PlannedRun]:
        """Return all runs, seed by seed: all runs of one seed come before those of the next.

        Hydra composes each entry once. Each distinct objective is created once to obtain its
        fingerprint.

        Raises:
            ValueError: an entry names something unknown, or two entries describe the same run.
        """
        optimizers = {entry: _compose("optimizer", entry) for entry in self.optimizers}
        objectives = {entry: _compose("objective", entry) for entry in self.objectives}
        made: dict[str, Objective] = {}
        runs: dict[str, PlannedRun] = {}
        for seed, objective, optimizer in itertools.product(self.seeds, objectives, optimizers):
            resolved = _resolve(optimizers[optimizer], objectives[objective], self._alone(seed))
            key = provenance.digest(resolved["objective"])
            if key not in made:
                made[key] = _make(objective, resolved["objective"])
            settings = RunSettings(
                names={"optimizer": _name(optimizer), "objective": _name(objective)},
                optimizer=resolved["optimizer"],
                objective=resolved["objective"],
                seed=seed,
                budget=float(self.budget),
                workers=self.workers,
                optimizer_as_written=optimizers[optimizer],
                start=self.start,
            )
            header = Run(settings, made[key]).header
            planned = PlannedRun(_shown(optimizer), _shown(objective), settings, header)
            same = runs.setdefault(header.identity, planned)
            if same is not planned:
                raise ValueError(f"{self.name}: expected different runs, got {planned} twice")
        return list(runs.values())

    def _alone(self, seed: int) -> dict[str, Any]:
        """Return the settings of a run other than its optimizer and its objective."""
        return {"seed": seed, "budget": self.budget, "workers": self.workers}


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
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: expected YAML in UTF-8, got: {reason}") from None
    if not isinstance(found, dict) or not set(KEYS) <= set(found) <= {*KEYS, WORKERS, START}:
        got = ", ".join(map(str, found)) if isinstance(found, dict) else repr(found)
        raise ValueError(
            f"{path}: expected the keys {', '.join(KEYS)} and optionally {WORKERS} and {START}, "
            f"got {got}"
        )
    found.update(changes)
    seeds = _seeds(found["seeds"])
    for seed in seeds:
        checked = {"seed": seed, "budget": found["budget"], "workers": found.get("workers", 1)}
        unused = {"plot": False, "progress": "auto", "tracking": "none"}
        check_settings(OmegaConf.create({**checked, **unused}))
    entries = {family: list(_entries(family, found[family])) for family in KEYS[:2]}
    for family, written in entries.items():
        if len(set(written)) < len(written):
            raise ValueError(f"{family}: expected different entries, got {', '.join(written)}")
    return Experiment(
        path.stem,
        **entries,
        seeds=seeds,
        budget=found["budget"],
        workers=found.get(WORKERS, 1),
        start=found.get(START),
    )


def _file(name: str) -> Path | None:
    """Return the file of an experiment given by name or path; None if it does not exist."""
    if name.endswith((".yaml", ".yml")):
        paths = [as_path("experiment", name)]
    else:
        paths = [folder / "experiment" / f"{name}.yaml" for folder in config_dirs()]
    return next((path for path in paths if path.is_file()), None)


def _seeds(given: Any) -> list[int]:
    """Return the seeds given in the form `3`, `[0, 1, 2]`, `0,1,2` or `range(0,30)`."""
    seeds = given if isinstance(given, list) else [given]
    if isinstance(given, str):
        seeds = [
            yaml.safe_load(word.split("=", 1)[1]) for word in _values("seeds", f"seed={given}")
        ]
    if not seeds or len(set(map(str, seeds))) < len(seeds):
        rule = "different seeds" if seeds else "at least one seed"
        raise ValueError(f"seeds: expected {rule}, got {given}; for example range(0,30)")
    return seeds


def _entries(family: str, given: Any) -> Iterator[str]:
    """Yield the entries of a family with all ranges expanded."""
    if not isinstance(given, list) or not given or not all(isinstance(e, str) for e in given):
        raise ValueError(f"{family}: expected a list of names with their overrides, got {given!r}")
    for entry in given:
        name, *overrides = _words(family, entry)
        for words in itertools.product(*(_values(family, override) for override in overrides)):
            yield shlex.join([name, *words])


def _values(where: str, override: str) -> list[str]:
    """Return a list with one override for each value."""
    found = list(itertools.islice(values(where, override), _MOST + 1))
    if len(found) > _MOST:
        raise ValueError(f"{where}: expected at most {_MOST} values, got {override}")
    return found


def _words(where: str, entry: str) -> list[str]:
    """Return the name and the overrides of an entry."""
    try:
        words = shlex.split(entry)
    except ValueError as error:
        raise ValueError(f"{where}: expected a name and overrides, got {entry}: {error}") from None
    if not words:
        raise ValueError(f"{where}: expected a name and overrides, got {entry!r}")
    return words


def _shown(entry: str) -> str:
    """Return an entry without shell quotes."""
    return " ".join(_words("entry", entry))


def _name(entry: str) -> str:
    return entry.split(maxsplit=1)[0]


def _compose(family: str, entry: str) -> Any:
    """Return the unresolved settings of an entry as plain values.

    Raises:
        ValueError: Hydra cannot compose them.
    """
    name, *overrides = _words(family, entry)
    words = [f"{family}={name}", *overrides]
    try:
        settings = composed("config", words)
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(explain(error, words)) from None
    plain = OmegaConf.to_container(settings[family], resolve=False)
    return plain


def _resolve(optimizer: Any, objective: Any, alone: dict[str, Any]) -> dict[str, Any]:
    """Return the resolved settings of one run, equal to those that `tuneoff run` would use."""
    settings = {"optimizer": optimizer, "objective": objective}
    if "${" not in str(settings):
        return {**settings, **alone}
    try:
        resolved = OmegaConf.to_container(OmegaConf.create({**settings, **alone}), resolve=True)
    except ValueError as error:  # the base class of OmegaConf's errors
        raise ValueError(f"settings: expected resolvable settings, got: {error}") from None
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


def _make(entry: str, settings: Any) -> Objective:
    """Create an objective; an error message is prefixed with the entry."""
    try:
        objective: Objective = instantiate(settings, _convert_="all")
    except Exception as error:
        line = explain(error, [])
        if line is None:
            raise
        raise ValueError(f"{entry}: {line}") from None
    return objective
