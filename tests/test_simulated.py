"""Runs under a simulated clock: the order of events, resuming, identity, and analysis."""

import csv
import heapq
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from experiments.analysis.labels import labels_of
from experiments.analysis.report.over_time import convergence
from experiments.analysis.results import load
from experiments.analysis.statistics.anytime import compare_on
from experiments.analysis.statistics.currencies import spent
from experiments.analysis.statistics.over_time import over_time
from experiments.running.events import MOST_WORKERS
from experiments.running.executors.choice import SimulatedChoice, processes
from experiments.running.history import History
from experiments.running.rows import row_of
from experiments.running.run import Run, RunSettings
from experiments.running.run_log import read
from objectives.objective import Objective
from objectives.trial import Evaluation, Trial
from processes import finish, timeless
from promoting import Learning
from test_promoting import OURS

RANDOM = {"_target_": "optimizers.random_search.RandomSearch"}


class Costly(Learning):
    """`Learning` with costs that differ between configurations."""

    simulates_cost = True

    def evaluate(self, trial: Trial) -> Evaluation:
        evaluation = super().evaluate(trial)
        x = trial.config["x"]
        assert isinstance(x, float)
        return Evaluation(evaluation.value, trial.fidelity * (1 + 7 * x))


def simulate(
    folder: Path,
    objective: Objective | None = None,
    workers: int = 4,
    budget: float = 5.0,
    optimizer: str = "asha",
    **clock: Any,
) -> History:
    settings = RunSettings(
        {"optimizer": optimizer, "objective": "learning"},
        OURS.get(optimizer, RANDOM),
        {"_target_": "promoting.Learning"},
        seed=3,
        budget=budget,
        workers=workers,
        evaluation_timeout_s=clock.pop("evaluation_timeout_s", None),
    )
    run = Run(settings, objective or Costly(), SimulatedChoice(**clock))
    with run.open(folder) as log:
        run.execute(log)
        return log.history


def ends(folder: Path) -> list[float]:
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line["simulated_s"] for line in lines if line["event"] == "evaluation"]


def schedule(costs: Sequence[float], workers: int) -> list[tuple[float, int]]:
    """Return the ends of jobs that free workers take in order, with the number of each job."""
    free, found = [0.0] * workers, []
    for number, cost in enumerate(costs):
        end = heapq.heappop(free) + cost
        heapq.heappush(free, end)
        found.append((end, number))
    return sorted(found)


@pytest.mark.parametrize("workers", [1, 3, MOST_WORKERS])
def test_answers_arrive_in_the_order_in_which_free_workers_would_finish(
    workers: int, tmp_path: Path
) -> None:
    history = simulate(tmp_path, workers=workers, budget=40, optimizer="random")
    costs = [history.evaluations[id].cost for id in range(40)]
    expected = schedule(costs, workers)
    assert list(history.evaluations) == [number for _, number in expected]
    assert ends(tmp_path) == pytest.approx([end for end, _ in expected])


@pytest.mark.parametrize("rounds", [False, True])
@pytest.mark.parametrize("optimizer", ["asha", "hyperband", "pbt"])
def test_a_simulated_run_resumes_from_every_line_as_if_it_had_never_stopped(
    optimizer: str, rounds: bool, tmp_path: Path
) -> None:
    simulate(tmp_path / "whole", optimizer=optimizer, rounds=rounds, budget=3.0)
    lines = (tmp_path / "whole" / "log.jsonl").read_bytes().splitlines(keepends=True)
    expected = timeless(tmp_path / "whole")
    assert len(lines) > 15
    for n in range(1, len(lines)):
        folder = tmp_path / str(n)
        folder.mkdir()
        (folder / "log.jsonl").write_bytes(b"".join(lines[:n]))
        history = simulate(folder, optimizer=optimizer, rounds=rounds, budget=3.0)
        assert timeless(folder) == expected, n
        assert history.drifts() == []


def test_in_rounds_new_trials_are_asked_for_only_when_all_workers_are_idle(tmp_path: Path) -> None:
    history = simulate(tmp_path, optimizer="random", budget=12, rounds=True)
    lines = [line["event"] for line in timeless(tmp_path)]
    assert lines[1:-1] == (["ask"] + 4 * ["evaluation"]) * 3
    costs = [history.evaluations[id].cost for id in range(12)]
    assert ends(tmp_path)[-1] == pytest.approx(sum(max(costs[i : i + 4]) for i in (0, 4, 8)))


def test_an_extended_run_starts_refused_trials_when_it_is_extended(tmp_path: Path) -> None:
    simulate(tmp_path, optimizer="random", budget=6)
    stopped = ends(tmp_path)[-1]
    history = simulate(tmp_path, optimizer="random", budget=9)
    assert sorted(history.evaluations) == list(range(9))
    assert ends(tmp_path) == sorted(ends(tmp_path))
    assert all(end > stopped for end in ends(tmp_path)[6:])


