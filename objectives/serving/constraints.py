"""Constraints between parameters, written as text: `n_ubatch <= n_batch`, `tp * pp * dp <= 8`.

The grammar has arithmetic (+ - * // / %), comparisons, `and`, `or`, `not`, numbers, quoted words
and the names of parameters. If a configuration leaves a parameter inactive, every constraint that
names this parameter is satisfied.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace, ForbiddenGreaterThanRelation

from objectives.space import UnitCube, add_rules
from objectives.trial import Config

_SAMPLES = 4096  # unit points drawn; at least one of them has to satisfy all constraints

_OPERATORS: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


class Constraint:
    """A rule that a configuration satisfies or violates.

    Attributes:
        text: the constraint as the user wrote it.
        names: the parameters that the constraint mentions.

    Raises:
        ValueError: the text does not follow the grammar in the module's docstring, or it names a
            parameter that is not among `parameters`.
    """

    def __init__(self, text: str, parameters: list[str]) -> None:
        self.text = str(text)
        try:
            self._tree = ast.parse(self.text, mode="eval").body
            _check(self._tree)
        except SyntaxError:
            raise ValueError(
                f"objective.constraints: expected a comparison such as a * b <= 8, got {text}"
            ) from None
        self.names = sorted(n.id for n in ast.walk(self._tree) if isinstance(n, ast.Name))
        for name in self.names:
            if name not in parameters:
                raise ValueError(
                    f"objective.constraints: expected parameters of {parameters}, got {name} in "
                    f"{text}"
                )

    def holds(self, config: Config) -> bool:
        """Return whether a configuration satisfies the rule."""
        if any(name not in config for name in self.names):
            return True
        try:
            return bool(_value(self._tree, config))
        except (ArithmeticError, TypeError) as error:
            values = {name: config[name] for name in self.names}
            raise ValueError(
                f"objective.constraints: expected values that {self.text} compares, got {values} "
                f"({error})"
            ) from None

    def __call__(self, config: Config) -> bool:
        """Return whether a configuration satisfies the rule, True if that is unknown."""
        try:
            return self.holds(config)
        except ValueError:
            return True  # the evaluation then raises the error with its reason

    def order(self) -> tuple[str, str] | None:
        """Return (a, b) if the rule is `a <= b` between two parameters, else None."""
        tree = self._tree
        if not (isinstance(tree, ast.Compare) and len(tree.ops) == 1):
            return None
        left, right = tree.left, tree.comparators[0]
        if not (isinstance(left, ast.Name) and isinstance(right, ast.Name)):
            return None
        return (left.id, right.id) if isinstance(tree.ops[0], ast.LtE) else None


def read(texts: list[str], space: ConfigurationSpace) -> list[Constraint]:
    """Read constraints and add them to the space; return those that ConfigSpace cannot express.

    Constraints of the form `a <= b` become forbidden clauses; the others become rules. Optimizers
    propose only configurations that satisfy both. If a violation is proposed nevertheless, it is
    detected before the server is launched.

    Raises:
        ValueError: a constraint cannot be read, or none of several thousand drawn configurations,
            including corners of the space, satisfies all constraints.
    """
    constraints = [Constraint(text, list(space)) for text in texts]
    _expect_some(constraints, space)
    others = []
    for constraint in constraints:
        order = constraint.order()
        if order is None or not constraint.holds(dict(space.get_default_configuration())):
            others.append(constraint)
        else:
            space.add(ForbiddenGreaterThanRelation(space[order[0]], space[order[1]]))
    add_rules(space, *others)
    return others


def _expect_some(constraints: list[Constraint], space: ConfigurationSpace) -> None:
    cube = UnitCube(space)
    generator = np.random.default_rng(0)
    drawn = generator.random((_SAMPLES, cube.dim))
    corners = np.rint(drawn[: _SAMPLES // 4])
    configs = [cube.config(u) for u in np.concatenate([drawn, corners])]
    for constraint in constraints:
        configs = [config for config in configs if constraint.holds(config)]
        if not configs:
            raise ValueError(
                f"objective.constraints: expected rules that some configuration keeps, got "
                f"{constraint.text}, which none does"
                + (" together with those before" if constraint is not constraints[0] else "")
            )


def _check(tree: ast.AST) -> None:
    """Raise SyntaxError if a node is not part of the grammar."""
    allowed: tuple[type[ast.AST], ...] = (ast.Compare, ast.BoolOp, ast.BinOp, ast.UnaryOp)
    leaves = (ast.Name, ast.Constant, ast.Load, ast.And, ast.Or, ast.Not, ast.USub)
    if not isinstance(tree, (ast.Compare, ast.BoolOp)):
        raise SyntaxError
    for node in ast.walk(tree):
        if not isinstance(node, (*allowed, *leaves, *_OPERATORS)):
            raise SyntaxError


def _value(tree: ast.AST, config: Config) -> Any:
    if isinstance(tree, ast.Name):
        return config[tree.id]
    if isinstance(tree, ast.Constant):
        return tree.value
    if isinstance(tree, ast.UnaryOp):
        value = _value(tree.operand, config)
        return not value if isinstance(tree.op, ast.Not) else -value
    if isinstance(tree, ast.BinOp):
        return _OPERATORS[type(tree.op)](_value(tree.left, config), _value(tree.right, config))
    if isinstance(tree, ast.BoolOp):
        values = (_value(part, config) for part in tree.values)
        return all(values) if isinstance(tree.op, ast.And) else any(values)
    assert isinstance(tree, ast.Compare)
    sides = [_value(side, config) for side in (tree.left, *tree.comparators)]
    pairs = zip(tree.ops, sides, sides[1:], strict=False)
    return all(_OPERATORS[type(op)](left, right) for op, left, right in pairs)
