"""Fidelities in the run loop: the cost of trials, refused trials, and resumed runs."""

import json
from pathlib import Path
from typing import Any

import pytest
from ConfigSpace import ConfigurationSpace

from experiments.analysis.results import load
from experiments.running.executors.inline import Inline
from experiments.running.history import History
from experiments.running.run import Run, RunSettings
from experiments.running.run_log import read
from objectives.objective import Objective
from objectives.trial import Evaluation, Fidelities, Trial
from optimizers.optimizer import Optimizer
from promoting import GRID, Learning, Promoting

BUDGET = 5.0


class InlineRun(Run):
    """A run whose workers share one queue, so that answers come in the order of the asks."""

    def __init__(self, settings: RunSettings, objective: Objective) -> None:
        super().__init__(settings, objective, lambda objective, workers, limit_s: Inline(objective))


OURS: dict[str, dict[str, Any]] = {
    "promoting": {"_target_": "promoting.Promoting"},
    "asha": {"_target_": "optimizers.asha.Asha", "eta": 3, "least": None},
    "hyperband": {
        "_target_": "optimizers.hyperband.Hyperband",
        "eta": 3,
        "least": None,
        "sizes": "algorithm",
        "every_bracket": True,
    },
    "pbt": {
        "_target_": "optimizers.pbt.PopulationBasedTraining",
        "population": 5,
        "quantile": 0.2,
        "resample": 0.25,
    },
    "mf_gp": {
        "_target_": "optimizers.mf_gp.MultiFidelityGaussianProcess",
        "eta": 3,
        "least": None,
        "n_initial": 3,
        "candidates": 16,
        "starts": 1,
    },
}
STRIDES = {"mf_gp": 4}
"""The number of lines between two cuts; larger for runs that take longer."""


def promote(
    folder: Path,
    budget: float = BUDGET,
    workers: int = 4,
    objective: Objective | None = None,
    optimizer: str = "promoting",
) -> History:
    settings = RunSettings(
        {"optimizer": optimizer, "objective": "learning"},
        OURS[optimizer],
        {"_target_": "promoting.Learning"},
        seed=3,
        budget=budget,
        workers=workers,
    )
    run = InlineRun(settings, objective or Learning())
    with run.open(folder) as log:
        run.execute(log)
        return log.history


def said(history: History) -> list[Any]:
    """Return the asks and the answers, without times."""
    answers = [(id, e.value, e.error) for id, e in history.evaluations.items()]
    return [list(history.trials.values()), answers, history.refused, round(history.spent, 9)]


@pytest.mark.parametrize("optimizer", OURS)
def test_a_promoting_optimizer_with_four_workers_resumes_from_every_line(
    optimizer: str, tmp_path: Path
) -> None:
    whole = promote(tmp_path / "whole", optimizer=optimizer)
    lines = (tmp_path / "whole" / "log.jsonl").read_bytes().splitlines(keepends=True)
    assert any(trial.resumes is not None for trial in whole.trials.values())
    assert len(lines) > 20
    for n in range(1, len(lines), STRIDES.get(optimizer, 1)):
        folder = tmp_path / str(n)
        folder.mkdir()
        (folder / "log.jsonl").write_bytes(b"".join(lines[:n]))
        objective = Learning()
        paid_before = read(folder / "log.jsonl").evaluations.keys()
        history = promote(folder, objective=objective, optimizer=optimizer)
        assert said(history) == said(whole), n
        assert history.drifts() == []
        assert paid_before.isdisjoint(objective.evaluated)


def test_a_resumed_trial_pays_the_difference_of_the_shares(tmp_path: Path) -> None:
    history = promote(tmp_path)
    paid = [trial for id, trial in history.trials.items() if id in history.evaluations]
    shares = [
        trial.fidelity
        - (history.trials[trial.resumes].fidelity if trial.resumes is not None else 0)
        for trial in paid
    ]
    assert history.spent == pytest.approx(sum(shares)) and history.spent <= BUDGET + 1e-9


def test_cheap_rungs_keep_all_workers_busy(tmp_path: Path) -> None:
    promote(tmp_path, budget=1.0)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    asks = [line for line in lines if line["event"] == "ask"]
    assert asks[0]["n"] == 4 and len(asks[0]["trials"]) == 4


@pytest.mark.parametrize("optimizer", OURS)
@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("shorter", [1.0, 2.3, 3.0, 4.9])
def test_an_extended_run_equals_a_longer_one(
    shorter: float, workers: int, optimizer: str, tmp_path: Path
) -> None:
    whole = promote(tmp_path / "whole", workers=workers, optimizer=optimizer)
    promote(tmp_path / "extended", shorter, workers, optimizer=optimizer)
    again = promote(tmp_path / "extended", workers=workers, optimizer=optimizer)
    assert said(again) == said(whole)


def test_what_the_budget_refuses_is_logged_costs_nothing_and_is_told_to_nobody(
    tmp_path: Path,
) -> None:
    history = promote(tmp_path, budget=2.3)
    assert history.refused and history.refused.isdisjoint(history.evaluations)
    assert history.spent <= 2.3
    assert '"event": "refused"' in (tmp_path / "log.jsonl").read_text()


