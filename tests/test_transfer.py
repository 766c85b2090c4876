"""`transfer=`: earlier runs are read as data, fitted to the space, and part of a run's identity."""

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.analysis import pack, results
from experiments.running import packed, run_log
from experiments.running.from_words import run_of
from experiments.running.run import Run
from experiments.sweeping import experiment
from objectives.trial import Config

WORDS = ("objective=branin", "budget=6", "seed=3")
LINE = "\n"


def made(folder: Path, *words: str) -> Path:
    """Execute a run and return its folder."""
    run = run_of("optimizer=random", *words)
    with run.open(folder) as log:
        run.execute(log)
    return folder


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs on Branin and one on Hartmann's function in three dimensions."""
    folder = tmp_path_factory.mktemp("earlier")
    for seed in (1, 2):
        made(folder / f"b{seed}", "objective=branin", "budget=10", f"seed={seed}")
    made(folder / "h", "objective=hartmann3", "budget=4")
    return folder


def executed(run: Run, folder: Path) -> list[Config]:
    with run.open(folder) as log:
        run.execute(log)
        return [log.history.trials[id].config for id in log.history.evaluations]


def test_runs_of_one_objective_are_one_task_and_others_are_left_out(earlier: Path) -> None:
    run = run_of("optimizer=tpe", *WORDS, f"transfer={earlier}")
    (task,) = run.earlier
    assert len(task.configs) == len(task.evaluations) == 20
    logged = run_log.read(earlier / "b1" / "log.jsonl")
    assert list(task.configs[:10]) == [trial.config for trial in logged.trials.values()]
    assert [e.value for e in task.evaluations[:10]] == [
        e.value for e in logged.evaluations.values()
    ]
    told = run.header.transfer
    assert told is not None
    assert told.sources == [earlier.name]
    assert [(t["objective"], t["runs"], t["evaluations"]) for t in told.tasks] == [
        ("branin", 2, 20)
    ]


def test_the_header_survives_the_log_and_contains_no_path(earlier: Path, tmp_path: Path) -> None:
    run = run_of("optimizer=cma_es", *WORDS, f"transfer={earlier}")
    executed(run, tmp_path)
    header = run_log.read(tmp_path / "log.jsonl").header
    assert header is not None
    assert header.transfer == run.header.transfer
    assert str(earlier.parent) not in json.dumps(header.to_json())
    (shown,) = results.load([tmp_path])
    assert shown.header.identity == run.header.identity


def test_logs_and_their_pack_give_the_same_digest(earlier: Path, tmp_path: Path) -> None:
    file = tmp_path / packed.PACK
    pack.pack([earlier], file)
    several = f"[{earlier / 'b2'},{earlier / 'b1'},{file}]"
    digests = {
        run_of("optimizer=tpe", *WORDS, f"transfer={given}").header.transfer_digest
        for given in (earlier, file, tmp_path, several)
    }
    assert len(digests) == 1


def test_the_digest_is_part_of_the_identity_and_a_resume_checks_it(
    earlier: Path, tmp_path: Path
) -> None:
    both, one = (
        run_of("optimizer=tpe", *WORDS, f"transfer={folder}")
        for folder in (earlier, earlier / "b1")
    )
    plain = run_of("optimizer=tpe", *WORDS)
    assert len({run.header.identity for run in (both, one, plain)}) == 3
    assert "transfer" not in plain.header.to_json()
    executed(one, tmp_path / "run")
    for other in (both, plain):
        with pytest.raises(ValueError, match="expected transfer_digest=") as error:
            other.history(tmp_path / "run")
        assert LINE not in str(error.value)
    labels = sorted(run.optimizer for run in _loaded(tmp_path, plain, one))
    assert labels == ["tpe transfer=b1", "tpe transfer=none"]


def _loaded(folder: Path, *runs: Run) -> list[results.Run]:
    for i, run in enumerate(runs):
        executed(run, folder / str(i))
    return results.load([folder / str(i) for i in range(len(runs))])


def test_a_changed_digest_in_a_header_is_noticed(earlier: Path, tmp_path: Path) -> None:
    executed(run_of("optimizer=tpe", *WORDS, f"transfer={earlier}"), tmp_path)
    log = tmp_path / "log.jsonl"
    header, *rest = log.read_text().splitlines(keepends=True)
    event = json.loads(header)
    event["transfer"]["digest"] = "0" * 64
    log.write_text("".join([json.dumps(event) + LINE, *rest]))
    with pytest.raises(ValueError, match="header.identity"):
        results.load([tmp_path])


@pytest.mark.parametrize("name", ["gp_bo", "tpe"])
def test_a_run_with_earlier_runs_resumes_from_any_line(
    name: str, earlier: Path, tmp_path: Path
) -> None:
    words = (f"optimizer={name}", *WORDS, f"transfer={earlier}", "start=[{x1: 3, x2: 2}]")
    whole = executed(run_of(*words), tmp_path / "whole")
    assert whole[0] == {"x1": 3.0, "x2": 2.0}
    lines = (tmp_path / "whole" / "log.jsonl").read_text().splitlines(keepends=True)
    for cut in range(2, len(lines), 5):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / "log.jsonl").write_text("".join(lines[:cut]))
        assert executed(run_of(*words), folder) == whole


