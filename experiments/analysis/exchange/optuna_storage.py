"""Export runs to an Optuna storage, for `optuna-dashboard` and Optuna's own analyses.

`out` ends in `.db` or `.sqlite3` for SQLite (13 ms of CPU time per evaluation), or in `.journal` or
`.log` for a journal (0.4 ms). A run becomes a study, named
`<objective> | <optimizer> | seed <seed> of <budget> | <identity>`; an evaluation is a trial, in
the order of arrival:

- The parameters have Optuna's distributions, including log scales and bounds. The choices of an
  ordinal keep their order, a constant is a categorical with one choice, and inactive parameters are
  absent.
- A success is COMPLETE with its value, which is minimised; with several goals, with the number of
  each in natural units and with its own direction. Limits are constraints.
- A failure is FAIL without a value, as in Optuna; `error`, and `penalty` if the objective grades
  failures, are user attributes.
- `metric.<name>`, `cost_s`, `ask_s`, `tell_s`, `fidelity` and `trial` (the id) are user attributes
  too. The content of the log's header becomes user attributes of the study.
- A trial ends when its answer arrived. It starts `cost` seconds earlier, but neither before the run
  starts nor, if trials are evaluated one by one, before the previous answer.
"""

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.pool import StaticPool

from experiments.analysis.exchange.optuna_trials import attributes, constraints, distributions_of
from experiments.analysis.exchange.problems import Problems
from experiments.analysis.results import Run

SQLITE = (".db", ".sqlite3")
JOURNAL = (".journal", ".log")

_OF_THE_STUDY = (
    "names",
    "optimizer",
    "objective",
    "goals",
    "notice",
    "fingerprint",
    "code",
    "versions",
    "hardware",
)


def write(runs: Sequence[Run], path: Path) -> None:
    """Write all runs into a new storage.

    Raises:
        ValueError: the file name has none of the endings above.
    """
    problems = Problems(runs)
    spaces = [problems.of(run).space for run in runs]
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings(), _storage(path) as storage:
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            for run, space in zip(runs, spaces, strict=True):
                _write_study(run, space, storage)
    finally:
        optuna.logging.set_verbosity(verbosity)


@contextmanager
def _storage(path: Path) -> Iterator[BaseStorage]:
    """Open a storage in memory; write it in the form that its ending names when the block ends.

    SQLite itself reports a full disk as an error of its own, and reads `?` in a path as an option.
    """
    if path.suffix in SQLITE:
        rdb = RDBStorage("sqlite://", {"poolclass": StaticPool})
        yield rdb
        rdb.remove_session()
        connection: Any = rdb.engine.raw_connection().driver_connection
        path.write_bytes(connection.serialize())
        rdb.engine.dispose()
    elif path.suffix in JOURNAL:
        journal = _Memory()
        yield JournalStorage(journal)
        path.write_text("".join(json.dumps(log) + "\n" for log in journal.logs), "utf-8")
    else:
        endings = ", ".join([*SQLITE, *JOURNAL])
        raise ValueError(f"out: expected a file that ends in one of {endings}, got {path.suffix!r}")


class _Memory:
    """A journal backend that keeps its lines in memory, so that they are written only once."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.logs.extend(logs)


def study_name(run: Run) -> str:
    """Return the name of a run's study."""
    identity = run.header.identity[:8]
    return f"{run.objective} | {run.optimizer} | seed {run.seed} of {run.budget:g} | {identity}"


def _write_study(run: Run, space: Any, storage: Any) -> None:
    name = study_name(run)
    goals = run.header.goals if run.header.several else {}
    directions = ["minimize" if goal.minimise else "maximize" for goal in goals.values()]
    study = optuna.create_study(
        storage=storage, study_name=name, directions=directions or ["minimize"]
    )
    study.set_metric_names(list(goals) or ["value"])
    about = {key: run.header.to_json()[key] for key in _OF_THE_STUDY}
    own = {"seed": run.seed, "identity": run.header.identity, "budget": run.budget}
    for key, value in {**about, **own, "ended": run.ended, "tests": run.tests}.items():
        study.set_user_attr(key, value)
    distributions = distributions_of(space)
    try:
        for trial in _trials(run, distributions):
            study.add_trial(trial)
    except (ValueError, KeyError, OverflowError) as error:  # a foreign value, or no calendar's time
        raise ValueError(
            f"{run.objective}, {run.optimizer}, seed {run.seed}: expected evaluations that Optuna "
            f"can store, got: {error}"
        ) from None


def _trials(run: Run, distributions: dict[str, BaseDistribution]) -> list[FrozenTrial]:
    started, ended = _datetimes(run)
    trials = []
    for i, config in enumerate(run.configs):
        failed = run.errors[i] is not None
        penalty = None if np.isnan(run.values[i]) else run.values[i].item()
        about = attributes(
            int(run.ids[i]),
            run.fidelities[i].item(),
            run.costs[i].item(),
            _measured(run, i),
            run.errors[i],
            penalty,
        )
        about.update({"ask_s": run.ask_s[i].item(), "tell_s": run.tell_s[i].item()})
        trials.append(
            FrozenTrial(
                number=i,
                trial_id=i,
                state=TrialState.FAIL if failed else TrialState.COMPLETE,
                value=None,
                values=None if failed else _values(run, i),
                datetime_start=started[i],
                datetime_complete=ended[i],
                params=config,
                distributions={name: distributions[name] for name in config},
                user_attrs=about,
                system_attrs={} if failed else constraints(run.header, _measured(run, i)),
                intermediate_values={},
            )
        )
    return trials


def _values(run: Run, i: int) -> list[float]:
    """Return the value of a success, or its numbers of several goals in natural units."""
    if not run.header.several:
        return [run.values[i].item()]
    return [run.metrics[name][i].item() for name in run.header.goals]


def _measured(run: Run, i: int) -> dict[str, float]:
    """Return the metrics that were measured in an evaluation."""
    return {name: x[i].item() for name, x in run.metrics.items() if not np.isnan(x[i])}


def _datetimes(run: Run) -> tuple[list[datetime], list[datetime]]:
    """Return the start and end of each trial, in local time as Optuna stores it."""
    alone = run.header.workers == 1
    earliest = np.concatenate([[0.0], run.times[:-1]]) if alone else np.zeros(len(run.ids))
    began = np.maximum(run.times - run.costs, earliest)
    start = float(run.header.time)
    return (
        [datetime.fromtimestamp(start + s) for s in began.tolist()],
        [datetime.fromtimestamp(start + s) for s in run.times.tolist()],
    )
