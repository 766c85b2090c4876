"""Read the configuration from a language model's answer, and repair it if possible."""

import json
import math
from typing import Any

from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    Constant,
    OrdinalHyperparameter,
    UniformIntegerHyperparameter,
)

from objectives.space import UnitCube, check
from objectives.trial import Config, Value

PROPOSED = "proposed"
REPAIRED = "repaired"


def proposal(
    text: str, space: ConfigurationSpace, cube: UnitCube, best: Config | None
) -> tuple[Config | None, str]:
    """Return the configuration that an answer proposes, or None, and whether it was repaired.

    Args:
        text: the answer, of which the first JSON object is used.
        space: the space of the configuration.
        cube: the cube of the space.
        best: the configuration that supplies missing values, or None.
    """
    found = _first_object(text)
    if found is None:
        return None, REPAIRED
    config: Config = {}
    for name in space:  # parents before children
        if not cube.is_active(name, config):
            continue
        value = _value(space[name], found.get(name))
        if value is None:
            value = (best or {}).get(name)
        if value is None:
            value = cube.config([0.5] * cube.dim).get(name, _any(space[name]))
        config[name] = value
    config = {name: config[name] for name in cube.names if name in config}
    try:
        check_values(space, config, cube)
    except ValueError:
        return None, REPAIRED
    same = all(name in space for name in found) and all(
        isinstance(found.get(name), bool) == isinstance(value, bool) and found.get(name) == value
        for name, value in config.items()
    )
    return config, PROPOSED if same else REPAIRED


def check_values(space: ConfigurationSpace, config: Config, cube: UnitCube) -> None:
    """Raise `ValueError` unless a configuration is allowed and a point of the space."""
    if not cube.allows(config):
        raise ValueError(f"config: expected an allowed configuration, got {config}")
    check(space, config)


def _first_object(text: str) -> dict[str, Any] | None:
    """Return the first non-empty JSON object in a text, or None."""
    decoder, place = json.JSONDecoder(), text.find("{")
    while place >= 0:
        try:
            found, _ = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict) and found:
            return found
        place = text.find("{", place + 1)
    return None


def _value(parameter: Any, given: Any) -> Value | None:
    """Return the permitted value that is meant, or None."""
    if isinstance(parameter, Constant):
        constant: Value = parameter.value
        return constant
    if isinstance(parameter, CategoricalHyperparameter):
        return _choice(list(parameter.choices), given)
    if isinstance(parameter, OrdinalHyperparameter):
        return _choice(list(parameter.sequence), given)
    number = _number(given)
    if number is None:
        return None
    clipped = min(max(number, parameter.lower), parameter.upper)
    if isinstance(parameter, UniformIntegerHyperparameter):
        return int(round(clipped))
    return float(clipped)


def _choice(choices: list[Value], given: Any) -> Value | None:
    """Return the choice that is meant: the same one, or the one of the same text."""
    for choice in choices:
        if type(choice) is type(given) and choice == given:
            return choice
    meant = str(given).strip().lower()
    return next((choice for choice in choices if str(choice).lower() == meant), None)


def _number(given: Any) -> float | None:
    if isinstance(given, bool) or not isinstance(given, (int, float, str)):
        return None
    try:
        number = float(given)
    except (ValueError, OverflowError):
        return None
    return None if math.isnan(number) else number


def _any(parameter: Any) -> Value:
    """Return some value of a parameter."""
    value: Value = parameter.default_value
    return value