class Asks(Optimizer):
    """Asks for the given trials."""

    def __init__(self, space: ConfigurationSpace, *, seed: int, trials: Any) -> None:
        super().__init__(space, seed=seed)
        self._trials = [[trial_of(given) for given in asked] for asked in trials]

    def ask(self, n: int = 1) -> list[Trial]:
        return self._trials.pop(0) if self._trials else []

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        pass


def trial_of(given: Any) -> Any:
    return Trial(**given) if isinstance(given, dict) else given


def asked(id: Any, **fields: Any) -> dict[str, Any]:
    return {"id": id, "config": {"x": 0.5}, **fields}


@pytest.mark.parametrize(
    ("trials", "message"),
    [
        ([[asked(0, fidelity=0.0)]], "fidelity: expected one of 0.111111, 0.333333, 1, got 0.0"),
        ([[asked(0, fidelity=-1.0)]], "fidelity: expected one of"),
        ([[asked(0, fidelity=2.0)]], "fidelity: expected one of"),
        ([[asked(0, fidelity=0.5)]], "fidelity: expected one of"),
        ([[asked(0, resumes=7)]], "resumes: expected a trial that was evaluated, got 7"),
        ([[asked(0)], [asked(1, resumes=0)]], "expected a trial asked before, of a lower fidelity"),
        ([[asked(0), asked(1)]], "expected at most 1 trials, as asked for, got 2"),
        ([[asked(0)], [asked(0)]], "expected a new trial, got id 0"),
        ([[{"id": 0, "config": {"x": [1]}}]], "config.x: expected a plain Python value"),
        ([[{"id": 0, "config": {1: 0.5}}]], "config: expected names of parameters as text, got 1"),
        ([[{"id": 0, "config": None}]], "config: expected a value by parameter, got None"),
        ([[asked(0, fidelity=None)]], "fidelity: expected one of .*, got None"),
        ([[asked(0, fidelity=True)]], "fidelity: expected one of .*, got True"),
        ([[asked(0, resumes=[0])]], r"resumes: expected a trial that was evaluated, got \[0\]"),
        ([[asked("0")]], "trial.id: expected an integer of at least 0, got '0'"),
        ([[asked(True)]], "trial.id: expected an integer of at least 0, got True"),
        ([[0.5]], "optimizer: expected a list of trials, got 0.5"),
    ],
)
def test_an_ask_that_breaks_the_contract_is_one_readable_error_and_spoils_no_log(
    trials: Any, message: str, tmp_path: Path
) -> None:
    settings = RunSettings(
        {"optimizer": "asks", "objective": "learning"},
        {"_target_": "test_promoting.Asks", "trials": trials},
        {"_target_": "promoting.Learning"},
        seed=0,
        budget=4,
    )
    run = InlineRun(settings, Learning())
    with run.open(tmp_path) as log, pytest.raises(ValueError, match=message) as raised:
        run.execute(log)
    assert "\n" not in str(raised.value)
    assert read(tmp_path / "log.jsonl").header is not None


def test_an_objective_without_fidelities_takes_full_evaluations_only(tmp_path: Path) -> None:
    class Full(Learning):
        def __init__(self) -> None:
            super().__init__()
            self.fidelities = None

    with pytest.raises(ValueError, match="fidelity: expected one of 1, got 0.1111"):
        settings = RunSettings(
            {"optimizer": "asks", "objective": "learning"},
            {"_target_": "test_promoting.Asks", "trials": [[asked(0, fidelity=1 / 9)]]},
            {},
            seed=0,
            budget=4,
        )
        run = InlineRun(settings, Full())
        with run.open(tmp_path) as log:
            run.execute(log)


def test_fidelities_are_ascending_shares_that_end_in_a_full_evaluation() -> None:
    assert Fidelities((0.5, 1.0)).least == 0.5
    for grid in ((), (0.5,), (1.0, 0.5), (0.0, 1.0), (0.5, 0.5, 1.0), (0.5, 2.0)):
        with pytest.raises(ValueError, match="fidelities: expected ascending shares"):
            Fidelities(grid)


def test_a_promoting_optimizer_keeps_the_contract_of_the_others() -> None:
    space, grid = Learning.space, GRID
    first, second = (Promoting(space, seed=1, fidelities=grid) for _ in range(2))
    for _ in range(30):
        (trial,), (same,) = first.ask(1), second.ask(1)
        assert trial == same and first.ask(0) == []
        for optimizer in (first, second):
            optimizer.tell(trial, Evaluation(float(trial.id % 7), 1.0))


def test_whoever_reads_the_run_sees_what_it_spent(tmp_path: Path) -> None:
    history = promote(tmp_path / "run")
    (run,) = load([tmp_path / "run"])
    assert run.spent[-1] == pytest.approx(history.done) and run.spent[-1] < run.fidelities.sum()
    assert history.incumbent() == run.ids[run.incumbent()]
