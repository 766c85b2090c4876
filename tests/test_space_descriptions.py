"""Descriptions of spaces: what is refused and where, fixed types, and forbidden combinations."""

import math
from datetime import date
from typing import Any

import pytest

from objectives.space import UnitCube, build_space, plain
from objectives.trial import Config

FLOAT = {"type": "float", "lower": -2.0, "upper": 6.0}
RATE = {"type": "float", "lower": 1e-4, "upper": 1.0, "log": True}
COUNT = {"type": "int", "lower": 3, "upper": 7}
KERNEL = {"type": "categorical", "choices": ["linear", "rbf", "poly"]}
LEVEL = {"type": "ordinal", "choices": ["low", "middle", "high", "top"]}


def cube(**parameters: dict[str, Any]) -> UnitCube:
    return UnitCube(build_space(parameters))


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
        (
            {"x": {**FLOAT, "lower": 1.25e-13}},
            r"space\.x\.lower: expected a bound that 13 decimals can represent, got 1.25e-13; take",
        ),
        (
            {"x": {**FLOAT, "lower": 1.0, "upper": 1.0 + 1e-15}},
            r"space\.x: expected bounds that differ by more than 1e-13, got 1.0 and 1.0000",
        ),
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
        ([1, 10**400], r"numbers that a float can represent, got 1000"),
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
