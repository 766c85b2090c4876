"""The output of a run: its progress bar, its lines in a pipe, and its summary at the end."""

import base64
import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.running import display
from experiments.running.certainty import certainty, mcnemar
from experiments.running.convergence import draw
from experiments.running.display import ProgressBar, summary
from experiments.running.history import History
from experiments.running.run_log import read
from made_headers import goal, header_event
from malformed import written
from objectives import heartbeat
from objectives.heartbeat import Heartbeat

ROOT = Path(__file__).parents[1]


def history(
    folder: Path,
    accuracies: list[float | None],
    *,
    items: list[str] | None = None,
    fidelities: list[float] | None = None,
    **about: Any,
) -> History:
    """Return the history of a log with the configurations x = 0, 1/7, 2/7, ..."""
    given = {"goals": goal("accuracy", minimise=False), "budget": 20.0, **about}
    events: list[dict[str, Any]] = [header_event(**given)]
    for id, accuracy in enumerate(accuracies):
        fidelity = 1.0 if fidelities is None else fidelities[id]
        trial = {"id": id, "config": {"x": id / 7}, "fidelity": fidelity}
        events.append(
            {"event": "ask", "n": 1, "trials": [trial], "ask_s": 0.0, "tell_s": {}, "time": 6.0}
        )
        answer: dict[str, Any] = {
            "value": None if accuracy is None else 1 - accuracy,
            "cost": 1.0,
            "metrics": {} if accuracy is None else {"accuracy": accuracy, "loss": 2.0},
            "error": "it broke" if accuracy is None else None,
            "time": 7.0,
        }
        if items is not None:
            answer["items"] = {"accuracy": items[id]}
        events.append({"event": "evaluation", "id": id, **answer})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log.jsonl").write_bytes(written(events))
    return read(folder / "log.jsonl")


def bits(*outcomes: int) -> str:
    return base64.b64encode(np.packbits(np.array(outcomes, dtype=np.uint8)).tobytes()).decode()


