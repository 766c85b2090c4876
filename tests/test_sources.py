"""Runs of others beside ours: merged, kept apart, described, and never executed."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.analysis import pack, verdict
from experiments.analysis.report.contents import contents
from experiments.analysis.report.subject import read_subject
from experiments.analysis.results import load
from experiments.analysis.sources import code_of
from made_headers import header_event
from made_runs import made_run


def _log(folder: Path, name: str = "a", seed: int = 0, n: int = 6, **changes: Any) -> None:
    """Write a run whose values fall; `shift` is added to each of them."""
    shift = changes.pop("shift", 0.0)
    about = {
        "identity": f"{name}{seed}", "seed": seed, "budget": 6.0,
        "names": {"optimizer": name, "objective": "f"},
        "optimizer": {"class": name}, "versions": {"numpy": "2.0"},
        "hardware": {"cpu": "X", "cores": 2}, "time": 1.7e9, **changes,
    }  # fmt: skip
    lines: list[dict[str, Any]] = [header_event(**about)]
    for id in range(n):
        trial = {"id": id, "config": {"x": id / 10}, "fidelity": 1.0}
        lines.append({"event": "ask", "n": 1, "trials": [trial], "ask_s": 0.1, "tell_s": {}})
        answer = {"value": shift + seed + 1.0 / (1 + id), "error": None, "cost": 1.0, "time": 2e9}
        lines.append({"event": "evaluation", "id": id, "metrics": {}, **answer})
    place = folder / f"{name}{seed}"
    place.mkdir(parents=True)
    (place / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def _said(capsys: pytest.CaptureFixture[str], *folders: Path) -> str:
    assert verdict.main([str(folder) for folder in folders]) == 0
    return capsys.readouterr().out


def test_packs_of_others_stand_beside_ours_and_their_differences_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _log(tmp_path / "ours", "a")
    other: dict[str, Any] = {"versions": {"numpy": "2.1"}, "hardware": {"cpu": "Y", "cores": 64}}
    _log(tmp_path / "sent", "b", **other)
    pack.pack([tmp_path / "sent"], tmp_path / "theirs" / "runs.jsonl.xz")
    theirs = tmp_path / "theirs" / "runs.jsonl.xz"
    assert {run.optimizer for run in load([tmp_path / "ours", theirs])} == {"a", "b"}
    said = _said(capsys, tmp_path / "ours", theirs)
    assert f"note: {theirs}: 1 runs of b on f; tuneoff 0.1.0; cpu Y, cores 64" in said
    assert "packages that differ: numpy 2.1" in said and "cpu X, cores 2" in said


def test_another_version_of_an_optimizer_is_kept_apart(tmp_path: Path) -> None:
    _log(tmp_path / "ours", "a", optimizer_version=1)
    _log(tmp_path / "theirs", "a", identity="newer", optimizer_version=2)
    found = load([tmp_path / "ours", tmp_path / "theirs"])
    assert [run.optimizer for run in found] == ["a version=1", "a version=2"]


def test_the_same_run_from_two_sources_counts_once(tmp_path: Path) -> None:
    _log(tmp_path / "ours", "a", n=3)
    _log(tmp_path / "theirs", "a", n=6)
    for order in (("ours", "theirs"), ("theirs", "ours")):
        (run,) = load([tmp_path / name for name in order])
        assert len(run.ids) == 6 and run.optimizer == "a"


def test_the_same_run_with_other_evaluations_is_kept_apart_with_all_its_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in (0, 1):
        _log(tmp_path / "ours", "a", seed)
    _log(tmp_path / "theirs", "a", 0, shift=0.5)
    _log(tmp_path / "theirs", "b", 0)
    found = load([tmp_path / "ours", tmp_path / "theirs"])
    labels = [(run.optimizer, run.seed) for run in found]
    assert sorted(labels) == [
        ("a source=ours", 0), ("a source=ours", 1), ("a source=theirs", 0), ("b", 0),
    ]  # fmt: skip
    said = _said(capsys, tmp_path / "ours", tmp_path / "theirs")
    assert "the sources hold the same runs of a with different evaluations" in said


def test_sources_of_one_name_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    _log(tmp_path / "one" / "runs", "a")
    _log(tmp_path / "two" / "runs", "a", shift=0.5)
    paths = [tmp_path / name / "runs" for name in ("one", "two")]
    assert [run.optimizer for run in load(paths)] == [f"a source={path}" for path in paths]


def test_runs_of_others_on_other_data_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _log(tmp_path / "ours", "a")
    _log(tmp_path / "theirs", "b", fingerprint={"version": 1, "data": "other"})
    assert verdict.main([str(tmp_path / "ours"), str(tmp_path / "theirs")]) == 2
    error = capsys.readouterr().err
    assert "expected runs of one fingerprint" in error and error.count("\n") == 1


def test_one_source_needs_no_lines_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _log(tmp_path, "a")
    _log(tmp_path, "b")
    assert str(tmp_path) not in _said(capsys, tmp_path)


def test_what_others_name_in_a_log_is_never_imported_or_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A module of the log's class name lies on the path: importing it would leave a mark."""
    mark = tmp_path / "mark"
    (tmp_path / "evil.py").write_text(f"open({str(mark)!r}, 'w')\nclass Evil: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    target = {"class": "evil.Evil", "_target_": "evil.Evil", "run": "!!python/name:evil.Evil"}
    for optimizer in ("evil.Evil", "b"):
        _log(
            tmp_path / "sent", optimizer, n=6, optimizer=target, objective=target,
            names={"optimizer": optimizer, "objective": "evil.Evil"},
        )  # fmt: skip
    packed = tmp_path / "theirs" / "runs.jsonl.xz"
    pack.pack([tmp_path / "sent"], packed)
    assert "Evil" in _said(capsys, packed)
    with ThreadPoolExecutor(1) as pool:
        made = contents(read_subject([packed], None, None), pool)
    assert "evil.Evil" in made.title and made.trials
    load(packed).frame()
    assert not mark.exists() and "evil" not in sys.modules


@pytest.mark.parametrize(
    ("commit", "shown"),
    [
        ("0123456789abcdef", "0.1 0123456789"),
        ("confirmation-2-225-g0123456789abcdef-dirty", "0.1 0123456789-dirty"),
        ("confirmation-2", "0.1 confirmation-2"),
        ("", "0.1"),
    ],
)
def test_the_commit_is_shown_whatever_tags_there_are(commit: str, shown: str) -> None:
    run = made_run([1.0])
    header = replace(run.header, code={"version": "0.1", "commit": commit})
    assert code_of(replace(run, header=header)) == shown
