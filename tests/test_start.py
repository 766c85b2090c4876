"""`start=`: known good configurations come first, and every optimizer learns from them."""

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.analysis import results
from experiments.running.from_words import run_of
from experiments.running.run import Run
from experiments.sweeping import experiment
from objectives.trial import Config

GOOD: Config = {"x1": 3.14, "x2": 2.27}  # close to one of Branin's minimisers
WORDS = ("objective=branin", "budget=8", "seed=3")


def _execute(run: Run, folder: Path) -> list[Config]:
    with run.open(folder) as log:
        run.execute(log)
        return [log.history.trials[id].config for id in log.history.evaluations]


def _start(given: Any) -> str:
    return f"start={json.dumps(given)}"


@pytest.mark.parametrize("name", ["cma_es", "gp_bo", "lhs", "optuna", "random", "soo", "tpe"])
def test_given_configurations_come_first_and_the_optimizer_goes_on(
    name: str, tmp_path: Path
) -> None:
    words = (f"optimizer={name}", *WORDS)
    other = {"x1": -3.0, "x2": 12.0}
    configs = _execute(
        run_of(*words, "start=[{x1: 3.14, x2: 2.27}, {x1: -3.0, x2: 12.0}]"), tmp_path
    )
    assert configs[:2] == [GOOD, other]
    assert len(configs) == 8


def test_the_runs_with_and_without_are_different_runs(tmp_path: Path) -> None:
    plain, given = (
        run_of("optimizer=random", *WORDS),
        run_of("optimizer=random", *WORDS, "start=[{x1: 1, x2: 1}]"),
    )
    assert plain.header.identity != given.header.identity
    assert "start" not in plain.header.to_json()
    _execute(plain, tmp_path / "a")
    _execute(given, tmp_path / "b")
    with pytest.raises(ValueError, match="expected start="):
        given.history(tmp_path / "a")
    labels = sorted(run.optimizer for run in results.load([tmp_path]))
    assert labels == ["random start=0", "random start=1"]


def test_a_run_with_given_configurations_resumes_from_every_line(tmp_path: Path) -> None:
    run = run_of("optimizer=gp_bo", *WORDS, "start=[{x1: 3.14, x2: 2.27}]")
    whole = _execute(run, tmp_path / "whole")
    lines = (tmp_path / "whole" / "log.jsonl").read_text().splitlines(keepends=True)
    for cut in range(1, len(lines), 4):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / "log.jsonl").write_text("".join(lines[:cut]))
        again = run_of("optimizer=gp_bo", *WORDS, "start=[{x1: 3.14, x2: 2.27}]")
        assert _execute(again, folder) == whole


def test_cma_es_searches_around_the_best_given_configuration(tmp_path: Path) -> None:
    settings = ("optimizer=cma_es", "optimizer.sigma0=0.01", *WORDS)
    configs = _execute(run_of(*settings, "start=[{x1: 9, x2: 14}, {x1: 3.14, x2: 2.27}]"), tmp_path)
    assert all(
        abs(float(c["x1"]) - 3.14) < 1.5 and abs(float(c["x2"]) - 2.27) < 1.5 for c in configs[2:]
    )


def test_the_default_completes_a_partial_configuration() -> None:
    words = ("optimizer=random", "objective=serving_sim", "budget=1")
    run = run_of(*words, "start=default")
    assert run.start == [run.objective.default]
    name = next(iter(run.start[0]))
    again = run_of(*words, f"start=[{{{name}: {run.start[0][name]}}}]")
    assert again.start == run.start


def test_a_file_lists_configurations(tmp_path: Path) -> None:
    file = tmp_path / "known.yaml"
    file.write_text("- {x1: 3.14, x2: 2.27}\n")
    assert run_of("optimizer=random", *WORDS, f"start={file}").start == [GOOD]
    one = tmp_path / "one.json"
    one.write_text(json.dumps(GOOD))
    assert run_of("optimizer=random", *WORDS, f"start={one}").start == [GOOD]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("start=default", "start: expected an objective that states a default configuration"),
        ("start=nowhere.yaml", "start: expected default, a list of configurations"),
        ("start=[]", "start: expected default, a list of configurations"),
        ("start=3", "start: expected default, a list of configurations"),
        ("start=[{x1: 3}]", r"start\[0\]: expected a value of x2, got none"),
        ("start=[{x1: 3, x3: 1}]", r"start\[0\]: expected parameters of .*, got x3"),
        ("start=[{x1: 3, x2: 99}]", r"start\[0\]\.x2: expected a number from 0.0 to 15.0, got 99"),
        ("start=[{x1: 3, x2: text}]", r"start\[0\]\.x2: expected a number from .*, got 'text'"),
        ("start=[1]", r"start\[0\]: expected parameters with their values, got 1"),
    ],
)
def test_a_wrong_start_is_named_in_one_line(given: str, line: str) -> None:
    with pytest.raises(ValueError, match=line) as error:
        run_of("optimizer=random", *WORDS, given)
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "known.yaml"
    file.write_text("{x1: [")
    with pytest.raises(ValueError, match="expected YAML or JSON in UTF-8"):
        run_of("optimizer=random", *WORDS, f"start={file}")


def test_an_experiment_may_start_all_its_runs_alike(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "optimizers: [random]\nobjectives: [serving_sim]\nseeds: [0, 1]\nbudget: 2\n"
        "start: default\n"
    )
    runs = experiment.load(str(file), {}).plan()
    assert all(run.header.start == [run.header.default] for run in runs)
    assert experiment.load(str(file), {"start": None}).plan()[0].header.start == []
