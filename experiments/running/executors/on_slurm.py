"""Evaluation as jobs of a Slurm cluster, submitted by submitit.

Every evaluation is a job with the cores and GPUs that the objective declares. The job writes its
answer into the run's folder, on a disk that all nodes share, and the runner takes it from there.
Pre-emption, a time limit of Slurm and a lost node are faults of the host: the trial is submitted
again. Jobs outlive the runner. A job's name is a digest of the run's folder and the whole trial,
so a restarted runner finds its jobs in the queue and waits for them.
"""

import hashlib
import json
import signal
import time
from collections import Counter
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Any

from experiments.running import interrupts
from experiments.running.executors import evaluating, job_results, slurm_queue
from experiments.running.executors.executor import Answer
from experiments.running.executors.handover import Handover
from experiments.running.executors.processes import TRIES, check_pickles
from objectives.objective import Objective
from objectives.trial import Evaluation, Trial

_LOOK_S = 0.2  # the interval between two looks into the folder of answers
_GRACE_S = 10.0  # the time that a shared disk may take to show the files of a job that has ended
ENDED = "Slurm ended its job: pre-emption or the time limit"


@dataclass
class _Job:
    """One evaluation in the queue of Slurm.

    Attributes:
        id: Slurm's number of the job.
        trial: the trial.
        running_since: when the runner first saw it run; None before.
        gone_since: when the runner first saw that it had left the queue; None before.
    """

    id: str
    trial: Trial
    running_since: float | None = None
    gone_since: float | None = None


