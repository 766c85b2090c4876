"""Validation of settings: what each kind of value accepts, and the line that it refuses with."""

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest

from objectives import expected

NOT_NUMBERS = [True, False, np.bool_(True), "1", "", None, [1], {}, 1j, float("nan"), np.nan]
ONE_OF = partial(expected.one_of, choices=["mean", "draw"])


@pytest.mark.parametrize("value", [*NOT_NUMBERS, 1.0, 1.5, np.float64(2), float("inf")])
def test_only_integers_are_integers(value: object) -> None:
    assert not expected.is_whole(value)
    with pytest.raises(ValueError, match="^x: expected an integer, got "):
        expected.whole("x", value)


@pytest.mark.parametrize("value", [*NOT_NUMBERS, float("inf"), -np.inf, 10**400])
def test_only_finite_numbers_that_a_float_holds_are_numbers(value: object) -> None:
    assert not expected.is_number(value)
    with pytest.raises(ValueError, match="^x: expected a finite number, got "):
        expected.number("x", value)


@pytest.mark.parametrize(
    ("value", "plain"),
    [(3, 3), (np.int64(3), 3), (np.uint8(3), 3), (10**30, 10**30), (-3, -3)],
)
def test_an_integer_comes_back_as_a_plain_one(value: object, plain: int) -> None:
    for found in (expected.whole("x", value), expected.number("x", value)):
        assert found == plain and type(found) is int
    assert expected.is_whole(value) and expected.is_number(value)


@pytest.mark.parametrize(
    ("value", "plain"),
    [(0.5, 0.5), (np.float64(0.5), 0.5), (np.float32(0.5), 0.5), (Fraction(1, 2), 0.5)],
)
def test_a_number_comes_back_as_a_plain_one(value: object, plain: float) -> None:
    found = expected.number("x", value)
    assert found == plain and type(found) is float


@pytest.mark.parametrize(
    ("bounds", "inside", "outside", "words"),
    [
        ({"least": 1}, [1, 2.5], [0.99, 0], "a finite number of at least 1"),
        ({"above": 0}, [1e-9], [0, -1], "a finite number above 0"),
        ({"most": 5}, [5, -9], [5.1], "a finite number of at most 5"),
        ({"below": 5}, [4.9], [5], "a finite number below 5"),
        (
            {"least": 0, "below": 1},
            [0, 0.9],
            [1, -0.1],
            "a finite number of at least 0 and below 1",
        ),
        ({"above": 0, "most": 1}, [1, 0.1], [0, 1.1], "a finite number above 0 and at most 1"),
        ({"most": 1e12}, [1e12], [1.1e12], "a finite number of at most 1e[+]12"),
    ],
)
def test_the_bounds_of_a_number_and_their_words(
    bounds: dict[str, float], inside: list[float], outside: list[float], words: str
) -> None:
    for value in inside:
        assert expected.number("x", value, **bounds) == value
    for value in outside:
        with pytest.raises(ValueError, match=f"^x: expected {words}, got {value}$"):
            expected.number("x", value, **bounds)


def test_the_bounds_of_an_integer_are_shown_in_full() -> None:
    assert expected.whole("x", 2147483647, 1, 2147483647) == 2147483647
    line = "^x: expected an integer of at least 1 and at most 2147483647, got 0$"
    with pytest.raises(ValueError, match=line):
        expected.whole("x", 0, 1, 2147483647)
    assert not expected.is_whole(0, 1) and not expected.is_whole(3, 1, 2)


@pytest.mark.parametrize(
    ("check", "good", "bad", "line"),
    [
        (expected.switch, True, 1, "true or false, got 1"),
        (expected.switch, False, "false", "true or false, got 'false'"),
        (expected.text, "a", "", "text, got ''"),
        (expected.text, "a", 3, "text, got 3"),
        (ONE_OF, "mean", "meen", r"one of mean, draw, got 'meen'; did you mean mean\?"),
        (ONE_OF, "draw", ["draw"], r"one of mean, draw, got \['draw'\]"),
        (ONE_OF, "draw", None, "one of mean, draw, got None"),
        (expected.keyed, {"a": 1}, {1: "a"}, "keys with values, got {1: 'a'}"),
        (expected.keyed, {}, [], r"keys with values, got \[\]"),
    ],
)
def test_the_other_kinds(
    check: Callable[[str, object], Any], good: object, bad: object, line: str
) -> None:
    assert check("x.y", good) == good
    with pytest.raises(ValueError, match=f"^x.y: expected {line}$"):
        check("x.y", bad)


def test_null_may_stand_for_a_value_and_the_message_says_so() -> None:
    assert expected.null_or(expected.whole, "x", None, 3) is None
    assert expected.null_or(expected.whole, "x", 4, 3) == 4
    with pytest.raises(ValueError, match="^x: expected null or an integer of at least 3, got 2$"):
        expected.null_or(expected.whole, "x", 2, 3)
    with pytest.raises(ValueError, match="^x: expected null or a finite number above 0, got 'no'$"):
        expected.null_or(expected.number, "x", "no", above=0)


def test_a_message_is_one_line_and_quotes_a_long_value_shortened() -> None:
    with pytest.raises(ValueError) as caught:
        expected.number("x", "a\nb" * 1000)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 120
