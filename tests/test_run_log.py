"""The log: tolerated damage, refused damage, and its state after a full disk."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.running.events import Ended, Evaluated
from experiments.running.header import Header
from experiments.running.run_log import RunLog, read
from made_headers import append, header_event
from objectives.trial import Evaluation

HEADER = header_event()
ASK = {
    "event": "ask",
    "n": 1,
    "ask_s": 0.1,
    "tell_s": {},
    "time": 1.0,
    "trials": [{"id": 0, "config": {"x": 0.1}, "fidelity": 1.0}],
}
ANSWER = {
    "event": "evaluation",
    "id": 0,
    "value": 2.0,
    "cost": 0.1,
    "metrics": {"accuracy": 0.5},
    "error": None,
    "time": 3.0,
}


def _write(folder: Path, *events: dict[str, Any]) -> Path:
    with RunLog(folder) as log:
        for event in events:
            append(log, event)
    return folder / "log.jsonl"


def test_what_was_appended_is_read_back(tmp_path: Path) -> None:
    history = read(_write(tmp_path, HEADER, ASK, ANSWER))
    assert history.header is not None and history.header.to_json() == HEADER
    assert history.trials[0].config == {"x": 0.1}
    assert history.evaluations[0].metrics == {"accuracy": 0.5}
    assert history.incumbent() == 0


@pytest.mark.parametrize("cut", range(1, len(json.dumps(ANSWER)), 7))
def test_a_half_written_last_line_is_forgiven_and_removed(tmp_path: Path, cut: int) -> None:
    path = _write(tmp_path, HEADER, ASK)
    whole = path.read_bytes()
    path.write_bytes(whole + json.dumps(ANSWER).encode()[:cut])
    assert list(read(path).evaluations) == []
    with RunLog(tmp_path) as log:
        append(log, ANSWER)
    assert path.read_bytes() == whole + json.dumps(ANSWER).encode() + b"\n"


def test_a_whole_last_event_without_its_line_end_is_kept(tmp_path: Path) -> None:
    path = _write(tmp_path, HEADER, ASK, ANSWER)
    path.write_bytes(path.read_bytes()[:-1])
    with RunLog(tmp_path) as log:
        log.append(Ended(5.0, 1.0))
    assert list(read(path).evaluations) == [0]
    assert read(path).ended


@pytest.mark.parametrize(
    ("number", "damage"),
    [
        (1, "not JSON"),
        (2, "[]"),
        (2, '{"event": "ask", "n": 1}'),
        (
            3,
            '{"event": "evaluation", "id": 7, "value": 1, "cost": 0, "metrics": {}, "error": null}',
        ),
    ],
)
def test_a_damaged_line_is_an_error_that_names_file_and_line(
    tmp_path: Path, number: int, damage: str
) -> None:
    path = _write(tmp_path, HEADER, ASK, ANSWER)
    lines = path.read_text().splitlines()
    lines[number - 1] = damage
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=f"log.jsonl, line {number}: expected"):
        read(path)


def test_another_format_is_refused_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({**HEADER, "format": 99}) + "\n")
    with pytest.raises(ValueError, match="format: expected 2, got 99"):
        read(path)


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    with RunLog(tmp_path), pytest.raises(ValueError, match="no other process is writing"):
        RunLog(tmp_path)


def test_the_first_of_equal_values_is_the_incumbent(tmp_path: Path) -> None:
    second = {**ASK, "trials": [{"id": 1, "config": {"x": 0.2}, "fidelity": 1.0}]}
    history = read(_write(tmp_path, HEADER, ASK, ANSWER, second, {**ANSWER, "id": 1}))
    assert history.incumbent() == 0


def test_a_graded_failure_is_never_the_incumbent(tmp_path: Path) -> None:
    history = read(_write(tmp_path, HEADER, ASK, {**ANSWER, "error": "it broke"}))
    assert history.incumbent() is None


@pytest.mark.parametrize(
    "error", ["no \udcff", np.str_("no \ud800"), b"bytes", 10**400, float("nan"), {1, 2}]
)
def test_what_the_reader_would_not_take_back_is_not_written(tmp_path: Path, error: Any) -> None:
    path = _write(tmp_path, HEADER, ASK)
    whole = path.read_bytes()
    with (
        RunLog(tmp_path) as log,
        pytest.raises(ValueError, match="log: expected an event of plain"),
    ):
        log.append(Evaluated(0, Evaluation(None, 1.0, error=error), 3.0))
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "changes",
    [{"notice": 5}, {"noise_sd": float("nan")}, {"fingerprint": {"a": {1}}}, {"notice": "\udcff"}],
    ids=str,
)
def test_a_header_that_the_reader_would_not_take_back_is_not_written(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    header = replace(Header.from_json(HEADER), **changes)
    with (
        RunLog(tmp_path) as log,
        pytest.raises(ValueError, match="log: expected an event of plain"),
    ):
        log.begin(header)
    assert (tmp_path / "log.jsonl").read_bytes() == b""


def test_an_evaluation_is_saved_when_the_disk_fills_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def full(file: int, data: bytes) -> int:  # there is space only after the reserve is released
        if log._reserve is None:
            return write(file, data)
        write(file, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    path = _write(tmp_path, HEADER, ASK)
    with RunLog(tmp_path) as log:
        monkeypatch.setattr("experiments.running.run_log.os.write", full)
        with pytest.raises(OSError, match="No space left"):
            append(log, ANSWER)
        monkeypatch.undo()
    assert list(read(path).evaluations) == [0]
    assert path.read_bytes().endswith(b"\n")
