"""The results of Slurm's jobs: read back whole, and never executed."""

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from experiments.running.executors.executor import Answer
from experiments.running.executors.job_results import read
from objectives.trial import Evaluation, Trial


@pytest.mark.parametrize(
    "result",
    [
        ("success", Answer(Trial(3, {"x": 0.5}, 1 / 3, 1), Evaluation(1.0, 2.0, {"loss": 1.0}))),
        ("success", {"test_loss": 1.5}),
        ("error", "Traceback: …"),
    ],
)
def test_a_result_is_read_as_it_was_written(result: tuple[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "1_0_result.pkl"
    assert read(path) is None
    path.write_bytes(pickle.dumps(result))
    assert read(path) == result


class Exploit:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


def test_a_result_from_somebody_else_is_not_executed(tmp_path: Path) -> None:
    path = tmp_path / "1_0_result.pkl"
    path.write_bytes(pickle.dumps(("success", Exploit(tmp_path / "executed"))))
    with pytest.raises(ValueError, match="expected the result of a job of this run, got"):
        read(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"nonsense", pickle.dumps(1), pickle.dumps((1, 2, 3))])
def test_a_damaged_result_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "1_0_result.pkl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="expected the result of a job") as refused:
        read(path)
    assert "\n" not in str(refused.value)
