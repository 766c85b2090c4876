"""The synthetic functions: values worked by hand, the shift, and overridden ranges."""

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from objectives.functions.box import BoxFunction
from objectives.functions.synthetic import (
    Ackley,
    Branin,
    Hartmann3,
    Hartmann6,
    Levy,
    Rosenbrock,
    Shekel,
)
from objectives.space import UnitCube
from objectives.trial import Config, Trial

Shift = int | str | None
BUILDERS: dict[str, Callable[[Shift], BoxFunction]] = {
    "branin": lambda shift: Branin(shift=shift, space={}),
    "rosenbrock": lambda shift: Rosenbrock(dimension=2, shift=shift, space={}),
    "rosenbrock in 6-D": lambda shift: Rosenbrock(dimension=6, shift=shift, space={}),
    "hartmann3": lambda shift: Hartmann3(shift=shift, space={}),
    "hartmann6": lambda shift: Hartmann6(shift=shift, space={}),
    "shekel": lambda shift: Shekel(shift=shift, space={}),
    "ackley": lambda shift: Ackley(dimension=5, shift=shift, space={}),
    "levy": lambda shift: Levy(dimension=5, shift=shift, space={}),
    "levy in 1-D": lambda shift: Levy(dimension=1, shift=shift, space={}),
}
every = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS.keys())


def value_at(function: BoxFunction, *x: float) -> float:
    config: Config = dict(zip(function.names, x, strict=True))
    value = function.evaluate(Trial(0, config)).value
    assert value is not None
    return value


def ranges(function: BoxFunction) -> tuple[Any, Any]:
    """Return lower and upper bounds (d,)."""
    cube = UnitCube(function.space)
    lower, upper = (cube.config([end] * cube.dim).values() for end in (0.0, 1.0))
    return np.array(list(lower), dtype=float), np.array(list(upper), dtype=float)


def location(function: BoxFunction) -> Any:
    return np.array([[float(m[name]) for name in function.names] for m in function.minimisers])


def test_branin_at_the_origin() -> None:
    # (0 - 0 + 0 - 6)^2 + 10 (1 - 1 / (8 pi)) + 10 = 56 - 10 / (8 pi)
    assert value_at(Branin(shift="none", space={}), 0, 0) == pytest.approx(56 - 1.25 / math.pi)


def test_rosenbrock_in_three_dimensions() -> None:
    # x = (0, 1, 2): 100 (1 - 0)^2 + 1 + 100 (2 - 1)^2 + 0 = 201
    function = Rosenbrock(dimension=3, shift="none", space={})
    assert value_at(function, 0, 1, 2) == pytest.approx(201)


def test_ackley_at_whole_numbers() -> None:
    # At (1, 1) |x| / sqrt d = 1 and every cosine is 1: -20 e^-0.2 - e + 20 + e.
    function = Ackley(dimension=2, shift="none", space={})
    assert value_at(function, 1, 1) == pytest.approx(20 * (1 - math.exp(-0.2)))


def test_levy_where_every_sine_is_known() -> None:
    # x = (5, 5): w = (2, 2), and 2 pi + 1 has the sine of 1:
    # sin^2(2 pi) + 1 (1 + 10 sin^2 1) + 1 (1 + sin^2(4 pi)) = 2 + 10 sin^2 1
    function = Levy(dimension=2, shift="none", space={})
    assert value_at(function, 5, 5) == pytest.approx(2 + 10 * math.sin(1) ** 2)


def test_levy_between_its_valleys() -> None:
    # x = 3 in one dimension: w = 1.5; sin^2(1.5 pi) = 1, plus 0.25 (1 + sin^2(3 pi)) = 0.25
    assert value_at(Levy(dimension=1, shift="none", space={}), 3) == pytest.approx(1.25)


@pytest.mark.parametrize(
    ("function", "published"),
    [
        (Hartmann3(shift="none", space={}), -3.86278),
        (Hartmann6(shift="none", space={}), -3.32237),
        (Shekel(shift="none", space={}), -10.5364),
    ],
    ids=["hartmann3", "hartmann6", "shekel"],
)
def test_an_optimum_without_closed_form_rounds_to_the_published_one(
    function: BoxFunction, published: float
) -> None:
    assert function.optimum is not None
    digits = len(str(published).split(".")[1])
    assert round(function.optimum, digits) == published


def test_hartmann_beside_one_centre_is_that_centres_share() -> None:
    # At P_3 of Hartmann-3 the others give 1 exp(-s1), 1.2 exp(-s2), 3.2 exp(-s4) with
    # s1 = 3 * 0.2598^2 + 10 * 0.7562^2 + 30 * 0.2874^2 = 8.39896
    # s2 = 0.1 * 0.3608^2 + 10 * 0.4345^2 + 35 * 0.1923^2 = 3.19518
    # s4 = 0.1 * 0.0710^2 + 10 * 0.2989^2 + 35 * 0.3281^2 = 4.66169
    # 3 + 0.000225 + 0.049150 + 0.030243 = 3.079618
    function = Hartmann3(shift="none", space={})
    assert value_at(function, 0.1091, 0.8732, 0.5547) == pytest.approx(-3.079618, abs=2e-5)


@every
@pytest.mark.parametrize("shift", ["none", 0, 1, 2])
def test_every_minimiser_attains_the_optimum(
    build: Callable[[Shift], BoxFunction], shift: Shift
) -> None:
    function = build(shift)
    assert function.minimisers
    found = [value_at(function, *x) for x in location(function)]
    assert found == pytest.approx([function.optimum] * len(found), rel=1e-12, abs=1e-12)


