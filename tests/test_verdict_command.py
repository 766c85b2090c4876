"""`tuneoff verdict`: its output, and its one-line errors."""

import base64
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.analysis import verdict
from experiments.analysis.statistics.gather import gather
from made_headers import goal, header_event


def _header(optimizer: str, seed: int, **changes: Any) -> dict[str, Any]:
    about = {
        "identity": f"{optimizer}{seed}", "seed": seed, "budget": 2.0, "optimum": 0.0, "time": 0.0,
        "names": {"optimizer": optimizer, "objective": "f"}, "optimizer": {"class": optimizer},
    }  # fmt: skip
    return header_event(**{**about, **changes})


def _log(
    folder: Path,
    optimizer: str,
    values: list[float | None],
    seed: int = 0,
    ended: bool = True,
    items: dict[str, str] | None = None,
    metrics: dict[str, float] | None = None,
    **changes: Any,
) -> None:
    """Write the log of a run below a folder."""
    events: list[dict[str, Any]] = [_header(optimizer, seed, **changes)]
    for id, value in enumerate(values):
        trial = {"id": id, "config": {"x": id}, "fidelity": 1.0}
        events.append(
            {"event": "ask", "n": 1, "trials": [trial], "ask_s": 0.1, "tell_s": {}, "time": 0.0}
        )
        answer: dict[str, Any] = {
            "event": "evaluation", "id": id, "value": value, "cost": 1.0, "time": 0.0,
            "metrics": metrics or {}, "error": "it failed" if value is None else None,
        }  # fmt: skip
        events.append(answer if items is None else {**answer, "items": items})
    if ended:
        events.append({"event": "end", "budget": 2.0, "spent": 2.0, "tell_s": {}})
    place = folder / f"{optimizer}-{seed}"
    place.mkdir(parents=True)
    (place / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))


