"""One run as an Optuna study, kept in step with its log.

A trial of the run is a trial of the study, numbered in the order of asking:

- A full evaluation is COMPLETE. Its value is the number that tables show, in natural units and with
  its own direction: the metric of the goal, or the value if there is no goal. Several goals are
  several objectives. Limits are constraints.
- An evaluation at a partial fidelity is PRUNED, as in Optuna. Its number is an intermediate value;
  the step is the fidelity in thousandths. A trial that resumes others has their intermediate
  values too. With several goals there are no intermediate values, because Optuna has none.
- A failure is FAIL; `error` and `penalty` are user attributes.
- A pending trial is RUNNING while a process holds the log's lock, and otherwise WAITING. A refused
  trial is WAITING, because a larger budget makes it pending again; `refused` says so.
- `retries` and `retried_because` tell of interruptions by the host.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from experiments.analysis.exchange.optuna_trials import attributes, constraints, distributions_of
from experiments.analysis.spaces import holds, space_for
from experiments.running.events import Ask, Evaluated, Retried
from experiments.running.header import Header
from experiments.running.headline import headline
from experiments.running.history import History
from objectives.trial import Evaluation, Trial

PER_MILLE = 1000
"""The step of an intermediate value is this times the fidelity."""

_LATEST = 2.5e11  # seconds since 1970; the last year that a calendar represents is 9999

_OLD_CONSTRAINTS = "constraints"  # the key that optuna-dashboard 0.21 reads


class LiveStudy:
    """The study of one run."""

    def __init__(self, storage: BaseStorage, name: str, history: History) -> None:
        """Create the study.

        Args:
            storage: the storage, which contains no study of that name.
            name: the name of the study.
            history: the contents of the log so far, with a header.

        Raises:
            ValueError: the header describes no legal space.
        """
        assert history.header is not None
        self.name, self._storage, self._header = name, storage, history.header
        configs = [trial.config for trial in history.trials.values()]
        self._space = space_for(self._header, configs)
        self._distributions = distributions_of(self._space)
        goals = goals_of(self._header)
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            directions=["minimize" if least else "maximize" for least in goals.values()],
        )
        study.set_metric_names(list(goals))
        self._id = storage.get_study_id_from_name(name)
        self._told: dict[str, Any] = {}
        self._tell(_about(self._header))
        self._n_events = self._n_trials = self._n_retries = 0
        self._open: dict[int, _Open] = {}

    def update(self, history: History, live: bool) -> bool:
        """Bring the study up to date; return False if it has to be created anew.

        Args:
            history: the contents of the log; the study has seen a part of them.
            live: whether a process is executing the run.

        Raises:
            ValueError: a configuration lies outside the space.
        """
        new = list(islice(history.trials.values(), self._n_trials, None))
        if new and not holds(self._space, [trial.config for trial in new]):
            return False
        self._n_trials += len(new)
        for trial in new:
            self._open[trial.id] = _Open()
        self._read_events(history)
        for id in list(self._open):
            self._show(history, history.trials[id], live)
        ended = "ended" if history.ended else "stopped"
        self._tell({"state": "running" if live else ended, "budget": history.budget})
        self._tell({"retries": self._n_retries} if self._n_retries else {})
        return True

    def delete(self) -> None:
        """Delete the study."""
        self._storage.delete_study(self._id)

    def _tell(self, about: dict[str, Any]) -> None:
        """Set user attributes of the study that have changed."""
        for key, value in about.items():
            if self._told.get(key) != value:
                self._storage.set_study_user_attr(self._id, key, value)
                self._told[key] = value

    def _read_events(self, history: History) -> None:
        for event in islice(history.events, self._n_events, None):
            if isinstance(event, Ask):
                for trial in event.trials:
                    self._open[trial.id].asked = event.time
            elif isinstance(event, Evaluated):
                self._open[event.id].answered = event.time
            elif isinstance(event, Retried):
                self._n_retries += 1
                if event.id in self._open:
                    self._open[event.id].retries.append(event.reason)
        self._n_events = len(history.events)

    def _show(self, history: History, trial: Trial, live: bool) -> None:
        """Create or change one trial that had not ended yet."""
        shown = self._open[trial.id]
        made = self._made(history, trial, shown, live)
        if shown.trial_id is None:
            shown.trial_id = self._storage.create_new_trial(self._id, made)
        else:
            self._change(shown, made)
        shown.state, shown.attributes = made.state, made.user_attrs
        if made.state.is_finished():
            del self._open[trial.id]

    def _change(self, shown: "_Open", made: FrozenTrial) -> None:
        """Change a trial of the storage to what it should be."""
        id, storage = shown.trial_id, self._storage
        assert id is not None
        for key, value in made.user_attrs.items():
            if shown.attributes.get(key) != value:
                storage.set_trial_user_attr(id, key, value)
        if made.state == shown.state:
            return
        for step, number in made.intermediate_values.items():
            storage.set_trial_intermediate_value(id, step, number)
        for key, value in made.system_attrs.items():
            storage.set_trial_system_attr(id, key, value)
        storage.set_trial_state_values(id, made.state, made.values)

    def _made(self, history: History, trial: Trial, shown: "_Open", live: bool) -> FrozenTrial:
        """Return a trial as it should be in the storage."""
        evaluation = history.evaluations.get(trial.id)
        asked = shown.asked or self._header.time
        about = _of_pending(trial, refused=trial.id in history.refused)
        begun: float | None = asked
        state, values, curve, limits = TrialState.WAITING, None, {}, {}
        if evaluation is not None:
            state, values = _outcome(self._header, trial, evaluation)
            about = _of_answer(self._header, trial, evaluation)
            curve = _curve(history, trial)
            if state == TrialState.COMPLETE:
                limits = _limits(self._header, evaluation)
            begun = max(asked, shown.answered - evaluation.cost)
        elif trial.id not in history.refused and live:
            state = TrialState.RUNNING
        else:
            begun = None
        if shown.retries:
            about |= {"retries": len(shown.retries), "retried_because": shown.retries[-1]}
        return FrozenTrial(
            number=0,
            trial_id=0,
            state=state,
            value=None,
            values=values,
            datetime_start=None if begun is None else _moment(begun),
            datetime_complete=_moment(shown.answered) if evaluation else None,
            params=trial.config,
            distributions={name: self._distributions[name] for name in trial.config},
            user_attrs=about,
            system_attrs=limits,
            intermediate_values=curve,
        )


@dataclass
class _Open:
    """What is known of a trial that has not ended in the study.

    Attributes:
        trial_id: its id in the storage; None until it is created there.
        state: its state in the storage.
        attributes: its user attributes in the storage.
        asked: the time of its ask.
        answered: the time of its answer.
        retries: the reasons of its repetitions.
    """

    trial_id: int | None = None
    state: TrialState | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    asked: float = 0.0
    answered: float = 0.0
    retries: list[str] = field(default_factory=list)


def study_name(header: Header) -> str:
    """Return the name of a run's study."""
    names = f"{header.names['objective']} | {header.names['optimizer']}"
    return f"{names} | seed {header.seed} | {header.identity[:8]}"


