"""Damaged or forged logs lead to one readable line each, never to a traceback."""

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from experiments.analysis import verdict
from experiments.running.events import Evaluated, Extended
from experiments.running.header import Header
from experiments.running.run_log import RunLog, read
from made_headers import header_event
from objectives.trial import Evaluation

LOG: list[dict[str, Any]] = [
    header_event(),
    {
        "event": "ask",
        "n": 2,
        "trials": [
            {"id": 0, "config": {"x": 0.5}, "fidelity": 1.0},
            {"id": 1, "config": {"x": 0.25}, "fidelity": 1.0},
        ],
        "ask_s": 0.1,
        "tell_s": {},
        "time": 6.0,
    },
    {
        "event": "evaluation",
        "id": 0,
        "value": 1.0,
        "cost": 1.0,
        "metrics": {"m": 1.0},
        "error": None,
        "time": 7.0,
    },
    {"event": "refused", "ids": [1]},
    {"event": "retried", "id": 1, "reason": "it", "time": 8.0},
    {"event": "extend", "budget": 6.0, "time": 8.0},
    {
        "event": "evaluation",
        "id": 1,
        "value": None,
        "cost": 1.0,
        "metrics": {},
        "error": "it failed",
        "time": 9.0,
    },
    {"event": "test", "id": 0, "metrics": {"t": 1.0}, "time": 9.0},
    {"event": "drift", "asked": [], "logged": []},
    {"event": "end", "budget": 6.0, "spent": 2.0, "tell_s": {"0": 0.1}},
]
ODD: list[Any] = [
    None, True, -1, 10**400, 1.5, "text", "", [], [[1]], {}, {"a": {}}, "\ud800", [None], -0.5,
]  # fmt: skip


def written(folder: Path, lines: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log.jsonl").write_text("\n".join(lines) + "\n", errors="surrogatepass")
    return folder / "log.jsonl"


def test_the_log_that_is_damaged_below_is_whole(tmp_path: Path) -> None:
    history = read(written(tmp_path, [json.dumps(line) for line in LOG]))
    assert history.ended and len(history.evaluations) == 2 and not history.refused


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths to everything inside a JSON value."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items if isinstance(value, (dict, list)) else ():
        found += places(inner, (*path, key)) if isinstance(inner, (dict, list)) else [(*path, key)]
    return found


def changed(event: Any, path: tuple[Any, ...], value: Any, remove: bool) -> Any:
    copied = json.loads(json.dumps(event))
    inner = copied
    for key in path[:-1]:
        inner = inner[key]
    if remove:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return copied


@pytest.mark.parametrize("seed", range(4))
def test_a_forged_log_is_read_or_refused_in_one_line(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    for _ in range(500):
        number = rng.randrange(len(LOG))
        path = rng.choice(places(LOG[number]))
        event = changed(LOG[number], path, rng.choice(ODD), rng.random() < 0.3)
        lines = [json.dumps(line) for line in LOG]
        lines[number] = json.dumps(event)
        log = written(tmp_path, lines)
        try:
            read(log)
        except ValueError as error:
            assert f"log.jsonl, line {number + 1}" in str(error) or "line" in str(error)
            assert "\n" not in str(error) and len(str(error)) < 1000


@pytest.mark.parametrize("seed", range(3))
def test_a_log_with_damaged_bytes_is_read_or_refused_in_one_line(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    whole = "\n".join(json.dumps(line) for line in LOG).encode() + b"\n"
    for _ in range(400):
        content = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(content))
            content[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
        (tmp_path / "log.jsonl").write_bytes(content)
        try:
            read(tmp_path / "log.jsonl")
        except ValueError as error:
            assert "line" in str(error) and "\n" not in str(error)


FORGED = {
    "a cost of null": (2, {**LOG[2], "cost": None}),
    "an ask without its seconds": (1, {k: v for k, v in LOG[1].items() if k != "ask_s"}),
    "a header without names": (0, {k: v for k, v in LOG[0].items() if k != "names"}),
    "a test without anything": (7, {"event": "test"}),
    "an event that is none": (5, {"event": "party"}),
    "a list": (3, []),
    "a number": (3, 5),
    "an evaluation without value and error": (2, {**LOG[2], "value": None}),
    "a fidelity of two": (
        1,
        {**LOG[1], "trials": [{"id": 0, "config": {"x": 1.0}, "fidelity": 2.0}]},
    ),
    "a negative budget": (5, {"event": "extend", "budget": -1.0, "time": 8.0}),
}


@pytest.mark.parametrize("name", FORGED)
def test_valid_json_of_the_wrong_type_is_one_readable_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    number, event = FORGED[name]
    lines = [json.dumps(line) for line in LOG]
    lines[number] = json.dumps(event)
    written(tmp_path, lines)
    assert verdict.main([str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"log.jsonl, line {number + 1}: expected" in said


@pytest.mark.parametrize("text", ["[" * 100_000, '{"event": "evaluation", "value": -Infinity}'])
def test_what_no_log_holds_is_one_readable_line(text: str, tmp_path: Path) -> None:
    lines = [json.dumps(line) for line in LOG]
    log = written(tmp_path, [*lines[:2], text, *lines[2:]])
    with pytest.raises(ValueError, match="line 3: expected an event of log format 2") as raised:
        read(log)
    assert "\n" not in str(raised.value)


def test_a_damaged_last_line_is_forgiven_with_its_line_end(tmp_path: Path) -> None:
    lines = [json.dumps(line) for line in LOG[:2]]
    log = written(tmp_path, [*lines, '{"event": "evalua'])
    assert list(read(log).trials) == [0, 1]
    with RunLog(tmp_path):
        pass
    assert log.read_text() == "\n".join(lines) + "\n"


def test_nothing_is_written_that_the_reader_would_not_take_back(tmp_path: Path) -> None:
    with RunLog(tmp_path) as log:
        log.begin(Header.from_json(header_event()))
        before = log.path.read_bytes()
        with pytest.raises(ValueError, match="expected an answer to a pending trial, got id 0"):
            log.append(Evaluated(0, Evaluation(1.0, 1.0), 1.0))
        assert log.path.read_bytes() == before
        log.append(Extended(7.0, 1.0))
    assert read(tmp_path / "log.jsonl").budget == 7.0


def test_a_log_that_was_deleted_while_it_is_written_is_an_error(tmp_path: Path) -> None:
    with RunLog(tmp_path) as log:
        log.begin(Header.from_json(header_event()))
        log.path.unlink()
        with pytest.raises(FileNotFoundError, match="the log was deleted"):
            log.append(Extended(7.0, 1.0))


def test_a_pipe_is_no_log_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log.jsonl")
    for use in (lambda: read(tmp_path / "log.jsonl"), lambda: RunLog(tmp_path)):
        with pytest.raises(ValueError, match="expected a regular file"):
            use()


def test_a_kill_leaves_no_reserve_behind(tmp_path: Path) -> None:
    with RunLog(tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl"]