def _wrong(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Return the line of a command that ends with status 2."""
    assert verdict.main([str(argument) for argument in arguments]) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.count("\n") == 1
    return error


def _said(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert verdict.main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def test_every_pair_stands_in_numbers_in_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(6):
        _log(tmp_path / "runs", "a", [3.0, 1.0 + seed], seed)
        _log(tmp_path / "runs", "b", [30.0, 20.0 + seed], seed)
        _log(tmp_path / "runs", "c", [30.0, None], seed)
    said = _said(capsys, tmp_path / "runs", f"pairs={tmp_path / 'pairs.csv'}")
    assert f"numbers of every pair: {tmp_path / 'pairs.csv'}" in said
    rows = list(csv.DictReader((tmp_path / "pairs.csv").open()))
    assert [(row["first"], row["second"]) for row in rows] == [("a", "b"), ("a", "c"), ("b", "c")]
    first = rows[0]
    assert (first["task"], first["n"], first["improvement"]) == ("f", "6", "1")
    assert float(first["first_better"]) > 0.9
    total = sum(float(first[key]) for key in ("first_better", "equivalent", "second_better"))
    assert total == pytest.approx(1, abs=1e-3)


def test_one_run_each_has_no_interval_and_no_posterior(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _log(tmp_path / "runs", "a", [3.0, 1.0])
    _log(tmp_path / "runs", "b", [3.0, 2.0])
    _said(capsys, tmp_path / "runs", f"pairs={tmp_path / 'pairs.csv'}")
    (row,) = csv.DictReader((tmp_path / "pairs.csv").open())
    assert row["improvement"] == "1"
    assert row["improvement_low"] == row["first_better"] == ""


def test_two_optimizers_on_one_objective_with_one_seed_get_ranks_and_what_cannot_be_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _log(tmp_path, "a", [3.0, 2.0])
    _log(tmp_path, "b", [None, 1.0])
    said = _said(capsys, tmp_path)
    assert "no pair is distinguishable: with 1 seed, no test can reach significance" in said
    assert "There is no critical difference of mean ranks" in said
    rows = {line.split()[0]: line.split() for line in said.splitlines() if line[:2] in ("a ", "b ")}
    # Own time: 0.2 of 2.2 s. b is better at the end, and failed once.
    assert rows["a"] == ["a", "2.00", "2.00", "2.00", "9%", "0", "0"]
    assert rows["b"] == ["b", "1.00", "1.00", "1.00", "9%", "1", "0"]


def test_an_optimizer_alone_is_said_to_be_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _log(tmp_path, "a", [3.0, 2.0])
    assert _said(capsys, tmp_path) == "There is only one optimizer, a: nothing can be compared.\n"


def test_ranks_that_flip_with_the_currency_are_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _log(tmp_path, "quick", [2.0, 2.0])
    # `slow` is better after two evaluations, but `quick` has both before its first ask is over.
    _log(tmp_path, "slow", [3.0, 1.0])
    log = tmp_path / "slow-0" / "log.jsonl"
    log.write_text(log.read_text().replace('"ask_s": 0.1', '"ask_s": 9.0'))
    said = _said(capsys, tmp_path)
    assert "1.00     2.00 -1  1.00" in said and "pairs whose order changes: 1" in said


def test_an_unfinished_run_is_said_with_the_budget_that_is_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _log(tmp_path, "a", [3.0, 2.0])
    _log(tmp_path, "b", [4.0], ended=False)
    said = _said(capsys, tmp_path)
    assert "note: f: 1 of 2 runs are unfinished, so their incumbents are carried forward" in said
    assert "On f (value after 2 evaluations), no pair is distinguishable" in said


def test_a_log_without_a_whole_header_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _log(tmp_path, "a", [3.0, 2.0])
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "log.jsonl").write_text('{"event": "hea')
    assert "note: logs without a complete header: 1, first" in _said(capsys, tmp_path)


def test_different_code_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _log(tmp_path, "a", [3.0, 2.0])
    _log(tmp_path, "b", [4.0, 4.0], code={"commit": "1"})
    assert "note: the runs were made with 2 different versions of the code" in _said(
        capsys, tmp_path
    )


def test_items_are_compared_pairwise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(2.0, 0.5, 64)
    for name, shift in (("a", 0.0), ("b", 0.25)):
        losses = (base + shift + rng.normal(0, 0.05, 64)).astype("<f2")
        packed = base64.b64encode(losses.tobytes()).decode()
        mean = float(losses.astype(float).mean())
        named: dict[str, Any] = {
            "items": {"loss": packed},
            "metrics": {"loss": mean},
            "goals": goal("loss", minimise=True),
        }
        _log(tmp_path, name, [mean, mean], **named)
    assert "64 items of loss: a and b differ by -0.2" in _said(capsys, tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "below it, got none" in _wrong(capsys, tmp_path)


def test_only_half_written_logs_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.jsonl").write_text('{"event": "hea')
    assert "results: expected runs to compare, got none" in _wrong(capsys, tmp_path)


def test_no_folder_and_a_missing_one_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "FOLDER: expected at least one" in _wrong(capsys)
    assert "none: expected a path that exists" in _wrong(capsys, tmp_path / "none")


def test_another_format_of_the_log_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _log(tmp_path, "a", [3.0, 2.0])
    _log(tmp_path, "b", [3.0, 2.0], format=3)
    assert "format: expected 2, got 3" in _wrong(capsys, tmp_path)


def test_mixed_fingerprints_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _log(tmp_path, "a", [3.0, 2.0])
    _log(tmp_path, "b", [3.0, 2.0], fingerprint={"version": 2})
    assert "f: expected runs of one fingerprint, got version=1" in _wrong(capsys, tmp_path)


def test_an_unknown_metric_is_refused_with_those_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _log(tmp_path, "a", [3.0, 2.0], metrics={"loss": 1.0})
    assert "metric: expected one of value, loss, got los" in _wrong(capsys, tmp_path, "metric=los")


def test_a_metric_of_unknown_direction_needs_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _log(tmp_path, "a", [3.0, 2.0], metrics={"loss": 1.0})
    assert "direction: expected direction=min or" in _wrong(capsys, tmp_path, "metric=loss")
    assert "expected min or max" in _wrong(capsys, tmp_path, "metric=loss", "direction=up")
    assert _said(capsys, tmp_path, "metric=loss", "direction=min")


def test_settings_that_there_are_none_of_and_bad_levels_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "expected one of metric, direction, level, equal" in _wrong(capsys, tmp_path, "lvl=1")
    assert "level: expected a finite number above 0 and at most 0.5, got x" in _wrong(
        capsys, tmp_path, "level=x"
    )


def test_the_metric_of_the_value_has_the_values_direction(tmp_path: Path) -> None:
    for seed, (value, accuracy) in enumerate([(0.4, 0.6), (0.2, 0.8)]):
        named: dict[str, Any] = {
            "metrics": {"accuracy": accuracy},
            "goals": goal("accuracy", minimise=False),
        }
        _log(tmp_path, "a", [value, 0.9], seed=seed, **named)
    logs = sorted(tmp_path.rglob("log.jsonl"))
    for log in logs:  # the second evaluation is worse, so its accuracy is lower
        *rest, last, end = log.read_text().splitlines()
        event = json.loads(last)
        event["metrics"]["accuracy"] = 0.1
        log.write_text("\n".join([*rest, json.dumps(event), end]) + "\n")
    assert gather([tmp_path], "accuracy").quantity.sign == -1


def _sweep(folder: Path, identities: dict[str, int], failed: list[str]) -> None:
    """Write the plan and ledger of a sweep."""
    runs = [
        {"identity": f"{name}{seed}", "optimizer": name, "objective": "f", "seed": seed,
         "folder": f"{name}-{seed}"}
        for name, n in identities.items() for seed in range(n)
    ]  # fmt: skip
    plan = {"name": "e", "budget": 2.0, "runs": runs}
    (folder / "experiment.json").write_text(json.dumps(plan))
    lines = [{"event": "failed", "identity": one, "error": "it broke"} for one in failed] * 2
    (folder / "ledger.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_run_that_failed_as_a_whole_ranks_last_and_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _log(tmp_path, "a", [3.0, 2.0])
    _sweep(tmp_path, {"a": 1, "b": 1}, failed=["b0"])
    said = _said(capsys, tmp_path)
    assert "note: the run of b on f with seed 0 failed: it ranks last" in said
    assert [line.split()[:2] for line in said.splitlines() if line[:2] == "b "] == [["b", "2.00"]]


def test_planned_runs_that_are_not_made_yet_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _log(tmp_path, "a", [3.0, 2.0])
    _sweep(tmp_path, {"a": 2}, failed=[])
    assert "note: planned runs that have not been made yet: 1 (a on f (1))" in _said(
        capsys, tmp_path
    )


def test_an_optimum_in_the_header_is_the_reference(tmp_path: Path) -> None:
    _log(tmp_path, "a", [3.0, 2.0])
    task = gather([tmp_path]).tasks[0]
    assert task.known and task.reference == {0: 0.0}
