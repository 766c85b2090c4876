"""Spaces from short descriptions, and the map between configurations and the unit cube."""

import json
import math
import pickle
from collections import Counter
from datetime import date
from typing import Any

import numpy as np
import pytest
from ConfigSpace import (
    AndConjunction,
    CategoricalHyperparameter,
    ConfigurationSpace,
    EqualsCondition,
    GreaterThanCondition,
    InCondition,
    LessThanCondition,
    OrConjunction,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)

from objectives.space import UnitCube, add_rules, build_space, check, plain, rules_of
from objectives.trial import Config

FLOAT = {"type": "float", "lower": -2.0, "upper": 6.0}
RATE = {"type": "float", "lower": 1e-4, "upper": 1.0, "log": True}
COUNT = {"type": "int", "lower": 3, "upper": 7}
WIDTH = {"type": "int", "lower": 1, "upper": 8, "log": True}
KERNEL = {"type": "categorical", "choices": ["linear", "rbf", "poly"]}
LEVEL = {"type": "ordinal", "choices": ["low", "middle", "high", "top"]}
ALL: dict[str, dict[str, Any]] = {
    "x": FLOAT,
    "rate": RATE,
    "count": COUNT,
    "width": WIDTH,
    "kernel": KERNEL,
    "level": LEVEL,
    "three": {"type": "constant", "value": 3},
    "degree": {"type": "int", "lower": 2, "upper": 5, "when": {"kernel": ["poly", "rbf"]}},
    "mix": {"type": "float", "lower": 0.0, "upper": 1.0, "when": {"degree": 3}},
}


def cube(**parameters: dict[str, Any]) -> UnitCube:
    return UnitCube(build_space(parameters))


