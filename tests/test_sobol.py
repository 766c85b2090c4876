"""Facts of the Sobol sequence."""

import warnings

import numpy as np
import pytest

from objectives.space import UnitCube, build_space
from optimizers.sobol import Sobol

SQUARE = build_space(
    {"x": {"type": "float", "lower": 0, "upper": 1}, "y": {"type": "float", "lower": 0, "upper": 1}}
)


@pytest.mark.parametrize("seed", range(5))
def test_the_first_64_points_have_one_in_each_of_the_8_by_8_boxes(seed: int) -> None:
    # In two dimensions the sequence is a (0, 2)-sequence in base 2: every elementary interval of
    # volume 2^-6 holds one of the first 2^6 points, also after Owen's scrambling.
    cube = UnitCube(SQUARE)
    trials = Sobol(SQUARE, seed=seed, scramble=True).ask(64)
    points = np.array([cube.point(trial.config) for trial in trials])
    for boxes in ((8, 8), (64, 1), (1, 64), (16, 4)):
        places = {tuple(np.floor(point * boxes).astype(int)) for point in points}
        assert len(places) == 64


def test_any_number_is_asked_without_a_warning_and_the_sequence_goes_on() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts = Sobol(SQUARE, seed=1, scramble=True)
        whole = Sobol(SQUARE, seed=1, scramble=True)
        assert parts.ask(3) + parts.ask(1) + parts.ask(7) == whole.ask(11)
    assert Sobol.extendable


def test_the_plain_sequence_begins_at_the_corner_and_halves_the_axes() -> None:
    # Sobol': 0, 1/2, 3/4, 1/4, ... on the first axis.
    trials = Sobol(SQUARE, seed=0, scramble=False).ask(4)
    assert [trial.config["x"] for trial in trials] == [0, 0.5, 0.75, 0.25]


def test_forbidden_points_are_skipped() -> None:
    choices = {"type": "categorical", "choices": ["a", "b"]}
    space = build_space({"p": choices, "q": choices}, forbidden=[{"p": "b", "q": "b"}])
    configs = [trial.config for trial in Sobol(space, seed=0, scramble=True).ask(40)]
    assert {(config["p"], config["q"]) for config in configs} == {
        ("a", "a"),
        ("a", "b"),
        ("b", "a"),
    }
