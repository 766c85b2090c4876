"""No hidden choice of an objective equals what an optimizer of the same seed proposes."""

from collections.abc import Callable

import numpy as np
import pytest
from hydra.utils import instantiate

from experiments.testing.plug_ins import ObjectiveYaml, OptimizerYaml
from objectives.draws import draws
from objectives.functions.box import BoxFunction
from objectives.lora_table.lookup import GRID, relabelled
from objectives.space import UnitCube, build_space

RANDOM = OptimizerYaml("random")


def test_the_numbers_are_their_own_and_repeat() -> None:
    assert draws(3).random() == draws(3).random()
    numbers = {draws(3).random(), draws(3, 0).random(), draws(4).random()}
    assert len(numbers) == 3
    assert np.random.default_rng(3).random() not in numbers


@pytest.mark.parametrize("shift", [int, "anywhere{}".format], ids=["plain", "anywhere"])
def test_the_first_point_of_random_search_knows_nothing_of_the_shift(
    shift: Callable[[int], int | str],
) -> None:
    settings = ObjectiveYaml("levy").plain_settings()
    places, points = [], []
    for seed in range(60):
        made: BoxFunction = instantiate({**settings, "shift": shift(seed)}, _convert_="all")
        cube = UnitCube(made.space)
        (trial,) = RANDOM(made.space, seed, 1).ask()
        points.append(cube.point(trial.config))
        places.append(cube.point(made.minimisers[0]))
    related = np.corrcoef(np.ravel(places), np.ravel(points))[0, 1]
    assert abs(related) < 0.25  # 300 pairs: four standard errors; it was 1


def test_relabelling_puts_random_search_s_first_point_on_no_side() -> None:
    described = {
        name: {"type": "ordinal", "choices": list(levels)} for name, levels in GRID.items()
    }
    above = []
    for seed in range(200):
        space = build_space(relabelled(described, seed))
        cube = UnitCube(space)
        (trial,) = RANDOM(space, seed, 1).ask()
        above += [
            list(levels).index(trial.config[name]) >= len(levels) / 2
            for name, levels in GRID.items()
        ]
    assert cube.dim == 5
    assert abs(np.mean(above) - 0.5) < 0.07  # 1,000 draws: four standard errors