@pytest.mark.parametrize("parameter", [COUNT, KERNEL, LEVEL], ids=lambda p: str(p["type"]))
def test_every_integer_and_every_choice_owns_an_equal_share(parameter: dict[str, Any]) -> None:
    axis = cube(a=parameter)
    # 6000 places in the middle of equal cells: 3, 4 and 5 values divide 6000 evenly.
    places = (np.arange(6000) + 0.5) / 6000
    shares = Counter(axis.config([u])["a"] for u in places)
    assert set(shares.values()) == {6000 // int(axis.n_values[0])}


def test_shares_lie_in_the_order_of_the_values() -> None:
    axis = cube(a=COUNT)
    assert [axis.config([u])["a"] for u in (0.0, 0.19, 0.21, 0.5, 0.79, 0.81, 1.0)] == [
        *(3, 3, 4, 5, 6, 7, 7)
    ]


def test_an_integer_on_a_log_scale_owns_half_a_step_to_each_side_in_the_logarithm() -> None:
    axis = cube(a=WIDTH)
    # The axis spans log 0.5 to log 8.5; 2 owns log 1.5 to log 2.5.
    span = math.log(8.5) - math.log(0.5)
    start, end = (math.log(1.5 / 0.5) / span, math.log(2.5 / 0.5) / span)
    places = (start - 1e-9, start + 1e-9, end - 1e-9, end + 1e-9)
    assert [axis.config([u])["a"] for u in places] == [1, 2, 2, 3]


def test_a_value_maps_back_to_the_middle_of_its_share() -> None:
    assert cube(a=COUNT).point({"a": 4})[0] == pytest.approx(0.3)  # the second of five: 1.5 / 5
    assert cube(a=LEVEL).point({"a": "high"})[0] == pytest.approx(0.625)  # 2.5 / 4


def test_floats_are_linear_or_linear_in_the_logarithm() -> None:
    both = cube(x=FLOAT, rate=RATE)
    # A quarter of [-2, 6] is 0; half of 1e-4..1 in the logarithm is 1e-2.
    assert both.config([0.25, 0.5]) == pytest.approx({"x": 0.0, "rate": 1e-2})


def test_the_ends_of_the_cube_are_the_bounds() -> None:
    both = cube(x=FLOAT, rate=RATE)
    assert both.config([0.0, 0.0]) == pytest.approx({"x": -2.0, "rate": 1e-4}, rel=1e-15)
    assert both.config([1.0, 1.0]) == pytest.approx({"x": 6.0, "rate": 1.0}, rel=1e-15)


def test_a_configuration_survives_the_way_to_the_cube_and_back() -> None:
    everything = cube(**ALL)
    for u in np.random.default_rng(0).random((500, everything.dim)):
        config = everything.config(u)
        again = everything.config(everything.point(config))
        floats = {name: value for name, value in config.items() if isinstance(value, float)}
        assert again == {**config, **{name: pytest.approx(floats[name]) for name in floats}}


def test_every_point_of_the_cube_is_a_configuration_of_the_space() -> None:
    everything = cube(**ALL)
    for u in np.random.default_rng(1).random((300, everything.dim)):
        check(everything.space, everything.config(u))


def test_snapping_twice_is_snapping_once() -> None:
    everything = cube(**ALL)
    for u in np.random.default_rng(2).random((200, everything.dim)):
        snapped = everything.snap(u)
        assert everything.snap(snapped) == pytest.approx(snapped, abs=1e-12)


def test_configurations_hold_plain_values_in_the_order_of_the_axes() -> None:
    everything = cube(**ALL)
    config = everything.config(np.full(everything.dim, 0.5))
    assert json.loads(json.dumps(config)) == config
    assert list(config) == [name for name in everything.names if name in config]
    assert {type(value) for value in config.values()} <= {bool, int, float, str}


def test_numbers_of_values_and_unordered_axes_are_known() -> None:
    everything = cube(**ALL)
    assert everything.n_values.tolist() == [math.inf, math.inf, 5, 8, 3, 4, 1, 4, math.inf]
    unordered = np.flatnonzero(everything.categorical).tolist()
    assert [everything.names[axis] for axis in unordered] == ["kernel"]


def test_an_inactive_parameter_is_absent_and_at_one_half() -> None:
    pair = cube(kernel=KERNEL, degree={**COUNT, "when": {"kernel": "poly"}})
    config = pair.config([0.1, 0.9])  # the first third is linear
    assert config == {"kernel": "linear"}
    assert pair.point(config)[1] == 0.5


def test_a_condition_on_an_inactive_parameter_does_not_hold() -> None:
    chain = cube(
        kernel=KERNEL,
        degree={**COUNT, "when": {"kernel": "poly"}},
        mix={**FLOAT, "when": {"degree": 5}},
    )
    # 0.5 on the axis of degree is 5, the wanted value, but degree itself is inactive.
    assert chain.config([0.1, 0.5, 0.5]) == {"kernel": "linear"}
    assert set(chain.config([0.9, 0.5, 0.5])) == {"kernel", "degree", "mix"}


def test_a_child_may_be_declared_before_its_parent() -> None:
    pair = cube(degree={**COUNT, "when": {"kernel": "poly"}}, kernel=KERNEL)
    assert pair.names == ["degree", "kernel"]
    assert pair.config([0.5, 0.9]) == {"degree": 5, "kernel": "poly"}


@pytest.mark.parametrize(
    "parameter",
    [{"type": "constant", "value": 3}, {"type": "int", "lower": 3, "upper": 3}],
    ids=["constant", "equal bounds"],
)
def test_a_constant_has_one_value_and_stands_at_one_half(parameter: dict[str, Any]) -> None:
    axis = cube(a=parameter)
    assert [axis.config([u]) for u in (0.0, 0.4, 1.0)] == [{"a": 3}] * 3
    assert axis.point({"a": 3})[0] == 0.5
    assert axis.n_values[0] == 1


def test_a_forbidden_combination_is_not_allowed() -> None:
    space = build_space({"kernel": KERNEL, "level": LEVEL}, [{"kernel": "rbf", "level": "low"}])
    assert not UnitCube(space).allows({"kernel": "rbf", "level": "low"})
    assert UnitCube(space).allows({"kernel": "rbf", "level": "high"})


FORBIDDING = build_space(
    {"kernel": KERNEL, "level": LEVEL, "x": FLOAT},
    [
        {"kernel": kernel, "level": level}
        for kernel in ("linear", "rbf")
        for level in ("high", "top")
    ]
    + [{"kernel": "poly"}],
)


def test_drawn_points_are_allowed_and_uniform() -> None:
    cube = UnitCube(FORBIDDING)
    points = cube.draw(np.random.default_rng(0), 2000)
    assert points.shape == (2000, 3)
    configs = [cube.config(point) for point in points]
    assert all(cube.allows(config) for config in configs)
    # Four combinations are left: 500 each, give or take five standard deviations of 19.4.
    counts = Counter((config["kernel"], config["level"]) for config in configs)
    assert len(counts) == 4 and all(403 < count < 597 for count in counts.values())


def test_points_drawn_at_once_are_those_drawn_one_by_one() -> None:
    cube = UnitCube(FORBIDDING)
    one_by_one = np.random.default_rng(1)
    expected = np.concatenate([cube.draw(one_by_one) for _ in range(9)])
    assert np.array_equal(cube.draw(np.random.default_rng(1), 9), expected)
    assert cube.draw(np.random.default_rng(1), 0).shape == (0, 3)


def _is_small(config: Config) -> bool:
    return float(config["n"]) * float(config["m"]) <= 8


def test_a_cube_keeps_to_the_rules_of_its_space() -> None:
    counts = {"type": "int", "lower": 1, "upper": 8}
    space = build_space({"n": counts, "m": counts}, [{"n": 1, "m": 1}])
    before = UnitCube(space)
    add_rules(space, _is_small)
    cube = UnitCube(space)
    assert before.allows({"n": 8, "m": 8}) and not cube.allows({"n": 8, "m": 8})
    assert not cube.allows({"n": 1, "m": 1})  # the clauses stay
    check(space, {"n": 8, "m": 8})  # nevertheless a point of the space
    drawn = [cube.config(point) for point in cube.draw(np.random.default_rng(0), 200)]
    assert all(_is_small(config) for config in drawn)
    assert {"n": 2, "m": 4} in drawn


def test_rules_are_added_to_those_before_and_survive_a_pickle() -> None:
    space = build_space({"n": COUNT, "m": COUNT})
    add_rules(space, _is_small)
    add_rules(space, _is_odd)
    again = pickle.loads(pickle.dumps(space))
    assert rules_of(again) == rules_of(space) == (_is_small, _is_odd)
    assert UnitCube(again).names == ["n", "m"]


def _is_odd(config: Config) -> bool:
    return int(config["n"]) % 2 == 1


class _Nothing(UnitCube):
    def allows(self, config: Config) -> bool:
        return False


def test_where_everything_is_forbidden_drawing_ends_with_the_reason() -> None:
    space = build_space({"kernel": KERNEL, "x": FLOAT})
    with pytest.raises(ValueError, match="space: expected configurations that are allowed, got"):
        _Nothing(space).draw(np.random.default_rng(0))


@pytest.mark.parametrize("u", [[0.5], [0.5, 0.5, 0.5], [0.5, 1.01], [-0.01, 0.5], [0.5, math.nan]])
def test_what_is_no_point_of_the_cube_is_refused(u: list[float]) -> None:
    with pytest.raises(ValueError, match=r"unit point: expected \(2,\) values in \[0, 1\], got"):
        cube(x=FLOAT, rate=RATE).config(u)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "space: expected at least one parameter"),
        ({"x": {"lower": 0, "upper": 1}}, r"space\.x\.type: expected one of .*got None"),
        ({"x": {**FLOAT, "type": "real"}}, r"space\.x\.type: expected one of .*got real"),
        ({"x": {**FLOAT, "uper": 1}}, r"space\.x: expected the keys .*got uper"),
        ({"x": {**FLOAT, "choices": [1]}}, r"space\.x: expected the keys .*got choices"),
        ({"x": {"type": "float", "lower": 0}}, r"space\.x\.upper: expected a finite float"),
        ({"x": {**FLOAT, "upper": math.inf}}, r"space\.x\.upper: .* got inf"),
        ({"x": {**FLOAT, "lower": "1e-3"}}, r"space\.x\.lower: .* got '1e-3'"),
        ({"x": {**COUNT, "upper": 6.5}}, r"space\.x\.upper: expected a finite int, got 6\.5"),
        ({"x": {**COUNT, "upper": True}}, r"space\.x\.upper: expected a finite int, got True"),
        ({"x": {**FLOAT, "upper": -3}}, r"space\.x: expected lower <= upper, got -2\.0 > -3"),
        ({"x": {**FLOAT, "log": True}}, r"space\.x\.lower: expected a positive bound"),
        ({"x": {**RATE, "log": "yes"}}, r"space\.x\.log: expected true or false, got 'yes'"),
        ({"x": {"type": "categorical"}}, r"space\.x\.choices: expected a list of values"),
        ({"x": {"type": "ordinal", "choices": []}}, r"space\.x\.choices: expected a list"),
        (
            {"x": {**FLOAT, "when": {"y": 1}}},
            r"space\.x\.when: expected another one of",
        ),
    ],
)
def test_a_wrong_description_is_refused_with_its_place_and_value(
    parameters: dict[str, dict[str, Any]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build_space(parameters)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"x": 0.0},
        {"x": 0.0, "kernel": "cubic"},
        {"x": 6.0000001, "kernel": "linear"},
        {"x": math.nan, "kernel": "linear"},
        {"x": "0", "kernel": "linear"},
        {"x": 0.0, "kernel": "linear", "y": 1},
        {"x": 0.0, "kernel": "poly"},
        {"x": 0.0, "kernel": "linear", "degree": 4},
    ],
)
def test_a_configuration_outside_the_space_is_refused(config: dict[str, Any]) -> None:
    space = build_space(
        {"x": FLOAT, "kernel": KERNEL, "degree": {**COUNT, "when": {"kernel": "poly"}}}
    )
    with pytest.raises(ValueError, match="config: expected a point of the space, got"):
        check(space, config)


