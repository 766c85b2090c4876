"""The setting `transfer`: earlier runs, whose evaluations the optimizer may learn from.

`transfer=FOLDER` names a folder of logs and packs, or one packed file, and
`transfer=[FOLDER,FOLDER]` several. `transfer={folders:[FOLDER],...}` has two more keys:

- `parameters: [a, b]`: the earlier runs need to share these parameters only. Others of the space
  have the values of the default configuration, and further parameters of the runs are ignored.
- `same_objective: false`: runs of the very objective of this run are left out.

Only finished runs are read, so that the digest does not change while a run goes on. Runs of one
objective with equal settings are one task. Of each run, the full evaluations inside the present
space are kept. Files are read as data; nothing that they name is imported.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.running import provenance
from experiments.running.composing import config_dirs, options
from experiments.running.finished_runs import FinishedRun, finished_runs
from experiments.running.header import Header
from experiments.running.readers import path as as_path
from experiments.running.transferred import Transferred
from objectives import description, expected
from objectives.objective import Objective
from objectives.space import UnitCube, holds, plain
from objectives.trial import Config, EarlierTask

_EXPECTED = (
    "expected a folder of runs, a list of folders, or {folders: [...], parameters: [...], "
    "same_objective: false}"
)
_MARK = "# Transfer: "


@dataclass(frozen=True)
class _Asked:
    """The setting, after its form was checked."""

    folders: list[Path]
    parameters: list[str] | None
    same_objective: bool


def earlier_tasks(
    given: Any, objective: Objective, own: Mapping[str, Any]
) -> tuple[tuple[EarlierTask, ...], Transferred | None]:
    """Return the tasks of earlier runs, and their description for the header.

    Args:
        given: the value of the setting, as plain values; None means that there are none.
        objective: the objective of the run.
        own: its settings in the form of a header.

    Raises:
        ValueError: the setting is malformed, a file is damaged, or no run fits.
        OSError: a file cannot be read.
    """
    if given is None:
        return (), None
    asked = _asked(given, objective)
    if len(objective.goals) > 1 or objective.limits:
        raise ValueError(
            "transfer: expected an objective with one goal and no limits, got "
            f"{', '.join([*objective.goals, *objective.limits])}"
        )
    rows = {row.header.identity: row for path in asked.folders for row in finished_runs(path)}
    if not rows:
        raise ValueError(f"transfer: expected finished runs, got none in {given}")
    grouped: dict[str, list[FinishedRun]] = {}
    refusals: list[str] = []
    for row in sorted(rows.values(), key=lambda row: _order(row.header)):
        refusal = _difference(row.header, objective, own, asked)
        if refusal is None:
            grouped.setdefault(_task_of(row.header), []).append(row)
        else:
            refusals.append(refusal)
    if not grouped:
        raise ValueError(
            f"transfer: expected runs that fit this one, got {len(rows)} of which none does; the "
            f"first: {refusals[0]}"
        )
    fit = _Fit(objective, asked.parameters)
    tasks = [(group[0].header, len(group), fit.task(group)) for group in grouped.values()]
    kept = [(header, n, task) for header, n, task in tasks if task.configs]
    if not kept:
        raise ValueError(
            "transfer: expected full evaluations inside the space of this run, got none in "
            f"{sum(map(len, grouped.values()))} runs of the same parameters"
        )
    return tuple(task for _, _, task in kept), _described(kept, asked)


def _described(kept: Sequence[tuple[Header, int, EarlierTask]], asked: _Asked) -> Transferred:
    said = [
        {
            "objective": header.names["objective"],
            "settings": header.objective,
            "runs": n,
            "evaluations": len(task.configs),
        }
        for header, n, task in kept
    ]
    content = [
        [
            [config, evaluation.value, evaluation.error is not None]
            for config, evaluation in zip(task.configs, task.evaluations, strict=True)
        ]
        for _, _, task in kept
    ]
    sources = [folder.parent if folder.is_file() else folder for folder in asked.folders]
    names = [source.resolve().name for source in sources]
    return Transferred(provenance.digest(content), names, asked.parameters, said)


def _asked(given: Any, objective: Objective) -> _Asked:
    """Return the setting after checking its form."""
    keys = {"folders", "parameters", "same_objective"}
    if isinstance(given, Mapping) and ("folders" not in given or not keys >= set(given)):
        raise ValueError(f"transfer: {_EXPECTED}, got {dict(given)}")
    whole = given if isinstance(given, Mapping) else {"folders": given}
    listed = whole["folders"] if isinstance(whole["folders"], list) else [whole["folders"]]
    if not listed:
        raise ValueError(f"transfer: {_EXPECTED}, got {given!r}")
    folders = [as_path("transfer", folder) for folder in listed]
    for folder in folders:
        if not folder.exists():
            raise ValueError(f"transfer: {_EXPECTED}, got {folder}, which does not exist")
    same = expected.switch("transfer.same_objective", whole.get("same_objective", True))
    parameters = whole.get("parameters")
    named = parameters if isinstance(parameters, list) else [None]
    texts = named and all(isinstance(name, str) for name in named)
    if parameters is not None and not (texts and set(named) <= set(objective.space)):
        raise ValueError(
            f"transfer.parameters: expected some of {list(objective.space)}, got {parameters!r}"
        )
    return _Asked(folders, parameters, same)


def _order(header: Header) -> tuple[Any, ...]:
    return _task_of(header), header.names["optimizer"], header.seed, header.identity


def _task_of(header: Header) -> str:
    """Return a key that runs of one objective with equal settings share."""
    parts = [header.names["objective"], header.objective, header.fingerprint]
    return json.dumps(parts, sort_keys=True)


# ---- which runs fit


def _difference(
    header: Header, objective: Objective, own: Mapping[str, Any], asked: _Asked
) -> str | None:
    """Return why an earlier run cannot be used, or None if it can."""
    name = header.names["objective"]
    if len(header.goals) > 1 or header.limits:
        return f"{name} has several goals or limits"
    if not asked.same_objective and header.objective == own:
        return f"{name} is this run's own objective"
    if header.space is None:
        return f"the space of {name} is unknown"
    now = description.describe(objective.space)
    wanted = list(now) if asked.parameters is None else asked.parameters
    missing = [parameter for parameter in wanted if parameter not in header.space]
    if missing:
        return f"{name} has no parameter {missing[0]}"
    more = [parameter for parameter in header.space if parameter not in now]
    if more and asked.parameters is None:
        return f"{name} has the parameter {more[0]} besides"
    for parameter in wanted:
        kinds = [str(space[parameter]["type"]) for space in (now, header.space)]
        if kinds[0] != kinds[1] and "constant" not in kinds:
            return f"the type of {parameter} is {kinds[1]} in {name}, and {kinds[0]} in this run"
    return None


class _Fit:
    """Brings the configurations of earlier runs into the space of a run."""

    def __init__(self, objective: Objective, parameters: list[str] | None) -> None:
        self._space, self._cube = objective.space, UnitCube(objective.space)
        self._parameters = parameters
        default = objective.default
        if default is None:
            default = plain(dict(objective.space.get_default_configuration()))
        self._default = default

    def task(self, rows: Sequence[FinishedRun]) -> EarlierTask:
        """Return the evaluations of some runs whose configurations are inside the space."""
        pairs = [
            (config, evaluation)
            for row in rows
            for given, evaluation in zip(row.configs, row.evaluations, strict=True)
            for config in [self._completed(given)]
            if holds(self._space, config) and self._cube.allows(config)
        ]
        configs, evaluations = zip(*pairs, strict=True) if pairs else ((), ())
        return EarlierTask(configs, evaluations)

    def _completed(self, given: Config) -> Config:
        """Return a configuration with the default's values of what it does not share."""
        if self._parameters is None:
            return {name: given[name] for name in self._cube.names if name in given}
        shared = {name: given[name] for name in self._parameters if name in given}
        known = {**self._default, **shared}
        config: Config = {}
        for name in self._space:  # parents before children
            if name in known and self._cube.is_active(name, config):
                config[name] = known[name]
        return {name: config[name] for name in self._cube.names if name in config}


# ---- which optimizers take earlier runs


def states_transfer(name: str) -> bool:
    """Return whether the YAML file of an optimizer has a comment line `# Transfer: ...`."""
    for folder in config_dirs():
        path = folder / "optimizer" / f"{name}.yaml"
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines()
            return any(line.startswith(_MARK) for line in lines)
    return False


def optimizers_with_transfer() -> list[str]:
    """Return the names of the optimizers that state that they take earlier runs.

    A test compares the statements with the optimizers; importing all of them takes seconds.
    """
    return [name for name in options("optimizer") if states_transfer(name)]
