"""Write the report: `index.html`, and the figures and tables beside it."""

import json
import re
from concurrent.futures import Executor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.report.chart import Chart
from experiments.report.contents import Contents
from experiments.report.figures import KINDS, save
from experiments.report.style import Look, looks

HERE = Path(__file__).parent


def write(made: Contents, optimizers: list[str], folder: Path, pool: Executor) -> list[Path]:
    """Write all files, the figures in `pool`, and return their paths, the page first.

    Raises:
        OSError: the folder cannot be written.
    """
    looked = looks(optimizers)
    for name in ("figures", "tables"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    stems = {stem: folder / "figures" / stem for stem in named(made)}
    saved = [pool.submit(save, chart, looked, stems[stem]) for stem, chart in named(made).items()]
    page = folder / "index.html"
    page.write_text(html(made, looked), encoding="utf-8")
    written = [page]
    written += [path.with_name(f"{path.name}.{k}") for path in stems.values() for k in KINDS]
    for section in made.sections:
        for table in section.tables:
            path = folder / "tables" / f"{table.name}.tex"
            path.write_text(table.latex(), encoding="utf-8")
            written.append(path)
    for each in saved:
        each.result()
    return written


def named(made: Contents) -> dict[str, Chart]:
    """Return the charts that are not empty, by names for files and for the page."""
    found: dict[str, Chart] = {}
    for section in made.sections:
        for chart in section.charts:
            if not chart.empty:
                stem = file_name(f"{chart.name} {chart.objective or ''}")
                while stem in found:
                    stem += "_"
                found[stem] = chart
    return found


def file_name(text: str) -> str:
    """Return text as part of a file's name, on any system."""
    return re.sub(r"[^\w.=-]+", "_", text, flags=re.ASCII).strip("_")[:100]


def html(made: Contents, looked: dict[str, Look]) -> str:
    """Return the page; all text from logs is escaped by the template."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # the extra `report`

    charts = named(made)
    data = {
        "looks": {name: asdict(look) for name, look in looked.items()},
        "charts": {stem: asdict(chart) for stem, chart in charts.items()},
    }
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    stems = {id(chart): stem for stem, chart in charts.items()}
    return environment.get_template("page.html").render(
        made=made,
        stems=stems,
        id=id,
        looks=looked,
        objectives=list(dict.fromkeys(c.objective for c in charts.values() if c.objective)),
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        script=(HERE / "page.js").read_text(encoding="utf-8"),
        plotly=(HERE / "plotly-basic.min.js").read_text(encoding="utf-8"),
        data=embedded(data),
    )


def embedded(data: Any) -> str:
    """Return JSON that no HTML parser can end, or take for a comment: `<`, `>`, `&` as escapes."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
