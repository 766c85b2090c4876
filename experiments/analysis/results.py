"""Runs as arrays, read from folders of logs or from a file by `experiments.analysis.pack`.

runs = load("results/smoke")
runs[0].values  # (n,)
runs.frame()  # a row per evaluation, as a pandas DataFrame
runs.plot.convergence()  # a matplotlib figure
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.analysis.labels import labels_of
from experiments.analysis.sources import merged
from experiments.running.earlier import header_of
from experiments.running.fields import Fields
from experiments.running.header import Header
from experiments.running.incumbent import Incumbent, places
from experiments.running.packed import PACK, unpacked
from experiments.running.rows import MOST_BUDGET, Columns, Row, row_of, tests_of
from objectives.trial import Config, Evaluation

if TYPE_CHECKING:
    from experiments.analysis.plots import Plots

ROUNDING = 1e-9
"""Tolerance for sums of fidelities such as 1/3, which do not add up exactly."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """One run. Arrays have one entry per evaluation, in the order of arrival.

    Attributes:
        header: the first event of its log: the problem, settings, seed, versions, hardware.
        optimizer: the optimizer's label among the runs loaded together: its name, and the
            settings in which runs of this name differ.
        objective: the objective's label, likewise. Settings that equal the seed in all runs of
            the name, such as an instance, are left out, so the seeds of an objective are one task.
        budget: the budget that was last set for the run.
        ended: whether the run is finished.
        ids: trial ids, (n,).
        configs: n configurations in natural units.
        fidelities: shares of a full evaluation, (n,).
        prices: the budget that each evaluation spent, (n,): its fidelity, less that of the trial
            it resumed.
        values: the minimised values, (n,); NaN for a failure without a graded penalty.
        errors: n error messages, None if the evaluation succeeded. Statistics identify failures
            by these alone.
        costs: seconds, (n,).
        metrics: by name, each (n,); NaN where a metric was not measured.
        items: the per-item outcomes of the n evaluations, as in the log.
        ask_s: seconds spent in the ask for the trial, (n,); an ask for k trials is split evenly.
        tell_s: seconds spent in the tell of the evaluation, (n,).
        times: seconds from the run's header to the answer, (n,), pauses included.
        ends: the simulated time of each answer in seconds, (n,), ascending; None if the clock is
            real.
        stopped: why a rule ended the run before its budget was spent; None if none did.
        source: the folder or file, as given, that the run was loaded from.
        replica: the name of the source, if another source holds the same runs of this optimizer
            with other evaluations, so that both are kept apart; otherwise "".
        tests: the test metrics of incumbents in order, each with `id` and `metrics`.
    """

    header: Header
    optimizer: str
    objective: str
    budget: float
    ended: bool
    ids: NDArray[np.int64]
    configs: list[Config]
    fidelities: Floats
    prices: Floats
    values: Floats
    errors: list[str | None]
    costs: Floats
    metrics: dict[str, Floats]
    items: list[dict[str, str]]
    ask_s: Floats
    tell_s: Floats
    times: Floats
    tests: list[dict[str, Any]]
    ends: Floats | None = None
    stopped: str | None = None
    source: str = field(default="", repr=False, compare=False)
    replica: str = field(default="", repr=False, compare=False)

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return self.header.seed

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Which evaluations failed, (n,)."""
        return np.array([error is not None for error in self.errors], dtype=bool)

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Which evaluations keep all limits, (n,); a metric that was not measured keeps none."""
        found = np.ones(len(self.ids), dtype=bool)
        nothing = np.full(len(self.ids), np.nan)
        for name, limit in self.header.limits.items():
            excess = self.metrics.get(name, nothing) - limit.bound
            found &= (excess if limit.at_most else -excess) <= 0
        return found

    @property
    def spent(self) -> Floats:
        """The budget spent until each answer, (n,)."""
        return np.cumsum(self.prices)

    def incumbent(self, budget: float = np.inf) -> int | None:
        """Return the index of the incumbent; None if no success keeps the limits.

        With several goals, it is one of the incumbents, see `experiments.running.incumbent`.

        Args:
            budget: evaluations that arrived after this budget was spent are ignored.
        """
        lost = self.failed | (self.spent > budget + ROUNDING) | ~self.kept
        if self.header.several:
            return self._of_several(lost)
        found = places(self.values.tolist(), self.fidelities.tolist(), lost)
        return found[-1] if found else None

    def _of_several(self, lost: NDArray[np.bool_]) -> int | None:
        best = Incumbent(self.header.goals)
        for i in np.flatnonzero(~lost).tolist():
            metrics = {name: float(column[i]) for name, column in self.metrics.items()}
            measured = {name: x for name, x in metrics.items() if x == x}
            best.told(i, Evaluation(None, 0.0, measured), float(self.fidelities[i]))
        return best.id

    def default(self) -> int | None:
        """Return the index of the first successful full evaluation of the default configuration."""
        default = self.header.default
        valued = ~np.isnan(self.values) | self.header.several
        good = ~self.failed & valued & (self.fidelities == 1.0)
        places = np.flatnonzero(good).tolist() if default is not None else []
        return next((i for i in places if self.configs[i] == default), None)


class Runs(list[Run]):
    """Loaded runs, with their table and their figures."""

    def frame(self) -> Any:
        """Return a pandas DataFrame with a row per evaluation.

        Its columns are those of `experiments.analysis.exchange.tables`.

        Raises:
            ModuleNotFoundError: the extra `exchange` is not installed.
        """
        from experiments.analysis.exchange.tables import frame

        return frame(self)

    @property
    def plot(self) -> "Plots":
        """The figures of the runs, see `experiments.analysis.plots`."""
        from experiments.analysis.plots import Plots  # which imports this module

        return Plots(self)


def load(paths: Path | str | Iterable[Path | str]) -> Runs:
    """Return the runs of folders (searched for logs and packed files) and of packed files.

    The order is stable, and a run that occurs twice is returned once. If two paths hold one run
    with different evaluations, both are returned with different labels, see
    `experiments.analysis.sources`. No content of a file is imported or executed.

    Args:
        paths: one folder or file, or several.

    Raises:
        ValueError: a path holds no run, or a damaged one; the message names file and line.
        OSError: it cannot be read.
    """
    every = [paths] if isinstance(paths, Path | str) else [*paths]
    runs = merged([(str(path), [*_runs(Path(path))]) for path in every])
    return label(sorted(runs, key=lambda run: order(run.header, run.budget)))


def _runs(path: Path) -> Iterator[Run]:
    if not path.is_dir():
        yield from _unpack(path)
        return
    logs, packs = sorted(path.rglob("log.jsonl")), sorted(path.rglob(PACK))
    if not logs and not packs:
        raise ValueError(f"{path}: expected logs of runs, or {PACK}, below it, got none")
    for pack in packs:
        yield from _unpack(pack)
    for log in logs:  # logs are newer than a pack
        row = row_of(log)
        if row is not None:
            yield run_at(str(log), row)


def _unpack(path: Path) -> Iterator[Run]:
    for number, row in unpacked(path):
        yield run_at(f"{path}, line {number}", row)


def run_at(where: str, row: Any) -> Run:
    """Return the run of a row; an error message begins with `where`."""
    try:
        return run_of(row)
    except ValueError as error:
        raise ValueError(f"{where}: expected a run, got a damaged one ({error})") from None


def order(header: Header, budget: float) -> tuple[Any, ...]:
    """Return the sort key of a run: names, then settings, then seed."""
    names = header.names["objective"], header.names["optimizer"]
    settings = [json.dumps(each, sort_keys=True) for each in (header.objective, header.optimizer)]
    return *names, *settings, header.seed, header.identity, budget


def run_of(row: Row) -> Run:
    """Convert a row of a pack to a run, labelled by its names alone.

    Raises:
        ValueError: the row is malformed.
    """
    fields = Fields(row, "row")
    header = header_of(fields.mapping("header"))
    budget = fields.number("budget")
    if not 0 < budget <= MOST_BUDGET:
        raise ValueError(f"budget: expected at most {MOST_BUDGET:g} evaluations, got {budget:g}")
    columns = Columns(row)
    fidelities = columns.fidelities()
    run = Run(
        header=header,
        optimizer=header.names["optimizer"],
        objective=header.names["objective"],
        budget=budget,
        ended=fields.boolean("ended"),
        ids=columns.ids,
        configs=columns.configs(),
        fidelities=fidelities,
        prices=columns.prices(fidelities),
        values=columns.values(),
        errors=columns.errors(),
        costs=columns.numbers("cost", 0.0),
        metrics=columns.metrics(),
        items=columns.items(),
        ask_s=columns.numbers("ask_s", 0.0),
        tell_s=columns.numbers("tell_s", 0.0),
        times=columns.numbers("time"),
        tests=tests_of(row),
        ends=columns.ends(),
        stopped=fields.text("stopped") if "stopped" in fields else None,
    )
    if len(header.goals) < 2 and (np.isnan(run.values) & ~run.failed).any():
        raise ValueError("columns: expected a value or an error for each evaluation, got neither")
    return run


def label(runs: Sequence[Run]) -> Runs:
    """Label optimizers and objectives so that different settings have different labels."""
    labels = labels_of(runs, [run.replica for run in runs])
    return Runs(
        replace(run, optimizer=optimizer, objective=objective)
        for run, (optimizer, objective) in zip(runs, labels, strict=True)
    )
