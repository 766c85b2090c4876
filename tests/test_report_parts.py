"""The parts of a report: importance, the space, and the text of tables and scripts."""

import json
from typing import Any

import numpy as np
import pytest

from experiments.analysis.report.forests import measure, sample
from experiments.analysis.report.page import embedded
from experiments.analysis.report.table import Cell, Row, Table, escape
from experiments.analysis.results import run_of
from experiments.analysis.spaces import space_of
from made_headers import header_event
from made_runs import made_run
from objectives.space import UnitCube, build_space


def test_importance_finds_the_parameter_that_matters_and_freezes_the_other() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((200, 2))
    columns = {
        "id": list(range(200)), "fidelity": [1.0] * 200, "value": points[:, 0].tolist(),
        "config": {"x": points[:, 0].tolist(), "y": points[:, 1].tolist()}, "error": [None] * 200,
        "cost": [1.0] * 200, "metrics": {}, "ask_s": [0.0] * 200, "tell_s": [0.0] * 200,
        "time": [0.0] * 200,
    }  # fmt: skip
    run = run_of(
        {"header": header_event(), "budget": 200.0, "ended": True, "tests": [], "columns": columns}
    )
    axis = {"type": "float", "lower": 0, "upper": 1}
    given = sample([run], UnitCube(build_space({"x": axis, "y": axis})))
    assert given is not None
    found = measure(given)
    assert found.fanova["x"] > 0.9 and found.shap["x"] > 0.9 and found.frozen == ["y"]


def test_the_stated_space_is_taken_where_it_holds_all_that_was_evaluated() -> None:
    space = {
        "threads": {"type": "int", "lower": 1, "upper": 2},
        "batch": {"type": "int", "lower": 16, "upper": 256, "log": True},
    }
    run = made_run([1.0, 2.0], space=space)
    for config, threads in zip(run.configs, (1, 3), strict=True):
        config.clear()
        config.update(threads=threads, batch=32)
    cube = UnitCube(space_of([run]))
    assert cube.config([1.0, 1.0]) == {"threads": 3, "batch": 32}
    for config in run.configs:
        config.update(threads=1)
    assert UnitCube(space_of([run])).config([1.0, 1.0]) == {"threads": 2, "batch": 256}


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1.0, 1e9])
def test_the_bounds_of_an_inferred_space_contain_the_values_to_the_last_digit(scale: float) -> None:
    run = made_run([1.0] * 20)
    values = (scale * np.random.default_rng(0).random(20)).tolist()
    for config, value in zip(run.configs, values, strict=True):
        config["x"] = value
    axis: Any = space_of([run])["x"]
    assert axis.lower <= min(values) < max(values) <= axis.upper


def test_json_in_the_page_cannot_end_its_script() -> None:
    text = embedded({"a": "</script><!-- & "})
    assert "<" not in text and ">" not in text and "&" not in text
    assert json.loads(text) == {"a": "</script><!-- & "}


def test_latex_prints_text_as_it_is() -> None:
    assert escape(r"50 % of a_b & $c\d") == r"50 \% of a\_b \& \$c\textbackslash{}d"
    table = Table("t", ["name", "n"], [Row([Cell("a_b"), Cell("1", 1.0)])])
    assert r"a\_b & 1 \\" in table.latex() and "{lr}" in table.latex()
