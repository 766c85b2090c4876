"""What a run is, as a digest that no move of a file changes.

A node of the settings that stands for an object is named by its class without the module. One of
another distribution carries the distribution's name, so that two of one name differ.
"""

from functools import cache
from importlib import metadata
from typing import Any

from experiments.running import provenance

_OURS = ("objectives", "optimizers", "experiments")


def without_paths(settings: Any) -> Any:
    """Return plain settings in which the key `class` replaces each `_target_`."""
    if isinstance(settings, dict):
        named = {"class": _name(str(settings["_target_"]))} if "_target_" in settings else {}
        rest = {key: without_paths(x) for key, x in settings.items() if key != "_target_"}
        return {**named, **rest}
    return [without_paths(x) for x in settings] if isinstance(settings, list) else settings


def identity(
    names: dict[str, str],
    optimizer: Any,
    objective: Any,
    seed: int,
    workers: int,
    optimizer_version: int,
    fingerprint: dict[str, Any],
) -> str:
    """Return the digest of what a run is; its budget is no part of it.

    Args:
        names: of the two YAML files.
        optimizer: its settings as written: `${budget}` is no identity.
        objective: its settings, resolved.
        seed: of the run.
        workers: how many trials are evaluated at once; they decide what is known at each ask.
        optimizer_version: of the optimizer's class.
        fingerprint: of the objective.
    """
    parts = {
        "names": names,
        "optimizer": without_paths(optimizer),
        "objective": without_paths(objective),
        "seed": seed,
        "optimizer_version": optimizer_version,
        "fingerprint": fingerprint,
    }
    return provenance.digest(parts if workers == 1 else {**parts, "workers": workers})


def _name(target: str) -> str:
    package, name = target.partition(".")[0], target.rpartition(".")[2]
    return name if package in _OURS else f"{_distribution(package)}:{name}"


@cache
def _distribution(package: str) -> str:
    """Return the distribution that installs a package, or the package where none does."""
    return metadata.packages_distributions().get(package, [package])[0]
