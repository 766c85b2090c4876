"""The paper's numbers follow from the CSV file and the committed results; errors of a bad CSV.

Cells that depend on the study's CSV file are regenerated if TUNEOFF_DATA has it. Otherwise a
warning says that they were not, and everything else is regenerated.
"""

import csv
import json
import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from experiments.paper import (
    landscape,
    numbers,
    pictures,
    published,
)
from experiments.paper.__main__ import main
from experiments.paper.contents import Inputs, figures, gather, sections
from processes import ROOT
from published_csv import CSV
from small_disk import small_disk

PAPER = ROOT / "paper"
TOLERANCE = 1e-6
HEADER = (
    "algorithm,state,phase,depth,lora_rank,lora_alpha,lora_dropout,log10_learning_rate,"
    "log10_weight_decay,hellaswag_acc,hellaswag_acc_stderr,mmlu_acc,mmlu_acc_stderr,ucb,lcb"
).split(",")


def _settings(*changes: str) -> DictConfig:
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        return compose("paper", list(changes))


def _committed() -> dict[str, dict[str, dict[str, object]]]:
    found: dict[str, dict[str, dict[str, object]]] = json.loads(
        (PAPER / "numbers.json").read_text()
    )
    return found


def _shown(section: str, key: str) -> object:
    return _committed()[section][key]["shown"]


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    """The available inputs of the paper."""
    if CSV is None:
        warnings.warn("cells of paper/ from the study's CSV are not checked", stacklevel=1)
    return gather(_settings(f"data={CSV or 'null'}"))


# What is committed ------------------------------------------------------------------------------


def test_every_committed_cell_follows_from_the_results(inputs: Inputs) -> None:
    committed = _committed()
    lines = [
        line
        for section in sections(inputs)
        for line in numbers.differences(committed, section, TOLERANCE)
    ]
    assert lines == [], "run `make paper` if the results changed:\n" + "\n".join(lines)


def test_every_committed_cell_stands_in_its_table() -> None:
    for name, entries in _committed().items():
        text = (PAPER / "tables" / f"{name}.tex").read_text(encoding="utf-8")
        cells = [cell.strip() for line in text.split("\n") for cell in line[:-2].split("&")]
        macros = [line.partition("}{")[2][:-1] for line in text.split("\n")]
        for key, entry in entries.items():
            assert entry["shown"] in [*cells, *macros], f"{name}: {key}"


def test_every_number_names_its_rows_runs_or_page() -> None:
    kinds = ({"csv", "rows"}, {"results", "runs"}, {"results", "rows"}, {"settings", "key"})
    for name, entries in _committed().items():
        for key, entry in entries.items():
            source = entry["from"]
            assert isinstance(source, dict)
            named = any(kind <= set(source) for kind in (*kinds, {"transcribed", "key"}))
            assert named and all(source.values()), f"{name}: {key}"


def test_the_results_that_cells_name_are_committed() -> None:
    cells = [entry for entries in _committed().values() for entry in entries.values()]
    sources = [entry["from"] for entry in cells if isinstance(entry["from"], dict)]
    paths = {source["results"] for source in sources if "results" in source}
    assert [path for path in sorted(paths) if not (ROOT / path).is_file()] == []


def test_what_the_text_includes_is_there() -> None:
    text = (PAPER / "main.tex").read_text()
    for word in ("figure2_lhs", "figure3_bo", "figure4_soo", "figure5_bamsoo", "figure6_compared"):
        assert f"\\wide{{{word}}}" in text
        assert (PAPER / "figures" / f"{word}.pdf").read_bytes().startswith(b"%PDF")


def test_the_published_facts_are_those_of_the_page() -> None:
    # ../shared/published-study.md: Table 2 with the honest MMLU, 73 rows, 33 of 35, 10 rows.
    for algorithm, best, mmlu in (
        ("LHS", "47.90", "37.36"),
        ("BO-GP", "47.91", "38.11"),
        ("SOO", "47.84", "37.42"),
        ("BaMSOO", "47.84", "37.37"),
    ):
        assert _shown("scores", f"HellaSwag, best / {algorithm}") == best
        assert _shown("scores", f"MMLU at the HellaSwag incumbent / {algorithm}") == mmlu
    facts = {"UntrainedRows": "73", "CollapseRsq": "0.9999", "Duplicates": "35"}
    for name, shown in {**facts, "NearDuplicates": "33", "PastCliffRows": "10"}.items():
        assert _shown("landscape", name) == shown
    assert _shown("verdict", "VerdictWords") == "No difference is significant"
    assert _shown("verdict", "MostItems") == "7"


