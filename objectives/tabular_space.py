"""The space of a table: given, or derived from the values in its columns."""

from collections.abc import Mapping
from typing import Any

from ConfigSpace import (
    ConfigurationSpace,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)

from objectives.parameters import dot_hint
from objectives.space import build_space, plain
from objectives.table import Column, Row, Table, looks_numeric
from objectives.trial import Value

_CHOSEN = ("categorical", "ordinal")


def space_of(
    table: Table, parameters: Mapping[str, Column], given: Mapping[str, Mapping[str, Any]]
) -> ConfigurationSpace:
    """Return the space of a table's parameters.

    Args:
        table: the table, with a column for each parameter.
        parameters: the column of each parameter.
        given: descriptions of some parameters. The choices of a categorical or ordinal without
            choices are derived from the table, and so are parameters without a description.

    Raises:
        ValueError: a description is not valid, or a column mixes numbers with other text.
    """
    if not isinstance(given, Mapping):
        raise ValueError(f"space: expected parameters with their keys, got {given!r}")
    unknown = [name for name in given if name not in parameters]
    if unknown:
        hint = dot_hint(str(unknown[0]), parameters)
        raise ValueError(f"space: expected some of {list(parameters)}, got {unknown[0]}{hint}")
    return build_space(
        {
            name: _described(table, name, source, given.get(name) or {})
            for name, source in parameters.items()
        }
    )


def _described(table: Table, name: str, source: Column, given: Any) -> Any:
    """Return a parameter's description, completed from the values in its column."""
    if not given:
        return _derived(table, name, source)
    if not isinstance(given, Mapping) or given.get("type") not in _CHOSEN or "choices" in given:
        return given
    rows = _filled(table, source)
    if given["type"] == "categorical" and not all(row.is_boolean(source) for row in rows):
        return {**given, "choices": list(dict.fromkeys(row.text(source) for row in rows))}
    return {**given, "choices": _derived(table, name, source)["choices"]}


def _filled(table: Table, source: Column) -> list[Row]:
    """Return the rows whose cell is not empty."""
    rows = [row for row in table.rows if row.text(source) != ""]
    if not rows:
        raise ValueError(f"{table.path}, column {source.name}: expected values, got none")
    return rows


def _derived(table: Table, name: str, source: Column) -> dict[str, Any]:
    """Describe a parameter by the values in its column."""
    rows = _filled(table, source)
    if source.log10 or any(looks_numeric(row.text(source)) for row in rows):
        odd = next((row for row in rows if not row.is_number(source)), None)
        if odd is not None and not source.log10:
            raise ValueError(
                f"{odd.where}, column {source.name}: expected a finite number as in the other "
                f"rows, got {odd.text(source)!r}; leave the cell empty where the parameter is "
                f"inactive, or give objective.space.{name}.type=categorical"
            )
        numbers = sorted({row.number_in(source) + 0.0 for row in rows})  # no negative zero
        if all(number == int(number) for number in numbers):
            return {"type": "ordinal", "choices": [int(number) for number in numbers]}
        return {"type": "ordinal", "choices": numbers}
    if all(row.is_boolean(source) for row in rows):
        found = {row.boolean_in(source) for row in rows}
        return {"type": "categorical", "choices": sorted(found, reverse=True)}
    return {"type": "categorical", "choices": list(dict.fromkeys(r.text(source) for r in rows))}


def fit(row: Row, source: Column, space: ConfigurationSpace, name: str) -> Value:
    """Return a cell as a value of its parameter, in the parameter's own type.

    Raises:
        ValueError: the cell holds no value of the parameter.
    """
    parameter: Any = space[name]
    choices = getattr(parameter, "choices", None) or getattr(parameter, "sequence", None)
    if choices is None and hasattr(parameter, "value"):
        choices = [parameter.value]
    if choices is not None:
        values = list(plain({str(k): choice for k, choice in enumerate(choices)}).values())
        return _chosen(row, source, values)
    assert isinstance(parameter, UniformFloatHyperparameter | UniformIntegerHyperparameter)
    number = row.number_in(source)
    lower, upper = float(parameter.lower), float(parameter.upper)
    whole_numbers = isinstance(parameter, UniformIntegerHyperparameter)
    slack = 1e-9 * max(abs(lower), abs(upper))
    legal = lower - slack <= number <= upper + slack
    if not legal or (whole_numbers and number != int(number)):
        kind = "an integer" if whole_numbers else "a number"
        raise ValueError(
            f"{row.where}, column {source.name}: expected {kind} in [{lower:g}, {upper:g}], "
            f"got {row.text(source)}"
        )
    return int(number) if whole_numbers else min(max(number, lower), upper)


def _chosen(row: Row, source: Column, choices: list[Value]) -> Value:
    """Return the choice that a cell denotes: the same text, number or boolean."""
    number = row.number_in(source) if row.is_number(source) else None
    boolean = row.boolean_in(source) if row.is_boolean(source) else None
    for choice in choices:
        if isinstance(choice, str):
            same = choice == row.text(source)
        elif isinstance(choice, bool) and boolean is not None:
            same = choice == boolean
        else:
            same = number is not None and choice == number
        if same:
            return choice
    raise ValueError(
        f"{row.where}, column {source.name}: expected one of "
        f"{[str(choice) for choice in choices]}, got {row.text(source)!r}"
    )
