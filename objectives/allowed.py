"""A list of allowed combinations: a space of which only these may be asked.

A combination gives values of some or all parameters. A configuration is allowed if it agrees with
one of them; parameters that the combination leaves out are free. The unit cube maps every point to
an allowed configuration, that of the nearest combination, so that every optimizer keeps to the
list. A list that names all parameters makes the space finite.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ConfigSpace import ConfigurationSpace

from objectives.combinations import Combinations
from objectives.conditions import is_active
from objectives.space import check, holds, list_combinations
from objectives.trial import Config, Value

WHERE = "objective.allowed"
_RULE = "a list of combinations such as [{x1: 0.2}], or a CSV, YAML or JSON file of one"


def read_allowed(given: Any) -> list[dict[str, Any]]:
    """Return the combinations that the setting `objective.allowed` gives, unchecked.

    Args:
        given: a list of mappings, or the path of a file with one. The first line of a CSV file has
            the names of the parameters; an empty cell leaves its parameter free.

    Raises:
        ValueError: the setting is something else, or the file cannot be read.
    """
    where, rows = WHERE, given
    if isinstance(given, str):
        where, rows = given, _file(Path(given).expanduser())
    if not isinstance(rows, list | tuple) or not rows:
        raise ValueError(f"{where}: expected {_RULE}, got {rows!r:.100}")
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping) or not row:
            raise ValueError(f"{where}[{number}]: expected a combination, got {row!r:.100}")
    return [dict(row) for row in rows]


def _file(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".csv":
            table = csv.DictReader(io.StringIO(text), restkey="", restval="")
            return [{name: _cell(x) for name, x in row.items() if x != ""} for row in table]
        return yaml.safe_load(text)
    except OSError as error:
        raise ValueError(f"{WHERE}: expected {_RULE}, got {path}: {error.strerror}") from None
    except (yaml.YAMLError, csv.Error, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: expected CSV, YAML or JSON in UTF-8, got: {reason}") from None


def _cell(text: str) -> Any:
    """Return a cell as a number if it is one, so that the same list in YAML equals it."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def restrict(space: ConfigurationSpace, rows: Sequence[Mapping[str, Any]]) -> None:
    """Let only configurations that agree with one of these combinations be asked.

    Raises:
        ValueError: a combination names an unknown parameter, an impossible value or a parameter
            that is not active in it, or the space forbids it.
    """
    found: list[Config] = []
    for number, row in enumerate(rows):
        combination = _combination(f"{WHERE}[{number}]", space, row)
        if combination not in found:
            found.append(combination)
    list_combinations(space, Combinations(found))


def _combination(where: str, space: ConfigurationSpace, row: Mapping[str, Any]) -> Config:
    unknown = [name for name in row if name not in space]
    if unknown:
        raise ValueError(f"{where}: expected parameters of {list(space)}, got {unknown[0]}")
    named = [name for name in space if name in row]  # parents before children
    config = {name: _value(f"{where}.{name}", space[name], row[name]) for name in named}
    for name in named:
        parents = {condition.parent.name for condition in _conditions(space, name)}
        lacking = sorted(parents - config.keys())
        if lacking:
            raise ValueError(f"{where}: expected {lacking[0]}, on which {name} depends, got none")
        if not is_active(space, name, config):
            raise ValueError(f"{where}: expected active parameters only, got {name}")
    if all(name in config for name in space if is_active(space, name, config)):
        check(space, config)
        if not holds(space, config):
            raise ValueError(f"{where}: expected a combination that the space allows, got {config}")
    return config


def _conditions(space: ConfigurationSpace, name: str) -> list[Any]:
    """Return the single conditions of a parameter."""
    return [
        part
        for condition in space.parent_conditions_of[name]
        for part in getattr(condition, "dlcs", [condition])
    ]


def _value(where: str, parameter: Any, given: Any) -> Value:
    """Return a value of a parameter as the space has it; text of a file stands for any type."""
    choices = getattr(parameter, "choices", None) or getattr(parameter, "sequence", None)
    if choices is None and not hasattr(parameter, "lower"):
        choices = [parameter.value]
    if choices is not None:
        plain: list[Value] = [one.item() if isinstance(one, np.generic) else one for one in choices]
        for one in plain:
            if one == given and isinstance(one, bool) == isinstance(given, bool):
                return one
            if isinstance(given, str) and given in (str(one), str(one).lower()):
                return one
        raise ValueError(f"{where}: expected one of {plain}, got {given!r}")
    whole = isinstance(parameter.lower, int | np.integer)
    try:
        number = float("nan") if isinstance(given, bool) else float(given)
    except (TypeError, ValueError):
        number = float("nan")
    inside = parameter.lower <= number <= parameter.upper
    if not inside or (whole and number != int(number)):
        rule = f"{'a whole number' if whole else 'a number'} from {parameter.lower} to "
        raise ValueError(f"{where}: expected {rule}{parameter.upper}, got {given!r}")
    return int(number) if whole else number
