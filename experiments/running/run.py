"""One run, an optimizer on an objective under a budget: described, opened, and executed.

run = Run(settings)
with run.open(Path("folder")) as log:      # begins a log, or goes on with the run's own
    run.execute(log)
"""

import inspect
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from hydra.utils import get_object, instantiate

from experiments.running import provenance
from experiments.running.events import Extended
from experiments.running.executors.choice import auto
from experiments.running.executors.executor import Executor
from experiments.running.executors.handover import Handover
from experiments.running.header import Header
from experiments.running.history import History
from experiments.running.identity import identity, without_paths
from experiments.running.run_log import RunLog, read
from experiments.running.runner import Watch, run
from objectives import description
from objectives.objective import Objective
from optimizers.optimizer import Optimizer

Settings = dict[str, Any]
ExecutorFactory = Callable[[Objective, int, float | None], Executor]
"""Makes an executor of an objective, the number of workers, and the limit of time."""


@dataclass(frozen=True)
class RunSettings:
    """What decides a run, as plain values.

    Attributes:
        names: of the two YAML files, by family: `optimizer` and `objective`.
        optimizer: its settings, resolved, with `_target_`.
        objective: likewise.
        seed: of the run.
        budget: in full-evaluation equivalents.
        workers: how many trials are evaluated at once.
        optimizer_as_written: its settings unresolved, where they differ: `${budget}` is no
            identity.
        evaluation_timeout_s: after which an evaluation has failed; None: no limit.
    """

    names: dict[str, str]
    optimizer: Settings
    objective: Settings
    seed: int
    budget: float
    workers: int = 1
    optimizer_as_written: Settings = field(default_factory=dict)
    evaluation_timeout_s: float | None = None


class Run:
    """A run that may not have begun, or may go on."""

    def __init__(
        self,
        settings: RunSettings,
        objective: Objective | None = None,
        executor: ExecutorFactory = auto,
    ) -> None:
        """Take what decides the run.

        Args:
            settings: of it.
            objective: that of the settings, where it is made already.
            executor: where the evaluations run.

        Raises:
            ValueError, OSError: the settings make no objective.
        """
        self.settings = settings
        for family in ("optimizer", "objective"):
            _check_finite(family, getattr(settings, family))
        if objective is None:
            objective = instantiate(settings.objective, _convert_="all")
        if not isinstance(objective, Objective):
            raise ValueError(f"objective: expected an Objective, got {type(objective).__name__}")
        self.objective = objective
        self._new_executor = executor
        self._optimizer: Optimizer | None = None
        self._executor: Executor | None = None

    @cached_property
    def header(self) -> Header:
        """The description of the run, which begins its log."""
        settings, objective = self.settings, self.objective
        fingerprint = {"version": objective.version, **objective.fingerprint()}
        version = self._optimizer_version()
        resolved = without_paths(settings.optimizer)
        written = without_paths(settings.optimizer_as_written) or resolved
        return Header(
            identity=identity(
                settings.names,
                settings.optimizer_as_written or settings.optimizer,
                settings.objective,
                settings.seed,
                settings.workers,
                version,
                fingerprint,
            ),
            names=settings.names,
            optimizer=resolved,
            objective=without_paths(settings.objective),
            seed=settings.seed,
            budget=float(settings.budget),
            workers=settings.workers,
            optimizer_version=version,
            goals=dict(objective.goals),
            space=description.describe(objective.space),
            forbidden=description.forbidden(objective.space),
            fidelities=objective.fidelities,
            resources=objective.resources,
            default=objective.default,
            coco=objective.coco,
            noise_sd=float(objective.noise_sd),
            optimum=None if objective.optimum is None else float(objective.optimum),
            notice=objective.notice(),
            fingerprint=fingerprint,
            code=provenance.code(),
            versions=provenance.versions(),
            hardware=provenance.hardware(),
            written=None if written == resolved else written,
        )

    @property
    def folder_name(self) -> Path:
        """Where the run lies below a folder of results: named after its identity."""
        return folder_name(self.header)

    def history(self, folder: Path) -> History:
        """Return what the run's log holds so far.

        Raises:
            ValueError: it is the log of another run, or damaged, or the run cannot go on.
            OSError: it cannot be read.
        """
        path = folder / "log.jsonl"
        earlier = read(path) if path.exists() else History()
        if earlier.header is not None:
            check_same(earlier.header, self.header, path)
        return earlier

    def is_finished(self, earlier: History) -> bool:
        """Return whether a log has all that the budget pays for."""
        return earlier.ended and self.header.budget <= earlier.budget

    def make_optimizer(self) -> Optimizer:
        """Return an optimizer that has asked nothing yet.

        It gets the space and the seed, and the goals and fidelities where it takes them.

        Raises:
            ValueError: the settings make no optimizer.
        """
        objective, settings = self.objective, self.settings.optimizer
        known = {"fidelities": objective.fidelities, "goals": dict(objective.goals)}
        taken = inspect.signature(_importable("optimizer", settings["_target_"])).parameters
        told = {name: value for name, value in known.items() if name in taken}
        make = instantiate(
            settings,
            space=objective.space,
            seed=self.settings.seed,
            _partial_=True,
            _convert_="all",
        )
        try:
            made = make(**told)
        except TypeError as error:
            if "argument" not in str(error):  # a fault inside, not a setting that it lacks
                raise
            name = settings["_target_"]
            raise ValueError(
                f"optimizer: expected the settings that {name} takes, got: {error}"
            ) from None
        if not isinstance(made, Optimizer):
            raise ValueError(f"optimizer: expected an Optimizer, got {type(made).__name__}")
        return made

    def _optimizer_version(self) -> int:
        """Return the version of the optimizer; 1 where none can be made, as `open` will say."""
        try:
            target = get_object(self.settings.optimizer["_target_"])
            found = target if isinstance(target, type) else self.make_optimizer()
        except (ValueError, ImportError, HydraException):
            return 1
        return int(getattr(found, "version", 1))

    def open(self, folder: Path) -> RunLog:
        """Open the run's log: a new one gets its header, a finished one the larger budget.

        Raises:
            ValueError: it is the log of another run, damaged, or written by another process, or
                the settings make no optimizer.
            OSError: the folder cannot be written.
        """
        settings, header = self.settings, self.header
        self._optimizer = self.make_optimizer()
        self._executor = self._new_executor(
            self.objective, settings.workers, settings.evaluation_timeout_s
        )
        log = RunLog(folder)
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
            _check_design(history.header, budget)
        if budget > history.budget:
            log.append(Extended(budget, time.time()))

    def execute(self, log: RunLog, watch: Watch = lambda log: None) -> None:
        """Run to the end of the budget, going on where the log ends.

        Args:
            log: as `open` returned it.
            watch: called after every evaluation that was logged.
        """
        assert self._optimizer is not None and self._executor is not None
        settings = self.settings
        try:
            run(self._optimizer, settings.budget, log, self._executor, settings.workers, watch)
            Handover(log.path.parent).remove_all()  # all of it is in the log
        finally:
            self._executor.close()
            self._optimizer.close()


