"""Evaluation on a Ray cluster, on this machine or on many.

Each worker is a Ray actor that holds the objective and evaluates one trial after the other with the
resources that the objective declares; Ray sets CUDA_VISIBLE_DEVICES for it. A worker writes its
answer into the run's folder, on a disk that all nodes share, before it returns it. A lost node is
a fault of the host: the trial is submitted again. If the runner is killed, Ray ends its workers;
their finished answers are used when the run resumes.
"""

from collections import Counter, deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from experiments.running.executors import evaluating
from experiments.running.executors.executor import Answer
from experiments.running.executors.handover import Handover
from experiments.running.executors.processes import TRIES, Test, check_pickles
from experiments.running.executors.ray_cluster import Cluster, go_to, node_id
from experiments.running.executors.ray_crew import Crew, Ending
from objectives.objective import Objective
from objectives.trial import Evaluation, Trial

_POLL_S = 0.5


class OnRay:
    """Evaluates on at most `workers` actors, each with its own copy of the objective."""

    rounds = False
    flush = False

    def __init__(
        self,
        objective: Objective,
        workers: int,
        evaluation_timeout_s: float | None = None,
        *,
        address: str | None = None,
        cpus: int | None = None,
    ) -> None:
        """Connect to the cluster.

        Args:
            objective: the objective, which is pickled and sent to every worker.
            workers: the number of evaluations at once.
            evaluation_timeout_s: the time after which an evaluation counts as failed; None means
                no limit.
            address: `host:port` or `auto` of a running cluster; None starts a local one.
            cpus: the cores that a local cluster offers; None means those of the machine.

        Raises:
            ValueError: no cluster answers, it is too small, or the objective cannot be pickled.
        """
        check_pickles(objective)
        self._objective, self._n = objective, workers
        self._timeout_s = evaluation_timeout_s
        self._cluster = Cluster(address, cpus)
        try:
            self._cluster.check(objective.resources, workers)
        except BaseException:
            self._cluster.close()
            raise
        self._done: deque[Answer] = deque()
        self._deaths: Counter[int] = Counter()
        self._crew: Crew | None = None

    def start(self, folder: Path, pending: list[Trial]) -> list[Answer]:
        self._objective.folder = folder.absolute()  # a worker may have another working folder
        self._handover = Handover(folder)
        self._handover.clear(pending)
        resources = self._objective.resources
        self._crew = Crew(self._cluster, self._n, resources, _Worker, self._objective)
        return [a for t in pending if (a := self._handover.take(t)) is not None]

    def submit(self, trial: Trial) -> None:
        assert self._crew is not None
        self._crew.submit(trial)

    def next(self) -> Answer:
        assert self._crew is not None
        while not self._done:
            self._done += map(self._answer, self._crew.wait(_POLL_S))
            self._end_late(self._crew)
        return self._done.popleft()

    def _answer(self, ending: Ending) -> Answer:
        """Return the answer to a trial, its failure, or the request to repeat it."""
        trial: Trial = ending.task
        if ending.how == "done":
            answer: Answer = ending.result
            return answer
        found = self._handover.take(trial)  # the worker may have finished just before
        if found is not None:
            return found
        if ending.how == "lost":
            return Answer(trial, None, retried="the node of its worker was lost")
        self._deaths[trial.id] += 1
        if self._deaths[trial.id] < TRIES:
            return Answer(trial, None, retried="the evaluation ended its process")
        reason = f"the evaluation ended its process {TRIES} times"
        return Answer(trial, Evaluation(None, 0.0, error=reason))

    def _end_late(self, crew: Crew) -> None:
        """Kill the evaluations that exceed the time limit; each counts as failed."""
        if self._timeout_s is None:
            return
        for trial in crew.late(self._timeout_s):
            crew.kill(trial)
            limit = f"{self._timeout_s:g}"
            reason = f"evaluation_timeout_s: expected an answer within {limit} s, got none"
            self._done.append(Answer(trial, Evaluation(None, self._timeout_s, error=reason)))

    def forget(self, trials: list[Trial]) -> None:
        for trial in trials:
            self._handover.remove(trial)

    def test(self, trial: Trial) -> dict[str, float]:
        assert self._crew is not None
        self._crew.submit(Test(trial))
        while not (endings := self._crew.wait(_POLL_S)):
            pass
        if endings[0].how != "done":
            raise RuntimeError(f"the test ended its process: {endings[0].reason}")
        metrics, error = endings[0].result
        if error is not None:
            raise RuntimeError(error)
        tested: dict[str, float] = metrics
        return tested

    def close(self) -> None:
        if self._crew is not None:
            self._crew.close()
        self._cluster.close()


class _Worker:
    """The actor: evaluates or tests trials."""

    def __init__(self, objective: Objective, folder: str) -> None:
        go_to(folder)
        assert objective.folder is not None
        self._objective = objective
        self._handover = Handover(objective.folder)

    def node(self) -> str:
        return node_id()

    def do(self, task: Trial | Test) -> Any:
        """Return the answer to a trial; or the metrics of a test, and its error."""
        if isinstance(task, Test):
            try:
                return evaluating.test(self._objective, task.trial), None
            except RuntimeError as error:
                return {}, str(error)
        answer = evaluating.evaluate(self._objective, task)
        if answer.evaluation is not None:
            with suppress(OSError):  # on a full disk, the log has reserved space for it
                self._handover.put(answer)
        return answer
