"""Write the report: `index.html`, and separate files for its figures and tables."""

import json
import math
import re
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.analysis.report.chart import Chart
from experiments.analysis.report.contents import Contents, Section
from experiments.analysis.report.figures import KINDS, save
from experiments.analysis.report.glossary import TERMS
from experiments.analysis.report.over_budget import BUDGET
from experiments.analysis.report.table import Table
from experiments.running import interrupts
from experiments.running.looks import Look

_WEB = Path(__file__).parent / "web"
_SCRIPTS = ("state", "charts", "ranks", "tables", "trials", "words", "page")


class Figures:
    """The charts of a report by file name, drawn in a pool as soon as they are added."""

    def __init__(self, folder: Path, looked: dict[str, Look], pool: Executor) -> None:
        self.charts: dict[str, Chart] = {}
        self.looks = looked
        self._folder, self._pool = folder, pool
        self._saved: list[Future[None]] = []

    def add(self, charts: Sequence[Chart]) -> None:
        """Draw the charts that are not empty.

        Raises:
            OSError: the folder cannot be created.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        for chart in charts:
            if chart.empty:
                continue
            stem = file_name(f"{chart.name} {chart.objective or ''}")
            while stem in self.charts:
                stem += "_"
            self.charts[stem] = chart
            with interrupts.held():  # the fork of a worker may swallow an interrupt
                self._saved.append(self._pool.submit(save, chart, self.looks, self._folder / stem))

    def written(self) -> list[Path]:
        """Wait for the files and return their paths.

        Raises:
            OSError: a file cannot be written.
        """
        for each in self._saved:
            interrupts.check()  # compiled code may have swallowed an interrupt
            each.result()
        return [self._folder / f"{stem}.{kind}" for stem in self.charts for kind in KINDS]


def write(made: Contents, figures: Figures, folder: Path) -> list[Path]:
    """Write the page and the tables, and return the paths of all files, the page first.

    Raises:
        OSError: the folder cannot be written.
    """
    tables = {folder / "tables" / f"{table.name}.tex": table for table in _tables(made)}
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    for path, table in tables.items():
        path.write_text(table.latex(), encoding="utf-8")
    page = folder / "index.html"
    page.write_text(html(made, figures), encoding="utf-8")
    return [page, *figures.written(), *tables]


def file_name(text: str) -> str:
    """Return text in a form that is valid in a file name on any system."""
    return re.sub(r"[^\w.=-]+", "_", text, flags=re.ASCII).strip("_")[:100]


def html(made: Contents, figures: Figures) -> str:
    """Return the page; all text from logs is escaped by the template."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # the extra `report`

    charts, looked = figures.charts, figures.looks
    data = {
        "looks": {name: asdict(look) for name, look in looked.items()},
        "charts": {stem: asdict(chart) for stem, chart in charts.items()},
        "tables": {table.name: _rows(table) for table in _tables(made)},
        "selection": made.selection,
        "trials": made.trials,
        "words": {"budget": BUDGET},
    }
    environment = Environment(
        loader=FileSystemLoader(_WEB), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    stems = {id(chart): stem for stem, chart in charts.items()}

    def drawn(section: Sequence[Chart]) -> list[str | None]:
        """Return the objectives of those charts that are not empty."""
        return list(dict.fromkeys(chart.objective for chart in section if id(chart) in stems))

    return environment.get_template("page.html").render(
        made=made,
        stems=stems,
        id=id,
        drawn=drawn,
        looks=looked,
        about=_about,
        glossary=TERMS,
        objectives=[task["name"] for task in made.selection["tasks"]],
        n_seeds=len({run[2] for run in made.selection["runs"]}),
        style=(_WEB / "page.css").read_text(encoding="utf-8"),
        script="".join((_WEB / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS),
        plotly=(_WEB / "plotly-basic.min.js").read_text(encoding="utf-8"),
        data=embedded(data),
    )


def _tables(made: Contents) -> list[Table]:
    first = [made.ranking[1]] if made.ranking else []
    return [*first, *(table for section in made.sections for table in section.tables)]


def _about(section: Section, line: int) -> str:
    """Return, as JSON, the objectives that a line of a section is about."""
    return json.dumps(section.about[line] if line < len(section.about) else [])


def _rows(table: Table) -> dict[str, Any]:
    """Return a table as plain values; a number that is not finite becomes text."""
    rows = [
        {
            "cells": [
                cell.text if cell.number is None else [cell.text, _plain(cell.number)]
                for cell in row.cells
            ],
            "optimizer": row.optimizer,
            "objective": row.objective,
            "seed": row.seed,
            "trial": row.trial,
        }
        for row in table.rows
    ]
    numeric = [table.numeric(column) for column in range(len(table.columns))]
    return {
        "columns": table.columns, "numeric": numeric, "follows": table.follows, "rows": rows,
    }  # fmt: skip


def _plain(number: float) -> float | str:
    return number if math.isfinite(number) else str(number)


def embedded(data: Any) -> str:
    """Return JSON with `<`, `>` and `&` escaped, so that it is safe within an HTML script."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
