"""Change single keys of a space's description."""

from collections.abc import Mapping
from typing import Any

Descriptions = Mapping[str, Mapping[str, Any]]
"""One description per parameter, as `objectives.space.build_space` takes them."""


def override(defaults: Descriptions, overrides: Descriptions) -> dict[str, dict[str, Any]]:
    """Return `defaults` with the keys that `overrides` gives for some parameters replaced.

    Raises:
        ValueError: a parameter that `defaults` lacks, or something else than a mapping of keys.
    """
    if not isinstance(overrides, Mapping):
        raise ValueError(
            f"space: expected a mapping of parameters to their keys, got {overrides!r}"
        )
    for name, keys in overrides.items():
        if name not in defaults:
            raise ValueError(f"space: expected one of the parameters {list(defaults)}, got {name}")
        if not isinstance(keys, Mapping):
            raise ValueError(f"space.{name}: expected a mapping such as {{upper: 3}}, got {keys!r}")
    return {name: {**keys, **overrides.get(name, {})} for name, keys in defaults.items()}
