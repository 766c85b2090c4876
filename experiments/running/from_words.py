"""Creation of runs and optimizers from command-line words, for notebooks and programs."""

from collections.abc import Sequence
from typing import Any

from ConfigSpace import ConfigurationSpace
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from experiments.running.composing import FAMILIES, chosen, composed
from experiments.running.making import SCALARISE, with_scalarisation
from experiments.running.making_objective import with_allowed, with_gpus
from experiments.running.run import Run, RunSettings
from optimizers.optimizer import Optimizer


def run_of(*words: str) -> Run:
    """Return the run that `tuneoff run` would start with these words.

        run = run_of("optimizer=soo", "objective=branin", "budget=20")

    The settings `out`, `plot`, `progress` and `tracking` affect only the command.

    Raises:
        ValueError, OSError, HydraException: the words do not describe a valid run.
    """
    settings = composed("config", words)
    return Run(run_settings(settings, names_of(words)))


def run_settings(settings: DictConfig, names: dict[str, str]) -> RunSettings:
    """Return composed settings as plain values.

    Args:
        settings: the composed settings of conf/config.yaml.
        names: the names of the two YAML files, by family.
    """
    resolved, as_written = _plain(settings, True), _plain(settings, False)
    for family in FAMILIES:
        if not isinstance(resolved[family], dict) or "_target_" not in resolved[family]:
            raise ValueError(
                f"{family}: expected the settings of a class with _target_, got "
                f"{resolved[family]!r:.100}"
            )
    method = resolved.get(SCALARISE)
    return RunSettings(
        names=names,
        optimizer=with_scalarisation(resolved["optimizer"], method),
        objective=with_gpus(with_allowed(resolved["objective"]), resolved["gpus"]),
        seed=resolved["seed"],
        budget=float(resolved["budget"]),
        workers=resolved["workers"],
        optimizer_as_written=with_scalarisation(as_written["optimizer"], method),
        evaluation_timeout_s=resolved["evaluation_timeout_s"],
        gpus=resolved["gpus"],
        start=resolved["start"],
        transfer=resolved["transfer"],
        executor=resolved["executor"],
        stop=resolved["stop"],
    )


def optimizer_of(
    space: ConfigurationSpace, *words: str, seed: int = 0, budget: float = 50
) -> Optimizer:
    """Return an optimizer for the caller's own space, to be used by ask and tell.

        optimizer = optimizer_of(space, "optimizer=gp_bo", "optimizer.n_initial=5")

    Args:
        space: the space, such as `objectives.space.build_space` returns.
        words: the name of the optimizer, and its settings.
        seed: the seed of the optimizer's random numbers.
        budget: the budget in full evaluations, which determines the size of a design.

    Raises:
        ValueError, HydraException: the words do not describe a valid optimizer.
    """
    settings = composed("config", [*words, f"budget={budget}", f"seed={seed}"])
    plain = _plain(settings, True)["optimizer"]
    made = instantiate(plain, space=space, seed=seed, _convert_="all")
    if not isinstance(made, Optimizer):
        raise ValueError(f"optimizer: expected an Optimizer, got {type(made).__name__}")
    return made


def names_of(words: Sequence[str]) -> dict[str, str]:
    """Return the names of the two YAML files that the words choose, by family."""
    return {family: _named(family, words) for family in FAMILIES}


def _named(family: str, words: Sequence[str]) -> str:
    """Return the name that the words choose, or the default of conf/config.yaml."""
    given = [word.partition("=")[2] for word in words if word.startswith(f"{family}=")]
    return given[-1] if given else chosen("config")[family]


def _plain(settings: DictConfig, resolve: bool) -> dict[str, Any]:
    plain = OmegaConf.to_container(settings, resolve=resolve)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}
