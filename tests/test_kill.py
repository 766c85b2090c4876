"""Runs that are killed at random moments, with real processes and `kill -9`."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from asking import COSTLY
from experiments.testing.plug_ins import OptimizerYaml
from forked import start
from processes import ROOT, command, events, finish, timeless
from scripted_endpoint import endpoint

BUDGET = 40
KILLS = 20
SECONDS = 15.0  # time for the kills of one optimizer; one that starts slowly is killed less often
FEW_KILLS = 5  # in the quick suite, which cuts every optimizer's log at every line elsewhere


def _optimizers() -> list[Any]:
    """Return every optimizer with a few kills, and with many, which are slow.

    Presets of a class, those around others, and costly ones are slow with a few kills already. What
    a kill may damage is the log, which is the same code for every optimizer; how an optimizer
    resumes is a fact of the conformance suite. So a few moments of each are enough for a commit.
    """
    found, classes = [], set()
    for path in sorted((ROOT / "conf" / "optimizer").glob("*.yaml")):
        settings = OmegaConf.load(path)
        assert isinstance(settings, DictConfig)
        is_known = settings["_target_"] in classes or "defaults" in settings
        is_slow = is_known or path.stem in COSTLY or OptimizerYaml(path.stem).is_slow
        classes.add(settings["_target_"])
        found += [
            pytest.param(path.stem, FEW_KILLS, marks=[pytest.mark.slow] if is_slow else []),
            pytest.param(path.stem, KILLS, marks=pytest.mark.slow),
        ]
    return found


@pytest.fixture(scope="module", autouse=True)
def a_language_model() -> Iterator[None]:
    """Serve the optimizers that ask a language model."""
    with endpoint() as (url, _), pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEOFF_LLM_URL", url)
        yield


@pytest.mark.parametrize(("optimizer", "most_kills"), _optimizers())
def test_a_run_killed_at_random_moments_equals_the_uninterrupted_one(
    optimizer: str, most_kills: int, tmp_path: Path
) -> None:
    counter = tmp_path / "evaluated"
    settings = [
        f"optimizer={optimizer}",
        "objective=branin",
        "objective._target_=counting.CountingBranin",
        f"+objective.path={counter}",
        f"budget={BUDGET}",
    ]
    started = time.monotonic()
    _finish(settings, tmp_path / "whole")
    kills = max(3, min(most_kills, int(SECONDS / (time.monotonic() - started))))
    counter.unlink()

    killed = tmp_path / "killed"
    for moment in sorted(random.Random(optimizer).sample(range(1, 2 * BUDGET), kills)):
        logged, n_evaluated = _logged(killed), len(_evaluated(counter))
        _kill_at(moment, settings, killed)
        assert logged.isdisjoint(_evaluated(counter)[n_evaluated:])
    logged, n_evaluated = _logged(killed), len(_evaluated(counter))
    _finish(settings, killed)
    assert logged.isdisjoint(_evaluated(counter)[n_evaluated:])
    assert timeless(killed) == timeless(tmp_path / "whole")


def test_a_killed_command_is_resumed_by_the_same_command(tmp_path: Path) -> None:
    settings = ["optimizer=soo", "objective=branin", "budget=400"]
    process = subprocess.Popen(command(*settings, f"out={tmp_path / 'killed'}"), cwd=ROOT)
    _wait_for_lines(tmp_path / "killed", 50, lambda: process.poll() is None)
    process.kill()
    process.wait()
    assert finish(*settings, f"out={tmp_path / 'killed'}").returncode == 0
    assert finish(*settings, f"out={tmp_path / 'whole'}").returncode == 0
    assert timeless(tmp_path / "killed") == timeless(tmp_path / "whole")


def _finish(settings: list[str], folder: Path) -> None:
    output = folder.with_suffix(".txt")
    process = start([*settings, f"out={folder}"], output)
    process.join()
    assert process.exitcode == 0, output.read_text()


def _kill_at(n_lines: int, settings: list[str], folder: Path) -> None:
    output = folder.with_suffix(".txt")
    process = start([*settings, f"out={folder}"], output)
    _wait_for_lines(folder, n_lines, process.is_alive)
    process.kill()
    process.join()
    assert process.exitcode in (0, -9), output.read_text()


def _wait_for_lines(folder: Path, n_lines: int, alive: Callable[[], bool]) -> None:
    log = folder / "log.jsonl"
    while alive() and not (log.exists() and log.read_bytes().count(b"\n") >= n_lines):
        time.sleep(0.001)


def _logged(folder: Path) -> set[int]:
    if not (folder / "log.jsonl").exists():
        return set()
    return {event["id"] for event in events(folder) if event["event"] == "evaluation"}


def _evaluated(counter: Path) -> list[int]:
    return [int(line) for line in counter.read_text().split()] if counter.exists() else []


def test_no_evaluation_is_made_twice_however_often_the_run_is_interrupted(tmp_path: Path) -> None:
    counter, folder = tmp_path / "evaluated", tmp_path / "run"
    settings = [
        "optimizer=random",
        "objective=branin",
        "objective._target_=counting.CountingBranin",
        f"+objective.path={counter}",
        "budget=400",
    ]
    rng = random.Random(0)
    for _ in range(12):
        n_lines = len(events(folder)) if (folder / "log.jsonl").exists() else 0
        process = start([*settings, f"out={folder}"], folder.with_suffix(".txt"))
        _wait_for_lines(folder, n_lines + rng.randrange(1, 60), process.is_alive)
        time.sleep(rng.random() / 300)  # anywhere in a step
        if process.pid is not None and process.is_alive():
            os.kill(process.pid, rng.choice([signal.SIGINT, signal.SIGTERM]))
        process.join()
    _finish(settings, folder)
    evaluated = _evaluated(counter)
    assert evaluated == sorted(set(evaluated)) == list(range(400))
