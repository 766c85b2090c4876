"""The tables of results/*/README.md: ranks, corrected claims, and how they get into the file."""

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from experiments.running.from_words import run_of

TABLES: dict[str, Any] = runpy.run_path(
    str(Path(__file__).parent / "benchmarks" / "tables.py"), run_name="tables"
)


def test_ranks_are_averaged_over_seeds_and_then_over_tasks() -> None:
    values = {
        "one": {"a": {0: 1.0, 1: 1.0}, "b": {0: 2.0, 1: 0.0}},  # a: 1 and 2
        "two": {"a": {0: 1.0, 1: 9.0}, "b": {0: 5.0}},  # only seed 0 is common
        "three": {"a": {0: 1.0}},  # b has no run
    }
    assert TABLES["mean_ranks"](values, ["a", "b"]) == {"a": 1.25, "b": 1.75}


def test_claims_are_corrected_over_all_comparisons() -> None:
    better = TABLES["tested"](
        {seed: 0.0 for seed in range(6)}, {seed: 1.0 + seed for seed in range(6)}, (False, False)
    )
    assert better.p == 2**-5  # the least that six pairs can give
    assert TABLES["claims"]({"one": better}) == {"one": -1}
    assert TABLES["claims"]({"one": better, "two": better}) == {"one": 0, "two": 0}


def test_tables_replace_what_stands_between_the_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of("optimizer=random", "objective=branin", "budget=2")
    with run.open(tmp_path / "run") as log:
        run.execute(log)
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{TABLES['BEGIN']}\nold\n{TABLES['END']}\nafter\n")
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path / "run"), f"into={readme}"])
    assert TABLES["deliver"]("x", lambda runs: f"{len(runs)} run") == 0
    marks = TABLES["BEGIN"], TABLES["END"]
    assert readme.read_text() == f"before\n{marks[0]}\n\n1 run\n\n{marks[1]}\nafter\n"
    readme.write_text("no marks")
    assert TABLES["deliver"]("x", lambda runs: "text") == 2
    assert "x: expected <!-- tables: begin -->" in capsys.readouterr().out
