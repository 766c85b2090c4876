"""Runs as numbers: read from folders of logs, or from a file by `experiments.analysis.pack`.

runs = load([Path("results/smoke")])
runs[0].values  # (n,)
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.analysis.labels import labels_of
from experiments.analysis.packed import PACK, unpacked
from experiments.analysis.rows import MOST_BUDGET, Columns, Row, row_of, tests_of
from experiments.running.earlier import header_of
from experiments.running.fields import Fields
from experiments.running.header import Header
from experiments.running.incumbent import places
from objectives.trial import Config

ROUNDING = 1e-9
"""Shares of a budget such as 1/3 do not add up exactly."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """One run; arrays have one entry per evaluation, in the order of arrival.

    Attributes:
        header: the first event of its log: the problem, settings, seed, versions, hardware.
        optimizer: its label among the runs it was loaded with: the name, and the settings in
            which runs of this name differ.
        objective: likewise. Settings that equal the seed in all runs of the name, as an
            instance may, are left out: the seeds of one objective are one task.
        budget: what the run was given last.
        ended: whether it reached its end.
        ids: trial ids, (n,).
        configs: in natural units, n of them.
        fidelities: shares of a full evaluation, (n,).
        prices: what they spent of the budget, (n,): the fidelity, less that of the trial that was
            resumed.
        values: what was minimised, (n,); NaN for a failure without a grade.
        errors: n of them, None where the evaluation succeeded. Statistics go by these.
        costs: seconds, (n,).
        metrics: by name, each (n,); NaN where one was not measured.
        items: per-item outcomes, n of them, as the log holds them.
        ask_s: seconds of the ask for this trial, (n,); an ask for k trials gives each its share.
        tell_s: seconds of its tell, (n,).
        times: seconds from the run's header to the answer, (n,), pauses included.
        ends: the simulated time of each answer in seconds, (n,), ascending; None: a real clock.
        tests: the test metrics of incumbents, in order: `id` and `metrics` each.
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

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return self.header.seed

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Which evaluations failed, (n,)."""
        return np.array([error is not None for error in self.errors], dtype=bool)

    @property
    def spent(self) -> Floats:
        """The budget spent until each answer, (n,)."""
        return np.cumsum(self.prices)

    def incumbent(self, budget: float = np.inf) -> int | None:
        """Return the place of the incumbent; None without a success.

        Args:
            budget: what came after it was spent does not count.
        """
        late = self.spent > budget + ROUNDING
        found = places(self.values.tolist(), self.fidelities.tolist(), self.failed | late)
        return found[-1] if found else None

    def default(self) -> int | None:
        """Return the place of the first full success of the objective's default configuration."""
        default = self.header.default
        good = ~self.failed & ~np.isnan(self.values) & (self.fidelities == 1.0)
        places = np.flatnonzero(good).tolist() if default is not None else []
        return next((i for i in places if self.configs[i] == default), None)


def load(paths: Iterable[Path]) -> list[Run]:
    """Return the runs of folders (searched for logs and packed files) and of packed files.

    In a stable order; a run that is given twice is taken once. Nothing that a file says is
    imported or executed.

    Raises:
        ValueError: a path holds no run, or a damaged one; the message names file and line.
        OSError: it cannot be read.
    """
    runs: dict[tuple[str, float], Run] = {}
    for path in paths:
        for run in _runs(path):
            runs[run.header.identity, run.budget] = run
    return label(sorted(runs.values(), key=lambda run: order(run.header, run.budget)))


def _runs(path: Path) -> Iterator[Run]:
    if not path.is_dir():
        yield from _unpack(path)
        return
    logs, packs = sorted(path.rglob("log.jsonl")), sorted(path.rglob(PACK))
    if not logs and not packs:
        raise ValueError(f"{path}: expected logs of runs, or {PACK}, below it, got none")
    for pack in packs:
        yield from _unpack(pack)
    for log in logs:  # newer than a pack
        row = row_of(log)
        if row is not None:
            yield _run_at(str(log), row)


def _unpack(path: Path) -> Iterator[Run]:
    for number, row in unpacked(path):
        yield _run_at(f"{path}, line {number}", row)


def _run_at(where: str, row: Any) -> Run:
    """Return the run of a row, or raise with the place where it stands."""
    try:
        return run_of(row)
    except ValueError as error:
        raise ValueError(f"{where}: expected a run, got a damaged one ({error})") from None


def order(header: Header, budget: float) -> tuple[Any, ...]:
    """Return what runs are sorted by: names, then settings, then seed."""
    names = header.names["objective"], header.names["optimizer"]
    settings = [json.dumps(each, sort_keys=True) for each in (header.objective, header.optimizer)]
    return *names, *settings, header.seed, header.identity, budget


def run_of(row: Row) -> Run:
    """Turn a row of a pack into a run, labelled by its names alone.

    Raises:
        ValueError: the row is not what it should be.
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
    )
    if len(header.goals) < 2 and (np.isnan(run.values) & ~run.failed).any():
        raise ValueError("columns: expected a value or an error for each evaluation, got neither")
    return run


def label(runs: Sequence[Run]) -> list[Run]:
    """Name optimizers and objectives so that different settings have different names."""
    return [
        replace(run, optimizer=optimizer, objective=objective)
        for run, (optimizer, objective) in zip(runs, labels_of(runs), strict=True)
    ]
