"""Runs as numbers: read from folders of logs, or from a file by `experiments.analysis.pack`.

runs = load([Path("results/smoke")])
runs[0].values  # (n,)
"""

import json
import lzma
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.running.earlier import upgraded
from experiments.running.header import Header
from experiments.running.run_log import History, read
from objectives.trial import Config

PACK = "runs.jsonl.xz"
PACK_FORMAT = 1
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
        values: what was minimised, (n,); NaN for a failure without a grade.
        errors: n of them, None where the evaluation succeeded. Statistics go by these.
        costs: seconds, (n,).
        metrics: by name, each (n,); NaN where one was not measured.
        items: per-item outcomes, n of them, as the log holds them.
        ask_s: seconds of the ask for this trial, (n,); an ask for k trials gives each its share.
        tell_s: seconds of its tell, (n,).
        times: seconds from the run's header to the answer, (n,), pauses included.
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
    values: Floats
    errors: list[str | None]
    costs: Floats
    metrics: dict[str, Floats]
    items: list[dict[str, str]]
    ask_s: Floats
    tell_s: Floats
    times: Floats
    tests: list[dict[str, Any]]

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return int(self.header.seed)

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Which evaluations failed, (n,)."""
        return np.array([error is not None for error in self.errors], dtype=bool)

    def incumbent(self, budget: float = np.inf) -> int | None:
        """Return the place of the first best full evaluation that succeeded; None without any.

        Args:
            budget: what came after it was spent does not count.
        """
        good = ~self.failed & ~np.isnan(self.values) & (self.fidelities == 1.0)
        good &= np.cumsum(self.fidelities) <= budget + ROUNDING
        return int(np.argmin(np.where(good, self.values, np.inf))) if good.any() else None


def load(paths: Iterable[Path]) -> list[Run]:
    """Return the runs of folders (searched for logs and packed files) and of packed files.

    In a stable order; a run that is given twice is taken once.

    Raises:
        ValueError: a path holds no run, or a damaged one.
        OSError: it cannot be read.
    """
    rows: dict[tuple[str, float], dict[str, Any]] = {}
    for path in paths:
        for row in _rows(path):
            rows[row["header"]["identity"], row["budget"]] = row
    return label([run_of(row) for row in sorted(rows.values(), key=order)])


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_dir():
        logs, packs = sorted(path.rglob("log.jsonl")), sorted(path.rglob(PACK))
        if not logs and not packs:
            raise ValueError(f"{path}: expected logs of runs, or {PACK}, below it, got none")
        for pack in packs:
            yield from _unpack(pack)
        yield from (row for log in logs if (row := row_of(log)) is not None)  # newer than a pack
    else:
        yield from _unpack(path)


def row_of(log: Path) -> dict[str, Any] | None:
    """Return a log as a row of a packed file; None where it is still empty."""
    history = read(log)
    if history.header is None:
        return None
    asked, told = _own_times(history)
    ids = list(history.evaluations)
    evaluations = list(history.evaluations.values())
    answered = {e["id"]: e["time"] for e in history.events if e["event"] == "evaluation"}
    start = history.header.time
    columns: dict[str, Any] = {
        "id": ids,
        "config": _columns([history.trials[id].config for id in ids]),
        "fidelity": [history.trials[id].fidelity for id in ids],
        "value": [evaluation.value for evaluation in evaluations],
        "error": [evaluation.error for evaluation in evaluations],
        "cost": [round(evaluation.cost, 6) for evaluation in evaluations],
        "metrics": _columns([evaluation.metrics for evaluation in evaluations]),
        "ask_s": [round(asked[id], 6) for id in ids],
        "tell_s": [round(told.get(id, 0.0), 6) for id in ids],
        "time": [round(answered[id] - start, 3) for id in ids],
    }
    if any(evaluation.items for evaluation in evaluations):
        columns["items"] = [evaluation.items for evaluation in evaluations]
    tests = [e for e in history.events if e["event"] == "test"]
    return {
        "header": history.header.to_json(),
        "budget": history.budget,
        "ended": history.ended,
        "tests": [{"id": e["id"], "metrics": e["metrics"]} for e in tests],
        "columns": columns,
    }


def order(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what rows are sorted by: names, then settings, then seed."""
    header = row["header"]
    names = header["names"]["objective"], header["names"]["optimizer"]
    settings = [json.dumps(header[key], sort_keys=True) for key in ("objective", "optimizer")]
    return *names, *settings, header["seed"], header["identity"], row["budget"]