def test_numpy_scalars_become_plain_values() -> None:
    config = plain({"a": np.int64(3), "b": np.float64(0.5), "c": np.str_("s"), "d": np.bool_(True)})
    assert config == {"a": 3, "b": 0.5, "c": "s", "d": True}
    assert [type(value) for value in config.values()] == [int, float, str, bool]


def test_a_parameter_with_two_parents_is_active_where_both_conditions_hold() -> None:
    choice = {"type": "categorical", "choices": ["a", "b"]}
    child = {"type": "float", "lower": 0.0, "upper": 1.0, "when": {"c": "a", "d": ["b"]}}
    cube = UnitCube(build_space({"c": choice, "d": choice, "x": child}))
    assert cube.config([0.1, 0.9, 0.5]) == {"c": "a", "d": "b", "x": 0.5}
    assert cube.config([0.9, 0.9, 0.5]) == {"c": "b", "d": "b"}
    assert cube.config([0.1, 0.1, 0.5]) == {"c": "a", "d": "a"}


UNIT: dict[str, object] = {"type": "float", "lower": 0.0, "upper": 1.0}
CHOICE: dict[str, object] = {"type": "categorical", "choices": ["a", "b"]}
EVERYTHING = [{"kernel": ["linear", "rbf"]}, {"kernel": "poly", "level": ["low", "middle"]}]