def test_an_objective_that_measures_its_costs_takes_the_seconds_of_the_executor(
    tmp_path: Path,
) -> None:
    history = simulate(tmp_path / "a", Learning(), seconds=9.0, budget=2)
    costs = {id: e.cost for id, e in history.evaluations.items()}
    assert all(costs[id] == pytest.approx(9 * history.price(history.trials[id])) for id in costs)
    simulate(tmp_path / "b", Learning(), seconds=9.0, jitter=0.5, budget=2)
    again = simulate(tmp_path / "c", Learning(), seconds=9.0, jitter=0.5, budget=2)
    assert timeless(tmp_path / "b") == timeless(tmp_path / "c")
    shares = [e.cost / 9 / again.price(again.trials[id]) for id, e in again.evaluations.items()]
    assert 0.5 <= min(shares) < 0.8 and 1.2 < max(shares) <= 1.5


def test_a_time_limit_is_one_of_simulated_time(tmp_path: Path) -> None:
    history = simulate(tmp_path, optimizer="random", budget=20, evaluation_timeout_s=0.5)
    late = [e for e in history.evaluations.values() if e.error and "timeout" in e.error]
    assert late and all(e.cost == 0.5 and e.value is None for e in late)


def test_the_clock_is_part_of_the_identity_of_a_run(tmp_path: Path) -> None:
    def identity(objective: Objective, **clock: Any) -> str:
        settings = RunSettings({"optimizer": "a", "objective": "b"}, RANDOM, {}, 0, 5)
        return Run(settings, objective, SimulatedChoice(**clock)).header.identity

    clocks: list[dict[str, Any]] = [{}, {"rounds": True}, {"seconds": 2.0}, {"jitter": 0.1}]
    measured = {identity(Learning(), **clock) for clock in clocks}
    assert len(measured) == 4
    assert len({identity(Costly(), **clock) for clock in clocks}) == 2  # only rounds matter
    settings = RunSettings({"optimizer": "a", "objective": "b"}, RANDOM, {}, 0, 5)
    real = Run(settings, Learning()).header
    assert real.identity not in measured and "clock" not in real.to_json()
    simulate(tmp_path)
    with pytest.raises(ValueError, match="expected clock.rounds=False as in the log, got True"):
        simulate(tmp_path, rounds=True)


def test_a_clock_that_only_the_objective_makes_different_is_no_other_optimizer() -> None:
    def labels(*clocks: dict[str, Any]) -> set[str]:
        headers = [
            Run(
                RunSettings({"optimizer": "a", "objective": name}, RANDOM, {}, 0, 5),
                objective,
                SimulatedChoice(**clock),
            ).header
            for clock in clocks
            for name, objective in (("measured", Learning()), ("simulated", Costly()))
        ]
        runs = [SimpleNamespace(header=header, seed=0) for header in headers]
        return {optimizer for optimizer, _ in labels_of(runs)}

    assert labels({}) == {"a"}
    assert labels({}, {"jitter": 0.1}) == {f"a clock.jitter={x}" for x in (0.0, 0.1, None)}