def goals_of(header: Header) -> dict[str, bool]:
    """Return for each of the study's objectives whether it is minimised."""
    if header.several:
        return {name: goal.minimise for name, goal in header.goals.items()}
    about = headline(header)
    return {about.metric or "value": about.minimise}


def _numbers(header: Header, evaluation: Evaluation) -> list[float] | None:
    """Return the numbers of a success, one for each objective; None if one is missing."""
    if header.several:
        found = [evaluation.metrics.get(name) for name in header.goals]
    else:
        found = [headline(header).of(evaluation)]
    return None if None in found else [float(x) for x in found if x is not None]


def _outcome(
    header: Header, trial: Trial, evaluation: Evaluation
) -> tuple[TrialState, list[float] | None]:
    """Return the state and the values of an evaluated trial."""
    numbers = None if evaluation.error is not None else _numbers(header, evaluation)
    if numbers is None:
        return TrialState.FAIL, None
    return (TrialState.COMPLETE, numbers) if trial.fidelity == 1.0 else (TrialState.PRUNED, None)


def _of_answer(header: Header, trial: Trial, evaluation: Evaluation) -> dict[str, Any]:
    """Return the user attributes of an evaluated trial."""
    error = evaluation.error
    if error is None and _numbers(header, evaluation) is None:
        error = f"expected the metric {', '.join(goals_of(header))}, got none"
    about = attributes(
        trial.id, trial.fidelity, evaluation.cost, evaluation.metrics, error, evaluation.value
    )
    if trial.resumes is not None:
        about["resumes"] = trial.resumes
    return about


def _of_pending(trial: Trial, refused: bool) -> dict[str, Any]:
    about: dict[str, Any] = {"trial": trial.id, "fidelity": trial.fidelity}
    if refused:
        about["refused"] = "the budget does not pay this trial"
    return about


def _curve(history: History, trial: Trial) -> dict[int, float]:
    """Return the intermediate values of a trial and of those that it resumes, by step."""
    header = history.header
    assert header is not None
    if header.several or header.fidelities is None:
        return {}
    found: dict[int, float] = {}
    one: Trial | None = trial
    while one is not None:
        evaluation = history.evaluations.get(one.id)
        numbers = None if evaluation is None else _numbers(header, evaluation)
        if numbers is not None and evaluation is not None and evaluation.error is None:
            found[round(PER_MILLE * one.fidelity)] = numbers[0]
        one = None if one.resumes is None else history.trials[one.resumes]
    return dict(sorted(found.items()))


def _limits(header: Header, evaluation: Evaluation) -> dict[str, Any]:
    """Return the constraints of a success, under the keys of Optuna and of its dashboard."""
    found = constraints(header, evaluation.metrics)
    return {_OLD_CONSTRAINTS: list(found.values()), **found} if found else {}


def _moment(seconds: float) -> datetime:
    """Return a time in local time, as Optuna stores it; a damaged time becomes a possible one."""
    return datetime.fromtimestamp(min(max(seconds, 0.0), _LATEST))


def _about(header: Header) -> dict[str, Any]:
    """Return what the study's page says of the run; texts, because Optuna copies them often."""
    about: dict[str, Any] = {
        "optimizer": json.dumps(header.optimizer),
        "objective": json.dumps(header.objective),
        "seed": header.seed,
        "workers": header.workers,
        "identity": header.identity,
        "code": json.dumps(header.code),
    }
    if header.fidelities is not None:
        about["steps"] = "thousandths of a full evaluation"
    for name, limit in header.limits.items():
        rule = "at most" if limit.at_most else "at least"
        about[f"limit.{name}"] = f"{rule} {limit.bound:g} {limit.unit}".rstrip()
    if header.notice:
        about["notice"] = header.notice
    return about