def test_only_finished_runs_are_read(earlier: Path, tmp_path: Path) -> None:
    lines = (earlier / "b1" / "log.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "log.jsonl").write_text("".join(lines[:-1]))
    with pytest.raises(ValueError, match="transfer: expected finished runs, got none"):
        run_of("optimizer=tpe", *WORDS, f"transfer={tmp_path}")


def test_evaluations_outside_the_present_space_are_left_out(earlier: Path) -> None:
    smaller = "objective.space.x1.upper=2"
    (task,) = run_of("optimizer=tpe", *WORDS, smaller, f"transfer={earlier}").earlier
    assert 0 < len(task.configs) < 20
    assert all(float(config["x1"]) <= 2 for config in task.configs)


def test_a_stated_subset_of_parameters_is_completed_from_the_default(earlier: Path) -> None:
    given = f"transfer={{folders: [{earlier / 'h'}], parameters: [x1, x2]}}"
    run = run_of("optimizer=tpe", "objective=hartmann6", "budget=3", given)
    (task,) = run.earlier
    assert len(task.configs) == 4
    assert {tuple(sorted(config)) for config in task.configs} == {
        ("x1", "x2", "x3", "x4", "x5", "x6")
    }
    assert {config["x3"] for config in task.configs} == {0.5}  # the middle of its range
    assert len({config["x1"] for config in task.configs}) == 4


def test_runs_of_the_very_objective_can_be_left_out(earlier: Path) -> None:
    given = f"transfer={{folders: {earlier}, same_objective: false}}"
    with pytest.raises(ValueError, match="branin is this run's own objective"):
        run_of("optimizer=tpe", *WORDS, given)
    other = run_of("optimizer=tpe", *WORDS, "objective.shift=4", given)
    assert len(other.earlier) == 1


@pytest.mark.parametrize(
    ("optimizer", "objective", "given", "line"),
    [
        ("tpe", "branin", "nowhere", "transfer: expected a folder of runs, .*which does not exist"),
        ("tpe", "branin", "[]", "transfer: expected a folder of runs"),
        ("tpe", "branin", "3", "transfer: expected a path, got 3"),
        ("tpe", "branin", "{folder: a}", "transfer: expected a folder of runs"),
        ("tpe", "branin", "{folders: HERE, same_objective: 3}", "same_objective: expected true"),
        ("tpe", "branin", "{folders: HERE, parameters: [x9]}", r"parameters: expected some of \["),
        (
            "tpe",
            "branin",
            "{folders: HERE, parameters: [[x1]]}",
            r"parameters: expected some of \[",
        ),
        ("tpe", "branin", "{folders: HERE, parameters: []}", r"parameters: expected some of \["),
        ("tpe", "hartmann6", "HERE", "got 3 of which none does; the first: branin has no .* x3"),
        ("tpe", "mixed", "HERE", "got 3 of which none does; the first: branin has no parameter"),
        ("tpe", "zdt1", "HERE", "expected an objective with one goal and no limits, got f1, f2"),
        ("lhs", "branin", "HERE", r"takes earlier runs \(catcma, cma_es, gp_bo, .*\), got Latin"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(
    optimizer: str, objective: str, given: str, line: str, earlier: Path
) -> None:
    words = (f"optimizer={optimizer}", f"objective={objective}", "budget=3")
    with pytest.raises(ValueError, match=line) as error:
        run_of(*words, f"transfer={given.replace('HERE', str(earlier))}").make_optimizer()
    assert LINE not in str(error.value)


def test_a_damaged_log_is_named(earlier: Path, tmp_path: Path) -> None:
    text = (earlier / "b1" / "log.jsonl").read_text()
    (tmp_path / "log.jsonl").write_text(text.replace('"value":', '"valve":', 1))
    with pytest.raises(ValueError, match="log.jsonl"):
        run_of("optimizer=tpe", *WORDS, f"transfer={tmp_path}")


@pytest.mark.parametrize("value", [None, 3, {}, {"digest": "x", "sources": [], "tasks": []}])
def test_a_malformed_description_is_refused(value: Any, earlier: Path, tmp_path: Path) -> None:
    executed(run_of("optimizer=tpe", *WORDS, f"transfer={earlier}"), tmp_path)
    log = tmp_path / "log.jsonl"
    header, *rest = log.read_text().splitlines(keepends=True)
    log.write_text("".join([json.dumps({**json.loads(header), "transfer": value}) + LINE, *rest]))
    with pytest.raises(ValueError, match=r"header\.transfer"):
        results.load([tmp_path])


def test_an_experiment_names_earlier_runs_for_all_or_for_one_entry(
    earlier: Path, tmp_path: Path
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        f"optimizers:\n- tpe\n- tpe transfer={earlier / 'b1'}\n"
        "objectives: [branin]\nseeds: [0]\nbudget: 2\n"
    )
    plain, one = experiment.load(str(file), {}).plan()
    assert plain.header.transfer is None
    assert str(one.header.transfer) == "b1"
    everyone, same = experiment.load(str(file), {"transfer": str(earlier)}).plan()
    assert str(everyone.header.transfer) == earlier.name
    assert same.header.identity == one.header.identity


def test_earlier_runs_may_depend_on_the_run(earlier: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        f"optimizers: ['tpe transfer={earlier}/b${{seed}}']\n"
        "objectives: [branin]\nseeds: [1, 2]\nbudget: 2\n"
    )
    runs = experiment.load(str(file), {}).plan()
    assert [str(run.header.transfer) for run in runs] == ["b1", "b2"]
