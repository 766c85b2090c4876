"""Thousands of malformed logs and packs: every reader describes the fault in one line.

The mutations are seeded, so a failure names the number that reproduces it.
"""

import lzma
import random
import shutil
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest

from experiments.analysis import compare, export, verdict
from experiments.analysis.pack import pack
from experiments.analysis.report.contents import contents
from experiments.analysis.report.subject import read_subject
from experiments.analysis.results import load
from experiments.analysis.statistics.gather import gather
from experiments.running.mistakes import explain
from experiments.running.packed import PACK
from experiments.running.rows import row_of
from malformed import changed, damaged, log, written

N_FILES = 3000
EVERY = 25
"""One of this number of loadable files is passed to every reader."""


class Idle(Executor):
    """Computes nothing, because the forests take long and only process numbers."""

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(None)
        return future


def refused(act: Any, path: str = "") -> bool:
    """Return whether an act is refused; the refusal must be one line that names the file."""
    try:
        act()
    except (ValueError, OSError) as error:
        line = explain(error, [])
        assert line is not None and "\n" not in line
        assert path in line and "expected" in line and ", got" in line, line
        return True
    return False


def read_all(folder: Path, out: Path) -> None:
    """Read runs by every command, each of which may refuse them."""
    refused(lambda: verdict.report(gather([folder]), 0.05, 0.0))
    refused(lambda: contents(read_subject([folder], None, None), Idle()))
    refused(lambda: compare.table(compare.comparable_runs([folder])))
    refused(lambda: pack([folder], out / "packed.xz"))
    for format, ending in (("csv", ".csv"), ("ioh", ""), ("coco", ""), ("parquet", ".parquet")):
        path = out / f"{format}{ending}"
        refused(lambda format=format, path=path: export.export(load([folder]), format, path))


def rows(kind: int, folder: Path) -> list[Any]:
    """Return the lines of a valid pack."""
    (folder / "log.jsonl").write_bytes(written(log(kind)))
    row = row_of(folder / "log.jsonl")
    (folder / "log.jsonl").unlink()
    assert row is not None
    old = {"header": log(kind)[0]} if log(kind)[0]["format"] == 1 else {}
    return [{"pack_format": 1, "runs": 1}, {**row, **old}]


def made(number: int, folder: Path) -> tuple[str, bytes]:
    """Return the name and the content of the malformed file of a number."""
    rng = random.Random(number)
    packed = rng.random() < 0.4
    lines: list[Any] = rows(number % 4, folder) if packed else log(number % 4)
    act = rng.random()
    content = written(changed(lines, rng) if act < 0.75 else lines)
    if act > 0.7:
        content = damaged(content, rng)
    if not packed:
        return "log.jsonl", content
    pack = lzma.compress(content, preset=0)
    return PACK, damaged(pack, rng) if rng.random() < 0.1 else pack


def check(numbers: range, folder: Path, every: int) -> int:
    """Read files of some numbers; return how many were refused when loaded."""
    count = 0
    for number in numbers:
        place = folder / "runs" / "a"
        place.mkdir(parents=True)
        name, content = made(number, place)
        (place / name).write_bytes(content)
        try:
            lost = refused(lambda place=place: load([place]), str(place / name))
            count += lost
            if not lost and number % every == 0:
                read_all(folder / "runs", folder / "out")
        except Exception as error:
            error.add_note(f"made by number {number}")
            raise
        finally:
            shutil.rmtree(folder / "runs")
            shutil.rmtree(folder / "out", ignore_errors=True)
    return count


@pytest.mark.filterwarnings("ignore")  # NumPy's warnings about very large numbers
@pytest.mark.long
def test_malformed_files_are_refused_in_one_line_or_read(tmp_path: Path) -> None:
    count = check(range(N_FILES), tmp_path, EVERY)
    assert N_FILES / 2 < count < N_FILES  # most are refused, and some are read


@pytest.mark.parametrize("kind", range(4))
def test_the_files_that_are_changed_are_whole_at_first(kind: int, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_bytes(written(log(kind)))
    (run,) = load([tmp_path])
    assert len(run.ids) == 6 and run.ended