def _own_times(history: History) -> tuple[dict[int, float], dict[int, float]]:
    """Return the seconds of asks and of tells by trial id."""
    asked: dict[int, float] = {}
    told: dict[int, float] = {}
    for event in history.events:
        if event["event"] == "ask":
            share = event["ask_s"] / len(event["trials"])
            asked.update({trial["id"]: share for trial in event["trials"]})
        told.update({int(id): s for id, s in event.get("tell_s", {}).items()})
    return asked, told


def _columns(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Turn one dict per evaluation into one list per key; None where a key is absent."""
    keys = dict.fromkeys(key for row in rows for key in row)
    return {key: [row.get(key) for row in rows] for key in keys}


def run_of(row: dict[str, Any]) -> Run:
    """Turn a row of a packed file into a run, labelled by its names alone."""
    header, columns = Header.from_json(upgraded(row["header"])), row["columns"]
    n = len(columns["id"])
    configs = [
        {key: column[i] for key, column in columns["config"].items() if column[i] is not None}
        for i in range(n)
    ]
    return Run(
        header=header,
        optimizer=header.names["optimizer"],
        objective=header.names["objective"],
        budget=row["budget"],
        ended=row["ended"],
        ids=np.array(columns["id"], dtype=np.int64),
        configs=configs,
        fidelities=_floats(columns["fidelity"]),
        values=_floats(columns["value"]),
        errors=columns["error"],
        costs=_floats(columns["cost"]),
        metrics={name: _floats(column) for name, column in columns["metrics"].items()},
        items=columns.get("items", [{} for _ in range(n)]),
        ask_s=_floats(columns["ask_s"]),
        tell_s=_floats(columns["tell_s"]),
        times=_floats(columns["time"]),
        tests=row["tests"],
    )


def _floats(column: Sequence[float | None]) -> Floats:
    return np.array([np.nan if x is None else x for x in column], dtype=np.float64)


def _unpack(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with lzma.open(path, "rt", encoding="utf-8") as file:
            first = json.loads(file.readline() or "null")
            if not isinstance(first, dict) or first.get("pack_format") != PACK_FORMAT:
                raise ValueError(f"it does not begin as one of format {PACK_FORMAT}")
            yield from (json.loads(line) for line in file)
    except (lzma.LZMAError, EOFError, ValueError) as error:
        raise ValueError(
            f"{path}: expected a folder of runs, or a file of packed runs, got another or damaged "
            f"file ({error})"
        ) from None


def label(runs: Sequence[Run]) -> list[Run]:
    """Name optimizers and objectives so that different settings have different names."""
    optimizers = _labels(runs, "optimizer", seeds=False)
    objectives = _labels(runs, "objective", seeds=True)
    return [
        replace(run, optimizer=optimizer, objective=objective)
        for run, optimizer, objective in zip(runs, optimizers, objectives, strict=True)
    ]


def _labels(runs: Sequence[Run], family: str, seeds: bool) -> list[str]:
    """Return each run's name with the settings in which runs of that name differ.

    A setting that is the run's budget in all of them, as a design's number of points is, is none.
    """
    settings = [dict(_flat(getattr(run.header, family))) for run in runs]
    groups: dict[str, list[int]] = defaultdict(list)
    for i, run in enumerate(runs):
        groups[run.header.names[family]].append(i)
    shown: dict[str, list[str]] = {}
    for name, members in groups.items():
        keys = list(dict.fromkeys(key for i in members for key in settings[i]))
        if seeds:
            for key in keys:
                _name_seed(key, [settings[i] for i in members], [runs[i].seed for i in members])
        shown[name] = [
            key
            for key in keys
            if len({repr(settings[i].get(key)) for i in members}) > 1
            if any(settings[i].get(key) != runs[i].header.budget for i in members)
        ]
    labels = []
    for run, own in zip(runs, settings, strict=True):
        name = run.header.names[family]
        labels.append(" ".join([name, *(f"{key}={own.get(key)}" for key in shown[name])]))
    return labels


def _name_seed(key: str, settings: Sequence[dict[str, Any]], seeds: Sequence[int]) -> None:
    """Put "seed" for the values of a setting that follow the seed.

    They do where each belongs to the one seed that it equals, and there are several of them; so
    `shift=none` and `shift=${seed}` are two tasks, however many seeds there are.
    """
    own: dict[str, set[int]] = defaultdict(set)
    for each, seed in zip(settings, seeds, strict=True):
        own[repr(each.get(key))].add(seed)
    follow = {value for value, found in own.items() if {value} == {repr(seed) for seed in found}}
    if len(follow) > 1 or follow == set(own):
        for each in settings:
            if repr(each.get(key)) in follow:
                each[key] = "seed"


def _flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested settings by their dotted keys."""
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
