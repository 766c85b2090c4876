"""Files in the run's folder that carry answers from a worker to the log.

    answers/<id>.json    a complete answer, created by an atomic rename
    answers/<id>.claim   locked by the worker while it evaluates the trial; contains its process id

A worker writes its answer to the disk before it reports it. If the runner is killed, a restarted
runner therefore finds the answer, even if the worker finished after the runner's death.
"""

import fcntl
import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from experiments.running.events import evaluation_of, trial_of
from experiments.running.executors.executor import Answer
from experiments.running.fields import Fields
from objectives.trial import Trial


class Handover:
    """The folder of answers of one run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "answers"

    def clear(self, keep: list[Trial]) -> None:
        """Remove the files of all trials except these."""
        kept = {str(trial.id) for trial in keep}
        for path in self._folder.glob("*"):
            if path.is_file() and path.name.partition(".")[0] not in kept:
                path.unlink(missing_ok=True)

    def put(self, answer: Answer) -> None:
        """Write an answer; it is on the disk when this method returns.

        Raises:
            OSError: the answer cannot be written.
        """
        assert answer.evaluation is not None
        fields: dict[str, Any] = {
            "trial": answer.trial.to_json(),
            **answer.evaluation.to_json(),
            "traceback": answer.traceback,
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(answer.trial, "json")
        new = path.with_suffix(".new")
        with new.open("wb") as file:
            file.write(json.dumps(fields, allow_nan=False).encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def take(self, trial: Trial) -> Answer | None:
        """Return the answer to exactly this trial, or None if there is no such answer."""
        try:
            content = json.loads(self._path(trial, "json").read_bytes())
            fields = Fields(content, "answer")
            if trial_of(fields.mapping("trial")) != trial:
                return None
            return Answer(trial, evaluation_of(fields), fields.text_or_none("traceback"))
        except (FileNotFoundError, ValueError):
            return None

    def remove(self, trial: Trial) -> None:
        """Remove the files of a trial whose answer is in the log."""
        for kind in ("json", "claim"):
            self._path(trial, kind).unlink(missing_ok=True)

    def remove_all(self) -> None:
        """Remove the folder; call this only when no trial of the run is being evaluated."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def claim(self, trial: Trial) -> Iterator[None]:
        """Hold the claim of a trial; called in the process that evaluates it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._path(trial, "claim").open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.truncate(0)
            file.write(json.dumps({"trial": trial.to_json(), "pid": os.getpid()}))
            file.flush()
            yield

    def claimed(self, trial: Trial) -> bool:
        """Return whether a worker that survived its runner is evaluating exactly this trial."""
        try:
            with self._path(trial, "claim").open("r+") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return trial_of(json.loads(file.read())["trial"]) == trial
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            pass
        return False

    def kill(self, trial: Trial) -> None:
        """Kill the process group that evaluates a claimed trial."""
        try:
            pid = json.loads(self._path(trial, "claim").read_text())["pid"]
            if isinstance(pid, int) and pid > 1 and self.claimed(trial):
                os.killpg(pid, signal.SIGKILL)
        except (FileNotFoundError, ValueError, KeyError, TypeError, ProcessLookupError):
            pass

    def _path(self, trial: Trial, kind: str) -> Path:
        return self._folder / f"{trial.id}.{kind}"
