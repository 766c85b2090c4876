"""Files that commands write: complete or not at all, and never in place of evaluations."""

import json
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from experiments import command
from experiments.analysis.results import load
from experiments.running.whole_files import named, whole, whole_files
from made_headers import header_event
from small_disk import small_disk
from test_damaged_logs import LOG

FULL = OSError(28, "No space left on device")


def made(folder: Path, seed: int = 0) -> Path:
    """Write the log of a run and return its folder."""
    folder.mkdir()
    add(folder / "log.jsonl", header_event(seed=seed, identity=f"{seed:016}"), *LOG[1:3])
    return folder


def add(log: Path, *events: dict[str, Any]) -> None:
    """Append lines to a log."""
    with log.open("a") as file:
        file.writelines(json.dumps(event) + "\n" for event in events)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return made(tmp_path / "run")


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line with which a command refuses its arguments."""
    assert command.main(words) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    return line


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_an_error_leaves_what_was_there_and_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "table [1].csv"
    path.write_text("earlier")
    with pytest.raises(OSError, match="No space") as raised, whole(path) as new:
        new.write_text("half")
        raise FULL
    assert raised.value.filename == str(path)
    assert files(tmp_path) == {"table [1].csv": b"earlier"}
    with pytest.raises(OSError, match="No space") as raised, named(tmp_path):
        raise OSError(*FULL.args)
    assert raised.value.filename == str(tmp_path)


def test_several_files_are_all_written_or_none(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "page"
    with pytest.raises(OSError, match="No space") as raised, whole_files(out) as new:
        (new / "index.html").write_text("new")
        raise OSError(28, "No space left on device", str(new / "table"))
    assert raised.value.filename == str(out)
    assert not out.exists()
    out.touch()
    with pytest.raises(OSError, match="File exists") as raised, whole_files(out):
        pass
    assert raised.value.filename == str(out)
    out.unlink()
    out.mkdir()
    for name in ("index.html", "of mine"):
        (out / name).write_text("earlier")
    before = files(out)
    with pytest.raises(KeyboardInterrupt), whole_files(out) as new:
        (new / "index.html").write_text("new")
        raise KeyboardInterrupt
    assert files(out) == before
    with whole_files(out) as new:
        (new / "tables").mkdir()
        for name in ("index.html", "tables/a.tex"):
            (new / name).write_text("new")
    assert files(out) == {"index.html": b"new", "of mine": b"earlier", "tables/a.tex": b"new"}
    assert sorted(os.listdir(out)) == ["index.html", "of mine", "tables"]


def test_what_a_killed_command_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    with whole_files(tmp_path) as in_use:
        (tmp_path / ".new-killed").mkdir()
        (tmp_path / ".new-killed" / "half").touch()
        for folder in (in_use, tmp_path / ".new-killed"):
            os.utime(folder, (0, 0))
        with whole(tmp_path / "a.csv") as new:
            new.touch()
        assert sorted(os.listdir(tmp_path)) == [in_use.name, "a.csv"]
    assert os.listdir(tmp_path) == ["a.csv"]


@pytest.mark.parametrize(
    "words",
    [
        ["best", "run", "out=run/log.jsonl"],
        ["pack", "run", "out=run/log.jsonl"],
        ["best", "run", "out=packed.xz"],
        ["verdict", "run", "pairs=packed.xz"],
        ["best", "run", "out=run"],
        ["pack", "run", "out=run"],
    ],
)
def test_no_command_writes_over_evaluations(
    run: Path, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(run.parent)
    assert command.main(["pack", "run", "out=packed.xz"]) == 0
    before = files(run.parent)
    capsys.readouterr()
    assert "expected" in refused(words, capsys)
    assert files(run.parent) == before


def test_no_command_replaces_a_device_or_a_pipe(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for words in (
        ["best", str(run), "out=/dev/stdout"],
        ["pack", str(run), "out=/dev/null"],
        ["compare", str(run), f"out={tmp_path / 'pipe.png'}"],
        ["verdict", str(run), "pairs=/proc/self/fd/1"],
    ):
        assert "expected the path of a regular file, got /" in refused(words, capsys)
    assert Path("/dev/null").is_char_device() and (tmp_path / "pipe.png").is_fifo()


def test_a_pack_is_replaced_only_by_one_that_has_all_its_evaluations(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = run.parent, run.parent / "runs.jsonl.xz"
    assert command.main(["pack", str(folder)]) == 0
    add(run / "log.jsonl", LOG[6])  # the run goes on
    made(folder / "another", seed=1)
    assert command.main(["pack", str(folder)]) == 0
    packed = out.read_bytes()
    assert len(load([out])) == 2
    shutil.rmtree(folder / "another")
    capsys.readouterr()
    line = refused(["pack", str(folder)], capsys)
    assert "with 1 of 2 runs that the new pack would lose" in line
    assert out.read_bytes() == packed
    assert command.main(["pack", str(folder), f"out={folder / 'other.xz'}"]) == 0


def test_a_damaged_run_is_named_by_pack(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = run / "log.jsonl"
    header, *rest = log.read_text().splitlines(keepends=True)
    log.write_text("".join([json.dumps({**json.loads(header), "time": 1e300}) + "\n", *rest]))
    assert refused(["pack", str(run)], capsys).startswith(f"{log}: expected a run, got")


def test_an_ask_for_more_trials_than_workers_can_take_is_damage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(tmp_path / "log.jsonl", LOG[0], {**LOG[1], "n": 10**9})
    line = refused(["status", str(tmp_path)], capsys)
    assert "line 2" in line
    assert "ask.n: expected an integer of at least 1 and at most 1024, got 1000000000" in line


def test_watch_says_once_what_is_wrong_with_the_only_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.jsonl").write_text("{}\n")
    words = ["watch", str(tmp_path), "once=true", f"out={tmp_path / 'journal'}"]
    assert "line 1: expected an event" in refused(words, capsys)
    assert not (tmp_path / "journal").exists()


def test_a_storage_of_optuna_has_any_name(run: Path) -> None:
    out = run.parent / "what? 100% [1].db"
    assert command.main(["export", str(run), "format=optuna", f"out={out}"]) == 0
    with sqlite3.connect(out) as storage:
        assert storage.execute("select count(*) from trials").fetchone() == (1,)


@pytest.mark.parametrize(
    "words",
    [
        ["pack", "out=OUT/a.xz"],
        ["best", "out=OUT/a.yaml"],
        ["export", "format=csv", "out=OUT/a.csv"],
        ["export", "format=optuna", "out=OUT/a.db"],
        ["export", "format=ioh", "out=OUT/a"],
        ["report", "out=OUT/a"],
        ["compare", "out=OUT/a.png"],
        ["watch", "once=true", "out=OUT/a.journal"],
    ],
)
def test_a_disk_without_room_is_said_with_the_path_and_nothing_is_left(
    run: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    name, *rest = [word.replace("OUT", str(run.parent)) for word in words]
    with small_disk():
        line = refused([name, str(run), *rest], capsys)
    out = rest[-1].removeprefix("out=")
    assert line.startswith(f"{out}: expected a path that can be read or written, got: File too")
    assert os.listdir(run.parent) == ["run"]
