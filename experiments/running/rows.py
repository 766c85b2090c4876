"""Runs as rows of plain values, made from a log or from a line of a pack, and validated.

A row has the log's header, one column per quantity, and the tests of incumbents. The file may come
from an untrusted source, so every type and length is checked before anything is computed.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.running.events import Ask, Ended, Evaluated
from experiments.running.fields import Fields
from experiments.running.history import History
from experiments.running.run_log import read
from objectives.expected import is_number, is_whole, refuse

Floats = NDArray[np.float64]
Row = dict[str, Any]

_PLAIN = {bool, int, float, str, type(None)}
_NUMBERS = {int, float}
_LARGEST_ID = 2**63
_LEAST = 1e-12  # share of a full evaluation
_MOST_SECONDS = 1e12
"""Thirty thousand years. A longer time is a sign of damage, and no calendar can represent it."""

MOST_BUDGET = 1e7
"""A curve has one number per full evaluation of the budget; a larger budget is a sign of damage."""


def row_of(log: Path) -> Row | None:
    """Return a log as a row; None if it is still empty.

    Raises:
        ValueError: the log is damaged.
        OSError: it cannot be read.
    """
    history = read(log)
    if history.header is None:
        return None
    asked, told, answered, simulated = _times(history)
    ids = list(history.evaluations)
    evaluations = list(history.evaluations.values())
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
    prices = [history.price(history.trials[id]) for id in ids]
    if prices != columns["fidelity"]:
        columns["price"] = prices
    if history.header.clock is not None:
        columns["simulated"] = [simulated[id] for id in ids]
    if any(evaluation.items for evaluation in evaluations):
        columns["items"] = [evaluation.items for evaluation in evaluations]
    stopped = {} if history.stopped is None else {"stopped": history.stopped}
    return {
        "header": history.header.to_json(),
        "budget": history.budget,
        "ended": history.ended,
        **stopped,
        "tests": [{"id": test.id, "metrics": test.metrics} for test in history.tests()],
        "columns": columns,
    }


_ById = dict[int, float]


def _times(history: History) -> tuple[_ById, _ById, _ById, _ById]:
    """Return, by trial id, the seconds of its ask and its tell, and the arrival of its answer.

    The last dict contains the simulated time of the answer in seconds; 0 under a real clock.
    """
    asked: dict[int, float] = {}
    told: dict[int, float] = {}
    answered: dict[int, float] = {}
    simulated: dict[int, float] = {}
    for event in history.events:
        if isinstance(event, Ask):
            share = event.ask_s / max(len(event.trials), 1)
            asked.update({trial.id: share for trial in event.trials})
        elif isinstance(event, Evaluated):
            answered[event.id] = event.time
            simulated[event.id] = event.simulated_s or 0.0
        if isinstance(event, Ask | Ended):
            told.update(_by_id(event.tell_s))
    return asked, told, answered, simulated


def _by_id(seconds: dict[str, float]) -> dict[int, float]:
    """Return seconds by trial id as integers, since JSON has strings as keys."""
    return {int(id): s for id, s in seconds.items() if id.isascii() and id.isdecimal()}


def _columns(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Convert one dict per evaluation to one list per key; None where a key is absent."""
    keys = dict.fromkeys(key for row in rows for key in row)
    return {key: [row.get(key) for row in rows] for key in keys}


