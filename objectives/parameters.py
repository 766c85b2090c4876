"""Build one parameter from its short description: the types, their keys and permitted values."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ConfigSpace import (
    CategoricalHyperparameter,
    Constant,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)
from ConfigSpace.hyperparameters import Hyperparameter

from objectives import expected
from objectives.trial import Value

KEYS: Mapping[str, set[str]] = {
    "float": {"lower", "upper", "log"},
    "int": {"lower", "upper", "log"},
    "categorical": {"choices"},
    "ordinal": {"choices"},
    "constant": {"value"},
}
"""The keys of a description by its type, in addition to `type` and `when`."""

TYPES: Mapping[type, str] = {
    bool: "true or false",
    int: "integers",
    float: "numbers",
    str: "text",
}
"""The types to which a parameter's values may be restricted, in words."""

_DECIMALS = 13  # of the bounds of a float, to which ConfigSpace rounds them
_LARGEST = 1e15  # largest magnitude of a bound: larger integers are not exact as floats


def hyperparameter(
    name: str, description: Mapping[str, Any], default: Value | None = None
) -> "Hyperparameter[Any, Any]":
    """Return the parameter of a description.

    Args:
        name: the parameter's name.
        description: as in the docstring of `objectives.space`.
        default: ConfigSpace's default value; None means the one that ConfigSpace chooses.

    Raises:
        ValueError: the description is incomplete, contradictory, or has an unknown key.
    """
    where = f"space.{name}"
    kind = _kind(where, description)
    given: dict[str, Any] = {} if default is None else {"default_value": default}
    if kind == "constant":
        return Constant(name, _plain_values(f"{where}.value", [description.get("value")])[0])
    if kind in ("categorical", "ordinal"):
        choices = description.get("choices")
        if not isinstance(choices, (list, tuple)) or not choices:
            raise ValueError(f"{where}.choices: expected a list of values, got {choices}")
        values = _plain_values(f"{where}.choices", list(choices))
        if kind == "categorical":
            return CategoricalHyperparameter(name, values, **given)
        return OrdinalHyperparameter(name, values, **given)
    lower, upper, log = _bounds(where, kind, description)
    if lower == upper:
        return Constant(name, int(lower) if kind == "int" else float(lower))
    if kind == "int":
        return UniformIntegerHyperparameter(name, int(lower), int(upper), log=log, **given)
    return UniformFloatHyperparameter(name, float(lower), float(upper), log=log, **given)


def pinned(description: Any) -> Any:
    """Return the description of a constant for a plain value, anything else unchanged."""
    if isinstance(description, (bool, int, float, str)):
        return {"type": "constant", "value": description}
    return description


def expect_type(where: str, description: Mapping[str, Any], kind: type) -> None:
    """Raise `ValueError` if a parameter of a fixed type is described with values of another type.

    Args:
        where: the beginning of the error.
        description: a valid description, as in the docstring of `objectives.space`.
        kind: one of `TYPES`. An integer is also a number; the types do not overlap otherwise.
    """
    described = description["type"]
    if described in ("float", "int"):
        if not (kind is float or (kind is int and described == "int")):
            raise ValueError(f"{where}.type: expected {TYPES[kind]}, got the type {described}")
        return
    values = [description["value"]] if described == "constant" else description["choices"]
    for value in values:
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise ValueError(f"{where}: expected {TYPES[kind]}, got {value!r}")


def dot_hint(name: str, known: Iterable[str]) -> str:
    """Return a hint for an unknown name that is the beginning of a name with a dot, else ""."""
    for other in known:
        if other.startswith(f"{name}."):
            return (
                f"; {other} holds a dot: it can be set in a YAML file only, not on the command line"
            )
    return ""


