"""Real training on scikit-learn's data: continued trainings, the split, and settings."""

import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objectives.hpo.data import DATASETS, load
from objectives.hpo.objective import Hpo
from objectives.trial import Config, Evaluation, Trial

TREES: Config = {
    "learner": "trees",
    "tree_rate": 0.1,
    "leaves": 15,
    "leaf_rows": 5,
    "tree_decay": 1e-3,
    "columns": 0.7,
    "rows": 0.8,
}
NETWORK: Config = {
    "learner": "network",
    "layers": 2,
    "width": 32,
    "activation": "relu",
    "network_rate": 3e-3,
    "network_decay": 1e-4,
    "batch": 32,
}
BOTH = pytest.mark.parametrize("config", [TREES, NETWORK], ids=["trees", "network"])


def hpo(folder: Path | None = None, **changes: Any) -> Hpo:
    settings = {"dataset": "wine", "steps": 27, "data_seed": 0, "train_seed": 0, "space": {}}
    objective = Hpo(**{**settings, **changes})
    objective.folder = folder
    return objective


@BOTH
@pytest.mark.parametrize("dataset", ["wine", "breast_cancer", "diabetes"])
def test_a_continued_training_is_the_same_model_as_one_made_at_once(
    config: Config, dataset: str, tmp_path: Path
) -> None:
    objective = hpo(tmp_path, dataset=dataset)
    steps: list[Evaluation] = []
    for id, share in enumerate((1 / 27, 1 / 9, 1 / 3, 1.0)):
        trial = Trial(id, config, share, None if id == 0 else id - 1)
        steps.append(hpo(tmp_path, dataset=dataset).evaluate(trial))
    at_once = objective.evaluate(Trial(9, config))
    assert steps[-1].value == at_once.value
    assert steps[-1].metrics == at_once.metrics
    alone = objective.evaluate(Trial(10, config, 1 / 3))
    assert alone.value == steps[2].value
    assert len({step.value for step in steps}) == 4


@BOTH
def test_training_learns_and_the_test_is_kept_apart(config: Config, tmp_path: Path) -> None:
    objective = hpo(tmp_path, dataset="wine")
    evaluation = objective.evaluate(Trial(0, config))
    assert evaluation.value is not None and evaluation.value < np.log(3) / 2  # chance: log 3
    assert set(evaluation.metrics) == {"validation_loss", "validation_error"}
    objective.evaluate(Trial(1, config, 1 / 3))
    assert list((tmp_path / "checkpoints").iterdir())
    test = objective.test(Trial(0, config))
    assert set(test) == {"test_loss", "test_error"} and test["test_error"] < 0.2
    assert not (tmp_path / "checkpoints").exists()


def test_a_full_evaluation_leaves_no_checkpoint(tmp_path: Path) -> None:
    hpo(tmp_path).evaluate(Trial(0, NETWORK))
    assert not (tmp_path / "checkpoints").exists()


def test_a_missing_checkpoint_is_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="resumes: expected the checkpoint of trial 0"):
        hpo(tmp_path).evaluate(Trial(1, NETWORK, 1.0, resumes=0))


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    (tmp_path / "checkpoints").mkdir()
    stored = zlib.compress(pickle.dumps(("network", 27, Evil())))
    (tmp_path / "checkpoints" / "trial-0.pkl").write_bytes(stored)
    with pytest.raises(ValueError, match="resumes: expected the state of a learner, got"):
        hpo(tmp_path).evaluate(Trial(1, NETWORK, 1.0, resumes=0))
    assert not (tmp_path / "ran").exists()


def test_what_may_change_does_change_a_continued_training(tmp_path: Path) -> None:
    objective = hpo(tmp_path)
    objective.evaluate(Trial(0, TREES, 1 / 3))
    same = objective.evaluate(Trial(1, TREES, 1.0, resumes=0))
    other = objective.evaluate(Trial(2, {**TREES, "tree_rate": 0.3}, 1.0, resumes=0))
    assert same.value != other.value
    assert objective.fidelities is not None and "tree_rate" in objective.fidelities.changeable


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_the_parts_of_a_split_share_no_row(name: str) -> None:
    split = load(name, 0)
    parts = [split.train, split.validation, split.test]
    sizes = [len(part.x) for part in parts]
    assert sizes[0] / sum(sizes) == pytest.approx(0.6, abs=0.02)
    rows = [{row.tobytes() for row in part.x} for part in parts]
    assert not (rows[0] & rows[2] or rows[1] & rows[2] or rows[0] & rows[1])
    assert not np.array_equal(load(name, 1).test.x[0], split.test.x[0])


def test_the_seeds_of_data_and_training_are_separate() -> None:
    changed: list[dict[str, Any]] = [{}, {"train_seed": 1}, {"data_seed": 1}]
    values = [hpo(**changes).evaluate(Trial(0, NETWORK)).value for changes in changed]
    assert len(set(values)) == 3
    assert hpo().fingerprint() == hpo(train_seed=1).fingerprint() != hpo(data_seed=1).fingerprint()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dataset": "iris"}, r"dataset: expected one of breast_cancer, .*, got 'iris'"),
        ({"steps": 30}, "steps: expected a multiple of 27, got 30"),
        ({"steps": 0}, "steps: expected an integer of at least 27, got 0"),
        ({"train_seed": -1}, "train_seed: expected an integer of at least 0, got -1"),
    ],
)
def test_a_wrong_setting_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        hpo(**changes)