@pytest.mark.parametrize(
    ("clock", "message"),
    [
        ({"rounds": "yes"}, "executor.rounds: expected true or false, got 'yes'"),
        (
            {"seconds": -1.0},
            "executor.seconds: expected a finite number of at least 0 and at most 1e\\+09",
        ),
        ({"seconds": float("nan")}, "executor.seconds: expected a finite number"),
        (
            {"jitter": 1.5},
            "executor.jitter: expected a finite number of at least 0 and at most 1",
        ),
        ({"jitter": True}, "executor.jitter: expected a finite number"),
    ],
)
def test_settings_of_a_clock_are_checked(clock: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        SimulatedChoice(**clock)


def test_a_command_line_chooses_the_simulated_clock(tmp_path: Path) -> None:
    words = ("executor=simulated", "executor.jitter=0.5", "workers=16", "objective=branin")
    for name in ("a", "b"):
        done = finish("optimizer=random", "budget=40", *words, f"out={tmp_path / name}")
        assert done.returncode == 0, done.stderr
        assert "simulated with 16 workers" in done.stdout
    assert timeless(tmp_path / "a") == timeless(tmp_path / "b")
    wrong = finish(*words, "executor.jitter=2", f"out={tmp_path / 'c'}")
    assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1
    assert (
        "executor.jitter: expected a finite number of at least 0 and at most 1, got 2"
        in wrong.stderr
    )


def test_analysis_knows_the_simulated_time_and_labels_runs_by_their_workers(
    tmp_path: Path,
) -> None:
    for workers in (1, 8):
        simulate(tmp_path / str(workers), workers=workers, budget=9)
    runs = load([tmp_path])
    assert [run.optimizer for run in runs] == ["asha workers=1", "asha workers=8"]
    for run, workers in zip(runs, (1, 8), strict=True):
        assert run.ends is not None and run.ends.tolist() == ends(tmp_path / str(workers))
        assert spent(run, "time").tolist() == run.ends.tolist()
    suite = compare_on(runs)
    (task,) = suite.tasks
    times, curves = over_time(task, {name: task.matrix(name) for name in task.curves})
    for run in runs:
        (curve,) = curves[run.optimizer]
        assert run.ends is not None
        for time, value in zip(times, curve, strict=True):
            done = float(run.spent[run.ends <= time][-1:].sum())  # full evaluations by this time
            step = int(np.floor(done + 1e-9)) - 1
            assert value == (np.inf if step < 0 else task.curves[run.optimizer][run.seed][step])
    (chart,) = convergence(suite)
    assert [one.name for one in chart.series] == ["asha workers=1", "asha workers=8"]


def test_packs_and_exported_tables_hold_the_simulated_times(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from experiments.analysis.exchange.tables import columns, read_parquet, write_parquet
    from experiments.analysis.pack import pack

    simulate(tmp_path / "run")
    pack([tmp_path / "run"], tmp_path / "runs.jsonl.xz")
    (packed,) = load([tmp_path / "runs.jsonl.xz"])
    write_parquet([packed], tmp_path / "runs.parquet")
    (exported,) = read_parquet(tmp_path / "runs.parquet")
    for run in (packed, exported):
        assert run.ends is not None and run.ends.tolist() == ends(tmp_path / "run")
    assert columns([packed])["simulated_s"] == ends(tmp_path / "run")


def test_a_pack_with_simulated_times_that_fall_is_refused(tmp_path: Path) -> None:
    from experiments.analysis.results import run_of

    simulate(tmp_path)
    row = row_of(tmp_path / "log.jsonl")
    assert row is not None
    row["columns"]["simulated"][0] = 1e6
    with pytest.raises(ValueError, match="columns.simulated: expected times that never fall"):
        run_of(row)


COSTS = [4.5, 2.0, 7.0, 8.5, 8.0, 8.0, 6.5, 6.5, 7.5, 8.5]
"""With three workers, any two answers of these ten come at least two seconds apart."""


def table(folder: Path) -> dict[str, Any]:
    path = folder / "table.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["x", "value", "seconds"])
        rows.writerows([x, (x - 4) ** 2, cost] for x, cost in enumerate(COSTS))
    return {
        "_target_": "objectives.tabular.Tabular",
        "data": str(path),
        "where": {},
        "parameters": ["x"],
        "value": "value",
        "metrics": [],
        "cost": "seconds",
        "space": {"x": {"type": "int", "lower": 0, "upper": 9}},
        "lookup": "exact",
        "tolerance": 0.0,
        "replicates": "refuse",
        "seed": 0,
    }


def order(folder: Path) -> list[Any]:
    """Return the asks and the answers in their order."""
    lines = timeless(folder)
    return [
        (line["event"], line.get("id"), line.get("value"), line.get("trials"))
        for line in lines
        if line["event"] in ("ask", "evaluation")
    ]


def tabulated(folder: Path, objective: dict[str, Any], executor: Any) -> None:
    settings = RunSettings(
        {"optimizer": "grid", "objective": "table"},
        {"_target_": "optimizers.grid.Grid", "budget": 10, "order": "lexicographic"},
        objective,
        seed=0,
        budget=10,
        workers=3,
    )
    run = Run(settings, executor=executor)
    with run.open(folder) as log:
        run.execute(log)


@pytest.mark.slow
def test_a_simulated_run_of_a_table_has_the_order_of_events_of_a_real_one(tmp_path: Path) -> None:
    inner = table(tmp_path)
    slow = {
        "_target_": "objectives.wrappers.slow.Slow",
        "inner": inner,
        "seconds": 0.0,
        "jitter": 0.0,
        "seed": 0,
        "cost_scale": 0.75,
    }
    tabulated(tmp_path / "simulated", inner, SimulatedChoice())
    tabulated(tmp_path / "real", slow, processes)
    assert order(tmp_path / "simulated") == order(tmp_path / "real")


def test_the_table_of_that_test_leaves_gaps_between_its_answers(tmp_path: Path) -> None:
    tabulated(tmp_path / "run", table(tmp_path), SimulatedChoice())
    assert np.diff(ends(tmp_path / "run")).min() >= 2.0
    history = read(tmp_path / "run" / "log.jsonl")
    assert [history.evaluations[id].cost for id in range(10)] == COSTS
