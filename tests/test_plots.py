"""Figures and tables of loaded runs in a notebook, and the committed pictures."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments.analysis.results import Run, Runs, load
from experiments.running.from_words import run_of
from made_runs import made_run
from processes import ROOT


def _runs(n_tasks: int = 1, space: bool = False) -> Runs:
    rng = np.random.default_rng(0)
    axis = {"type": "float", "lower": 0, "upper": 3}
    found: list[Run] = []
    for task in range(n_tasks):
        for optimizer in ("a", "b", "c"):
            for seed in range(4):
                run = made_run(
                    rng.random(12).tolist(), optimizer, seed, objective=f"f{task}",
                    space={"x": axis, "y": axis} if space else None,
                )  # fmt: skip
                for config, y in zip(run.configs, rng.random(12).tolist(), strict=True):
                    config["y"] = y
                found.append(run)
    return Runs(found)


def _titles(figure: Figure) -> list[str]:
    return [axes.get_title("left") for axes in figure.axes]


def test_every_figure_of_one_objective_is_returned() -> None:
    plot = _runs(space=True).plot
    assert _titles(plot.convergence()) == ["f0"]
    assert _titles(plot.ranks()) == ["Mean ranks on f0"]
    assert _titles(plot.ranks_over_budget()) == ["Mean rank over the budget"]
    assert _titles(plot.profiles()) == ["Performance profile"]
    assert _titles(plot.profiles("data")) == ["Data profile"]
    assert _titles(plot.parallel()) == ["Parallel coordinates: f0"]
    assert _titles(plot.importance()) == ["Importance: f0"]


def test_the_front_of_several_goals_is_returned_and_one_goal_has_none(tmp_path: Path) -> None:
    run = run_of("optimizer=random", "objective=zdt1", "budget=12")
    with run.open(tmp_path) as log:
        run.execute(log)
    runs = load(tmp_path)
    (axes,) = runs.plot.front().axes
    assert axes.get_xlabel().startswith("f1") and axes.get_ylabel().startswith("f2")
    with pytest.raises(ValueError, match="expected two of f1, f2, got f9"):
        runs.plot.front(goals=("f1", "f9"))
    with pytest.raises(ValueError, match="expected several goals of f0, got one"):
        _runs().plot.front()


def test_a_critical_difference_needs_objectives() -> None:
    assert _titles(_runs(11).plot.critical_difference()) == ["Critical difference"]
    with pytest.raises(ValueError, match="more than ten objectives"):
        _runs().plot.critical_difference()


def test_an_objective_has_to_be_chosen_if_there_are_several() -> None:
    runs = _runs(2)
    assert _titles(runs.plot.convergence("f1")) == ["f1"]
    assert _titles(runs.plot.ranks()) == ["Mean ranks on all objectives"]
    assert _titles(runs.plot.ranks("f1")) == ["Mean ranks on f1"]
    with pytest.raises(ValueError, match="objective: expected one of f0, f1, got None"):
        runs.plot.convergence()


def test_what_cannot_be_drawn_is_said() -> None:
    runs = _runs()
    with pytest.raises(ValueError, match="expected two optimizers with common seeds"):
        Runs(run for run in runs if run.optimizer == "a").plot.ranks()
    with pytest.raises(ValueError, match="expected one with runs with shift=none"):
        runs.plot.centre_bias("f0")
    with pytest.raises(ValueError, match="runs: expected evaluations, got 0 runs"):
        Runs().plot.convergence()


def test_a_frame_has_a_row_for_each_evaluation() -> None:
    frame = _runs().frame()
    assert len(frame) == 3 * 4 * 12
    best = frame.loc[frame["value"].idxmin()]
    assert best["optimizer"] in ("a", "b", "c") and 0 <= best["config.x"] <= 1.1


def test_every_committed_picture_has_what_draws_it_again() -> None:
    pictures = {str(path.relative_to(ROOT)) for path in ROOT.glob("results/*/*.png")}
    found = runpy.run_path(str(ROOT / "tests" / "benchmarks" / "pictures.py"))
    assert pictures == {*found["FIGURES"], *found["COMPARISONS"]}
