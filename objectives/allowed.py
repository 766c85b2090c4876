"""A list of allowed combinations: a space of which only these may be asked.

A combination gives values of some or all parameters. A configuration is allowed if it agrees with
one of them; parameters that the combination leaves out are free. The unit cube maps every point to
an allowed configuration, that of the nearest combination, so that every optimizer keeps to the
list. A list that names all parameters makes the space finite.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace

from objectives import expected
from objectives.combinations import Combinations
from objectives.conditions import is_active
from objectives.plain_yaml import read_yaml
from objectives.space import check, holds, list_combinations
from objectives.table import Column, Row, Table, looks_numeric
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
        where, rows = given, _file(expected.path(WHERE, given))
    if not isinstance(rows, list | tuple) or not rows:
        raise ValueError(f"{where}: expected {_RULE}, got {rows!r:.100}")
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping) or not row:
            raise ValueError(f"{where}[{number}]: expected a combination, got {row!r:.100}")
    return [dict(row) for row in rows]


def _file(path: Path) -> Any:
    try:
        if path.suffix == ".csv":
            return _table(Table(path, {}, []))
        return read_yaml(path, "CSV, YAML or JSON")
    except OSError as error:
        raise ValueError(f"{WHERE}: expected {_RULE}, got {path}: {error.strerror}") from None


def _table(table: Table) -> list[dict[str, Any]]:
    twice = [name for name in table.header if table.header.count(name) > 1 or not name]
    if twice:
        raise ValueError(
            f"{table.path}: expected a different name for each column, got {table.header}"
        )
    columns = [Column(name) for name in table.header]
    return [
        {source.name: _cell(row, source) for source in columns if row.text(source)}
        for row in table.rows
    ]


def _cell(row: Row, source: Column) -> Value:
    """Return a cell as a boolean or number if it is one, as in the same list in YAML."""
    text = row.text(source)
    if row.is_boolean(source):
        return row.boolean_in(source)
    if not looks_numeric(text):
        return text
    number = row.number_in(source)
    return int(text) if number.is_integer() and text.lstrip("+-").isdigit() else number


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
    config = {name: value_of(f"{where}.{name}", space[name], row[name]) for name in named}
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


def value_of(where: str, parameter: Any, given: Any) -> Value:
    """Return a value of a parameter as the space has it; text of a file stands for any type.

    Raises:
        ValueError: the parameter does not have the value.
    """
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
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    inside = parameter.lower <= number <= parameter.upper
    if not inside or (whole and number != int(number)):
        rule = f"{'a whole number' if whole else 'a number'} from {parameter.lower} to "
        raise ValueError(f"{where}: expected {rule}{parameter.upper}, got {given!r}")
    return int(number) if whole else number