class OnSlurm:
    """Evaluates every trial in a separate job."""

    rounds = False
    flush = False

    def __init__(
        self,
        objective: Objective,
        evaluation_timeout_s: float | None,
        parameters: dict[str, Any],
        poll_s: float,
    ) -> None:
        """Create the executor.

        Args:
            objective: the objective, which is pickled and sent to every job.
            evaluation_timeout_s: the time after which a running evaluation counts as failed; None
                means no limit other than Slurm's.
            parameters: those of submitit's Slurm executor.
            poll_s: the interval between two questions to Slurm in seconds.

        Raises:
            ValueError: Slurm or submitit is not installed, a parameter is unknown, or the objective
                cannot be pickled.
        """
        slurm_queue.check_installed()
        self._submitit = _submitit()
        check_pickles(objective)
        self._objective, self._timeout_s = objective, evaluation_timeout_s
        self._parameters, self._poll_s = parameters, poll_s
        self._jobs: list[_Job] = []
        self._left: dict[str, str] = {}  # ids of jobs of an earlier runner, by name
        self._deaths: Counter[int] = Counter()
        self._next_poll = 0.0

    def start(self, folder: Path, pending: list[Trial]) -> list[Answer]:
        self._folder = folder.absolute()
        self._objective.folder = self._folder
        self._handover = Handover(self._folder)
        self._handover.clear(pending)
        if pending:
            self._left = {name: id for id, (name, _) in slurm_queue.jobs().items()}
        self._files = self._folder / "answers" / "slurm"
        self._files.mkdir(parents=True, exist_ok=True)
        self._executor = self._submitit.SlurmExecutor(self._files)
        return [a for t in pending if (a := self._handover.take(t)) is not None]

    def reach(self) -> None:
        """Raise `OSError` if Slurm does not answer."""
        slurm_queue.jobs()

    def submit(self, trial: Trial) -> None:
        name = self._name(trial)
        id = self._left.pop(name, None) or self._send(name, evaluate, trial)
        self._jobs.append(_Job(id, trial))

    def _name(self, trial: Trial) -> str:
        """Return the name of the job of exactly this trial of this run."""
        text = json.dumps([str(self._folder), trial.to_json()], sort_keys=True)
        return f"tuneoff-{hashlib.sha256(text.encode()).hexdigest()[:24]}"

    def _send(self, name: str, work: Any, trial: Trial) -> str:
        """Submit a job; return its id."""
        try:
            self._executor.update_parameters(**self._parameters, job_name=name)
            with redirect_stderr(StringIO()):  # submitit prints what the error says too
                id: str = self._executor.submit(work, self._objective, trial).job_id
        except self._submitit.core.utils.FailedJobError as error:
            reason = " ".join(str(error).split())
            raise OSError(f"executor: expected sbatch to take a job, got: {reason}") from None
        return id

    def next(self) -> Answer:
        while True:
            for job in self._jobs:
                found = self._answer(job)
                if found is not None:
                    self._jobs.remove(job)
                    return found
            if time.monotonic() >= self._next_poll:
                found = self._poll()
                if found is not None:
                    return found
            with interrupts.released():
                time.sleep(_LOOK_S)

    def _answer(self, job: _Job) -> Answer | None:
        """Return what a job has left in the folder of answers."""
        found = self._handover.take(job.trial)
        if found is not None:
            return found
        outcome = self._outcome(job.id)
        if outcome is None:
            return None
        kind, result = outcome
        if kind == "success" and isinstance(result, Answer):
            return result
        raise RuntimeError(f"worker: {result}")

    def _outcome(self, id: str) -> tuple[str, Any] | None:
        """Return what submitit saved at the end of a job: the kind of outcome, and the outcome."""
        return job_results.read(self._submitit.core.utils.JobPaths(self._files, id).result_pickle)

    def _poll(self) -> Answer | None:
        """Ask Slurm for the states of all jobs; return the outcome of one that cannot answer."""
        queued = slurm_queue.jobs()
        now = time.monotonic()
        self._next_poll = now + self._poll_s
        for job in self._jobs:
            state = queued.get(job.id, ("", "GONE"))[1]
            if state == "RUNNING":
                job.running_since = job.running_since or now
            if state in ("RUNNING", *slurm_queue.WAITING, "COMPLETING"):
                job.gone_since = None
            else:
                job.gone_since = job.gone_since or now
            found = self._late(job, now) or self._vanished(job, now)
            if found is not None:
                self._jobs.remove(job)
                return found
        return None

    def _late(self, job: _Job, now: float) -> Answer | None:
        """Cancel a job that exceeds the time limit of evaluations, and return its failure."""
        limit = self._timeout_s
        if limit is None or job.running_since is None or now - job.running_since <= limit:
            return None
        slurm_queue.cancel([job.id])
        reason = f"evaluation_timeout_s: expected an answer within {limit:g} s, got none"
        return Answer(job.trial, Evaluation(None, limit, error=reason))

    def _vanished(self, job: _Job, now: float) -> Answer | None:
        """Return the outcome of a job that left the queue without an answer."""
        if job.gone_since is None:
            return None
        state = slurm_queue.final_state(job.id)
        if state in slurm_queue.CRASHED and now - job.gone_since < _GRACE_S:
            return self._answer(job)
        answer = self._answer(job)
        if answer is not None:
            return answer
        if state not in slurm_queue.CRASHED:
            return Answer(job.trial, None, retried=f"Slurm ended its job in state {state}")
        self._deaths[job.trial.id] += 1
        if self._deaths[job.trial.id] < TRIES:
            return Answer(job.trial, None, retried=f"the evaluation ended its job: {state}")
        reason = f"the evaluation ended its job {TRIES} times, the last time: {state}"
        return Answer(job.trial, Evaluation(None, 0.0, error=reason))

    def forget(self, trials: list[Trial]) -> None:
        for trial in trials:
            self._handover.remove(trial)

    def test(self, trial: Trial) -> dict[str, float]:
        id = self._send(f"{self._name(trial)}-test", test, trial)
        gone_since: float | None = None
        while (outcome := self._outcome(id)) is None:
            if id in slurm_queue.jobs():
                gone_since = None
            else:
                gone_since = gone_since or time.monotonic()
                if time.monotonic() - gone_since > _GRACE_S:
                    raise RuntimeError(f"the test ended its job: {slurm_queue.final_state(id)}")
            with interrupts.released():
                time.sleep(min(self._poll_s, 1.0))
        kind, result = outcome
        if kind != "success":
            raise RuntimeError(str(result).strip().splitlines()[-1].removeprefix("RuntimeError: "))
        metrics: dict[str, float] = result
        return metrics

    def close(self) -> None:
        """Leave the jobs to Slurm: a resumed run finds them and their finished answers."""


class _Ended(BaseException):
    """Slurm asked the job to end. No objective takes this for a failure of the configuration."""


def evaluate(objective: Objective, trial: Trial) -> Answer:
    """Evaluate one trial inside a job; the answer is on the disk when this function returns."""
    assert objective.folder is not None
    handover = Handover(objective.folder)

    def end(number: int, frame: FrameType | None) -> None:
        raise _Ended

    for number in (signal.SIGTERM, signal.SIGUSR2):  # submitit would ignore the one of them
        signal.signal(number, end)
    try:
        answer = evaluating.evaluate(objective, trial)
        for number in (signal.SIGTERM, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)
    except _Ended:
        return Answer(trial, None, retried=ENDED)
    if answer.evaluation is not None:
        handover.put(answer)
    return answer


def test(objective: Objective, trial: Trial) -> dict[str, float]:
    """Measure the test metrics of a trial inside a job."""
    return evaluating.test(objective, trial)


def _submitit() -> Any:
    try:
        import submitit
    except ImportError:
        raise ValueError(
            "executor: expected the package submitit, got none; install it with: "
            "pip install 'tuneoff[slurm]'"
        ) from None
    return submitit