@pytest.mark.parametrize(
    ("forbidden", "default"),
    [
        # ConfigSpace's own default is the first choice of each: linear, low.
        ([{"kernel": "linear"}], {"kernel": "rbf", "level": "low"}),
        ([{"kernel": "linear", "level": "low"}], {"kernel": "linear", "level": "middle"}),
        ([{"level": ["low", "middle"]}], {"kernel": "linear", "level": "high"}),
        (EVERYTHING, {"kernel": "poly", "level": "high"}),
        ([{"kernel": "poly", "level": "top"}], {"kernel": "linear", "level": "low"}),
    ],
)
def test_a_clause_may_forbid_the_default_configuration(
    forbidden: list[dict[str, Any]], default: Config
) -> None:
    space = build_space({"kernel": KERNEL, "level": LEVEL}, forbidden)
    assert plain(dict(space.get_default_configuration())) == default
    assert UnitCube(space).allows(default)


def test_a_forbidden_default_two_conditions_deep_is_replaced_too() -> None:
    parameters: dict[str, dict[str, Any]] = {
        "kernel": {"type": "categorical", "choices": ["poly", "rbf"]},
        "degree": {"type": "int", "lower": 2, "upper": 5, "when": {"kernel": "poly"}},
        "mix": {**FLOAT, "when": {"degree": [3, 4]}},
    }
    # The default is poly, and the middle of the range, 4 or 3.
    default = plain(dict(build_space(parameters).get_default_configuration()))
    space = build_space(parameters, [{"degree": [3, 4]}])
    other = plain(dict(space.get_default_configuration()))
    assert "mix" in default and other == {"kernel": "poly", "degree": 2}
    space = build_space(parameters, [{"degree": [2, 3, 4, 5]}])
    assert plain(dict(space.get_default_configuration())) == {"kernel": "rbf"}


