"""One run: an optimizer on an objective under a budget. It is described, opened and executed.

run = Run(settings)
with run.open(Path("folder")) as log:      # starts a new log, or continues that of the same run
    run.execute(log)
"""

import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra.errors import HydraException

from experiments.running import provenance
from experiments.running.declarations import declarations
from experiments.running.events import Extended
from experiments.running.executors.choice import ExecutorFactory, clock_of, executor_of, made_by
from experiments.running.executors.executor import Executor
from experiments.running.executors.handover import Handover
from experiments.running.header import Header
from experiments.running.history import History
from experiments.running.identity import identity, without_paths
from experiments.running.making import Problem, make_optimizer
from experiments.running.making_objective import check_gpus, make_objective
from experiments.running.run_log import RunLog, read
from experiments.running.run_settings import RunSettings as RunSettings
from experiments.running.runner import Watch, run
from experiments.running.same_run import check_design, check_same
from experiments.running.start import StartPoints, start_points
from experiments.running.stopping import rule_of
from experiments.running.targets import check_targets
from experiments.running.transfer import earlier_tasks
from objectives import expected
from objectives.objective import Objective
from optimizers.optimizer import Optimizer


class Run:
    """A run. It may be new, interrupted or finished."""

    def __init__(
        self,
        settings: RunSettings,
        objective: Objective | None = None,
        executor: ExecutorFactory | None = None,
    ) -> None:
        """Store the settings and create the objective.

        Args:
            settings: the settings of the run.
            objective: the objective that the settings describe, if it exists already.
            executor: creates the executor that runs the evaluations; None means the one that
                the settings describe.

        Raises:
            ValueError, OSError: no objective can be created from the settings.
        """
        self.settings = settings
        settings.check()
        if objective is None:
            name = settings.names["objective"]
            check_targets("objective", name, settings.objective, Objective)
            objective = make_objective(settings.objective)
        if not isinstance(objective, Objective):
            raise ValueError(f"objective: expected an Objective, got {type(objective).__name__}")
        check_gpus(objective, settings.gpus)
        self.objective = objective
        self.start = start_points(settings.start, objective)
        own = without_paths(settings.objective)
        self.earlier, self._transferred = earlier_tasks(settings.transfer, objective, own)
        self.stop = rule_of(settings.stop)
        self._new_executor = executor or executor_of(settings.executor)
        self._optimizer: Optimizer | None = None
        self._executor: Executor | None = None

    @cached_property
    def header(self) -> Header:
        """The description of the run, which is the first line of its log."""
        settings, objective = self.settings, self.objective
        declared = declarations(objective)
        version = expected.whole("optimizer.version", self._of_optimizer("version", 1), 0)
        resolved = without_paths(settings.optimizer)
        clock = clock_of(self._new_executor, objective)
        written = without_paths(settings.optimizer_as_written) or resolved
        return Header(
            identity=identity(
                settings.names,
                settings.optimizer_as_written or settings.optimizer,
                settings.objective,
                settings.seed,
                settings.workers,
                version,
                declared["fingerprint"],
                clock,
                self.start,
                None if self._transferred is None else self._transferred.digest,
            ),
            names=settings.names,
            optimizer=resolved,
            objective=without_paths(settings.objective),
            seed=settings.seed,
            budget=float(settings.budget),
            workers=settings.workers,
            optimizer_version=version,
            code=provenance.code(),
            versions=provenance.versions(),
            hardware=provenance.hardware(),
            written=None if written == resolved else written,
            clock=clock,
            start=self.start,
            own=bool(self._of_optimizer("own", False)),
            transfer=self._transferred,
            **declared,
        )

    @property
    def folder_name(self) -> Path:
        """The path of the run below a folder of results; it is named after the identity."""
        return folder_name(self.header)

    def history(self, folder: Path) -> History:
        """Return the contents of the run's log so far.

        Raises:
            ValueError: the log belongs to another run, is damaged, or cannot be continued.
            OSError: the log cannot be read.
        """
        path = folder / "log.jsonl"
        earlier = read(path) if path.exists() else History()
        if earlier.header is not None:
            check_same(earlier.header, self.header, path)
        return earlier

    def is_finished(self, earlier: History) -> bool:
        """Return whether a log contains every evaluation that the budget pays for.

        A run that a rule stopped is also finished, as long as this run's rule still stops it.
        """
        if earlier.stopped is not None:
            return self.stop.reason(earlier) is not None
        return earlier.ended and self.header.budget <= earlier.budget

    def make_optimizer(self) -> Optimizer:
        """Return a fresh optimizer that has not been asked for a trial.

        Its constructor receives the space and the seed. It also receives the goals, the limits,
        the fidelities and the earlier runs (`transfer`) if it has parameters of these names; see
        `making.py`.

        Raises:
            ValueError: no optimizer can be created from the settings for this objective.
        """
        self._named_optimizer()
        made = make_optimizer(self.settings.optimizer, self._problem, self.settings.seed)
        return StartPoints(made, self.start) if self.start else made

    def make_executor(self) -> Executor:
        """Return a fresh executor for the evaluations.

        Raises:
            ValueError: it cannot be made, or cannot evaluate this objective.
        """
        settings = self.settings
        limit_s = settings.evaluation_timeout_s
        return made_by(self._new_executor, self.objective, settings.workers, limit_s)

    @property
    def elsewhere(self) -> bool:
        """Whether the evaluations are made on the machines of a cluster."""
        return bool(getattr(self._new_executor, "elsewhere", False))

    @property
    def _problem(self) -> Problem:
        """The facts that the optimizer may know about the objective, and about earlier runs."""
        known = self.objective
        return Problem(known.space, known.fidelities, known.goals, known.limits, self.earlier)

    def _named_optimizer(self) -> Callable[..., Any]:
        """Return the class, or the function, that the settings name, after checking it."""
        settings = self.settings
        name = settings.names["optimizer"]
        return check_targets("optimizer", name, settings.optimizer, Optimizer)

    def _of_optimizer(self, attribute: str, otherwise: Any) -> Any:
        """Return an attribute of the optimizer's class, or of the optimizer that a function makes.

        If it cannot be created, return `otherwise`; `open` reports why.
        """
        try:
            named = self._named_optimizer()
            found = named if isinstance(named, type) else self.make_optimizer()
        except (ValueError, ImportError, HydraException):
            return otherwise
        return getattr(found, attribute, otherwise)

    def open(self, folder: Path) -> RunLog:
        """Open the run's log.

        The header is written to a new log. An existing log records the new budget if it is larger
        than the previous one.

        Raises:
            ValueError: the log belongs to another run, is damaged or is locked by another
                process, or no optimizer can be created from the settings.
            OSError: the folder cannot be written.
        """
        header = self.header
        self.stop.check(header)
        self._optimizer = self.make_optimizer()
        self._executor = self.make_executor()
        log = RunLog(folder)
        self._optimizer.folder = folder
        try:
            self._begin(log, header)
        except BaseException:
            log.close()
            raise
        return log

    def _begin(self, log: RunLog, header: Header) -> None:
        history, budget = log.history, header.budget
        if history.header is None:
            log.begin(header)
            return
        check_same(history.header, header, log.path)
        assert self._optimizer is not None
        if not self._optimizer.extendable:
            check_design(history.header, budget)
        if budget > history.budget:
            log.append(Extended(budget, time.time()))

    def execute(self, log: RunLog, watch: Watch = lambda log: None) -> None:
        """Run until the budget is spent, starting from where the log ends.

        Args:
            log: the log that `open` returned.
            watch: a function that is called after each logged evaluation.
        """
        assert self._optimizer is not None and self._executor is not None
        optimizer, executor, settings = self._optimizer, self._executor, self.settings
        try:
            run(optimizer, settings.budget, log, executor, settings.workers, watch, self.stop)
            Handover(log.path.parent).remove_all()  # the log contains all the answers
        finally:
            self._executor.close()
            self._optimizer.close()


def folder_name(header: Header) -> Path:
    """Return the path of a run below the folder of results; it is named after the identity."""
    run_name = f"seed{header.seed}-{header.identity[:8]}"
    return Path(header.names["objective"]) / header.names["optimizer"] / run_name
