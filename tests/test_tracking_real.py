"""Tracking with MLflow and W&B themselves, without a network: a run that is resumed, and a sweep.

`make test-slow` installs the extra `tracking` first.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from processes import ROOT

pytestmark = pytest.mark.slow

RUN = ["run", "optimizer=random", "objective=failing", "objective.probability=0.4", "plot=false"]
SWEEP = ["sweep", "experiment=smoke", "optimizers=[random]", "seeds=range(0,2)", "budget=4"]


def tuneoff(folder: Path, *words: str) -> None:
    """Run a command in a folder."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *_others()])}
    environment.update({"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/runs.db"})
    done = subprocess.run(
        [sys.executable, "-m", "experiments", *words],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "tracking: expected" not in done.stderr, done.stderr


def _others() -> list[str]:
    return [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []


def mlflow_runs(folder: Path, experiment: str) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/runs.db")
    found = client.get_experiment_by_name(experiment)
    runs: list[Any] = list(client.search_runs([found.experiment_id], max_results=1000))
    return runs


def test_mlflow_shows_a_run_that_was_extended_once_with_its_failures(tmp_path: Path) -> None:
    for budget in (6, 9):
        tuneoff(tmp_path, *RUN, f"budget={budget}", "tracking=mlflow", "out=run")
    runs = mlflow_runs(tmp_path, "failing")
    assert len(runs) == 10
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    states = Counter(run.info.status for run in runs)
    assert states == {"FINISHED": 10 - states["FAILED"], "FAILED": states["FAILED"]}
    assert parent.data.metrics["failed"] == states["FAILED"] > 0


def test_mlflow_shows_a_sweep_with_its_runs(tmp_path: Path) -> None:
    tuneoff(tmp_path, *SWEEP, "objectives=[branin]", "out=sweep", "tracking=mlflow")
    tuneoff(tmp_path, *SWEEP, "objectives=[branin,hartmann3]", "out=sweep", "tracking=mlflow")
    runs = mlflow_runs(tmp_path, "smoke")
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert parent.data.metrics["evaluations"] == 16
    assert parent.data.metrics["runs_done"] == len(runs) - 1 == 4
    assert all("best" in run.data.metrics for run in runs if run is not parent)


def records(file: Path) -> list[Any]:
    """Return the records of W&B's offline file, whose frame is that of LevelDB's log.

    A file begins with 7 bytes. In each block of 32 KiB a record has a header of 7 bytes: checksum,
    length and kind (1 whole, 2 first, 3 middle, 4 last part).
    """
    from wandb.proto import wandb_internal_pb2

    content, place, found, part = file.read_bytes(), 7, [], b""
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        part += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(part)
            found.append(record)
            part = b""
    return found


def wandb_steps(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the steps by the name of the run, of the last offline file of each."""
    found: dict[str, list[dict[str, Any]]] = {}
    for file in sorted((folder / "wandb").glob("offline-run-*/*.wandb")):
        read = records(file)
        (name,) = {
            each.run.display_name for each in read if each.WhichOneof("record_type") == "run"
        }
        found[name] = [
            {
                item.key or ".".join(item.nested_key): json.loads(item.value_json)
                for item in each.history.item
            }
            for each in read
            if each.WhichOneof("record_type") == "history"
        ]
    return found


def test_wandb_has_a_run_offline_from_its_beginning_after_each_start(tmp_path: Path) -> None:
    for budget in (6, 9):
        tuneoff(tmp_path, *RUN, f"budget={budget}", "tracking=wandb", "out=run")
    ids = {file.name for file in (tmp_path / "wandb").glob("offline-run-*/*.wandb")}
    assert len(ids) == 1
    ((name, steps),) = wandb_steps(tmp_path).items()
    assert (name, len(steps)) == ("random seed 0", 9)
    assert sum("error" in step for step in steps) == steps[-1]["failed"] > 0


def test_wandb_has_a_sweep_offline(tmp_path: Path) -> None:
    tuneoff(tmp_path, *SWEEP, "objectives=[branin]", "out=sweep", "tracking=wandb")
    steps = wandb_steps(tmp_path)
    assert {name: len(each) for name, each in steps.items()} == {
        "random on branin seed 0": 4,
        "random on branin seed 1": 4,
    }