class Columns:
    """The validated columns of a row, each with as many entries as there are ids."""

    def __init__(self, row: Row) -> None:
        """Read the columns of a row.

        Raises:
            ValueError: there are no columns, or the ids are invalid.
        """
        self._fields = Fields(Fields(row, "row").mapping("columns"), "columns")
        ids = self._fields.items("id")
        if not all(is_whole(id, 0) and id < _LARGEST_ID for id in ids):
            refuse("columns.id", "a list of trial ids", ids)
        if len(set(ids)) < len(ids):
            refuse("columns.id", "each id once", ids)
        self.ids = np.array(ids, dtype=np.int64)
        self.n = len(ids)

    def numbers(self, key: str, low: float = -_MOST_SECONDS, high: float = _MOST_SECONDS) -> Floats:
        """Return a column of numbers between two bounds, (n,)."""
        column = self._floats(f"columns.{key}", self._fields.items(key), gaps=False)
        inside = (column >= low) & (column <= high)
        if not inside.all():
            worst = column[~inside][0]
            refuse(f"columns.{key}", f"numbers from {low:g} to {high:g}", float(worst))
        return column

    def prices(self, fidelities: Floats) -> Floats:
        """Return the budget that each trial spent, (n,); its fidelity if the row has no prices."""
        return self.numbers("price", _LEAST, 1.0) if "price" in self._fields else fidelities

    def ends(self) -> Floats | None:
        """Return the non-decreasing simulated times of the answers, (n,); None for a real clock."""
        if "simulated" not in self._fields:
            return None
        ends = self.numbers("simulated", 0.0)
        if (np.diff(ends) < 0).any():
            raise ValueError("columns.simulated: expected times that never fall, got others")
        return ends

    def fidelities(self) -> Floats:
        """Return the shares of a full evaluation, (n,)."""
        return self.numbers("fidelity", _LEAST, 1.0)

    def values(self) -> Floats:
        """Return the values, (n,); NaN where a trial has none."""
        return self._floats("columns.value", self._fields.items("value"), gaps=True)

    def errors(self) -> list[str | None]:
        """Return the errors; None where an evaluation succeeded."""
        column = self._checked("columns.error", self._fields.items("error"), {str, type(None)})
        return list(column)

    def configs(self) -> list[dict[str, Any]]:
        """Return the configurations, without the parameters that are inactive."""
        columns = {
            name: self._plain(f"columns.config.{name}", column)
            for name, column in self._fields.mapping("config").items()
        }
        return [
            {name: column[i] for name, column in columns.items() if column[i] is not None}
            for i in range(self.n)
        ]

    def metrics(self) -> dict[str, Floats]:
        """Return the metrics by name, (n,) each; NaN where a metric was not measured."""
        named = self._fields.mapping("metrics")
        return {
            name: self._floats(f"columns.metrics.{name}", column, gaps=True)
            for name, column in named.items()
        }

    def items(self) -> list[dict[str, str]]:
        """Return the packed per-item outcomes."""
        if "items" not in self._fields:
            return [{} for _ in range(self.n)]
        column = self._checked("columns.items", self._fields.items("items"), {dict})
        for outcomes in column:
            Fields({"items": outcomes}, "columns").texts("items")
        return list(column)

    def _checked(self, where: str, column: Any, kinds: set[type]) -> list[Any]:
        """Return a column after checking its length and the types of its entries."""
        if not isinstance(column, list):
            refuse(where, "a list", column)
        if len(column) != self.n:
            raise ValueError(
                f"{where}: expected {self.n} entries, as many as ids, got {len(column)}"
            )
        if not set(map(type, column)) <= kinds:
            other = next(entry for entry in column if type(entry) not in kinds)
            names = ", ".join(sorted(_name(kind) for kind in kinds))
            refuse(where, f"entries of the types {names}", other)
        return column

    def _plain(self, where: str, column: Any) -> list[Any]:
        """Return a column of plain values whose numbers can be represented as floats."""
        entries = self._checked(where, column, _PLAIN)
        numbers = [x for x in entries if type(x) in _NUMBERS]
        if not all(map(is_number, (min(numbers), max(numbers)) if numbers else ())):
            raise ValueError(f"{where}: expected numbers that a float holds, got others")
        return entries

    def _floats(self, where: str, column: Any, gaps: bool) -> Floats:
        """Return a column of finite numbers, (n,), with NaN for its gaps if gaps are allowed."""
        entries = self._checked(where, column, _NUMBERS | ({type(None)} if gaps else set()))
        try:
            found = np.array([np.nan if x is None else x for x in entries], dtype=np.float64)
        except OverflowError:
            raise ValueError(f"{where}: expected numbers that a float holds, got others") from None
        missing = np.array([x is None for x in entries], dtype=bool)
        if not (np.isfinite(found) | missing).all():
            raise ValueError(f"{where}: expected finite numbers, got others")
        return found


def _name(kind: type) -> str:
    return "null" if kind is type(None) else kind.__name__


def tests_of(row: Row) -> list[dict[str, Any]]:
    """Return the test metrics of incumbents.

    Raises:
        ValueError: they are malformed.
    """
    return [dict(test) for test in _tests(row)]


def _tests(row: Row) -> Iterator[dict[str, Any]]:
    for test in Fields(row, "row").items("tests"):
        fields = Fields(test, "tests")
        yield {"id": fields.whole("id"), "metrics": fields.numbers("metrics")}
