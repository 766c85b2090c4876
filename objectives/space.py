"""Search spaces from short YAML, and the map between configurations and the unit cube.

A space is described by one mapping per parameter:

    learning_rate: {type: float, lower: 1e-10, upper: 1e-1, log: true}
    lora_rank:     {type: int, lower: 2, upper: 64}
    kernel:        {type: categorical, choices: [rbf, poly]}
    level:         {type: ordinal, choices: [low, middle, high]}
    margin:        {type: constant, value: 3}
    degree:        {type: int, lower: 2, upper: 5, when: {kernel: poly}}     # or [a, b]
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from ConfigSpace import CategoricalHyperparameter, Configuration, ConfigurationSpace
from ConfigSpace.hyperparameters import NumericalHyperparameter
from numpy.typing import NDArray

from objectives.axis import Axis
from objectives.combinations import Combinations, nearest
from objectives.conditions import first_allowed, is_active
from objectives.declaring import clause_of, declared, expect_shape
from objectives.parameters import KEYS, expect_type
from objectives.trial import Config

Rule = Callable[[Config], bool]
"""Returns whether a configuration satisfies a rule."""

_DRAWS = 100_000  # random points, at least one of which has to be allowed


def build_space(
    parameters: Mapping[str, Mapping[str, Any]],
    forbidden: Sequence[Mapping[str, Any]] = (),
    types: Mapping[str, type] = MappingProxyType({}),
) -> ConfigurationSpace:
    """Build a ConfigSpace space; the parameters keep their order as the axes of the unit cube.

    Args:
        parameters: one description per parameter, as in the module's docstring.
        forbidden: combinations of values that no configuration may contain; as in `when`, a list
            stands for any of its values. If they forbid ConfigSpace's default configuration,
            another one becomes the default.
        types: the type of all values of a parameter: bool, int, float or str.

    Raises:
        ValueError: a description is incomplete, contradictory, or has an unknown key, a value is
            not of the parameter's type, or the clauses forbid everything.
    """
    expect_shape(parameters, forbidden)
    space = declared(parameters, {})
    for name, kind in types.items():
        if name in parameters:
            expect_type(f"space.{name}", parameters[name], kind)
    if forbidden:
        default = first_allowed(space, [clause_of(space, clause) for clause in forbidden])
        space = declared(parameters, default)
        space.add(*(clause_of(space, clause) for clause in forbidden))
    return space


def is_whole(description: Mapping[str, Any]) -> bool:
    """Return whether a description has all the keys that its type needs."""
    kind = description.get("type")
    return isinstance(kind, str) and kind in KEYS and KEYS[kind] - {"log"} <= set(description)


def constants(space: ConfigurationSpace) -> Config:
    """Return the parameters of a space that are constants, with their values."""
    parameters = {
        name: parameter for name, parameter in space.items() if hasattr(parameter, "value")
    }
    return plain({name: parameter.value for name, parameter in parameters.items()})


def check(space: ConfigurationSpace, config: Config) -> None:
    """Raise `ValueError`, naming what is wrong, unless `config` is a point of `space`."""
    for name, value in config.items():  # ConfigSpace fails in NumPy on these
        if isinstance(value, bool) and isinstance(space.get(name), NumericalHyperparameter):
            raise ValueError(f"config: expected a number for {name}, got {value}")
    try:
        Configuration(space, values=config)
    except Exception as error:  # ConfigSpace raises a different type for each fault
        reason = " ".join(str(error).split())
        raise ValueError(f"config: expected a point of the space, got {config}: {reason}") from None


def holds(space: ConfigurationSpace, config: Config) -> bool:
    """Return whether `config` is a point of `space`."""
    try:
        check(space, config)
    except ValueError:
        return False
    return True


def plain(config: Mapping[str, Any]) -> Config:
    """Return `config` with numpy's scalars converted to plain Python values."""
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in config.items()
    }


def add_rules(space: ConfigurationSpace, *rules: Rule) -> None:
    """Attach rules to a space: predicates of configurations, known before any evaluation.

    A configuration that violates a rule is a point of the space, and an objective refuses it at no
    cost. `UnitCube.allows` and `UnitCube.draw` follow the rules, so that no optimizer asks for such
    a configuration.

    Args:
        space: the space; all cubes created from it afterwards follow the rules.
        rules: functions that return whether a configuration satisfies the rule. They can be pickled
            and never raise.
    """
    space.meta = {**(space.meta or {}), "rules": (*rules_of(space), *rules)}


def rules_of(space: ConfigurationSpace) -> tuple[Rule, ...]:
    """Return the rules of a space."""
    rules: tuple[Rule, ...] = (space.meta or {}).get("rules", ())
    return rules


def list_combinations(space: ConfigurationSpace, combinations: Combinations) -> None:
    """Let a space carry a list of combinations; configurations that agree with none are excluded.

    Args:
        space: whatever cube is made of it afterwards maps to allowed configurations only.
        combinations: combinations of this space's values.
    """
    space.meta = {**(space.meta or {}), "combinations": combinations}


def combinations_of(space: ConfigurationSpace) -> Combinations | None:
    """Return the list of combinations that a space carries, or None."""
    found: Combinations | None = (space.meta or {}).get("combinations")
    return found


