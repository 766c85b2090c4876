"""What `tuneoff status` says of runs, in a pipe and on terminals of any width."""

import os
import pty
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from experiments.running.history import History
from experiments.running.layout import aligned
from experiments.running.progress import progress
from experiments.running.run_log import RunLog
from experiments.sweeping import status
from made_headers import append, goal, header_event
from processes import ROOT


def trial(id: int, fidelity: float = 1.0) -> dict[str, Any]:
    return {"id": id, "config": {"x": id / 10}, "fidelity": fidelity}


def ask(*trials: dict[str, Any], at: float = 10.0, **more: Any) -> dict[str, Any]:
    event = {"event": "ask", "n": len(trials), "trials": list(trials), "ask_s": 0.5}
    return {**event, "tell_s": {}, "time": at, **more}


def answer(id: int, value: float | None, at: float = 20.0, **more: Any) -> dict[str, Any]:
    event = {"event": "evaluation", "id": id, "value": value, "cost": 4.0, "metrics": {}}
    return {**event, "error": None if value is not None else "it\nfailed", "time": at, **more}


EVENTS = [
    header_event(budget=6.0, workers=2),
    ask(trial(0), trial(1)),
    {"event": "retried", "id": 1, "reason": "the node was lost", "time": 15.0},
    answer(0, 3.0),
    answer(1, None),
    ask(trial(2), trial(3), at=20.0, tell_s={"0": 0.25, "1": 0.25}),
]
"""Two of six evaluations: 8 s of cost on two workers and 1.5 s in the optimizer."""


def write(folder: Path, events: list[dict[str, Any]]) -> None:
    with RunLog(folder) as log:
        for event in events:
            append(log, event)


def told(capsys: pytest.CaptureFixture[str], folder: Path, expected: int = 0) -> list[str]:
    assert status.main([str(folder)]) == expected
    return capsys.readouterr().out.splitlines()


def test_progress_counts_what_is_done_busy_failed_and_repeated() -> None:
    history = History()
    for event in EVENTS:
        history.read(event)
    now = progress(history, live=True, now=32.0)
    assert (now.state, now.done, now.n_failed, len(now.retried)) == ("running", 2.0, 1, 1)
    assert [(trial.id, s) for trial, s in now.busy] == [(2, 12.0), (3, 12.0)]
    # (8 s / 2 workers + 0.5 + 0.5 + 0.5 s) / 2 evaluations = 2.75 s; four are left.
    assert (now.quiet_s, now.each_s, now.left_s) == (12.0, 2.75, 11.0)
    assert progress(history, live=False, now=32.0).busy == []


def test_simulated_costs_do_not_count_as_time_that_passes() -> None:
    history = History()
    clock = {**header_event(budget=6.0), "clock": {"rounds": False}}
    clock["identity"] = "0123456789abcdef"
    for event in (
        clock,
        ask(trial(0), trial(1), trial(2)),
        *(answer(i, 1.0, at=10.0 + i, cost=1e6, simulated_s=1e6) for i in range(3)),
    ):
        history.read(event)
    assert progress(history, live=True, now=20.0).left_s == 3.0  # 3 left, one a second


def test_a_running_run_is_described_in_full(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with RunLog(tmp_path) as log:
        for event in EVENTS:
            append(log, event)
        with (tmp_path / "log.jsonl").open("ab") as file:
            file.write(b'{"event": "evalu')  # being written
        title, *rows = told(capsys, tmp_path)
        assert title == f"a on f, seed 0: running, 2 of 6 evaluations: {tmp_path}"
        said = "\n".join(rows)
        for words in (
            "best       value 3, lower is better (evaluation 1 of 2)",
            "workers    2 of 2 busy: trial 2 for ",
            "failed     1 of 2, the last: it failed",
            "retried    1, the last: trial 1, because: the node was lost",
            "time left  11 s, 2.75 s a full evaluation",
        ):
            assert words in said
    assert ": stopped, 2 of 6" in told(capsys, tmp_path)[0]


def test_a_run_that_answered_just_now_may_be_running_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, [*EVENTS[:4], answer(1, 2.0, at=time.time())])
    assert "another machine may be executing the run" in "\n".join(told(capsys, tmp_path))


def test_several_goals_are_a_set_of_incumbents_of_one_run_and_of_several(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    goals = {**goal("accuracy", minimise=False), **goal("seconds", minimise=True)}
    points = [(0.9, 5.0), (0.8, 2.0)], [(0.7, 1.0), (0.8, 3.0)]
    for seed, own in enumerate(points):
        header = header_event(goals=goals, seed=seed, identity=f"{seed}" * 16)
        answers = [
            answer(i, None, error=None, metrics={"accuracy": a, "seconds": s})
            for i, (a, s) in enumerate(own)
        ]
        write(tmp_path / str(seed), [header, ask(trial(0), trial(1)), *answers])
    assert "2 incumbents: accuracy 0.8 to 0.9" in "\n".join(told(capsys, tmp_path / "0"))
    # 0.8 after 3 s is dominated by 0.8 after 2 s of the other run.
    assert told(capsys, tmp_path)[-1] == (
        "best on f: 3 incumbents: accuracy 0.7 to 0.9, seconds 1 to 5 (2 runs)"
    )


def test_several_runs_are_a_table_and_a_damaged_log_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "a", EVENTS)
    other = header_event(budget=6.0, workers=2, seed=1, identity="1" * 16)
    write(tmp_path / "b", [other, ask(trial(0)), answer(0, 2.0)])
    title, titles, *rows, best = told(capsys, tmp_path)
    assert title == f"2 runs: 2 stopped: {tmp_path}"
    assert titles.split() == ["run", "state", *"evaluations failed retried workers".split()] + [
        "time",
        "left",
    ]
    assert rows[0].split() == "a on f, seed 0 stopped 2 of 6 1 1 - 11 s".split()
    assert rows[1].split() == "a on f, seed 1 stopped 1 of 6 0 0 - 12.5 s".split()  # 5 times 2.5 s
    assert best == "best on f: value 2 (a, seed 1, trial 0)"
    (tmp_path / "b" / "log.jsonl").write_text('{"event": "none"}\n{}\n')
    assert status.main([str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"damaged: {tmp_path}/b/log.jsonl, line 1: expected an event")


def test_a_narrow_table_leaves_out_what_is_zero_then_shortens_then_stacks() -> None:
    rows = [
        ["run", "state", "failed", "left"],
        ["a long name of a run", "done", "0", "-"],
        ["another one", "running", "0", "5 s"],
    ]
    assert aligned(rows, None)[1] == "a long name of a run     done       0     -"
    assert aligned(rows, 38)[1] == "a long name of a run     done     -"
    assert aligned(rows, 27)[1] == "a long name…     done     -"
    assert aligned(rows, 20) == [
        "a long name of a run",
        "  state done, left -",
        "another one",
        "  state running,\n  left 5 s",
    ]


@pytest.mark.parametrize("columns", [40, 100])
def test_no_line_is_longer_than_the_terminal(columns: int, tmp_path: Path) -> None:
    write(tmp_path / "a", EVENTS)
    write(tmp_path / "b", EVENTS)
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    words = [sys.executable, "-m", "experiments", "status", "."]
    environment = {key: x for key, x in os.environ.items() if key not in ("COLUMNS", "LINES")}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.Popen(words, cwd=tmp_path, stdout=theirs, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the terminal's other end was closed
            break
        shown += part
    os.close(ours)
    assert done.wait(timeout=60) == 0
    lines = shown.decode().split("\r\n")
    assert len(lines) > 4
    assert max(map(len, lines)) <= columns
