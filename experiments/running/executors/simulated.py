"""Evaluation under a simulated clock: answers arrive in the order of their simulated cost.

Each trial is evaluated when it is submitted, and its answer waits in a queue until the simulated
time at which a real worker would have finished. A run with 1,024 workers therefore takes no longer
than a run with one, and the same run twice gives the same log except for real times. The log
contains the simulated time of every answer; the clock of a resumed run continues from there.

The simulated time contains the evaluations alone. The optimizer's own seconds are measured, so
they would make two runs differ.
"""

import heapq
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from experiments.running.events import Ask, Evaluated, Event, Extended, Refused
from experiments.running.executors.executor import Answer
from experiments.running.executors.inline import InProcess
from experiments.running.run_log import read
from objectives.objective import Objective
from objectives.trial import Evaluation, Trial


class Simulated(InProcess):
    """Any number of simulated workers, each on its own host.

    The duration of an evaluation is its cost if the objective simulates its costs. Otherwise it is
    `seconds` times the share of a full evaluation, deviating by at most the fraction `jitter`
    (uniform, one draw per trial id), and it becomes the logged cost. An evaluation that raises an
    exception in an objective with simulated costs takes no time.
    """

    def __init__(
        self,
        objective: Objective,
        *,
        rounds: bool = False,
        seconds: float = 1.0,
        jitter: float = 0.0,
        evaluation_timeout_s: float | None = None,
    ) -> None:
        """Create the executor.

        Args:
            objective: the objective.
            rounds: whether the runner asks for new trials only when no trial is pending.
            seconds: the duration of a full evaluation of an objective that measures its cost.
            jitter: the largest deviation from `seconds`, as a fraction of it.
            evaluation_timeout_s: the simulated duration after which an evaluation counts as failed.
        """
        self.rounds = rounds
        self.flush = not objective.cheap
        super().__init__(objective)
        self._seconds, self._jitter = seconds, jitter
        self._timeout_s = evaluation_timeout_s
        self._now = 0.0
        self._n_submitted = 0
        self._queue: list[tuple[float, int, Answer]] = []  # by time, then by order of submission
        self._started: dict[int, float] = {}  # of trials that were pending when the run stopped
        self._shares: dict[int, float] = {}

    def start(self, folder: Path, pending: list[Trial]) -> list[Answer]:
        """Set the clock to the time at which the log ends."""
        self._objective.folder = folder
        history = read(folder / "log.jsonl")
        self._now, self._started = clock_at_end(history.events)
        self._shares = {id: trial.fidelity for id, trial in history.trials.items()}
        return []

    def submit(self, trial: Trial) -> None:
        self._shares[trial.id] = trial.fidelity
        answer = self._timed(trial)
        began = self._started.pop(trial.id, self._now)
        cost = 0.0 if answer.evaluation is None else answer.evaluation.cost
        # A trial that was pending when the log ended cannot have been answered before its end.
        ends = max(began + cost, self._now)
        self._n_submitted += 1
        timed = replace(answer, simulated_s=ends)
        heapq.heappush(self._queue, (ends, self._n_submitted, timed))

    def _timed(self, trial: Trial) -> Answer:
        answer = self.evaluated(trial)
        if answer.evaluation is None:
            return answer
        evaluation = replace(answer.evaluation, cost=self._cost(trial, answer))
        limit = self._timeout_s
        if limit is not None and evaluation.cost > limit:
            reason = f"evaluation_timeout_s: expected an answer within {limit:g} s, got none"
            return Answer(trial, Evaluation(None, limit, error=reason))
        return replace(answer, evaluation=evaluation)

    def _cost(self, trial: Trial, answer: Answer) -> float:
        """Return the simulated duration of an evaluation in seconds."""
        if self._objective.simulates_cost:
            assert answer.evaluation is not None
            return 0.0 if answer.traceback is not None else answer.evaluation.cost
        before = 0.0 if trial.resumes is None else self._shares[trial.resumes]
        mean = self._seconds * (trial.fidelity - before)
        if not self._jitter:
            return mean
        return mean * (1 + self._jitter * float(np.random.default_rng(trial.id).uniform(-1, 1)))

    def next(self) -> Answer:
        self._now, _, answer = heapq.heappop(self._queue)
        return answer

    def close(self) -> None:
        self._queue.clear()


def clock_at_end(events: Iterable[Event]) -> tuple[float, dict[int, float]]:
    """Return the simulated time at the end of a log, and the start time of each asked trial.

    A trial starts when it is asked for. One that the budget refused starts when the run is
    extended.
    """
    now = 0.0
    started: dict[int, float] = {}
    refused: set[int] = set()
    for event in events:
        if isinstance(event, Ask):
            started.update({trial.id: now for trial in event.trials})
        elif isinstance(event, Evaluated) and event.simulated_s is not None:
            now = event.simulated_s
        elif isinstance(event, Refused):
            refused.update(event.ids)
        elif isinstance(event, Extended):
            started.update(dict.fromkeys(refused, now))
            refused.clear()
    return now, started