class UnitCube:
    """The map between configurations and unit points `u` (dim,) in [0, 1]^dim.

    There is one axis per parameter, in the order of their declaration. Floats are linear, or linear
    in the logarithm. Every integer and every choice owns an equal share of [0, 1] and maps back to
    the middle of its share; on a log scale, the share of an integer k is that of [k - 1/2, k + 1/2]
    in the logarithm. Ordinal and categorical parameters are in the order of their choices. The
    coordinate of an inactive parameter, or of a constant, is 1/2. If the space carries a list of
    combinations, each point maps to the configuration with the values of the nearest one.

    Attributes:
        dim: number of axes.
        names: the parameter of each axis.
        n_values: (dim,) number of different values on each axis; inf if continuous.
        categorical: (dim,) whether the values of an axis have no order.
        listed: the parameters whose values a list of combinations gives.
        finite: all allowed configurations, if a list of combinations gives all parameters of each;
            otherwise None.
    """

    def __init__(self, space: ConfigurationSpace) -> None:
        self.space = space
        axes = (space.meta or {}).get("axes", list(space))
        self.names: list[str] = list(axes)
        self.dim = len(self.names)
        self._axes = [Axis(space[name]) for name in self.names]
        self.n_values = np.array([axis.n_values for axis in self._axes])
        self.categorical = np.array(
            [isinstance(space[name], CategoricalHyperparameter) for name in self.names]
        )
        self._conditional = bool(space.conditions)
        self._rules = rules_of(space)
        self._combinations = combinations_of(space)
        self.listed: set[str] = set()
        if self._combinations is not None:
            self.listed = self._combinations.names
            self._rows = np.array([self._row(one) for one in self._combinations.listed])
        self.finite = self._finite()
        order = {name: place for place, name in enumerate(space)}  # parents before children
        self._topological = sorted(range(self.dim), key=lambda axis: order[self.names[axis]])

    def config(self, u: NDArray[np.float64] | Sequence[float]) -> Config:
        """Return the configuration at `u` (dim,), without the inactive parameters.

        Forbidden combinations and violations of rules are returned too; `allows` checks them.

        Raises:
            ValueError: `u` has another shape or lies outside the cube.
        """
        point = np.asarray(u, dtype=float)
        if point.shape != (self.dim,) or not (np.all(point >= 0) and np.all(point <= 1)):
            raise ValueError(f"unit point: expected ({self.dim},) values in [0, 1], got {u}")
        values = [axis.value(x) for axis, x in zip(self._axes, point.tolist(), strict=True)]
        if self._combinations is not None:
            given = self._combinations.listed[nearest(self._rows, point)]
            values = [given.get(name, x) for name, x in zip(self.names, values, strict=True)]
        if not self._conditional:
            return dict(zip(self.names, values, strict=True))
        active: Config = {}
        for axis in self._topological:
            name = self.names[axis]
            if self.is_active(name, active):
                active[name] = values[axis]
        return {name: active[name] for name in self.names if name in active}

    def point(self, config: Config) -> NDArray[np.float64]:
        """Return the unit point (dim,) of a configuration."""
        return np.array(
            [
                axis.place(config[name]) if name in config else 0.5
                for name, axis in zip(self.names, self._axes, strict=True)
            ]
        )

    def _finite(self) -> list[Config] | None:
        listed = [] if self._combinations is None else self._combinations.listed
        whole = all(
            name in config or not self.is_active(name, config)
            for config in listed
            for name in self.names
        )
        return [config for config in listed if self.allows(config)] if listed and whole else None

    def _row(self, config: Config) -> NDArray[np.float64]:
        """Return the place of a combination (dim,); NaN on the axes that it leaves free."""
        free = [name not in config for name in self.names]
        return np.where(free, np.nan, self.point(config))

    def snap(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the unit point of the configuration that `u` (dim,) maps to."""
        return self.point(self.config(u))

    def is_active(self, name: str, active: Mapping[str, Any]) -> bool:
        """Return whether a parameter is active, given the values of the active ones.

        Only its parents matter, which precede it in `list(space)`.
        """
        return is_active(self.space, name, active)

    def allows(self, config: Config) -> bool:
        """Return whether an optimizer may ask for a configuration of this cube.

        It may if no forbidden clause holds, and the configuration satisfies the space's rules and
        agrees with one of the listed combinations, if there are any.
        """
        if self._combinations is not None and not self._combinations.hold(config):
            return False
        if any(clause.is_forbidden_value(config) for clause in self.space.forbidden_clauses):
            return False
        return all(rule(config) for rule in self._rules)

    def draw(self, rng: np.random.Generator, n: int = 1) -> NDArray[np.float64]:
        """Draw `n` unit points (n, dim) whose configurations are allowed, uniformly.

        Listed combinations are equally likely, and the parameters that they leave out are uniform.

        An optimizer draws one allowed configuration in two lines:

            (u,) = cube.draw(rng)
            config = cube.config(u)

        Raises:
            ValueError: none of a large number of consecutive points is allowed.
        """
        return np.array([self._draw(rng) for _ in range(n)]).reshape(n, self.dim)

    def _draw(self, rng: np.random.Generator) -> NDArray[np.float64]:
        for _ in range(_DRAWS):
            point = rng.random(self.dim)
            if self._combinations is not None:
                row = self._rows[rng.integers(len(self._rows))]
                point = np.where(np.isnan(row), point, row)
            if self.allows(self.config(point)):
                return point
        raise ValueError(
            f"space: expected configurations that are allowed, got none in {_DRAWS} random ones; "
            f"forbid less"
        )
