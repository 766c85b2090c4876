"""Export runs as one table, in Parquet or CSV, with one row per evaluation.

- `identity`, `objective`, `optimizer`, `seed`, `budget`, `ended` describe the run. Both labels are
  those of `experiments.analysis.results`.
- `evaluation`, `trial`: the index in the order of arrival, from 0, and the id in the order of asks.
- `fidelity`: share of a full evaluation; `price`: the budget spent, which is less than the fidelity
  if the trial resumed another. `value`: minimised; null if it failed without a graded penalty.
  `failed`, `error`: statistics go by these, never by the size of the value.
- `cost_s`, `ask_s`, `tell_s`, `time_s`: seconds of the evaluation, of its share of the ask, of
  its tell, and from the start of the run to the answer, including pauses.
- `simulated_s`: simulated seconds from the start of the run to the answer, if the run has a
  simulated clock; null if its clock is real.
- `config.<parameter>`: in natural units; null if inactive.
- `metric.<name>`: in natural units; null if not measured.
- `items`: the packed per-item outcomes as JSON, only in Parquet, if a run has them.

A parameter that is a number in one run and text in another becomes a column of JSON texts. Integers
in a column with floats become floats. The header of each run (settings, versions, hardware,
fingerprint) and its test metrics are stored as JSON in the Parquet file's metadata, under
`tuneoff`; a CSV file cannot hold them. `read_parquet` returns the runs.
"""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.analysis.results import Run, label, run_of
from experiments.analysis.spreadsheet import cell
from experiments.running.json_lines import parsed

FORMAT = 1

Columns = dict[str, list[Any]]

_INT64 = range(-(2**63), 2**63)


def columns(runs: Sequence[Run]) -> Columns:
    """Return the table without items, as plain values; None for missing ones."""
    parameters = dict.fromkeys(name for run in runs for config in run.configs for name in config)
    metrics = dict.fromkeys(name for run in runs for name in run.metrics)
    table: Columns = {}
    simulated = any(run.ends is not None for run in runs)

    def add(name: str, cells: Sequence[Any]) -> None:
        table.setdefault(name, []).extend(cells)

    for run in runs:
        n = len(run.ids)
        add("identity", [run.header.identity] * n)
        add("objective", [run.objective] * n)
        add("optimizer", [run.optimizer] * n)
        add("seed", [run.seed] * n)
        add("budget", [run.budget] * n)
        add("ended", [run.ended] * n)
        add("evaluation", range(n))
        add("trial", run.ids.tolist())
        add("fidelity", run.fidelities.tolist())
        add("price", run.prices.tolist())
        add("value", _nullable(run.values))
        add("failed", run.failed.tolist())
        add("error", run.errors)
        for name, seconds in (
            ("cost_s", run.costs),
            ("ask_s", run.ask_s),
            ("tell_s", run.tell_s),
            ("time_s", run.times),
        ):
            add(name, seconds.tolist())
        if simulated:
            add("simulated_s", [None] * n if run.ends is None else run.ends.tolist())
        for name in parameters:
            add(f"config.{name}", [config.get(name) for config in run.configs])
        for name in metrics:
            measured = run.metrics.get(name, np.full(n, np.nan))
            add(f"metric.{name}", _nullable(measured))
    for name in parameters:
        table[f"config.{name}"] = _one_type(table[f"config.{name}"])
    return table


def frame(runs: Sequence[Run]) -> Any:
    """Return the table as a pandas DataFrame.

    Raises:
        ModuleNotFoundError: the extra `exchange` is not installed.
    """
    import pandas

    return pandas.DataFrame(columns(runs))


def _nullable(numbers: Any) -> list[float | None]:
    return [None if np.isnan(x) else x for x in numbers.tolist()]


def _one_type(cells: list[Any]) -> list[Any]:
    """Convert the cells to one common type; cells without a common type become JSON text."""
    types = {type(cell) for cell in cells if cell is not None}
    fits = all(cell in _INT64 for cell in cells if type(cell) is int)
    if types == {int, float} and fits:
        return [None if cell is None else float(cell) for cell in cells]
    if len(types) > 1 or not fits:
        return [None if cell is None else json.dumps(cell) for cell in cells]
    return cells