def test_the_winner_of_the_study_is_said_not_to_have_trained() -> None:
    # Evaluation 13 of BO-GP is at 10^-7.3, below 10^-6.5; the best above that is LHS's at 10^-4.1.
    facts = {
        "BestOfAll": "0.4791", "BestOfAllBy": "BO-GP", "BestOfAllRate": "$10^{-7.3}$",
        "BestPlace": "13", "BestTrained": "0.4790", "BestTrainedBy": "LHS",
        "BestTrainedRate": "$10^{-4.1}$",
    }  # fmt: skip
    for name, shown in facts.items():
        assert _shown("landscape", name) == shown
    assert "The study's winner did not train" in (PAPER / "main.tex").read_text()


def test_the_figures_of_the_study_s_text_are_held_against_its_files() -> None:
    # 6^5; 50 (30.6 + 12.7) / 60 = 36.1; 1 - 38.11 / 49.3 = 0.227; 47.91 / 41.5 = 1.154.
    facts = {"GridSize": "7,776", "TrainMinutes": "30.6", "ScoreMinutes": "12.7"}
    for name, shown in {
        **facts,
        "FiftyHours": "36.1",
        "FromUpper": "23",
        "AboveUpper": "15",
    }.items():
        assert _shown("claims", name) == shown


def test_every_command_that_the_text_uses_is_generated_or_defined_in_it() -> None:
    text = (PAPER / "main.tex").read_text()
    generated = "".join(path.read_text() for path in (PAPER / "tables").glob("*.tex"))
    defined = set(re.findall(r"newcommand{\\(\w+)}", text + generated))
    used = set(re.findall(r"\\([A-Z][A-Za-z]+)", text)) - {"IfFileExists"}
    assert used <= defined, used - defined


def test_importance_counts_each_configuration_once() -> None:
    # 203 evaluations of 168 configurations: SOO and BaMSOO share 35.
    assert _shown("landscape", "Configurations") == "168"


def test_a_cell_that_does_not_follow_is_named_with_both_numbers() -> None:
    source = {"csv": "a.csv", "rows": "1-3"}
    section = numbers.Table("t", ["", "mean"], [("LHS", [numbers.number(0.5, 2, source)])])
    committed = {"t": numbers.entries(section)}
    assert numbers.differences(committed, section, TOLERANCE) == []
    committed["t"]["LHS / mean"] |= {"value": 0.51, "shown": "0.51"}
    (line,) = numbers.differences(committed, section, TOLERANCE)
    assert line.startswith("t: LHS / mean: committed 0.51 from") and "follows 0.50" in line


def test_a_cell_from_other_rows_does_not_follow() -> None:
    source = {"csv": "a.csv", "rows": "1-3"}
    section = numbers.Table("t", ["", "mean"], [("LHS", [numbers.number(0.5, 2, source)])])
    committed = {"t": numbers.entries(section)}
    committed["t"]["LHS / mean"] |= {"from": {"csv": "a.csv", "rows": "1-4"}}
    assert len(numbers.differences(committed, section, TOLERANCE)) == 1


# A CSV file of the test's own
# ------------------------------------------------------------------------


def _row(algorithm: str, number: int) -> dict[str, object]:
    """Return an evaluated row; 24 of an algorithm differ in alpha and rate."""
    score = round(0.48 - 0.008 * number, 4)
    return {
        "algorithm": algorithm,
        "state": "evaluated",
        "phase": "sampling" if algorithm == "BO-GP" and number < 5 else "",
        "depth": number // 3 if "SOO" in algorithm else "",
        "lora_rank": 20.0 + number % 5,
        "lora_alpha": 2.0 + 2 * number,
        "lora_dropout": 0.02 * number,
        "log10_learning_rate": -9.5 + 0.3 * ((7 * number) % 24),
        "log10_weight_decay": -4.5 + 0.1 * ((5 * number) % 24),
        "hellaswag_acc": score,
        "hellaswag_acc_stderr": 0.005,
        "mmlu_acc": round(score - 0.1, 4),
        "mmlu_acc_stderr": 0.004,
        "ucb": "",
        "lcb": "",
    }


