"""The identity of a run: a digest that does not change when source files are moved.

The settings of an object contain the name of its class without its module. The name of a class
from another distribution is prefixed with that distribution, so that equal names stay distinct.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import metadata
from typing import Any

from experiments.running import provenance

UNSET = ("goals", "limits", "scalarise", "gpus")
"""The settings that are part of an identity only if they are set."""

_OURS = ("objectives", "optimizers", "experiments")


def without_paths(settings: Any) -> Any:
    """Return a copy of plain settings in which the key `class` replaces each `_target_`.

    Goals, limits and GPUs that are null are left out: they are the objective's own, and a run has
    the identity that it had before these settings existed.
    """
    if isinstance(settings, dict):
        named = {"class": _name(str(settings["_target_"]))} if "_target_" in settings else {}
        rest = {
            key: without_paths(x)
            for key, x in settings.items()
            if key != "_target_" and not (x is None and key in UNSET)
        }
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
    clock: dict[str, Any] | None = None,
    start: Sequence[dict[str, Any]] = (),
    transfer: str | None = None,
) -> str:
    """Return the digest that identifies a run; the budget is not part of it.

    Args:
        names: the names of the two YAML files.
        optimizer: the optimizer's settings as written, because the number that `${budget}` stands
            for must not enter the identity.
        objective: the objective's settings, resolved.
        seed: the seed of the run.
        workers: the number of trials evaluated at once, which determines what the optimizer knows
            at each ask.
        optimizer_version: the version of the optimizer's class.
        fingerprint: the fingerprint of the objective.
        clock: the settings of the simulated clock; None if the clock is real.
        start: the configurations that are evaluated first.
        transfer: the digest of the earlier runs that the optimizer was given; None if it has none.
    """
    parts: dict[str, Any] = {
        "names": names,
        "optimizer": without_paths(optimizer),
        "objective": without_paths(objective),
        "seed": seed,
        "optimizer_version": optimizer_version,
        "fingerprint": fingerprint,
    }
    if workers != 1:
        parts["workers"] = workers
    if clock is not None:
        parts["clock"] = clock
    if start:
        parts["start"] = list(start)
    if transfer is not None:
        parts["transfer"] = transfer
    return provenance.digest(parts)


def _name(target: str) -> str:
    package, name = target.partition(".")[0], target.rpartition(".")[2]
    return name if package in _OURS else f"{_distribution(package)}:{name}"


@cache
def _distribution(package: str) -> str:
    """Return the distribution that installs a package, or the package's name if unknown.

    The answer is that of `importlib.metadata.packages_distributions`, which reads the file list of
    every distribution: that takes longer than the rest of a run's start.
    """
    for distribution in metadata.distributions():
        if _installs(distribution, package):
            return distribution.name
    return package


def _installs(distribution: metadata.Distribution, package: str) -> bool:
    declared = (distribution.read_text("top_level.txt") or "").split()
    if declared:
        return package in declared
    record = distribution.read_text("RECORD")
    if record is not None and package not in record:
        return False  # its file list need not be parsed
    return any(
        package == (file.parts[0] if len(file.parts) > 1 else file.stem)
        for file in distribution.files or ()
        if file.suffix == ".py"
    )


def check_identity(event: Mapping[str, Any]) -> None:
    """Check that the identity in a header is the digest of the settings in the same header.

    Two kinds of identity are not checked: one that is not a digest, as in logs written by hand,
    and one in a header that was converted from an earlier format.

    Args:
        event: a header of any format, as it is in the file.

    Raises:
        ValueError: the identity or the settings were changed.
        KeyError, TypeError, AttributeError: the event is not a header.
    """
    stated = event["identity"]
    if not isinstance(stated, str) or not re.fullmatch("[0-9a-f]{64}", stated):
        return
    if event["format"] == 1:
        found = _identities_of_format_1(event)
    elif "first_format" in event:
        return
    else:
        found = [_identity_of(event)]
    if stated not in found:
        raise ValueError(
            f"header.identity: expected the digest of the header's settings, got {stated[:8]}..., "
            f"so the identity or the settings were changed"
        )


def _identity_of(event: Mapping[str, Any]) -> str:
    written = event.get("written")
    if written is not None and not _resolves_to(written, event["optimizer"]):
        raise ValueError(
            "header.written: expected the settings in header.optimizer, got other settings"
        )
    return identity(
        event["names"],
        event["optimizer"] if written is None else written,
        event["objective"],
        event["seed"],
        event["workers"],
        event["optimizer_version"],
        event["fingerprint"],
        event.get("clock"),
        event.get("start", ()),
        event["transfer"]["digest"] if "transfer" in event else None,
    )


def _resolves_to(written: Any, resolved: Any) -> bool:
    """Return whether `resolved` may be `written` with its interpolations resolved."""
    if isinstance(written, dict) and isinstance(resolved, dict):
        same = written.keys() == resolved.keys()
        return same and all(_resolves_to(written[key], resolved[key]) for key in written)
    if isinstance(written, list) and isinstance(resolved, list):
        return len(written) == len(resolved) and all(map(_resolves_to, written, resolved))
    return bool(written == resolved) or (isinstance(written, str) and "${" in written)


def _identities_of_format_1(event: Mapping[str, Any]) -> list[str]:
    """Return the digests of the settings as logged, and with `${budget}` for the budget."""
    parts = {key: event[key] for key in ("objective", "seed", "fingerprint")}
    optimizer = event["optimizer"]
    written = _with_budget(optimizer, event["budget"])
    return [provenance.digest({**parts, "optimizer": each}) for each in (optimizer, written)]


def _with_budget(settings: Any, budget: float) -> Any:
    if isinstance(settings, dict):
        return {key: _with_budget(value, budget) for key, value in settings.items()}
    if isinstance(settings, list):
        return [_with_budget(value, budget) for value in settings]
    is_budget = not isinstance(settings, bool) and settings == budget
    return "${budget}" if is_budget else settings
