"""Exports are read back by the tools for which they are made, with the numbers of the runs."""

import csv
import json
import math
import warnings
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import numpy as np
import optuna
import optuna_dashboard
import pandas
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from experiments.analysis import export
from experiments.analysis.exchange import tables
from experiments.analysis.exchange.coco import NO_SUCCESS
from experiments.analysis.exchange.iohprofiler import FAILED
from experiments.analysis.exchange.optuna_storage import study_name
from experiments.analysis.exchange.problems import Problems
from experiments.analysis.results import Run, load
from experiments.sweeping import sweep
from made_runs import made_run
from objectives.trial import Limit

INNER = "objective@objective.inner=bbob objective.inner.function=8 objective.inner.dimension=2"


def swept(folder: Path, *settings: str) -> list[Run]:
    given = ["experiment=smoke", "seeds=range(1,3)", "budget=12", *settings, f"out={folder}"]
    assert sweep.main(given) == 0
    return load([folder])


@pytest.fixture(scope="module")
def bbob(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return eight runs on two functions of BBOB; on one, half of the evaluations fail."""
    folder = tmp_path_factory.mktemp("bbob")
    sphere = "bbob objective.function=1 objective.dimension=3 objective.instance=${seed}"
    failing = f"failing {INNER} objective.inner.instance=${{seed}} objective.probability=0.5"
    swept(folder, "optimizers=[random,soo]", f"objectives=['{sphere}','{failing}']")
    return folder


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return runs in a conditional space, with failures: graded by 400 and ungraded."""
    folder = tmp_path_factory.mktemp("mixed")
    failing = "failing objective@objective.inner=mixed objective.probability=0.5"
    objectives = f"objectives=[mixed,'{failing}','{failing} objective.penalty=400']"
    swept(folder, "optimizers=[random]", objectives)
    return folder


def exported(folder: Path, format: str, out: Path) -> Path:
    assert export.main([str(folder), f"format={format}", f"out={out}"]) == 0
    assert list(out.parent.glob("new-*")) == []
    return out


def data_sets(folder: Path) -> Any:
    """Return what cocopp reads in a folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for archives on the network, and wants more runs
        from cocopp.pproc import DataSetList

        return DataSetList([str(folder)])


def test_parquet_gives_the_runs_back_exactly(mixed: Path, bbob: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs.parquet"
    assert export.main([str(mixed), str(bbob), "format=parquet", f"out={out}"]) == 0
    assert list(map(repr, tables.read_parquet(out))) == list(map(repr, load([mixed, bbob])))


def test_packed_items_and_columns_of_many_types_survive_parquet(
    mixed: Path, tmp_path: Path
) -> None:
    run = load([mixed])[0]
    n = len(run.ids)
    values: list[Any] = [True, 3, 0.5, "rbf", "3", 2**70]
    run.configs[: len(values)] = [{"mixed": value} for value in values]
    run.configs[len(values) :] = [{"mixed": "x"} for _ in range(n - len(values))]
    run.items[0]["hellaswag"] = "gA=="
    tables.write_parquet([run], tmp_path / "runs.parquet")
    (back,) = tables.read_parquet(tmp_path / "runs.parquet")
    assert back.configs == run.configs
    assert [type(config["mixed"]) for config in back.configs[:5]] == [bool, int, float, str, str]
    assert back.items == run.items


def test_parquet_columns_have_types_and_csv_has_the_same_cells(mixed: Path, tmp_path: Path) -> None:
    typed = pandas.read_parquet(exported(mixed, "parquet", tmp_path / "runs.parquet"))
    assert typed["seed"].dtype == np.int64
    assert typed["value"].dtype == np.float64
    assert typed["failed"].dtype == bool
    runs = load([mixed])
    assert len(typed) == sum(len(run.ids) for run in runs)
    with exported(mixed, "csv", tmp_path / "runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(typed.columns)
    values = np.concatenate([run.values for run in runs])
    assert [float(row["value"] or "nan") for row in rows] == pytest.approx(
        values, rel=0, abs=0, nan_ok=True
    )
    assert [row["failed"] == "true" for row in rows] == typed["failed"].tolist()
    assert [row["config.kernel"] or None for row in rows] == [
        config.get("kernel") for run in runs for config in run.configs
    ]


@pytest.mark.parametrize("ending", ["db", "journal"])
def test_optuna_reads_every_trial_of_every_run(ending: str, mixed: Path, tmp_path: Path) -> None:
    out = exported(mixed, "optuna", tmp_path / f"runs.{ending}")
    storage: Any = f"sqlite:///{out}"
    if ending == "journal":
        storage = JournalStorage(JournalFileBackend(str(out)))
    runs = load([mixed])
    assert len(optuna.get_all_study_names(storage)) == len(runs)
    for run in runs:
        study = optuna.load_study(study_name=study_name(run), storage=storage)
        assert study.direction.name == "MINIMIZE"
        assert study.user_attrs["identity"] == run.header.identity
        assert [trial.user_attrs["trial"] for trial in study.trials] == run.ids.tolist()
        assert [trial.params for trial in study.trials] == run.configs
        for i, trial in enumerate(study.trials):
            error = run.errors[i]
            assert trial.state == (TrialState.COMPLETE if error is None else TrialState.FAIL)
            assert trial.user_attrs.get("error") == error
            value = trial.value if error is None else trial.user_attrs.get("penalty", math.nan)
            assert value == pytest.approx(run.values[i].item(), rel=0, abs=0, nan_ok=True)
            answered = datetime.fromtimestamp(run.header.time + run.times[i])
            assert trial.datetime_start is not None and trial.datetime_complete == answered
            assert trial.datetime_start <= answered


def test_optuna_has_the_space_s_distributions(mixed: Path, tmp_path: Path) -> None:
    out = exported(mixed, "optuna", tmp_path / "runs.journal")
    storage = JournalStorage(JournalFileBackend(str(out)))
    names = optuna.get_all_study_names(storage)
    studies = [optuna.load_study(study_name=name, storage=storage) for name in names]
    trials = [trial for study in studies for trial in study.trials]
    found = {name: d for trial in trials for name, d in trial.distributions.items()}
    # as objectives/functions/mixed.py describes its space
    assert found["learning_rate"] == FloatDistribution(1e-5, 1.0, log=True)
    assert isinstance(found["width"], IntDistribution) and found["width"].log
    assert isinstance(found["depth"], IntDistribution) and not found["depth"].log
    assert found["kernel"] == CategoricalDistribution(["linear", "rbf", "poly"])
    assert any("degree" not in trial.params for trial in trials)  # inactive is absent


def test_cocopp_s_data_sets_hold_the_runs(bbob: Path, tmp_path: Path) -> None:
    out = exported(bbob, "coco", tmp_path / "coco")
    sets = {
        (optimizer, data.funcId): data
        for optimizer in ("random", "soo")
        for data in data_sets(out / optimizer)
    }
    assert {key: data.dim for key, data in sets.items()} == {
        ("random", 1): 3,
        ("random", 8): 2,
        ("soo", 1): 3,
        ("soo", 8): 2,
    }
    for run in load([bbob]):
        data = sets[run.optimizer, 8 if "failing" in run.objective else 1]
        place = data.instancenumbers.index(run.seed)
        assert data.maxevals[place] == 12
        optimum = Problems([run]).of(run).optimum
        assert optimum is not None
        reached = np.where(run.failed, np.inf, run.values) - optimum
        assert data.finalfunvals[place] == pytest.approx(reached.min(), rel=1e-12)
        for target in data.target[data.target < NO_SUCCESS]:  # written until the first success
            # failures use evaluations and reach no target
            hits = np.flatnonzero(reached <= target * (1 + 1e-9))
            first = hits[0] + 1 if len(hits) else np.nan
            assert data.detEvals([target])[0][place] == pytest.approx(first, nan_ok=True)


def test_cocopp_reads_a_run_that_never_succeeded(tmp_path: Path) -> None:
    failing = f"failing {INNER} objective.probability=1"
    swept(tmp_path / "runs", "optimizers=[random]", f"objectives=['{failing}']")
    out = exported(tmp_path / "runs", "coco", tmp_path / "coco")
    (data,) = data_sets(out / "random")
    assert data.maxevals.tolist() == [12, 12]
    assert data.finalfunvals.tolist() == [NO_SUCCESS, NO_SUCCESS]
    assert data.detSuccesses([1e9])[0] == 0


def test_iohinspector_loads_every_evaluation(bbob: Path, mixed: Path, tmp_path: Path) -> None:
    from iohinspector import DataManager

    out = tmp_path / "ioh"
    assert export.main([str(bbob), str(mixed), "format=ioh", f"out={out}"]) == 0
    manager = DataManager()
    manager.add_folder(str(out))
    table = manager.load(monotonic=False, include_meta_data=True).to_pandas()
    runs = load([bbob, mixed])
    assert len(table) == sum(len(run.ids) for run in runs)
    found = sorted(
        (row.algorithm_name, row.instance, row.dimension, row.evaluations, row.raw_y)
        for row in table.itertuples()
    )
    expected = []
    for run in runs:
        dim = len(Problems([run]).of(run).space)
        for i, value in enumerate(np.where(run.failed, FAILED, run.values).tolist(), start=1):
            expected.append((run.optimizer, run.seed, dim, i, value))
    assert found == sorted(expected)


def test_an_evaluation_that_violates_a_limit_is_never_the_best_of_a_run(tmp_path: Path) -> None:
    space = {"x": {"type": "float", "lower": 0.0, "upper": 1.0}}
    run = made_run([1.0, 2.0], metrics={"m": [5.0, 0.5]}, space=space)
    limited = replace(run, header=replace(run.header, limits={"m": Limit(1.0)}))
    export.export([limited], "ioh", tmp_path / "out")
    (index,) = (tmp_path / "out").rglob("*.json")
    best = json.loads(index.read_text())["scenarios"][0]["runs"][0]["best"]
    assert (best["evals"], best["y"]) == (2, 2.0)


def test_a_bbob_function_that_was_changed_is_no_function_of_coco(tmp_path: Path) -> None:
    swept(tmp_path / "runs", "optimizers=[random]", "objectives=['bbob objective.shift=1']")
    with pytest.raises(ValueError, match="expected one of COCO's functions without changes"):
        export.export(load([tmp_path / "runs"]), "coco", tmp_path / "coco")
    assert not (tmp_path / "coco").exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "FOLDER: expected at least one folder of results, got none; "
         "see tuneoff export --help"),
        (["{runs}", "format=xlsx", "out={new}"], "format: expected one of coco, ioh, optuna, "
         "parquet, csv, got xlsx"),
        (["{runs}", "format=csv", "out={runs}"], "out: expected a path where nothing is yet, got "
         "{runs}; remove it first"),
        (["{runs}", "form=csv", "out={new}"], "form: expected one of format, out, got "
         "form=csv; did you mean format?"),
        (["{runs}", "format=optuna", "out={new}"], "out: expected a file that ends in one of .db, "
         ".sqlite3, .journal, .log, got ''"),
        (["{runs}", "format=coco", "out={new}"], "failing penalty=400: expected one of COCO's "
         "functions without changes (objective=bbob), as cocopp knows no others, got "
         "failing; use format=ioh"),
        (["{new}", "format=csv", "out={new}"], "{new}: expected a path that exists, got one "
         "that does not"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(
    words: list[str], line: str, mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"runs": mixed, "new": tmp_path / "new"}
    assert export.main([word.format(**names) for word in words]) == 2
    assert capsys.readouterr().err == line.format(**names) + "\n"
    assert list(tmp_path.iterdir()) == []


def test_optuna_dashboard_shows_trials_and_failures(mixed: Path, tmp_path: Path) -> None:
    out = exported(mixed, "optuna", tmp_path / "runs.journal")
    app = optuna_dashboard.wsgi(JournalStorage(JournalFileBackend(str(out))))
    studies = requested(app, "/api/studies")["study_summaries"]
    runs = {study_name(run): run for run in load([mixed])}
    assert {study["study_name"] for study in studies} == set(runs)
    for study in studies:
        shown = requested(app, f"/api/studies/{study['study_id']}")["trials"]
        run = runs[study["study_name"]]
        assert [t["state"] for t in shown] == ["Fail" if f else "Complete" for f in run.failed]
        values = [trial["values"][0] for trial in shown if trial["state"] == "Complete"]
        assert values == run.values[~run.failed].tolist()


def requested(app: Any, path: str) -> Any:
    """Return what a web application answers to a GET."""
    environ: dict[str, Any] = {"PATH_INFO": path}
    setup_testing_defaults(environ)
    statuses: list[str] = []
    body = b"".join(app(environ, lambda status, headers, info=None: statuses.append(status)))
    assert statuses == ["200 OK"]
    return json.loads(body)