def _rows() -> list[dict[str, object]]:
    rows = [_row(algorithm, i) for algorithm in published.ALGORITHMS for i in range(24)]
    bounds = {"state": "approximated", "hellaswag_acc": "", "mmlu_acc": "", "ucb": 0.4, "lcb": 0.3}
    return [*rows, {**_row("BaMSOO", 24), **bounds}]


def _write(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [name for name in HEADER if name in rows[0]])
        writer.writeheader()
        writer.writerows(rows)
    return path


def _absent(tmp_path: Path) -> list[str]:
    return [f"{key}={tmp_path}/no" for key in ("held_out", "comparison", "drawn")]


def _break(rows: list[dict[str, object]], number: int, **cells: object) -> None:
    rows[number - 1] |= cells


@pytest.mark.parametrize(
    ("harm", "named"),
    [
        (lambda rows: [row.pop("mmlu_acc") for row in rows], "expected a column mmlu_acc"),
        (lambda rows: _break(rows, 3, lora_rank=90.0), "row 3 (line 4), column lora_rank"),
        (lambda rows: _break(rows, 5, mmlu_acc=1.5), "row 5 (line 6), column mmlu_acc"),
        (lambda rows: _break(rows, 6, hellaswag_acc="x"), "row 6 (line 7), column hellaswag_acc"),
        (lambda rows: rows.insert(9, dict(rows[8])), "row 10 (line 11), column hellaswag_acc"),
        (lambda rows: _break(rows, 97, lcb=""), "row 97 (line 98), column lcb"),
    ],
    ids=["column", "space", "accuracy", "word", "twice", "bound"],
)
def test_a_bad_csv_is_one_line_that_names_row_and_column(
    harm: Callable[[list[dict[str, object]]], object],
    named: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = _rows()
    harm(rows)
    path = _write(tmp_path / "study.csv", rows)
    assert main([f"data={path}", f"out={tmp_path}/out", *_absent(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert named in line and str(path) in line


def test_without_the_csv_a_line_says_where_it_comes_from_and_table_1_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TUNEOFF_DATA", raising=False)
    assert main([f"out={tmp_path}", *_absent(tmp_path)]) == 2
    first = capsys.readouterr().err.splitlines()[0]
    assert "TUNEOFF_DATA" in first and "Kiwy3/BO_PBO_HPO_LLM" in first and "convert.py" in first
    assert (
        "lora\\_rank & 1 to 64 & 2 to 32 & 2 to 64" in (tmp_path / "tables/space.tex").read_text()
    )


def test_what_cannot_be_made_again_keeps_its_committed_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TUNEOFF_DATA", raising=False)
    (tmp_path / "numbers.json").write_text(json.dumps({"scores": {"a / b": {"value": 1}}}))
    main([f"out={tmp_path}", *_absent(tmp_path)])
    assert json.loads((tmp_path / "numbers.json").read_text())["scores"] == {"a / b": {"value": 1}}


def test_a_disk_without_room_leaves_the_paper_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TUNEOFF_DATA", raising=False)
    (tmp_path / "numbers.json").write_text("{}\n")
    with small_disk():
        assert main([f"out={tmp_path}", *_absent(tmp_path)]) == 2
    line = capsys.readouterr().err
    assert line.startswith(f"{tmp_path}: expected a path that can be read or written, got: File")
    assert line.count("\n") == 1
    assert os.listdir(tmp_path) == ["numbers.json"]


def test_a_figure_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    path = _write(tmp_path / "study.csv", _rows())
    found = gather(_settings(f"data={path}", *_absent(tmp_path)))
    drawn_twice = []
    for name in ("a.pdf", "b.pdf"):
        with pictures.style():
            pictures.save(figures(found, [])["figure5_bamsoo"](), tmp_path / name)
        drawn_twice.append((tmp_path / name).read_bytes())
    assert drawn_twice[0] == drawn_twice[1] and b"CreationDate" not in drawn_twice[0]


def test_every_pair_of_the_two_partition_methods_is_found(tmp_path: Path) -> None:
    path = _write(tmp_path / "study.csv", _rows())
    found = gather(_settings(f"data={path}", *_absent(tmp_path)))
    assert found.study is not None
    assert [pair.items for pair in landscape.pairs(found.study)] == [0] * 24


def test_the_environment_names_the_data_folder_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEOFF_DATA", "/somewhere")
    assert _settings().data == "/somewhere" == os.environ["TUNEOFF_DATA"]


def test_a_misspelt_setting_names_the_paper_s_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dat=x.csv"]) == 2
    assert "held_out" in (said := capsys.readouterr().err) and "did you mean data?" in said
