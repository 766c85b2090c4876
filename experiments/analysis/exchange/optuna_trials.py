"""The parts of a run in Optuna's terms, which the export and the live view share."""

from collections.abc import Mapping
from typing import Any

from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    Constant,
    OrdinalHyperparameter,
    UniformIntegerHyperparameter,
)
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from experiments.running.header import Header


def distributions_of(space: ConfigurationSpace) -> dict[str, BaseDistribution]:
    """Return Optuna's distribution of every parameter of a space."""
    return {name: _distribution(space[name]) for name in space}


def _distribution(parameter: Any) -> BaseDistribution:
    if isinstance(parameter, Constant):
        return CategoricalDistribution([parameter.value])
    if isinstance(parameter, CategoricalHyperparameter):
        return CategoricalDistribution(list(parameter.choices))
    if isinstance(parameter, OrdinalHyperparameter):
        return CategoricalDistribution(list(parameter.sequence))
    if isinstance(parameter, UniformIntegerHyperparameter):
        return IntDistribution(parameter.lower, parameter.upper, log=parameter.log)
    return FloatDistribution(parameter.lower, parameter.upper, log=parameter.log)


def attributes(
    id: int,
    fidelity: float,
    cost: float,
    metrics: Mapping[str, float],
    error: str | None,
    penalty: float | None,
) -> dict[str, Any]:
    """Return the user attributes of an evaluated trial.

    Args:
        id: the id of the trial.
        fidelity: the share of a full evaluation.
        cost: the cost in seconds.
        metrics: the metrics that were measured.
        error: the error, or None if the evaluation succeeded.
        penalty: the value of a failure that the objective grades, or None.
    """
    found: dict[str, Any] = {"trial": id, "fidelity": fidelity, "cost_s": cost}
    found.update({f"metric.{name}": number for name, number in metrics.items()})
    if error is not None:
        found["error"] = error
        if penalty is not None:
            found["penalty"] = penalty
    return found


def constraints(header: Header, metrics: Mapping[str, float]) -> dict[str, Any]:
    """Return the excess of each limit as Optuna's constraints, which are kept up to 0."""
    return {
        f"constraints:{name}": limit.excess(metrics[name]) for name, limit in header.limits.items()
    }
