"""Settings of every plug-in with values of a wrong type: one readable line each, or a run.

Each setting in the YAML of an optimizer or an objective is replaced by values that it cannot have.
Which of them a run tries is drawn with a seed.
"""

import copy
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments import command
from experiments.running.composing import composed, options
from experiments.running.from_words import run_settings
from experiments.running.mistakes import explain
from experiments.running.run import Run, RunSettings
from experiments.running.run_log import RunLog

ODD: list[Any] = [
    None, True, False, 0, -1, 1, 1.5, -0.5, float("nan"), float("inf"), 1e300, 10**30, "", "x", "1",
    "true", "\x1b[31m", "\0", "~no_such_user_of_this_host/x", [], [1], ["x"], [[1]], [None], {},
    {"a": 1}, {"type": "float"}, {"type": "int", "lower": 1, "upper": 2}, {"choices": ["a"]},
]  # fmt: skip
OBJECTIVES = ["ackley", "bbob", "failing", "lora_published", "mixed", "slow", "tabular"]
N_EACH = 25


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths of all settings, except those that name a class."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in inside:
        if key != "_target_":
            yield (*at, key)
        if isinstance(each, dict | list):
            yield from _places(each, (*at, key))


def _changed(settings: Any, path: tuple[Any, ...], value: Any) -> Any:
    made = copy.deepcopy(settings)
    node = made
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = copy.deepcopy(value)
    return made


def _offence(settings: RunSettings, folder: Path) -> str | None:
    """Return the fault in the answer to settings, or None."""
    try:
        run = Run(settings)
        run.make_optimizer().close()
        with RunLog(folder) as log:
            log.begin(run.header)
    except Exception as error:
        line = explain(error, [])
        if line is None or "\n" in line or "expected" not in line or ", got" not in line:
            return f"{type(error).__name__}: {error}"
    return None


@pytest.mark.parametrize("family", ["optimizer", "objective"])
def test_every_setting_of_another_kind_is_refused_in_one_line(family: str, tmp_path: Path) -> None:
    rng, found = random.Random(0), []
    for name in options("optimizer") if family == "optimizer" else OBJECTIVES:
        names = {"optimizer": "random", "objective": "branin", family: name}
        words = [f"{key}={value}" for key, value in names.items()]
        whole = run_settings(composed("config", words), names)
        places = list(_places(getattr(whole, family)))
        for number in range(N_EACH if places else 0):
            path, value = rng.choice(places), rng.choice(ODD)
            changed: dict[str, Any] = {family: _changed(getattr(whole, family), path, value)}
            made = replace(whole, optimizer_as_written={}, **changed)
            offence = _offence(made, tmp_path / family / name / str(number))
            found.append(offence and f"{name}.{path}={value!r:.40}: {offence}")
    assert len(found) >= 100
    assert [offence for offence in found if offence] == []


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("optimizer=nevergrad optimizer.name=[CMA]", "nevergrad.name: expected one of"),
        ("optimizer=optuna optimizer.sampler=[x]", "optuna.sampler: expected one of"),
        ("optimizer=optuna ++optimizer.options=5", "optuna.options: expected arguments by name"),
        (
            "optimizer=lhs optimizer.budget=1e12",
            "lhs.budget: expected a finite number of at least 1 and at most 1000000",
        ),
        (
            "optimizer=grid optimizer.budget=1e300",
            "grid.budget: expected a finite number of at least 1 and at most 1000000",
        ),
        (
            "optimizer=gp_bo optimizer.n_initial=99999999",
            "gp_bo.n_initial: expected an integer of at least 1 and at most 10000, got",
        ),
        (
            "optimizer=smac_rf optimizer.n_initial=99999999",
            "smac_rf.n_initial: expected an integer of at least 1 and at most 10000, got",
        ),
        (
            "optimizer=cma_es optimizer.population_size=99999999",
            "cma_es.population_size: expected null or",
        ),
    ],
)
def test_settings_that_were_tracebacks_or_never_ended(word: str, message: str) -> None:
    words = word.split()
    names = {"optimizer": words[0].partition("=")[2], "objective": "branin"}
    settings = run_settings(composed("config", [*words, "objective=branin"]), names)
    with pytest.raises(ValueError, match=message):
        Run(settings).make_optimizer()


@pytest.mark.parametrize("text", ["- 1\n", "5\n", "a: 1\n", "''\n", ""])
def test_a_yaml_that_describes_no_class_is_refused_in_one_line(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "optimizer").mkdir()
    (tmp_path / "optimizer" / "mine.yaml").write_text(text)
    words = [f"--config-dir={tmp_path}", "optimizer=mine", f"out={tmp_path}/run", "plot=false"]
    assert command.main(["run", *words]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "expected" in said and ", got" in said
