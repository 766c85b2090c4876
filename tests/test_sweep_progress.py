"""What a sweep shows while its runs are made."""

import io
import sys
import time

import pytest

from experiments.running.plan import RunState
from experiments.sweeping import experiment, sweep_progress
from experiments.sweeping.sweep_progress import SweepProgress


def test_a_sweep_in_a_pipe_says_again_and_again_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sweep_progress, "LONG_WAIT_S", 0.02)
    chosen = {"optimizers": ["random"], "objectives": ["branin"], "seeds": [0, 1]}
    runs = {run.header.identity: run for run in experiment.load("smoke", chosen).plan()}
    first, second = runs
    states = {first: RunState("partial", evaluations=3), second: RunState("done")}
    progress = SweepProgress(runs, states, None)  # two runs of 10 evaluations
    progress.evaluated(2)
    progress.ended()
    stream.truncate(0)
    deadline = time.monotonic() + 20
    while not stream.getvalue() and time.monotonic() < deadline:
        time.sleep(0.01)
    progress.close()
    assert "2 of 2 runs and 15 of 20 evaluations done after " in stream.getvalue()


def test_a_quiet_sweep_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    SweepProgress({}, {}, False).close()
    assert capsys.readouterr().err == ""
