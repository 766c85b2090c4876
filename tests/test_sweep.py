"""Typed sweeps in real processes: kills, resumes, failures, and mistakes."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from experiments.running.plan import failures, read_ledger, read_plan, states
from experiments.running.provenance import CONF
from experiments.running.run_log import RunLog, read
from experiments.sweeping import experiment, making, sweep
from experiments.sweeping.ledger import Lock
from processes import ROOT, environment, events, finish, timeless

CHEAP = ["experiment=smoke", "optimizers=[random,soo]", "objectives=[branin]", "seeds=range(0,2)"]
N_CHEAP = 4  # 2 optimizers x 1 objective x 2 seeds


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "experiments", "sweep", *arguments]


def typed(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(*arguments),
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


def start(*arguments: str) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command(*arguments), env=environment(), cwd=ROOT, stdout=pipe, stderr=pipe, text=True
    )


def logs(folder: Path) -> list[Path]:
    return sorted(folder.rglob("log.jsonl"))


def state_names(folder: Path) -> list[str]:
    return sorted(state.state for state in states(folder, read_plan(folder)).values())


def counted(tmp_path: Path, seconds: float) -> list[str]:
    """Return four runs of 20 evaluations that take a moment each and are recorded in a file."""
    objective = (
        "branin objective._target_=counting.CountingBranin "
        f"+objective.path={tmp_path / 'evaluated'} +objective.seconds={seconds}"
    )
    optimizers = "optimizers=[random,sobol]"
    out = f"out={tmp_path / 'sweep'}"
    return [*CHEAP, optimizers, f'objectives=["{objective}"]', "budget=20", "runs=2", out]


def wait_until(process: "subprocess.Popen[str]", reached: Callable[[], bool]) -> None:
    while not reached():
        assert process.poll() is None
        time.sleep(0.002)


def n_logged(folder: Path) -> int:
    return sum(log.read_bytes().count(b'{"event": "evaluation"') for log in logs(folder))


def test_a_sweep_makes_every_run_and_says_so_in_one_line(tmp_path: Path) -> None:
    done = typed(*CHEAP, "runs=2", f"out={tmp_path}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{N_CHEAP} done: {tmp_path}\n"
    found = {
        (events(log.parent)[0]["names"]["optimizer"], events(log.parent)[0]["seed"])
        for log in logs(tmp_path)
    }
    assert found == {("random", 0), ("random", 1), ("soo", 0), ("soo", 1)}
    assert n_logged(tmp_path) == 10 * N_CHEAP


def test_a_finished_sweep_is_left_as_it_is(tmp_path: Path) -> None:
    typed(*CHEAP, f"out={tmp_path}")
    before = [log.read_bytes() for log in logs(tmp_path)]
    assert typed(*CHEAP, f"out={tmp_path}").returncode == 0
    assert [log.read_bytes() for log in logs(tmp_path)] == before


def test_a_run_of_a_sweep_is_the_run_that_the_command_line_makes(tmp_path: Path) -> None:
    typed(*CHEAP, f"out={tmp_path / 'sweep'}")
    single = ["optimizer=soo", "objective=branin", "budget=10", "seed=1"]
    finish(*single, f"out={tmp_path / 'single'}")
    (folder,) = (tmp_path / "sweep" / "branin" / "soo").glob("seed1-*")
    assert timeless(folder) == timeless(tmp_path / "single")
    assert folder.name == f"seed1-{events(folder)[0]['identity'][:8]}"
    assert "already finished" in finish(*single, f"out={folder}").stdout


def test_a_sweep_whose_parent_was_killed_goes_on_and_repeats_nothing(tmp_path: Path) -> None:
    settings, folder = counted(tmp_path, 0.01), tmp_path / "sweep"
    process = start(*settings)
    wait_until(process, lambda: n_logged(folder) > 25)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    assert psutil.wait_procs(workers, timeout=20)[1] == []
    logged = n_logged(folder)
    (tmp_path / "evaluated").unlink()
    done = typed(*settings)
    assert (done.returncode, done.stdout) == (0, f"4 done: {folder}\n"), done.stderr
    again = len((tmp_path / "evaluated").read_text().split())
    assert again == 4 * 20 - logged


def test_a_resumed_sweep_has_the_logs_of_an_uninterrupted_one(tmp_path: Path) -> None:
    for name, cut in (("cut", True), ("whole", False)):
        typed(*CHEAP, f"out={tmp_path / name}")
        if cut:
            for log in logs(tmp_path / name)[::2]:
                log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
            assert state_names(tmp_path / name) == ["done", "done", "partial", "partial"]
            typed(*CHEAP, f"out={tmp_path / name}")
    cut_logs, whole_logs = logs(tmp_path / "cut"), logs(tmp_path / "whole")
    assert [timeless(log.parent) for log in cut_logs] == [
        timeless(log.parent) for log in whole_logs
    ]


def test_a_run_whose_worker_was_killed_is_resumed_by_another(tmp_path: Path) -> None:
    settings, folder = counted(tmp_path, 0.01), tmp_path / "sweep"
    process = start(*settings)
    wait_until(process, lambda: n_logged(folder) > 5)
    busy = [
        child
        for child in psutil.Process(process.pid).children()
        if any("spawn_main" in word for word in child.cmdline())
    ]
    busy[0].kill()
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (0, f"4 done: {folder}\n", "")
    failed = [event["error"] for event in read_ledger(folder) if event["event"] == "failed"]
    assert failed == ["its worker process ended with signal SIGKILL"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_sweep_says_how_to_go_on(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    settings, folder = counted(tmp_path, 0.01), tmp_path / "sweep"
    process = start(*settings)
    wait_until(process, lambda: n_logged(folder) > 5)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "go on with: python -m experiments sweep experiment=smoke" in errors
    assert len(errors.splitlines()) == 1
    assert "partial" in state_names(folder)
    assert typed(*settings).stdout == f"4 done: {folder}\n"


def test_a_run_that_fails_is_tried_twice_and_listed_and_stops_no_other(tmp_path: Path) -> None:
    settings = [*CHEAP, 'optimizers=[random,"soo optimizer.k=4"]', "seeds=[0]", f"out={tmp_path}"]
    for _ in range(2):  # the second command lists it again and does not retry it
        done = typed(*settings)
        assert done.returncode == 2
        assert done.stdout == f"1 done, 1 failed: {tmp_path}\n"
        first, advice = done.stderr.splitlines()
        assert first.startswith("failed: soo optimizer.k=4 on branin, seed 0: ")
        assert "expected" in first
        assert "retry=true" in advice
        assert [len(errors) for errors in failures(read_ledger(tmp_path)).values()] == [2]
    typed(*settings, "retry=true")
    assert sum(event["event"] == "failed" for event in read_ledger(tmp_path)) == 4


def test_a_run_that_ends_its_worker_fails_alone(tmp_path: Path) -> None:
    dying = (
        f"branin objective._target_=counting.DyingBranin +objective.path={tmp_path / 'evaluated'}"
    )
    objectives = f'objectives=[branin,"{dying}"]'
    folder = tmp_path / "sweep"
    done = typed(*CHEAP, "optimizers=[random]", objectives, "seeds=[0]", f"out={folder}")
    assert (done.returncode, done.stdout) == (2, f"1 done, 1 failed: {folder}\n")
    assert "ended with exit code 9" in done.stderr


def test_an_objective_that_shares_no_host_has_nothing_beside_it(tmp_path: Path) -> None:
    spans = tmp_path / "spans"
    objectives = [
        f"branin objective._target_=counting.SpanBranin +objective.path={spans} "
        f"+objective.alone={alone}"
        for alone in ("true", "false")
    ]
    typed(*CHEAP, f"objectives={json.dumps(objectives)}", "runs=2", f"out={tmp_path / 'sweep'}")
    found = [line.split() for line in spans.read_text().splitlines()]
    assert len(found) == 2 * N_CHEAP * 10
    times = [(float(begin), float(end), shared == "True") for begin, end, shared in found]
    assert all(
        begin >= other_end or end <= other_begin
        for i, (begin, end, shared) in enumerate(times)
        for j, (other_begin, other_end, _) in enumerate(times)
        if i != j and not shared
    )


def test_a_second_sweep_in_a_folder_is_refused(tmp_path: Path) -> None:
    Lock(tmp_path, patience_s=0)
    with pytest.raises(ValueError, match="expected no other sweep in this folder, got one"):
        Lock(tmp_path, patience_s=0)


def test_a_run_that_another_process_makes_is_left_to_it(tmp_path: Path) -> None:
    plan = experiment.load("smoke", {"optimizers": ["soo"], "seeds": 0}).plan()
    task = plan[0], tmp_path / plan[0].folder
    with RunLog(task[1]):
        assert making.make_run(task, lambda evaluations: None).elsewhere


def test_more_seeds_may_be_added_but_no_run_be_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = f"out={tmp_path}"
    assert sweep.main([*CHEAP, out]) == 0
    assert sweep.main([*CHEAP, "seeds=range(0,3)", out]) == 0
    capsys.readouterr()
    for change, expected in {
        "budget=12": "expected budget=10 as in the earlier runs, got 12",
        "seeds=[0]": "got a plan that lacks 4 of them, first random on branin, seed 1 (",
        "optimizers=[random]": "got a plan that lacks 3 of them, first soo on branin, seed 0",
    }.items():
        assert sweep.main([*CHEAP, "seeds=range(0,3)", change, out]) == 2
        errors = capsys.readouterr().err
        assert expected in errors
        assert len(errors.splitlines()) == 1


MISTAKES = {
    "an unknown experiment": (["experiment=nope"], "experiment: expected one of"),
    "no experiment": ([], "experiment: expected experiment=VALUE, got none"),
    "an unknown optimizer": (["experiment=smoke", "optimizers=[soop]"], "got soop"),
    "an unknown objective": (["experiment=smoke", "objectives=[nope]"], "got nope"),
    "a misspelt setting": (
        ["experiment=smoke", "optimizers=['soo optimizer.varient=v2']"],
        "did you mean variant?",
    ),
    "an objective out of range": (
        ["experiment=smoke", "objectives=['ackley objective.dimension=0']"],
        "dimension: expected",
    ),
    "no optimizers": (["experiment=smoke", "optimizers=[]"], "optimizers: expected a list"),
    "no seeds": (["experiment=smoke", "seeds=[]"], "seeds: expected at least one seed, got []"),
    "an empty range": (["experiment=smoke", "seeds=range(3,3)"], "expected at least one seed"),
    "equal seeds": (["experiment=smoke", "seeds=[1,1]"], "seeds: expected different seeds"),
    "a negative seed": (["experiment=smoke", "seeds=-1"], "seeds: expected an integer"),
    "no budget": (["experiment=smoke", "budget=0"], "budget: expected a finite number above 0"),
    "equal runs": (["experiment=smoke", "optimizers=[soo,soo]"], "expected different"),
    "no workers": (["experiment=smoke", "workers=0"], "workers: expected an integer"),
    "no runs": (["experiment=smoke", "runs=0"], "runs: expected an integer of at least 1"),
    "workers of another kind": (
        ["experiment=smoke", "workers=2.5"],
        "workers: expected an integer",
    ),
    "an unknown key": (["experiment=smoke", "sedes=3"], "sedes: expected one of experiment,"),
    "a folder that cannot be made": (["experiment=smoke", "out=/proc/nowhere"], "/proc/nowhere"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_ends_in_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, expected = MISTAKES[name]
    assert sweep.main([f"out={tmp_path / 'sweep'}", *arguments]) == 2
    errors = capsys.readouterr().err
    assert expected in errors
    assert "got" in errors
    assert len(errors.splitlines()) == 1
    assert not (tmp_path / "sweep").exists()


def test_the_seed_gives_every_run_its_own_instance() -> None:
    objective = "ackley objective.shift=${seed} objective.dimension=2,3"
    plan = experiment.load("smoke", {"objectives": [objective], "optimizers": ["soo"]}).plan()
    found = [(run.header.seed, run.header.objective["shift"]) for run in plan]
    assert found == [(0, 0), (0, 0), (1, 1), (1, 1)]
    assert [run.header.objective["dimension"] for run in plan] == [2, 3, 2, 3]


def test_variants_of_an_optimizer_share_their_initial_design(tmp_path: Path) -> None:
    designs = ["gp_bo optimizer.n_initial=4", "gp_bo optimizer.n_initial=4 optimizer.beta=9"]
    settings = [f"optimizers={json.dumps(designs)}", "objectives=[branin]", "seeds=[3]", "budget=4"]
    assert sweep.main(["experiment=smoke", *settings, f"out={tmp_path}"]) == 0
    asked = [
        [event["trials"] for event in events(log.parent) if event["event"] == "ask"]
        for log in logs(tmp_path)
    ]
    assert len(asked) == 2
    assert asked[0] == asked[1]


@pytest.mark.parametrize(
    "path", sorted((CONF / "experiment").glob("*.yaml")), ids=lambda path: path.stem
)
def test_an_experiment_of_the_suite_can_be_read(path: Path) -> None:
    found = experiment.load(path.stem, {})
    assert found.optimizers
    assert found.objectives
    assert found.seeds


def test_a_full_disk_burns_no_attempt_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = experiment.load("smoke", {"optimizers": ["soo"], "seeds": 0}).plan()
    task = plan[0], tmp_path / plan[0].folder

    def full(self: RunLog, folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))

    monkeypatch.setattr(RunLog, "_hold_reserve", full)
    ending = making.make_run(task, lambda evaluations: None)
    assert ending.host and ending.error is not None and "free some space" in ending.error
    monkeypatch.undo()
    assert making.make_run(task, lambda evaluations: None) == making.Ending()


def test_an_experiment_may_list_workers_and_choose_its_executor(tmp_path: Path) -> None:
    file = tmp_path / "wide.yaml"
    file.write_text(
        "optimizers: [random]\nobjectives: [branin]\nseeds: 0\nbudget: 6\nworkers: [1, 4]\n"
        "executor: simulated executor.rounds=true executor.jitter=0.5\n"
    )
    out = tmp_path / "out"
    assert sweep.main([f"experiment={file}", f"out={out}"]) == 0
    headers = [read(log).header for log in sorted(out.rglob("log.jsonl"))]
    clock = {"rounds": True, "seconds": 1.0, "jitter": 0.5}
    assert all(header is not None and header.clock == clock for header in headers)
    assert sorted(header.workers for header in headers if header is not None) == [1, 4]
    assert len({header.identity for header in headers if header is not None}) == 2
    plan = json.loads((out / "experiment.json").read_text())
    assert [run["optimizer"] for run in plan["runs"]] == ["random workers=1", "random workers=4"]
    again = [f"experiment={file}", f"out={tmp_path / 'one'}", "executor=inline", "workers=1"]
    assert sweep.main(again) == 0
    (log,) = (tmp_path / "one").rglob("log.jsonl")
    header = read(log).header
    assert header is not None and header.clock is None and header.workers == 1


@pytest.mark.parametrize(
    ("workers", "message"),
    [
        ([], "workers: expected at least one number"),
        ([1, 1], "workers: expected different numbers"),
        ([1, 0], "workers: expected an integer of at least 1"),
    ],
)
def test_a_list_of_workers_is_checked(workers: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        experiment.load("smoke", {"workers": workers})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["executor=fast"], "executor: expected one of auto, inline"),
        (["executor=simulated executor.jitter=2"], "executor.jitter: expected a finite number of at least 0"),
        (
            ["executor=simulated executor.speed=2"],
            "executor: expected one of rounds, seconds, jitter, got speed",
        ),
        (["executor=inline", "workers=4"], "executor: expected processes or auto for workers=4"),
        (["workers="], "workers: expected an integer"),
        (["executor="], "executor: expected"),
    ],
)
def test_a_wrong_executor_of_a_sweep_is_one_line(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = ["experiment=smoke", "optimizers=[random]", "seeds=0", f"out={tmp_path}"]
    assert sweep.main([*experiment, *words]) == 2
    errors = capsys.readouterr().err
    assert message in errors and "Traceback" not in errors
