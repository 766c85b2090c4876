"""The numbers of evaluations that a study shows, and their curves over the fidelity."""

import json

from experiments.running.header import Header
from experiments.running.headline import headline
from objectives.trial import Evaluation, Trial

PER_MILLE = 1000
"""The step of an intermediate value is this times the fidelity."""


def goals_of(header: Header) -> dict[str, bool]:
    """Return for each of the study's objectives whether it is minimised."""
    if header.several:
        return {name: goal.minimise for name, goal in header.goals.items()}
    about = headline(header)
    return {about.metric or "value": about.minimise}


def numbers_of(header: Header, evaluation: Evaluation) -> list[float] | None:
    """Return the numbers of a success, one for each objective; None if one is missing."""
    if header.several:
        found = [evaluation.metrics.get(name) for name in header.goals]
    else:
        found = [headline(header).of(evaluation)]
    return None if None in found else [float(x) for x in found if x is not None]


class Curves:
    """The intermediate values of trials: those of one configuration, or of one chain of resumes."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self._wanted = header.fidelities is not None and not header.several
        self._found: dict[int, dict[int, float]] = {}
        self._last: dict[str, int] = {}  # the last trial of each configuration

    def add(self, trial: Trial, evaluation: Evaluation) -> None:
        """Add an evaluation; they come in the order of arrival."""
        numbers = numbers_of(self._header, evaluation)
        if not self._wanted or evaluation.error is not None or numbers is None:
            return
        key = json.dumps(trial.config, sort_keys=True)
        before = self._last.get(key, -1) if trial.resumes is None else trial.resumes
        step = round(PER_MILLE * trial.fidelity)
        earlier = self._found.get(before, {})
        self._found[trial.id] = {at: x for at, x in earlier.items() if at < step}
        self._found[trial.id][step] = numbers[0]
        self._last[key] = trial.id

    def of(self, trial: Trial) -> dict[int, float]:
        """Return the intermediate values of a trial by step."""
        return self._found.get(trial.id, {})