def in_a_terminal(command: list[str]) -> tuple[int, str]:
    """Run a command in its own terminal; return its status and its whole output."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    return process.wait(timeout=60), shown.decode(errors="replace")


def test_a_smaller_budget_than_what_is_done_does_not_break_the_bar(tmp_path: Path) -> None:
    command = [sys.executable, "run.py", "optimizer=random", "objective=branin", "plot=false",
               f"out={tmp_path}"]  # fmt: skip
    subprocess.run([*command, "budget=9"], cwd=ROOT, check=True, capture_output=True, timeout=120)
    log = tmp_path / "log.jsonl"
    whole = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(whole[:-2]))  # as if the run was killed before its end
    status, shown = in_a_terminal([*command, "budget=5"])
    assert status == 0 and "Traceback" not in shown
    assert "8/8" in shown  # the ninth is refused, because this budget does not cover it


@pytest.mark.parametrize(("done", "budget"), [(0, 5.0), (5, 5.0), (8, 5.0), (8, 0.5)])
def test_the_bar_takes_any_budget(
    done: int, budget: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    bar = ProgressBar(history(tmp_path, [0.5] * done), budget, True)
    bar.close()
    assert f"{done}/{max(done, budget):.4g}" in stream.getvalue()


def test_a_pipe_gets_a_line_again_and_again_while_an_evaluation_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(display, "LONG_WAIT_S", 0.02)
    bar = ProgressBar(history(tmp_path, [0.5, 0.6]), 5.0, None)
    deadline = time.monotonic() + 20
    while stream.getvalue().count("\n") < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    bar.close()
    line = stream.getvalue().splitlines()[0]
    assert line.startswith("2 of 5 evaluations done after ")
    assert "the next one has taken" in line and "best accuracy 0.6" in line


def test_a_heartbeat_says_what_goes_on_and_ends_with_its_block() -> None:
    stream = io.StringIO()
    with Heartbeat("starting the server", 0.02, stream):
        deadline = time.monotonic() + 20
        while not stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
    assert stream.getvalue().startswith("still starting the server, after ")
    assert not any(thread.name == "heartbeat" for thread in threading.enumerate())


def test_a_command_is_accompanied_to_its_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(heartbeat, "LONG_WAIT_S", 0.02)
    assert heartbeat.accompany("installing", ["sh", "-c", "sleep 0.3; exit 3"]) == 3
    assert capsys.readouterr().err.startswith("still installing, after ")


def test_a_quiet_run_shows_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bar = ProgressBar(history(tmp_path, [0.5]), 5.0, False)
    bar.close()
    assert capsys.readouterr() == ("", "")


def test_the_end_says_what_the_number_means(tmp_path: Path) -> None:
    goals = {"accuracy": {"minimise": False, "unit": "points", "reference": None, "optimum": 1.0}}
    told = history(tmp_path, [0.5, None, 0.625], goals=goals, default={"x": 0.0})
    said = summary(told, tmp_path / "log.jsonl")
    assert "best       accuracy 0.625 points, higher is better (evaluation 3 of 3)" in said
    assert "default    0.5 points: the best is better by 0.125 points (25.00%)" in said
    assert "optimum    1 points: the best is 0.375 away" in said
    assert "certainty  the objective declares no noise" in said
    assert f"tuneoff best {tmp_path}" in said
    assert f"tuneoff report {tmp_path} out={tmp_path / 'report'}" in said


def test_the_configuration_is_printed_in_full_precision(tmp_path: Path) -> None:
    said = summary(history(tmp_path, [0.5, 0.6]), tmp_path / "log.jsonl")
    assert "config     x=0.14285714285714285" in said


def test_a_folder_with_a_blank_can_be_typed_as_it_is_shown(tmp_path: Path) -> None:
    folder = tmp_path / "my runs"
    said = summary(history(folder, [0.5]), folder / "log.jsonl")
    assert f"tuneoff best '{folder}'" in said


def test_a_run_without_a_success_says_so(tmp_path: Path) -> None:
    assert "no full evaluation succeeded" in summary(history(tmp_path, [None]), tmp_path / "log")


def test_the_default_that_nothing_beat_is_said(tmp_path: Path) -> None:
    told = history(tmp_path, [0.9, 0.5], default={"x": 0.0})
    assert "no configuration better than the default was found" in summary(
        told, tmp_path / "log.jsonl"
    )


def test_the_untrained_number_stands_beside_the_best(tmp_path: Path) -> None:
    told = history(tmp_path, [0.5])
    told.evaluations[0].metrics["untrained_accuracy"] = 0.4
    assert "untrained  0.4: the best is better by 0.1" in summary(told, tmp_path / "log.jsonl")


def test_the_gain_over_the_untrained_model_is_judged_item_by_item(tmp_path: Path) -> None:
    # Two of eight items went up and none went down: p = 2 * (1/2)^2 = 0.5.
    told = history(tmp_path, [0.5], items=[bits(1, 1, 1, 1, 0, 0, 0, 0)])
    told.evaluations[0].metrics["untrained_accuracy"] = 0.25
    told.evaluations[0].items["untrained_accuracy"] = bits(1, 1, 0, 0, 0, 0, 0, 0)
    said = summary(told, tmp_path / "log.jsonl")
    assert "2 went up and 0 went down (exact McNemar test: p = 0.5, so it may be due to" in said


def test_incumbents_are_compared_item_by_item(tmp_path: Path) -> None:
    # Eight items; the second trial gets three right that the first gets wrong, and loses none:
    # p = 2 * (1/2)^3 = 0.25.
    packed = [bits(1, 1, 0, 0, 0, 1, 0, 0), bits(1, 1, 1, 1, 1, 1, 0, 0)]
    said = certainty(history(tmp_path, [0.375, 0.75], items=packed), 1, 0)
    assert said == (
        "of 8 items, 3 went up and 0 went down "
        "(exact McNemar test: p = 0.25, so it may be due to chance)"
    )


def test_numbers_of_items_are_compared_by_their_paired_mean(tmp_path: Path) -> None:
    first, second = (np.array(x, dtype="<f2") for x in ([1, 2, 3, 4], [1.5, 2.5, 3.5, 4.75]))
    packed = [base64.b64encode(x.tobytes()).decode() for x in (first, second)]
    told = history(tmp_path, [float(first.mean()), float(second.mean())], items=packed)
    # Differences 0.5, 0.5, 0.5, 0.75: mean 0.5625, standard deviation 0.125, so +- 1.96 * 0.125 /
    # 2.
    assert certainty(told, 1, 0) == "over 4 items the mean differs by 0.562 ± 0.12 (95 %)"


def test_noise_that_is_declared_is_the_measure_without_items(tmp_path: Path) -> None:
    told = history(tmp_path, [0.5, 0.6], noise_sd=0.1)
    # 0.1 / (sqrt(2) * 0.1) = 0.71
    assert "0.71 times the noise" in str(certainty(told, 1, 0))
    assert "it may be due to chance" in str(certainty(told, 1, 0))


@pytest.mark.parametrize(
    ("gained", "lost", "p"),
    [(0, 0, 1.0), (3, 3, 1.0), (5, 0, 2 / 32), (1, 4, 2 * 6 / 32), (400, 300, 1.785e-4)],
)
def test_mcnemar_is_the_exact_binomial_test(gained: int, lost: int, p: float) -> None:
    assert mcnemar(gained, lost) == pytest.approx(p, rel=1e-3)


def test_a_partial_evaluation_is_no_incumbent_beside_a_full_one(tmp_path: Path) -> None:
    told = history(tmp_path, [0.9, 0.5, 0.6], fidelities=[0.5, 1.0, 1.0])
    assert "best       accuracy 0.6," in summary(told, tmp_path / "log.jsonl")
    draw(told, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
