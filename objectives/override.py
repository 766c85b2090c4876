"""Change a space's description: single keys of a parameter, or a parameter's whole description."""

from collections.abc import Mapping
from typing import Any

from objectives import expected
from objectives.parameters import KEYS, dot_hint, pinned
from objectives.space import is_whole

Descriptions = Mapping[str, Mapping[str, Any]]
"""One description per parameter, as `objectives.space.build_space` takes them."""


def override(defaults: Descriptions, overrides: Descriptions) -> dict[str, dict[str, Any]]:
    """Return `defaults` with the keys that `overrides` gives for some parameters replaced.

    A plain value makes the parameter a constant of this value. A whole description (a type with the
    bounds, choices or value that it needs) replaces the old one. If only the type changes, keys
    that the new type does not have are dropped.

    Raises:
        ValueError: `defaults` lacks a parameter, or a description is not a mapping of keys.
    """
    if not isinstance(overrides, Mapping):
        raise ValueError(
            f"space: expected a mapping of parameters to their keys, got {overrides!r}"
        )
    for name, keys in overrides.items():
        if name not in defaults:
            raise ValueError(
                f"space: expected one of the parameters {list(defaults)}, got {name}"
                + dot_hint(str(name), defaults)
            )
        if not isinstance(pinned(keys), Mapping):
            raise ValueError(f"space.{name}: expected a mapping such as {{upper: 3}}, got {keys!r}")
        if not isinstance(keys, Mapping):
            _check_pin(f"space.{name}", defaults[name], keys)
    return {name: _merged(keys, overrides.get(name, {})) for name, keys in defaults.items()}


def _check_pin(where: str, description: Mapping[str, Any], value: Any) -> None:
    """Raise `ValueError` unless a value is possible for a parameter of this description."""
    kind = description.get("type")
    choices = description.get("choices")
    good = expected.is_number(value) and (kind == "float" or value == int(value))
    if kind in ("float", "int") and not good:
        rule = "an integer" if kind == "int" else "a number"
        raise ValueError(
            f"{where}: expected {rule} or a mapping such as {{upper: 3}}, got {value!r}"
        )
    if isinstance(choices, list | tuple) and value not in choices:
        raise ValueError(f"{where}: expected one of {list(choices)} or a mapping, got {value!r}")


def _merged(old: Mapping[str, Any], new: Any) -> dict[str, Any]:
    """Return one description with some of its keys replaced."""
    if not isinstance(new, Mapping):
        condition = {"when": old["when"]} if "when" in old else {}
        return {**pinned(new), **condition}
    if is_whole(new):
        return dict(new)
    known = KEYS.get(str(new.get("type", old.get("type"))), set(old)) | {"type", "when"}
    return {**{key: value for key, value in old.items() if key in known}, **new}


def with_pinned(space: Mapping[str, Any]) -> dict[str, Any]:
    """Return descriptions in which plain values are replaced by constants."""
    return {name: pinned(description) for name, description in space.items()}
