"""No hidden choice of an objective equals what an optimizer of the same seed proposes."""

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from experiments.running.from_words import optimizer_of
from objectives.draws import draws
from objectives.functions.box import BoxFunction
from objectives.lora_table.lookup import GRID, relabelled
from objectives.space import UnitCube, build_space
from processes import ROOT


def test_the_numbers_are_their_own_and_repeat() -> None:
    assert draws(3).random() == draws(3).random()
    numbers = {draws(3).random(), draws(3, 0).random(), draws(4).random()}
    assert len(numbers) == 3
    assert np.random.default_rng(3).random() not in numbers


@pytest.mark.parametrize("shift", ["{}", "anywhere{}"])
def test_the_first_point_of_random_search_knows_nothing_of_the_shift(shift: str) -> None:
    places, points = [], []
    for seed in range(60):
        words = ["objective=levy", f"objective.shift={shift.format(seed)}"]
        with initialize_config_dir(str(ROOT / "conf"), version_base=None):
            settings = compose("config", words)
        made: BoxFunction = instantiate(settings.objective, _convert_="all")
        cube = UnitCube(made.space)
        (trial,) = optimizer_of(made.space, "optimizer=random", seed=seed).ask()
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
        (trial,) = optimizer_of(space, "optimizer=random", seed=seed).ask()
        above += [
            list(levels).index(trial.config[name]) >= len(levels) / 2
            for name, levels in GRID.items()
        ]
    assert cube.dim == 5
    assert abs(np.mean(above) - 0.5) < 0.07  # 1,000 draws: four standard errors
