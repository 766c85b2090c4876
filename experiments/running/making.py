"""Create an optimizer for a problem: what it is told, how it is wrapped, or why it is refused.

An optimizer declares by the parameters of its constructor what it handles: `fidelities`, `goals`
(several of them), `limits`, and `transfer` (the evaluations of earlier runs). One that does not
handle the goals or limits of an objective runs under a scalarisation, which its settings name
(`optimizer.scalarise`, or `scalarise=` of `tuneoff run`), or it is refused. An optimizer whose
proposals do not depend on the evaluations needs neither. One that does not handle earlier runs is
refused where there are some.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ConfigSpace import ConfigurationSpace
from hydra.utils import get_object, instantiate

from experiments.running.fidelities import objectives_with_fidelities
from experiments.running.scalarised import METHODS, Scalarised
from experiments.running.transfer import optimizers_with_transfer
from objectives.trial import EarlierTask, Fidelities, Goal, Limit
from optimizers.optimizer import Optimizer

SCALARISE = "scalarise"
"""The key of an optimizer's settings that names the scalarisation."""


@dataclass(frozen=True)
class Problem:
    """The facts that an optimizer may know about an objective, and about earlier tasks."""

    space: ConfigurationSpace
    fidelities: Fidelities | None = None
    goals: Mapping[str, Goal] = field(default_factory=dict)
    limits: Mapping[str, Limit] = field(default_factory=dict)
    transfer: Sequence[EarlierTask] = ()


def make_optimizer(settings: Mapping[str, Any], problem: Problem, seed: int) -> Optimizer:
    """Return a fresh optimizer that has not been asked for a trial.

    Args:
        settings: the optimizer's resolved settings, whose `_target_` was checked
            (`experiments.running.targets`).
        problem: the problem that it searches.
        seed: the seed of its random numbers.

    Raises:
        ValueError: no optimizer can be created from the settings, it does not take the earlier
            tasks, or it handles the problem only under a scalarisation and none is named.
    """
    own = {key: value for key, value in settings.items() if key != SCALARISE}
    method = settings.get(SCALARISE)
    target = get_object(own["_target_"])
    taken = inspect.signature(target).parameters
    if problem.transfer and "transfer" not in taken:
        raise ValueError(
            f"transfer: expected an optimizer that takes earlier runs "
            f"({', '.join(optimizers_with_transfer())}), got {_short(own['_target_'])}"
        )
    beyond = _beyond(problem, taken, target)
    if method is not None:
        return _scalarised(own, problem, taken, seed, str(method))
    if beyond:
        raise ValueError(
            f"optimizer: expected one that takes {beyond}, or a scalarisation "
            f"({SCALARISE}={'|'.join(METHODS)}), got {_short(own['_target_'])}, which minimises "
            f"one value"
        )
    return _instantiated(own, problem, taken, seed)


def _scalarised(
    settings: Mapping[str, Any],
    problem: Problem,
    taken: Mapping[str, Any],
    seed: int,
    method: str,
) -> Optimizer:
    """Return an optimizer of one value under a scalarisation of the problem's goals and limits."""
    if len(problem.goals) < 2 and not problem.limits:
        raise ValueError(
            f"{SCALARISE}: expected null, as the objective has one goal and no limits, got {method}"
        )
    inner = _instantiated(settings, Problem(problem.space, problem.fidelities), taken, seed)
    if not inner.adaptive:
        raise ValueError(
            f"{SCALARISE}: expected null, as the proposals of {_short(settings['_target_'])} do "
            f"not depend on the evaluations, got {method}"
        )
    return Scalarised(inner, goals=problem.goals, limits=problem.limits, method=method)


def with_scalarisation(settings: dict[str, Any], method: str | None) -> dict[str, Any]:
    """Return an optimizer's settings with the scalarisation that a command line names, if any."""
    return settings if method is None else {**settings, SCALARISE: method}


def _beyond(problem: Problem, taken: Mapping[str, Any], target: Callable[..., Any]) -> str:
    """Return the part of a problem that an optimizer does not handle; "" if it handles all."""
    if not getattr(target, "adaptive", True):
        return ""
    if len(problem.goals) > 1 and "goals" not in taken:
        return f"the goals {', '.join(problem.goals)}"
    if problem.limits and "limits" not in taken:
        return f"limits ({', '.join(problem.limits)})"
    return ""


def _instantiated(
    settings: Mapping[str, Any], problem: Problem, taken: Mapping[str, Any], seed: int
) -> Optimizer:
    known = {
        "fidelities": problem.fidelities,
        "goals": dict(problem.goals),
        "limits": dict(problem.limits),
        "transfer": problem.transfer,
    }
    told = {name: value for name, value in known.items() if name in taken}
    try:
        make = instantiate(
            dict(settings), space=problem.space, seed=seed, _partial_=True, _convert_="all"
        )
        made = make(**told)
    except ValueError as error:
        if problem.fidelities is None and "fidelities" in told:
            names = ", ".join(objectives_with_fidelities())
            raise ValueError(f"{error}; objectives with fidelities: {names}") from None
        raise
    except TypeError as error:
        reason = " ".join(str(error).split())
        if "argument" not in reason and not reason.startswith("Instantiation:"):
            raise  # an error inside the constructor, not in its call
        name = settings["_target_"]
        raise ValueError(
            f"optimizer: expected the settings that {name} takes, got: {reason}"
        ) from None
    if not isinstance(made, Optimizer):
        raise ValueError(f"optimizer: expected an Optimizer, got {type(made).__name__}")
    return made


def _short(target: Any) -> str:
    """Return a target's last name; for a function `build`, which names nothing, its module's."""
    return str(target).removesuffix(".build").rpartition(".")[2]
