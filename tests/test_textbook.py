"""The functions that are kept for confirmation: formulas by hand, optima, and optima anywhere."""

import math
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from objectives.functions.box import BoxFunction
from objectives.functions.textbook import FORMULAS, Textbook
from objectives.trial import Trial
from processes import ROOT


def _made(function: str, shift: Any = "none", dimension: int | None = None) -> Textbook:
    d = dimension or (4 if function == "powell" else 5)
    return Textbook(function=function, dimension=d, shift=shift, space={})


def _value(objective: BoxFunction, x: list[float]) -> float:
    config: Any = {f"x{i}": value for i, value in enumerate(x, 1)}
    value = objective.evaluate(Trial(0, config)).value
    assert value is not None
    return value


@pytest.mark.parametrize(
    ("function", "x", "value"),
    [
        ("brown", [1.0, 2.0], 1 + 4**2),
        ("cosine_mixture", [0.2, 0.4], 0.04 + 0.16 + 0.1 - 0.1),
        ("dixon_price", [2.0, 1.0, 3.0], 1 + 0 + 3 * 17**2),
        ("griewank", [math.pi, math.sqrt(2) * math.pi], 1 + 3 * math.pi**2 / 4000 - 1),
        ("powell", [1.0, 1.0, 2.0, 0.0], 121 + 20 + 81 + 10),
        ("qing", [2.0, 1.0], 9 + 1),
        ("salomon", [0.3, 0.4], 1 + 1 + 0.05),
        ("stretched_v", [1.0, 0.0], math.sin(50) ** 2 + 0.1),
        ("styblinski_tang", [1.0, 2.0], (1 - 16 + 5 + 16 - 64 + 10) / 2),
        ("trid", [2.0, 3.0], 1 + 4 - 6),
        ("whitley", [1.0, 1.0], 0.0),
        ("zakharov", [1.0, 1.0], 2 + 1.5**2 + 1.5**4),
    ],
)
def test_a_value_worked_by_hand(function: str, x: list[float], value: float) -> None:
    assert _value(_made(function, dimension=len(x)), x) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("shift", ["none", 3, "anywhere3"])
@pytest.mark.parametrize("function", FORMULAS)
def test_the_minimiser_attains_the_optimum_and_no_point_lies_below(
    function: str, shift: Any
) -> None:
    made = _made(function, shift)
    assert made.optimum is not None
    (minimiser,) = made.minimisers
    scale = max(1.0, abs(made.optimum))
    found = made.evaluate(Trial(0, minimiser)).value
    assert found is not None and abs(found - made.optimum) < 1e-9 * scale
    rng = np.random.default_rng(0)
    ends: list[Any] = [made.space[name] for name in made.names]
    lower, upper = np.array([(axis.lower, axis.upper) for axis in ends]).T
    centre = np.array([float(minimiser[name]) for name in made.names])
    for width in (1.0, 1e-2, 1e-4):  # over the box, and near the minimiser
        points = centre + width * (rng.uniform(lower, upper, (200, len(lower))) - centre)
        lowest = min(_value(made, point.tolist()) for point in points)
        assert lowest >= made.optimum - 1e-9 * scale


def test_anywhere_puts_the_minimiser_uniformly_over_the_box() -> None:
    seen = []
    for seed in range(200):
        made = _made("whitley", f"anywhere{seed}")
        seen.append([made.minimisers[0][name] for name in made.names])
    places = (np.array(seen) + 10.24) / 20.48
    assert places.min() < 0.02 and places.max() > 0.98
    assert np.all(np.abs(places.mean(axis=0) - 0.5) < 0.08)
    assert np.all(np.abs(places.std(axis=0) - 1 / math.sqrt(12)) < 0.05)


def test_other_functions_can_be_moved_anywhere_too() -> None:
    for name in ("levy", "bbob"):
        with initialize_config_dir(str(ROOT / "conf"), version_base=None):
            settings = compose("config", [f"objective={name}", "objective.shift=anywhere7"])
        made: BoxFunction = instantiate(settings.objective, _convert_="all")
        assert made.coco is None and made.optimum is not None
        found = made.evaluate(Trial(0, made.minimisers[0])).value
        assert found == pytest.approx(made.optimum, abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"function": "sphere"}, "function: expected one of brown, .*, got 'sphere'"),
        ({"function": 3}, "function: expected one of"),
        ({"dimension": 1}, "dimension: expected an integer of at least 2, got 1"),
        ({"function": "powell"}, "dimension: expected a multiple of 4 for powell, got 5"),
        ({"shift": "anywhere"}, "shift: expected an integer seed >= 0, none, or anywhere"),
        ({"shift": "anywhere-1"}, "shift: expected an integer seed >= 0, none, or anywhere"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], line: str) -> None:
    usual = {"function": "qing", "dimension": 5, "shift": 0, "space": {}}
    with pytest.raises(ValueError, match=line):
        Textbook(**{**usual, **settings})