@every
def test_no_point_far_beyond_the_box_lies_below_the_optimum(
    build: Callable[[Shift], BoxFunction],
) -> None:
    # The shift evaluates the formula up to 15 % of the width outside its usual bounds.
    function = build("none")
    lower, upper = ranges(function)
    rng = np.random.default_rng(0)
    points = rng.uniform(1.5 * lower - 0.5 * upper, 1.5 * upper - 0.5 * lower, (5000, len(lower)))
    near = location(function)[0] + rng.normal(0, 1e-3, (2000, len(lower))) * (upper - lower)
    assert function.optimum is not None
    assert min(map(function.formula, [*points, *near])) >= function.optimum - 1e-12


@every
def test_a_shift_keeps_a_minimiser_five_percent_inside(
    build: Callable[[Shift], BoxFunction],
) -> None:
    lower, upper = ranges(build("none"))
    margin = 0.05 * (upper - lower) - 1e-12
    for seed in range(100):
        places = location(build(seed))
        inside = (places >= lower + margin) & (places <= upper - margin)
        assert inside.all(axis=1).any()


@every
def test_a_shift_is_at_most_fifteen_percent_and_leaves_the_box(
    build: Callable[[Shift], BoxFunction],
) -> None:
    plain = build("none")
    lower, upper = ranges(plain)
    for seed in range(100):
        shifted = build(seed)
        assert shifted.space == plain.space
        distances = location(shifted)[:, None] - location(plain)  # (shifted, plain, d)
        assert np.abs(distances / (upper - lower)).max(axis=2).min() <= 0.15 + 1e-12


@every
def test_seeds_shift_differently_and_the_same_seed_alike(
    build: Callable[[Shift], BoxFunction],
) -> None:
    places = [build(seed).minimisers[0] for seed in range(5)]
    assert all(a != b for i, a in enumerate(places) for b in places[:i])
    assert build(3).minimisers == build(3).minimisers


def test_a_shifted_function_is_the_function_moved() -> None:
    plain, shifted = Branin(shift="none", space={}), Branin(shift=0, space={})
    delta = location(shifted)[0] - location(plain)[0]
    assert value_at(shifted, *(np.array([2.0, 5.0]) + delta)) == pytest.approx(
        value_at(plain, 2.0, 5.0)
    )


def test_minimisers_outside_the_box_are_not_reported() -> None:
    # The third minimiser, x1 = 9.42, leaves [-5, 10] when it moves right by more than 0.575.
    counts = {len(Branin(shift=seed, space={}).minimisers) for seed in range(50)}
    assert counts >= {2, 3}


def test_an_overridden_range_replaces_the_default() -> None:
    function = Branin(shift="none", space={"x1": {"upper": 4}})
    assert ranges(function)[1].tolist() == [4, 15]
    assert len(function.minimisers) == 2  # 3 pi lies beyond 4


def test_a_range_without_a_minimiser_leaves_the_optimum_unknown() -> None:
    function = Rosenbrock(dimension=2, shift="none", space={"x1": {"upper": 0}})
    assert function.optimum is None
    assert not function.minimisers


def test_an_integer_axis_is_evaluated_at_its_integers() -> None:
    function = Rosenbrock(
        dimension=2, shift="none", space={"x1": {"type": "int", "lower": -5, "upper": 10}}
    )
    assert value_at(function, 2, 4.0) == pytest.approx(1)  # (1 - 2)^2


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"x3": {"upper": 3}}, r"space: expected one of the parameters \['x1', 'x2'\], got x3"),
        ({"x1": [3]}, r"space\.x1: expected a mapping such as .*, got \[3\]"),
        ({"x1": "a"}, r"space\.x1: expected a number or a mapping such as .*, got 'a'"),
        ({"x1": True}, r"space\.x1: expected a number or a mapping such as .*, got True"),
        ([1], r"space: expected a mapping of parameters to their keys, got \[1\]"),
        ({"x1": {"uper": 3}}, r"space\.x1: expected the keys .*, got uper"),
        ({"x1": {"upper": -9}}, r"space\.x1: expected lower <= upper, got -5\.0 > -9"),
    ],
)
def test_a_wrong_override_is_refused(space: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Branin(shift=0, space=space)


@pytest.mark.parametrize("shift", [-1, 1.5, True, "yes"])
def test_a_wrong_shift_is_refused(shift: Any) -> None:
    rule = "shift: expected an integer seed >= 0, none, or anywhere and a seed, got"
    with pytest.raises(ValueError, match=rule):
        Branin(shift=shift, space={})


@pytest.mark.parametrize("dimension", [0, 1, -2, 2.0, True, "2", None])
def test_a_wrong_dimension_is_refused(dimension: Any) -> None:
    with pytest.raises(ValueError, match="dimension: expected an integer of at least 2, got"):
        Rosenbrock(dimension=dimension, shift=0, space={})


def test_no_metric_tells_an_optimizer_the_regret() -> None:
    assert Branin(shift=0, space={}).evaluate(Trial(0, {"x1": 1.0, "x2": 1.0})).metrics == {}


def test_importing_the_functions_imports_no_heavy_library() -> None:
    code = (
        "import sys, objectives.functions.synthetic; "
        "print({'torch', 'ioh', 'hydra'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout.strip()) == (0, "set()")