def _check_finite(where: str, settings: Any) -> None:
    """Raise `ValueError` where a number among settings is infinite or NaN."""
    if isinstance(settings, dict):
        for key, value in settings.items():
            _check_finite(f"{where}.{key}", value)
    elif isinstance(settings, list):
        for place, value in enumerate(settings):
            _check_finite(f"{where}.{place}", value)
    elif isinstance(settings, float) and not math.isfinite(settings):
        raise ValueError(f"{where}: expected a finite number, got {settings}")


def _importable(family: str, place: Any) -> Callable[..., Any]:
    """Return the class, or the function, that a `_target_` names.

    Raises:
        ValueError: nothing has that name.
    """
    try:
        found = get_object(place)
    except Exception as error:  # whatever the module of a plug-in raises
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{family}._target_: expected a class that can be imported, got {place} ({reason}); "
            f"install its package, or type the command in the folder where the module lies"
        ) from error
    if not callable(found) or (isinstance(found, type) and not issubclass(found, Optimizer)):
        raise ValueError(f"{family}._target_: expected a subclass of Optimizer, got {place}")
    made: Callable[..., Any] = found
    return made


def folder_name(header: Header) -> Path:
    """Return the folder of a run below the folder of results: named after its identity."""
    run_name = f"seed{header.seed}-{header.identity[:8]}"
    return Path(header.names["objective"]) / header.names["optimizer"] / run_name


def _check_design(logged: Header, budget: float) -> None:
    """Raise unless the budget is the one that the design was made for."""
    if budget != logged.budget:
        raise ValueError(
            f"budget: expected {logged.budget:g}, as the design of "
            f"{logged.names['optimizer']} was made for it and cannot be extended, got "
            f"{budget:g}; give another out="
        )


_IDENTITY = ("seed", "workers", "objective", "optimizer", "optimizer_version", "fingerprint")


def check_same(logged: Header, now: Header, path: Path) -> None:
    """Raise `ValueError` unless the log is one of the run that was asked for."""
    for key in _IDENTITY:
        found = difference(key, getattr(logged, key), getattr(now, key))
        if found is not None and logged.identity != now.identity:
            raise ValueError(f"{path}: {found}; give another out=, or the log's own settings")
    release = [version.split(".")[:2] for version in (_version(logged), _version(now))]
    if release[0] != release[1]:
        raise ValueError(
            f"{path}: expected the code that wrote it, version {_version(logged)}, got "
            f"{_version(now)}; install that version, or give another out="
        )


def _version(header: Header) -> str:
    return header.code.get("version", "unknown")


def difference(where: str, logged: Any, now: Any) -> str | None:
    """Name the first place where two plain values differ."""
    if isinstance(logged, dict) and isinstance(now, dict):
        for key in [*logged, *(key for key in now if key not in logged)]:
            inner = difference(f"{where}.{key}", logged.get(key), now.get(key))
            if inner is not None:
                return inner
        return None
    return None if logged == now else f"expected {where}={logged} as the log has, got {now}"
