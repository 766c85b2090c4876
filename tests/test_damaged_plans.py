"""Damaged plans and ledgers of sweeps lead to one readable line or are ignored."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from experiments import command
from experiments.running.plan import LEDGER, PLAN, read_ledger
from experiments.sweeping.ledger import Ledger

SWEEP = ["sweep", "experiment=smoke", "seeds=[0]", "optimizers=[random]", "objectives=[branin]"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a sweep of one run."""
    folder = tmp_path_factory.mktemp("swept") / "sweep"
    assert command.main([*SWEEP, "budget=2", f"out={folder}"]) == 0
    return folder


@pytest.fixture
def sweep(swept: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(swept, tmp_path / "sweep"))


def changed(plan: dict[str, Any], changes: dict[str, Any], run: dict[str, Any]) -> bytes:
    (first,) = plan["runs"]
    return json.dumps({**plan, "runs": [{**first, **run}], **changes}).encode()


@pytest.mark.parametrize(
    ("changes", "run", "reason"),
    [
        ({"runs": None}, {}, "plan.runs: expected a list, got None"),
        ({"runs": [1]}, {}, r"plan.runs\[0\]: expected a JSON object, got 1"),
        ({"name": 5}, {}, "plan.name: expected text, got 5"),
        ({"budget": "x"}, {}, "plan.budget: expected a finite number, got 'x'"),
        ({"budget": -1}, {}, "plan.budget: expected a positive number, got -1"),
        ({"budget": 10**400}, {}, "plan.budget: expected a finite number"),
        ({"budget": float("nan")}, {}, "NaN is not a JSON number"),
        ({}, {"folder": 5}, r"plan.runs\[0\].folder: expected text, got 5"),
        ({}, {"folder": "../.."}, "expected a folder below the plan"),
        ({}, {"folder": "/etc"}, "expected a folder below the plan"),
        ({}, {"optimizer": [1]}, r"plan.runs\[0\].optimizer: expected text"),
        ({}, {"seed": "x"}, r"plan.runs\[0\].seed: expected an integer"),
    ],
)
def test_a_plan_of_wrong_types_is_refused(
    sweep: Path,
    changes: dict[str, Any],
    run: dict[str, Any],
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = sweep / PLAN
    path.write_bytes(changed(json.loads(path.read_bytes()), changes, run))
    assert command.main(["status", str(sweep)]) == 2
    line = capsys.readouterr().err
    assert line.startswith(f"{path}: expected the plan of an experiment, got a damaged file")
    assert line.count("\n") == 1
    assert re.search(reason, line)


@pytest.mark.parametrize("content", [b"", b"null", b"[1]", b"{", b"[" * 100_000, b"\xff"])
def test_a_file_that_is_no_plan_is_refused_by_every_reader(
    sweep: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (sweep / PLAN).write_bytes(content)
    for words in (["status", str(sweep)], ["verdict", str(sweep)]):
        assert command.main(words) == 2
        line = capsys.readouterr().err
        assert "expected the plan of an experiment, got a damaged file" in line
        assert line.count("\n") == 1


def test_damaged_events_of_the_ledger_are_ignored(sweep: Path) -> None:
    path, good = sweep / LEDGER, read_ledger(sweep)
    identity = good[-1]["identity"]
    damaged: list[Any] = [
        None,
        {"event": 5},
        {"event": "start"},
        {"event": "start", "workers": "x"},
        {"event": "done", "identity": [1], "wall_s": 1.0, "evaluations": 1},
        {"event": "done", "identity": identity, "wall_s": "x", "evaluations": 1},
        {"event": "done", "identity": identity, "wall_s": -1.0, "evaluations": 1},
        {"event": "done", "identity": identity, "wall_s": 1.0, "evaluations": -5},
        {"event": "failed", "identity": identity, "error": 5},
    ]
    lines = "".join(json.dumps(event) + "\n" for event in damaged).encode()
    path.write_bytes(lines + b"\xff\n" + b"[" * 100_000 + b"\n" + path.read_bytes() + b'{"event": ')
    assert read_ledger(sweep) == good
    assert command.main(["status", str(sweep)]) == 0
    Ledger(sweep).append(event="retry")  # it begins a line of its own
    assert [event["event"] for event in read_ledger(sweep)][-1] == "retry"


def test_a_pipe_in_place_of_a_log_is_not_waited_for(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (log,) = sweep.rglob("log.jsonl")
    log.unlink()
    os.mkfifo(log)
    assert command.main(["status", str(sweep)]) == 2
    assert "expected a regular file" in capsys.readouterr().err
