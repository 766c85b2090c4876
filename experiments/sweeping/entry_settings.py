"""The settings that an entry of an experiment stands for, composed by Hydra."""

from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experiments.running.composing import composed
from experiments.running.making import SCALARISE, with_scalarisation
from experiments.running.making_objective import make_objective
from experiments.running.mistakes import explain
from experiments.sweeping.entries import words_of
from objectives.objective import Objective


def entry_settings(family: str, entry: str) -> dict[str, Any]:
    """Return the resolved settings of an entry of `executor` or `stop`.

    Raises:
        ValueError: Hydra cannot compose them.
    """
    composed_settings = settings_of(family, entry)
    try:
        settings = OmegaConf.to_container(OmegaConf.create(composed_settings), resolve=True)
    except OmegaConfBaseException as error:
        raise ValueError(f"{family}: expected resolvable settings, got: {error}") from None
    assert isinstance(settings, dict)
    return {str(key): value for key, value in settings.items()}


def settings_of(family: str, entry: str) -> Any:
    """Return the unresolved settings of an entry as plain values.

    Raises:
        ValueError: Hydra cannot compose them.
    """
    return of_family(family, composed_with(family, entry))


def composed_with(family: str, entry: str) -> DictConfig:
    """Return all settings of a run whose family has this entry.

    Raises:
        ValueError: Hydra cannot compose them.
    """
    name, *overrides = words_of(family, entry)
    words = [f"{family}={name}", *overrides]
    try:
        return composed("config", words)
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(explain(error, words)) from None


def of_family(family: str, settings: DictConfig) -> Any:
    """Return the unresolved settings of a family, with a scalarisation if there is one."""
    named = plain(settings[family])
    return with_scalarisation(named, settings[SCALARISE]) if family == "optimizer" else named


def plain(settings: DictConfig) -> dict[str, Any]:
    """Return composed settings as plain values, unresolved."""
    plain = OmegaConf.to_container(settings, resolve=False)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def resolved_with(optimizer: Any, objective: Any, alone: dict[str, Any]) -> dict[str, Any]:
    """Return the resolved settings of one run, equal to those that `tuneoff run` would use."""
    settings = {"optimizer": optimizer, "objective": objective, **alone}
    if "${" not in str(settings):
        return settings
    try:
        resolved = OmegaConf.to_container(OmegaConf.create(settings), resolve=True)
    except ValueError as error:  # the base class of OmegaConf's errors
        raise ValueError(f"settings: expected resolvable settings, got: {error}") from None
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


def objective_of(entry: str, settings: Any) -> Objective:
    """Create an objective; an error message is prefixed with the entry."""
    try:
        objective = make_objective(settings)
    except Exception as error:
        line = explain(error, [])
        if line is None:
            raise
        raise ValueError(f"{entry}: {line}") from None
    return objective
