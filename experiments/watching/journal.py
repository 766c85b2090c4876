"""An Optuna journal that is kept in step with logs as they grow.

The logs are the only truth. The journal is written anew at each start and can be thrown away.
"""

import json
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, TrialState

from experiments.running.following import Folders, GrowingLog
from experiments.running.mistakes import complain, explain
from experiments.running.plan import locked_files
from experiments.watching.study import LiveStudy, study_name

_MOST_COMPLAINTS = 10  # lines about logs that cannot be read


def _best_trial(storage: Any, study_id: int) -> FrozenTrial:
    """Return the best trial of one goal that keeps all limits; without one, the best trial.

    Raises:
        ValueError: no trial is complete.
    """
    done = storage.get_all_trials(study_id, deepcopy=False, states=[TrialState.COMPLETE])
    kept = [trial for trial in done if all(x <= 0 for x in trial.constraints.values())]
    if not done:
        raise ValueError("storage: expected a complete trial, got none")
    (direction,) = storage.get_study_directions(study_id)
    sign = -1 if direction == optuna.study.StudyDirection.MAXIMIZE else 1
    return min(kept or done, key=lambda trial: sign * float(trial.value))


class _File:
    """Optuna's backend of a journal: a file that one storage of this process writes.

    Others may read it. The lines are written to the file by `flush`, once for each pass. In memory
    are only the lines that the storage has not read yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._new: list[dict[str, Any]] = []
        self._unread: list[dict[str, Any]] = []
        self._n = 0
        path.write_bytes(b"")

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        keep = self._n - log_number_from
        self._unread = self._unread[len(self._unread) - keep :]
        return self._unread

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self._new += logs
        self._unread += logs
        self._n += len(logs)

    def flush(self) -> None:
        lines = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in self._new)
        self._new.clear()
        if lines:
            with self._path.open("ab") as file:
                file.write(lines.encode())


class Journal:
    """The journal of all runs below some folders.

    Attributes:
        storage: Optuna's storage, which the dashboard reads.
        path: the journal's file, which other processes can read.
    """

    def __init__(self, folders: Sequence[Path], path: Path) -> None:
        self.path = path
        self._file = _File(path)
        self.storage = JournalStorage(self._file)
        self.storage.get_best_trial = partial(_best_trial, self.storage)
        self._folders = Folders(list(folders))
        self._runs: dict[Path, _Followed] = {}
        self._names: set[str] = set()
        self._complaints: set[str] = set()

    @property
    def n_runs(self) -> int:
        """The number of runs in the journal."""
        return sum(run.study is not None for run in self._runs.values())

    @property
    def n_complaints(self) -> int:
        """The number of different errors of logs that could not be read."""
        return len(self._complaints)

    def step(self) -> None:
        """Read what is new in the logs, and write it to the journal.

        A log that cannot be read is reported in one line, once for each error.
        """
        found = list(self._folders.logs())
        for path in self._runs.keys() - set(found):
            self._forget(self._runs.pop(path))
        for path in found:
            self._runs.setdefault(path, _Followed(GrowingLog(path)))
        running = locked_files()
        with _quiet():
            for run in self._in_order():
                try:
                    self._follow(run, running)
                except FileNotFoundError:
                    continue  # it was removed since it was found; the next pass forgets it
                except (ValueError, OSError) as error:
                    self._complain(explain(error) or str(error))
        self._file.flush()

    def _in_order(self) -> Iterator["_Followed"]:
        """Yield the runs; new ones after the known ones, the most recently changed log first."""
        new = [run for run in self._runs.values() if run.study is None]
        yield from (run for run in self._runs.values() if run.study is not None)
        yield from sorted(new, key=lambda run: _changed(run.log.path), reverse=True)

    def _follow(self, run: "_Followed", running: set[int]) -> None:
        """Bring the study of one run up to date."""
        log, before = run.log, run.log.generation
        grown = log.read()
        if log.generation != before:
            self._forget(run)
        live = log.inode in running
        if log.history.header is None or not (grown or live != run.live):
            return
        if run.study is None:
            run.study = self._create(log)
        if not run.study.update(log.history, live):
            self._forget(run)
            run.study = self._create(log)
            run.study.update(log.history, live)
        run.live = live
        if log.history.ended and not live:
            log.release()

    def _create(self, log: GrowingLog) -> LiveStudy:
        assert log.history.header is not None
        name = base = study_name(log.history.header)
        number = 2
        while name in self._names:  # a copy of the log in another folder
            name, number = f"{base} ({number})", number + 1
        study = LiveStudy(self.storage, name, log.history)
        self._names.add(name)
        return study

    def _forget(self, run: "_Followed") -> None:
        if run.study is not None:
            run.study.delete()
            self._names.discard(run.study.name)
            run.study = None

    def _complain(self, reason: str) -> None:
        if reason in self._complaints:
            return
        self._complaints.add(reason)
        if len(self._complaints) <= _MOST_COMPLAINTS:
            complain(reason)
        elif len(self._complaints) == _MOST_COMPLAINTS + 1:
            complain(f"watch: expected readable logs, got more than {_MOST_COMPLAINTS} others")


class _Followed:
    """A log, its study once it has a header, and whether a process was executing the run."""

    def __init__(self, log: GrowingLog) -> None:
        self.log = log
        self.study: LiveStudy | None = None
        self.live = False


def _changed(path: Path) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Optuna's messages about what it creates."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