def write_csv(runs: Sequence[Run], path: Path) -> None:
    """Write the table as CSV in UTF-8, with floats in full precision and null as an empty cell.

    An apostrophe is put in front of text that a spreadsheet would treat as a formula.
    """
    table = columns(runs)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(map(cell, table))
        for row in zip(*table.values(), strict=True):
            writer.writerow(map(cell, row))


def write_parquet(runs: Sequence[Run], path: Path) -> None:
    """Write the table as Parquet, with the runs' headers in its metadata."""
    import pyarrow
    from pyarrow import parquet

    table = columns(runs)
    if any(items for run in runs for items in run.items):
        table["items"] = [json.dumps(i) if i else None for run in runs for i in run.items]
    texts = [key for key, cells in table.items() if key.startswith("config.") and _texts(cells)]
    about = {
        "format": FORMAT,
        "texts": [key for key in texts if any(_plain(run, key) for run in runs)],
        "runs": [
            {
                "header": run.header.to_json(),
                "budget": run.budget,
                "ended": run.ended,
                "tests": run.tests,
                "evaluations": len(run.ids),
                "metrics": list(run.metrics),
            }
            for run in runs
        ],
    }
    types = {
        "error": pyarrow.string(),
        "value": pyarrow.float64(),
        **{name: pyarrow.float64() for name in table if name.startswith("metric.")},
    }
    arrays = {name: pyarrow.array(cells, types.get(name)) for name, cells in table.items()}
    made = pyarrow.table(arrays).replace_schema_metadata({"tuneoff": json.dumps(about)})
    parquet.write_table(made, path, compression="zstd")


def _texts(cells: list[Any]) -> bool:
    return any(isinstance(cell, str) for cell in cells)


def _plain(run: Run, key: str) -> bool:
    """Return whether a run has values of a column other than text, so that the column is JSON."""
    name = key.removeprefix("config.")
    return any(not isinstance(config.get(name, ""), str) for config in run.configs)


def read_parquet(path: Path) -> list[Run]:
    """Return the runs that `write_parquet` wrote.

    Raises:
        ValueError: `write_parquet` did not write the file.
        OSError: it cannot be read.
    """
    from pyarrow import ArrowInvalid, parquet

    try:
        table = parquet.read_table(path)
        about = parsed((table.schema.metadata or {})[b"tuneoff"])
        if about["format"] != FORMAT:
            raise KeyError(about["format"])
    except (ArrowInvalid, KeyError, TypeError, ValueError):
        raise ValueError(
            f"{path}: expected a Parquet file that tuneoff exported, format {FORMAT}, got another"
        ) from None
    cells = table.to_pydict()
    for name in about["texts"]:
        cells[name] = [None if cell is None else json.loads(cell) for cell in cells[name]]
    runs, first = [], 0
    for fields in about["runs"]:
        last = first + fields["evaluations"]
        runs.append(run_of(_row(fields, {key: all_[first:last] for key, all_ in cells.items()})))
        first = last
    return label(runs)


def _row(fields: dict[str, Any], cells: Columns) -> dict[str, Any]:
    """Return a run as a row of a pack."""
    taken: Columns = {
        "id": cells["trial"],
        "fidelity": cells["fidelity"],
        "price": cells.get("price", cells["fidelity"]),
        "value": cells["value"],
        "error": cells["error"],
        "cost": cells["cost_s"],
        "ask_s": cells["ask_s"],
        "tell_s": cells["tell_s"],
        "time": cells["time_s"],
    }
    if fields["header"].get("clock") is not None:
        taken["simulated"] = cells["simulated_s"]
    if "items" in cells:
        taken["items"] = [{} if text is None else json.loads(text) for text in cells["items"]]
    named = {
        "config": {
            name.removeprefix("config."): column
            for name, column in cells.items()
            if name.startswith("config.")
        },
        "metrics": {name: cells[f"metric.{name}"] for name in fields["metrics"]},
    }
    about = {key: fields[key] for key in ("header", "budget", "ended", "tests")}
    return {**about, "columns": {**taken, **named}}