def _kind(where: str, description: Mapping[str, Any]) -> str:
    """Return the type of a description; raise if it has keys that its type does not have."""
    kind = description.get("type")
    if not isinstance(kind, str) or kind not in KEYS:
        nested = [key for key, value in description.items() if isinstance(value, Mapping)]
        inner = next((key for key in nested if key != "when"), None)
        hint = (
            f"; a name that holds a dot, such as {where.removeprefix('space.')}.{inner}, can be "
            f"set in a YAML file only, not on the command line"
            if kind is None and inner is not None
            else f"; is {where.rpartition('.')[2]} mistyped? A new parameter needs a type"
            if kind is None
            else ""
        )
        raise ValueError(f"{where}.type: expected one of {list(KEYS)}, got {kind}{hint}")
    allowed = KEYS[kind] | {"type", "when"}
    unknown = [key for key in description if key not in allowed]
    if unknown:
        others = set().union(*KEYS.values())
        removed = " ".join(f"'~objective.{where}.{key}'" for key in unknown)
        hint = (
            f"; where the type is meant to change, give the whole description, or remove the "
            f"rest of the old one: {removed}"
            if set(unknown) <= others
            else ""
        )
        raise ValueError(f"{where}: expected the keys {sorted(allowed)}, got {unknown[0]}{hint}")
    return kind


def _bounds(where: str, kind: str, description: Mapping[str, Any]) -> tuple[float, float, bool]:
    """Return the lower and the upper bound, and whether the scale is logarithmic."""
    lower: Any = description.get("lower")
    upper: Any = description.get("upper")
    log = description.get("log", False)
    check = expected.is_whole if kind == "int" else expected.is_number
    for key, bound in (("lower", lower), ("upper", upper)):
        if not check(bound) or abs(bound) > _LARGEST:
            expected.refuse(f"{where}.{key}", f"a finite {kind}", bound)
    expected.switch(f"{where}.log", log)
    if lower > upper:
        raise ValueError(f"{where}: expected lower <= upper, got {lower} > {upper}")
    if kind == "float" and lower != upper:
        _check_rounding(where, lower, upper)
    if log and lower <= 0 and lower != upper:  # a single value needs no scale
        raise ValueError(f"{where}.lower: expected a positive bound on a log scale, got {lower}")
    return lower, upper, log


def _check_rounding(where: str, lower: float, upper: float) -> None:
    """Raise `ValueError` if ConfigSpace, which keeps 13 decimals, would change a bound."""
    kept = [round(bound, _DECIMALS) for bound in (lower, upper)]
    for key, bound, rounded in zip(("lower", "upper"), (lower, upper), kept, strict=True):
        if not math.isclose(bound, rounded, rel_tol=1e-3):
            expected.refuse(
                f"{where}.{key}", f"a bound that {_DECIMALS} decimals can represent", bound,
                "; take another unit, or an exponent as the parameter",
            )  # fmt: skip
    if kept[0] >= kept[1]:
        raise ValueError(
            f"{where}: expected bounds that differ by more than 1e-{_DECIMALS}, got {lower} and "
            f"{upper}"
        )


def _plain_values(where: str, values: list[Any]) -> list[Value]:
    """Return the values; raise if JSON would change one or YAML may have misread one.

    Many readers of YAML read an unquoted `on`, `off`, `yes` or `no` as a boolean. A mixture of
    booleans and other values is therefore considered a mistake.
    """
    for value in values:
        if not isinstance(value, (bool, int, float, str)) or value in (math.inf, -math.inf):
            quote = "; quote what is meant as text" if value is None else ""
            raise ValueError(
                f"{where}: expected true, false, numbers or text, got {value!r}{quote}"
            )
        if value != value:
            raise ValueError(f"{where}: expected true, false, numbers or text, got {value!r}")
        if isinstance(value, int) and not isinstance(value, bool) and not expected.is_number(value):
            expected.refuse(where, "numbers that a float can represent", value)
    booleans = [value for value in values if isinstance(value, bool)]
    if booleans and len(booleans) < len(values):
        raise ValueError(
            f"{where}: expected only booleans or none, got {values}; quote what is meant as text: "
            f"YAML reads on, yes and true as true, and off, no and false as false"
        )
    return values