@pytest.mark.parametrize(
    ("clause", "message"),
    [
        ({"gamma": 1}, r"forbidden \{'gamma': 1\}: expected parameters of .*, got gamma"),
        ({"kernel": "cubic"}, r"forbidden .*: expected a legal space, got: .*cubic"),
        ({"kernel": []}, r"forbidden .*: expected at least one value of kernel, got none"),
        ({}, r"forbidden: expected keys with values, got \{\}"),
        ({"kernel": ["linear", "rbf", "poly"]}, r"forbidden: expected clauses that allow some"),
    ],
)
def test_a_wrong_clause_is_named(clause: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        build_space({"kernel": KERNEL, "level": LEVEL}, [clause])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (["auto", True, False], r"space\.c\.choices: expected only booleans or none.*quote"),
        ([False, "SE", "DK"], r"quote what is meant as text"),
        ([False, 2, 4], r"expected only booleans or none, got \[False, 2, 4\]"),
        ([None, "a"], r"expected true, false, numbers or text, got None; quote"),
        ([date(2026, 11, 25), "a"], r"got datetime\.date\(2026, 11, 25\)"),
        ([math.nan, 1.0], r"numbers or text, got nan"),
        ([1.0, math.inf], r"numbers or text, got inf"),
        ([["a"], "b"], r"numbers or text, got \['a'\]"),
    ],
)
@pytest.mark.parametrize("kind", ["categorical", "ordinal"])
def test_choices_that_yaml_misreads_or_json_loses_are_refused(
    kind: str, choices: list[Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build_space({"c": {"type": kind, "choices": choices}})


SWITCH = {"type": "categorical", "choices": [True, False]}


@pytest.mark.parametrize(
    ("description", "kind", "message"),
    [
        ({**SWITCH, "choices": ["true", "false"]}, bool, "expected true or false, got 'true'"),
        ({**SWITCH, "choices": [1, 0]}, bool, "expected true or false, got 1"),
        ({"type": "constant", "value": "true"}, bool, "expected true or false, got 'true'"),
        ({"type": "int", "lower": 0, "upper": 1}, bool, "expected true or false, got the type int"),
        ({"type": "ordinal", "choices": [1.5]}, int, "expected integers, got 1.5"),
        ({"type": "ordinal", "choices": ["1", "2"]}, int, "expected integers, got '1'"),
        (SWITCH, int, "expected integers, got True"),
        (FLOAT, int, "expected integers, got the type float"),
        (SWITCH, float, "expected numbers, got True"),
        ({"type": "ordinal", "choices": [1, 2]}, str, "expected text, got 1"),
        (FLOAT, str, "expected text, got the type float"),
    ],
)
def test_a_parameter_of_a_fixed_type_takes_no_other_values(
    description: dict[str, Any], kind: type, message: str
) -> None:
    with pytest.raises(ValueError, match=rf"^space\.tp.*{message}"):
        build_space({"tp": description}, types={"tp": kind})


def test_a_parameter_of_a_fixed_type_takes_its_own_values() -> None:
    described: dict[str, tuple[dict[str, Any], type]] = {
        "a": (SWITCH, bool),
        "b": (COUNT, int),
        "c": ({"type": "ordinal", "choices": [1, 2, 4]}, int),
        "d": (FLOAT, float),
        "e": (COUNT, float),
        "f": (KERNEL, str),
        "g": ({"type": "constant", "value": False}, bool),
    }
    types = {name: kind for name, (_, kind) in described.items()}
    space = build_space({name: d for name, (d, _) in described.items()}, types=types)
    assert len(space) == len(described)


@pytest.mark.parametrize(("lower", "kind"), [(0, "float"), (-3, "float"), (0, "int")])
def test_one_value_has_no_scale(lower: int, kind: str) -> None:
    described = {"type": kind, "lower": lower, "upper": lower, "log": True}
    space = build_space({"x": described})
    assert UnitCube(space).config([0.3]) == {"x": lower}
    assert type(UnitCube(space).config([0.3])["x"]) is (float if kind == "float" else int)


def _conditional(seed: int) -> ConfigurationSpace:
    """Return a space with conditions of every kind, alone and in conjunctions."""
    rng = np.random.default_rng(seed)
    space = ConfigurationSpace()
    kinds: list[Any] = [
        lambda name: CategoricalHyperparameter(name, ["a", "b", "c"]),
        lambda name: OrdinalHyperparameter(name, [1, 2, 4, 8]),
        lambda name: UniformIntegerHyperparameter(name, 1, 6),
        lambda name: UniformFloatHyperparameter(name, 0.0, 1.0),
    ]
    for i in range(5):
        space.add(kinds[int(rng.integers(4))](f"p{i}"))

    def condition(child: int, parent: int) -> Any:
        above = space[f"p{parent}"]
        alone = ConfigurationSpace()
        alone.add(above)
        value = UnitCube(alone).config(rng.random(1))[above.name]
        forms: list[Any] = [EqualsCondition, InCondition]
        if not isinstance(above, CategoricalHyperparameter):
            forms += [LessThanCondition, GreaterThanCondition]
        form = forms[int(rng.integers(len(forms)))]
        return form(space[f"p{child}"], above, [value] if form is InCondition else value)

    for child in range(1, 5):
        parents = rng.permutation(child)[: int(rng.integers(0, 4))].tolist()
        parts = [condition(child, parent) for parent in parents]
        both, either = AndConjunction, OrConjunction
        if len(parts) == 3:
            outer, inner = (both, either) if rng.random() < 0.5 else (either, both)
            space.add(outer(parts[0], inner(*parts[1:])))
        elif len(parts) == 2:
            space.add((both if rng.random() < 0.5 else either)(*parts))
        elif parts:
            space.add(parts[0])
    return space


def test_conditions_of_every_kind_give_configurations_that_the_space_holds() -> None:
    n_absent = 0
    for seed in range(60):
        cube = UnitCube(_conditional(seed))
        for u in np.random.default_rng(1000 + seed).random((20, cube.dim)):
            config = cube.config(u)
            check(cube.space, config)
            n_absent += cube.dim - len(config)
    assert n_absent > 500  # of 6000


IMPOSSIBLE: dict[str, dict[str, Any]] = {
    "a description that is no mapping": {"x": 3},
    "a condition that is no mapping": {"x": {**UNIT, "when": 3}},
    "a type that is no word": {"x": {"type": ["float"]}},
    "a bound that no float holds": {"k": {"type": "int", "lower": 1, "upper": 10**30}},
    "conditions in a circle": {
        "x": {**CHOICE, "when": {"y": "a"}},
        "y": {**CHOICE, "when": {"x": "a"}},
    },
    "a condition on a value that is none": {"c": CHOICE, "x": {**UNIT, "when": {"c": "q"}}},
    "a condition that never holds": {"c": CHOICE, "x": {**UNIT, "when": {"c": []}}},
    "a choice that is there twice": {"c": {"type": "categorical", "choices": ["a", "a"]}},
    "a choice that is no plain value": {"c": {"type": "categorical", "choices": [None]}},
    "a constant without a value": {"c": {"type": "constant"}},
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_an_impossible_space_says_where_and_what_was_expected(name: str) -> None:
    with pytest.raises(ValueError, match=r"^space\.\w+.*expected .*got"):
        build_space(IMPOSSIBLE[name])
