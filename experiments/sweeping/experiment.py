"""An experiment, a named set of runs: optimizers x objectives x seeds under one budget.

`conf/experiment/<name>.yaml` has four keys. An entry of `optimizers` or `objectives` is what
follows `optimizer=` or `objective=` on the command line of `run.py`: a name, then overrides in
Hydra's grammar. Several values, `range(1,25)` or `1,2,5`, make several entries; `${seed}` is the
seed of the run, so `objective.instance=${seed}` gives every seed an instance of its own.
"""

import itertools
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from experiments.running import provenance
from experiments.running.command_line import check_settings, prepare
from experiments.running.header import Header
from experiments.running.mistakes import explain
from experiments.running.run import Run, RunSettings, folder_name
from objectives.objective import Objective

KEYS = ("optimizers", "objectives", "seeds", "budget")
FOLDER = provenance.ROOT / "conf" / "experiment"


@dataclass(frozen=True)
class PlannedRun:
    """One run of an experiment.

    Attributes:
        optimizer: its entry, one value per override.
        objective: its entry.
        settings: of the run.
        header: of its log.
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
    """What the YAML says, with every range written out."""

    name: str
    optimizers: list[str]
    objectives: list[str]
    seeds: list[int]
    budget: float

    def plan(self) -> list[PlannedRun]:
        """Return all runs: every optimizer and objective of one seed before the next seed.

        Hydra composes each entry once; each distinct objective is made once, for its
        fingerprint.

        Raises:
            ValueError: an entry names what does not exist, or two entries are the same run.
        """
        optimizers = {entry: _compose("optimizer", entry) for entry in self.optimizers}
        objectives = {entry: _compose("objective", entry) for entry in self.objectives}
        made: dict[str, Objective] = {}
        runs: dict[str, PlannedRun] = {}
        for seed, objective, optimizer in itertools.product(self.seeds, objectives, optimizers):
            resolved = _resolve(optimizers[optimizer], objectives[objective], seed, self.budget)
            key = provenance.digest(resolved["objective"])
            if key not in made:
                made[key] = _make(objective, resolved["objective"])
            settings = RunSettings(
                names={"optimizer": _name(optimizer), "objective": _name(objective)},
                optimizer=resolved["optimizer"],
                objective=resolved["objective"],
                seed=seed,
                budget=float(self.budget),
                optimizer_as_written=optimizers[optimizer],
            )
            header = Run(settings, made[key]).header
            planned = PlannedRun(_shown(optimizer), _shown(objective), settings, header)
            same = runs.setdefault(header.identity, planned)
            if same is not planned:
                raise ValueError(f"{self.name}: expected different runs, got twice {planned}")
        return list(runs.values())


def load(name: str, changes: dict[str, Any]) -> Experiment:
    """Read `conf/experiment/<name>.yaml`, or the file that `name` is the path of.

    Args:
        name: of the experiment.
        changes: values of keys that replace the file's.

    Raises:
        ValueError: there is no such experiment, or it is not one.
    """
    path = Path(name) if name.endswith(".yaml") else FOLDER / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml")))
        raise ValueError(f"experiment: expected one of {known}, or a YAML file, got {name}")
    try:
        found = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: expected YAML, got: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict) or set(found) != set(KEYS):
        got = ", ".join(map(str, found)) if isinstance(found, dict) else repr(found)
        raise ValueError(f"{path}: expected the keys {', '.join(KEYS)}, got {got}")
    found.update(changes)
    seeds = _seeds(found["seeds"])
    for seed in seeds:
        checked = {"seed": seed, "budget": found["budget"], "workers": 1}
        unused = {"plot": False, "progress": "auto", "tracking": "none"}
        check_settings(OmegaConf.create({**checked, **unused}))
    entries = {family: list(_entries(family, found[family])) for family in KEYS[:2]}
    for family, written in entries.items():
        if len(set(written)) < len(written):
            raise ValueError(f"{family}: expected different entries, got {', '.join(written)}")
    return Experiment(path.stem, **entries, seeds=seeds, budget=found["budget"])


def _seeds(given: Any) -> list[int]:
    """Return the seeds of `3`, `[0, 1, 2]`, `0,1,2` or `range(0,30)`."""
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
    """Yield the entries of a family with all ranges written out."""
    if not isinstance(given, list) or not given or not all(isinstance(e, str) for e in given):
        raise ValueError(f"{family}: expected a list of names with their overrides, got {given!r}")
    for entry in given:
        name, *overrides = shlex.split(entry)
        for words in itertools.product(*(_values(family, override) for override in overrides)):
            yield shlex.join([name, *words])


def _values(where: str, override: str) -> list[str]:
    """Return an override once per value."""
    try:
        parsed = OverridesParser.create().parse_overrides([override])[0]
    except HydraException:
        raise ValueError(f"{where}: expected key=value, got {override}") from None
    if not parsed.is_sweep_override():
        return [override]
    try:
        values = list(parsed.sweep_string_iterator())
    except (ValueError, TypeError, HydraException):
        values = []
    return [f"{parsed.get_key_element()}={value}" for value in values]


def _shown(entry: str) -> str:
    """Return an entry without the quotes that a shell would need."""
    return " ".join(shlex.split(entry))


def _name(entry: str) -> str:
    return entry.split(maxsplit=1)[0]


def _compose(family: str, entry: str) -> Any:
    """Return the settings of an entry, unresolved, as plain values.

    Raises:
        ValueError: Hydra cannot make them.
    """
    name, *overrides = shlex.split(entry)
    words = [f"{family}={name}", *overrides]
    try:
        with initialize_config_dir(str(provenance.ROOT / "conf"), version_base=None):
            settings = compose("config", prepare(words))
    except HydraException as error:
        raise ValueError(explain(error, words)) from None
    plain = OmegaConf.to_container(settings[family], resolve=False)
    return plain


def _resolve(optimizer: Any, objective: Any, seed: int, budget: float) -> dict[str, Any]:
    """Return the settings of one run, resolved, as `run.py` has them."""
    settings = {"optimizer": optimizer, "objective": objective}
    alone = {"seed": seed, "budget": budget, "workers": 1}
    if "${" not in str(settings):
        return {**settings, **alone}
    try:
        resolved = OmegaConf.to_container(OmegaConf.create({**settings, **alone}), resolve=True)
    except ValueError as error:  # OmegaConf's are
        raise ValueError(f"settings: expected what can be resolved, got: {error}") from None
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


def _make(entry: str, settings: Any) -> Objective:
    """Make an objective; what is wrong with it is said with its entry."""
    try:
        objective: Objective = instantiate(settings, _convert_="all")
    except Exception as error:
        line = explain(error, [])
        if line is None:
            raise
        raise ValueError(f"{entry}: {line}") from None
    return objective
