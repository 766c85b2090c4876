"""A CSV of evaluations as an objective: look-ups, replicates, and mistakes that name their cell."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.analysis.exchange.tables import write_csv
from made_runs import made_run
from objectives.functions.synthetic import Branin
from objectives.tabular import Tabular
from objectives.trial import Config, Trial

TEXT = (
    "rank,log10_rate,kind,acc,mmlu,s\n2,-3,a,0.5,0.25,10\n4,-3,b,0.7,0.35,20\n8,-1,a,0.6,0.3,30\n"
)
PARAMETERS = {
    "rank": "rank",
    "rate": {"column": "log10_rate", "log10": True},
    "kind": "kind",
}
BOX = {
    "rank": {"type": "int", "lower": 2, "upper": 8},
    "rate": {"type": "float", "lower": 1e-4, "upper": 1e-1, "log": True},
    "kind": {"type": "categorical", "choices": ["a", "b"]},
}


def table(folder: Path, text: str = TEXT, **settings: Any) -> Tabular:
    path = folder / "table.csv"
    path.write_text(text)
    given: dict[str, Any] = {
        "data": str(path),
        "where": {},
        "parameters": PARAMETERS,
        "value": {"column": "acc", "maximise": "one minus"},
        "metrics": {"hellaswag_acc": "acc", "mmlu_acc": "mmlu"},
        "cost": "s",
        "space": {},
        "lookup": "exact",
        "tolerance": 0.05,
        "replicates": "refuse",
        "seed": 0,
    }
    return Tabular(**{**given, **settings})


def test_a_row_is_looked_up_with_its_metrics_and_cost(tmp_path: Path) -> None:
    found = table(tmp_path).evaluate(Trial(0, {"rank": 4, "rate": 1e-3, "kind": "b"}))
    assert found.value == pytest.approx(0.3)
    assert found.metrics == {"hellaswag_acc": 0.7, "mmlu_acc": 0.35}
    assert found.cost == 20


@pytest.mark.parametrize("maximise", [1, 0, 1.0, "true", None, [True]])
def test_a_number_is_not_a_sign(tmp_path: Path, maximise: object) -> None:
    with pytest.raises(ValueError, match="value.maximise: expected true, false or 'one minus'"):
        table(tmp_path, value={"column": "acc", "maximise": maximise})


def test_a_metric_may_not_take_the_name_of_the_value_for_another_column(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="metrics.acc: expected the column acc, .* got mmlu"):
        table(tmp_path, metrics={"acc": "mmlu"})


def test_the_best_row_is_the_optimum(tmp_path: Path) -> None:
    objective = table(tmp_path)
    assert objective.optimum == pytest.approx(0.3)
    assert objective.minimisers == ({"rank": 4, "rate": 1e-3, "kind": "b"},)
    assert objective.metric == "hellaswag_acc"


@pytest.mark.parametrize(("maximise", "value"), [(False, 0.5), (True, -0.5), ("one minus", 0.5)])
def test_the_sign_is_set(tmp_path: Path, maximise: bool | str, value: float) -> None:
    objective = table(tmp_path, value={"column": "acc", "maximise": maximise})
    found = objective.evaluate(Trial(0, {"rank": 2, "rate": 1e-3, "kind": "a"}))
    assert found.value == pytest.approx(value)


def test_a_missing_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="expected a row of the configuration, got none of .*8"):
        table(tmp_path).evaluate(Trial(0, {"rank": 8, "rate": 1e-3, "kind": "a"}))


def test_the_nearest_row_counts_within_the_tolerance_only(tmp_path: Path) -> None:
    # The rate's axis is 3 decades: 10^-2.91 lies 0.03 from 10^-3 and 10^-2.7 lies 0.1.
    objective = table(tmp_path, space=BOX, lookup="nearest", tolerance=0.05)
    near = objective.evaluate(Trial(0, {"rank": 2, "rate": 10**-2.91, "kind": "a"}))
    assert near.metrics["hellaswag_acc"] == 0.5
    far_ones: list[Config] = [{"rate": 10**-2.7, "kind": "a"}, {"rate": 1e-3, "kind": "b"}]
    for far in far_ones:
        with pytest.raises(RuntimeError, match="within 0.05 of it"):
            objective.evaluate(Trial(0, {"rank": 2, **far}))


def test_an_empty_cell_is_an_inactive_parameter(tmp_path: Path) -> None:
    box = {
        "kernel": {"type": "categorical", "choices": ["rbf", "poly"]},
        "degree": {"type": "int", "lower": 2, "upper": 5, "when": {"kernel": "poly"}},
    }
    settings: dict[str, Any] = {"parameters": ["kernel", "degree"], "metrics": [], "cost": None}
    text = "kernel,degree,acc\nrbf,,0.5\npoly,3,0.6\n"
    objective = table(tmp_path, text, space=box, **settings)
    assert objective.evaluate(Trial(0, {"kernel": "rbf"})).metrics == {"acc": 0.5}
    assert objective.minimisers == ({"kernel": "poly", "degree": 3},)


REPEATED = TEXT + "2,-3,a,0.4,0.2,50\n"


def test_replicates_are_drawn_by_seed_and_trial(tmp_path: Path) -> None:
    objective = table(tmp_path, REPEATED, replicates="draw")
    config: Config = {"rank": 2, "rate": 1e-3, "kind": "a"}
    found = [objective.evaluate(Trial(id, config)).value for id in range(200)]
    assert found == [objective.evaluate(Trial(id, config)).value for id in range(200)]
    # Two equally likely values: 100 +- 5 standard deviations of 7.07.
    assert 64 < np.sum(np.isclose(np.array(found, dtype=float), 0.5)) < 136
    assert objective.noise_sd == pytest.approx(0.05)  # of {0.5, 0.6}
    assert "replicated" in (objective.notice() or "")


def test_replicates_are_averaged_on_request(tmp_path: Path) -> None:
    objective = table(tmp_path, REPEATED, replicates="mean")
    found = objective.evaluate(Trial(0, {"rank": 2, "rate": 1e-3, "kind": "a"}))
    assert found.value == pytest.approx(0.55) and found.cost == 30
    assert objective.noise_sd == 0


def test_a_table_without_replicates_says_that_it_is_deterministic(tmp_path: Path) -> None:
    assert table(tmp_path).notice() == "data: table.csv (3 configurations, deterministic)"


def test_only_the_rows_asked_for_are_kept(tmp_path: Path) -> None:
    assert "2 configurations" in (table(tmp_path, where={"kind": "a"}).notice() or "")


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        (TEXT.replace("mmlu", "other"), {}, "expected a column mmlu"),
        (
            TEXT.replace("0.7", "high"),
            {},
            r"row 2 \(line 3\), column acc: expected a finite number",
        ),
        (TEXT.replace("0.35", ""), {}, r"row 2 \(line 3\), column mmlu: expected a finite number"),
        (TEXT.replace(",20\n", "\n"), {}, r"row 2 \(line 3\): expected 6 cells, got 5"),
        (REPEATED, {}, r"row 4 \(line 5\), column acc: .* got row 1 again with another value 0.4"),
        (TEXT + "2,-3,a,0.5,0,0\n", {}, r"row 4 .* got row 1 again with the same value"),
        (TEXT.replace("8,", "9,"), {"space": BOX}, r"row 3 .*, column rank: .* \[2, 8\], got 9"),
        (TEXT.replace("4,", "4.5,"), {"space": BOX}, r"row 2 .*, column rank: expected an integer"),
        (TEXT.replace("b", "c"), {"space": BOX}, r"row 2 .*, column kind: expected one of"),
        ("rank,log10_rate,kind,acc,mmlu,s\n", {}, "expected at least one row"),
        (TEXT, {"lookup": "linear"}, "lookup: expected one of"),
        (TEXT, {"replicates": "first"}, "replicates: expected one of"),
        (TEXT, {"tolerance": -1}, "tolerance: expected a finite number of at least 0"),
        (TEXT, {"space": {"alpha": BOX["rank"]}}, "space: expected some of"),
        (TEXT, {"value": {"column": "acc", "sign": -1}}, "value: expected the keys"),
        (TEXT, {"parameters": {}}, "parameters: expected names with their columns"),
        (TEXT, {"data": 3}, "data: expected the path"),
    ],
)
def test_a_mistake_is_named(
    tmp_path: Path, text: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        table(tmp_path, text, **settings)
    assert "\n" not in str(raised.value)


ONE: dict[str, Any] = {"parameters": ["p"], "metrics": [], "cost": None, "value": "acc"}


def column_of(folder: Path, *cells: str, **settings: Any) -> list[Any]:
    """Return the choices that the parameter of a table with these cells has."""
    rows = [f"{cell},{place}" for place, cell in enumerate(cells)]
    text = "\n".join(["p,acc", *rows]) + "\n"
    objective = table(folder, text, **{**ONE, "replicates": "mean", **settings})
    parameter: Any = objective.space["p"]
    choices = getattr(parameter, "choices", None) or getattr(parameter, "sequence", None)
    return list(choices) if choices is not None else [parameter.value]


ODD = ["nan", "NaN", "NA", "inf", "-Infinity", "1e400", '"1,000"', "1_000", "O.5", "true", "None"]


@pytest.mark.parametrize("odd", [*ODD, "2020-01-01", "0x1F", "1e", "--1", "1.2.3"])
def test_one_cell_that_is_no_number_is_refused_with_its_place(tmp_path: Path, odd: str) -> None:
    with pytest.raises(ValueError) as raised:
        column_of(tmp_path, "0.001", "0.01", odd, "0.1")
    assert str(raised.value).endswith(
        f"row 3 (line 4), column p: expected a finite number as in the other rows, got "
        f"{odd.strip(chr(34))!r}; leave the cell empty where the parameter is inactive, or give "
        f"objective.space.p.type=categorical"
    )


def test_a_column_of_numbers_with_separators_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"row 1 .*expected a finite number .*got '1,000'"):
        column_of(tmp_path, '"1,000"', '"2,000"')


def test_what_was_advised_makes_texts_of_a_mixed_column(tmp_path: Path) -> None:
    given = {"p": {"type": "categorical"}}
    assert column_of(tmp_path, "1", "auto", "2", "1", space=given) == ["1", "auto", "2"]


@pytest.mark.parametrize(
    ("cells", "choices"),
    [
        (["1", "1.0", "1e0", "+1", " 1 ", "2"], [1, 2]),
        (["-0", "0", "0.0", "-0.0"], [0]),
        (["0.5", "-0", ".25", "5e-1"], [0.0, 0.25, 0.5]),
        (["3", "10", "-2"], [-2, 3, 10]),
        (["true", "False", "TRUE", "false"], [True, False]),
        (["false", "FALSE"], [False]),
        (["rbf", " poly", "rbf "], ["rbf", "poly"]),
        (["2020-01-01", "2021-01-01"], ["2020-01-01", "2021-01-01"]),
    ],
)
def test_equal_values_are_one_choice_of_their_own_type(
    tmp_path: Path, cells: list[str], choices: list[Any]
) -> None:
    found = column_of(tmp_path, *cells)
    assert found == choices and [str(value) for value in found] == [str(v) for v in choices]


@pytest.mark.parametrize("cell", ["true", "True", "TRUE", " true "])
def test_a_boolean_is_read_in_any_spelling(tmp_path: Path, cell: str) -> None:
    given = {"p": {"type": "categorical", "choices": [True, False]}}
    objective = table(tmp_path, f"p,acc\n{cell},0.5\nfalse,0.7\n", **ONE, space=given)
    assert objective.minimisers == ({"p": True},)


WHERE = (
    "p,acc,seed,failed,note\n1,0.5,1,false,a\n2,0.1,1.0,False,\n3,0.7,2,TRUE,b\n"
    "4,0.2,-5,true,1.10\n5,0.3,1e0,FALSE,1.1\n"
)


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ({"seed": 1}, [1, 2, 5]),
        ({"seed": 1.0}, [1, 2, 5]),
        ({"seed": -5.0}, [4]),
        ({"seed": [2, -5]}, [3, 4]),
        ({"failed": False}, [1, 2, 5]),
        ({"failed": True}, [3, 4]),
        ({"failed": "false"}, [1, 2, 5]),
        ({"failed": "True", "seed": 2}, [3]),
        ({"note": "a"}, [1]),
        ({"note": None}, [2]),
        ({"note": ["a", None]}, [1, 2]),
        ({"note": "1.10"}, [4]),
        ({"note": 1.1}, [4, 5]),
        ({"p": [1, 2, 3], "failed": False}, [1, 2]),
    ],
)
def test_where_compares_meanings(tmp_path: Path, where: dict[str, Any], kept: list[int]) -> None:
    objective = table(tmp_path, WHERE, **ONE, where=where)
    parameter: Any = objective.space["p"]
    assert list(parameter.sequence) == kept


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"seed": 7}, r"expected at least one row where seed is 7, got none among '1', '1.0', '2'"),
        ({"failed": "no"}, r"where failed is 'no', got none among 'false', 'False', 'TRUE'"),
        ({"note": []}, "where note is one of no values, got none"),
        ({"note": {"a": 1}}, r"where.note: expected a value or a list of them, got \{'a': 1\}"),
        ({"colour": 1}, "expected a column colour, got"),
    ],
)
def test_a_where_that_keeps_nothing_says_what_there_is(
    tmp_path: Path, where: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        table(tmp_path, WHERE, **ONE, where=where)


def test_a_spreadsheet_s_mark_and_empty_rows_are_no_data(tmp_path: Path) -> None:
    objective = table(tmp_path, "\ufeffp,acc\n1,0.5\n,\n\n2,0.7\n , \n", **ONE)
    assert objective.minimisers == ({"p": 1},)


def test_an_export_of_ours_is_read_back_without_its_failures(tmp_path: Path) -> None:
    configs: list[Config] = [{"flag": True, "n": 1}, {"flag": False}, {"flag": True, "n": 3}]
    run = replace(made_run([0.9, None, 0.5, 0.7], failed=[3]), configs=[*configs, {"flag": False}])
    path = tmp_path / "export.csv"
    write_csv([run], path)
    objective = table(
        tmp_path,
        path.read_text(),
        parameters={"flag": "config.flag", "n": "config.n"},
        value="value",
        metrics=[],
        cost="cost_s",
        where={"failed": False},
    )
    assert objective.optimum == 0.5
    assert objective.minimisers == ({"flag": True, "n": 3},)
    assert "2 configurations" in objective.notice()


def test_the_shipped_grid_is_branin() -> None:
    rows = (Path(__file__).parents[1] / "objectives" / "branin_grid.csv").read_text().splitlines()
    branin = Branin(shift="none", space={})
    assert len(rows) == 1 + 16 * 16
    for x1, x2, value in (row.split(",") for row in rows[1::25]):
        config: Config = {"x1": float(x1), "x2": float(x2)}
        assert branin.evaluate(Trial(0, config)).value == pytest.approx(float(value))


@pytest.mark.parametrize(
    ("cells", "odd"), [(("0,5", "0,25"), "0,5"), (("5%", "10%"), "5%"), (("1", "2,5"), "2,5")]
)
def test_numbers_of_another_spelling_are_no_text(
    cells: tuple[str, str], odd: str, tmp_path: Path
) -> None:
    text = 'x,acc\n"{}",0.5\n"{}",0.4\n'.format(*cells)
    settings: dict[str, Any] = {"parameters": ["x"], "metrics": [], "cost": None, "space": {}}
    with pytest.raises(ValueError, match=f"column x: expected a finite number.*, got '{odd}'"):
        table(tmp_path, text, **settings)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("8,-1,a,0.6,0.3,-1", "column s: expected a cost of at least 0 and at most 1e.12, got -1"),
        ("8,-1,a,0.6,0.3,1e13", "column s: expected a cost of at least 0 and at most 1e.12, got"),
        ("8,-1,a,1e308,0.3,1", "column acc: expected a value of at most 1e.150 in size, got 1e308"),
        ("8,-1,a,0.6,-1e308,1", "column mmlu: expected a metric of at most 1e.150 in size, got"),
    ],
)
def test_numbers_that_no_evaluation_can_have_are_refused(
    row: str, expected: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=rf"row 3 \(line 4\), {expected}"):
        table(tmp_path, "\n".join([*TEXT.split("\n")[:3], row]))


def test_a_pipe_is_no_table(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="data: expected a regular file, got .*pipe"):
        table(tmp_path, data=str(tmp_path / "pipe"))
