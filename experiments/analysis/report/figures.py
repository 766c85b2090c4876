"""Charts as PDF and SVG by matplotlib, for papers; they are legible in black and white."""

from pathlib import Path
from textwrap import wrap
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.analysis.report.chart import Chart, Number, Series
from experiments.running.looks import DASHES, MARKERS, Look
from experiments.running.panels import plain_text, with_strips

TONES = ["#c9c9c9", "#7fa8c9", "#b8410a"]
"""Colours of the parallel coordinates, from worst to best, with decreasing lightness."""

_OWN = {"filled": Look("#0072B2", "solid", "circle"), "hollow": Look("#D55E00", "solid", "circle")}
MARK = Look("#111111", "solid", "star")
"""The look of a marked point that belongs to no optimizer."""

_LONG = 48  # maximum characters of a label
_SHORT = 14  # maximum characters of a label beside a strip
_LINE = {"x": 64, "y": 42}  # maximum characters of a line of an axis's title

KINDS = {"pdf": "CreationDate", "svg": "Date"}
"""The formats of a figure, each with the metadata to leave out so that files are reproducible."""

_STYLE: dict[Any, Any] = {
    "font.family": "STIXGeneral",  # matches LaTeX's fonts, and is small and quick to embed
    "mathtext.fontset": "stix",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "pdf.fonttype": 42,  # so that text can be searched and edited
    "svg.fonttype": "none",
    "svg.hashsalt": "tuneoff",  # so that the same runs give the same file
}


def save(chart: Chart, looks: dict[str, Look], stem: Path) -> None:
    """Write `<stem>.pdf` and `<stem>.svg`."""
    with matplotlib.rc_context(_STYLE):
        made = draw(chart, looks)
        if engine := made.get_layout_engine():
            engine.execute(made)
        made.set_layout_engine(None)  # once is enough for both; "none" would draw each twice
        for kind, date in KINDS.items():
            made.savefig(stem.with_name(f"{stem.name}.{kind}"), metadata={date: None})


def styled(chart: Chart, looks: dict[str, Look]) -> Figure:
    """Return the figure in the style of the files, for any backend."""
    with matplotlib.rc_context(_STYLE):
        made = draw(chart, looks)
        if engine := made.get_layout_engine():
            engine.execute(made)
    return made


def draw(chart: Chart, looks: dict[str, Look]) -> Figure:
    """Return a figure with its legend beside the axes."""
    rows = len(chart.y.ticks) if chart.kind == "dot" else 0
    wide = bool(chart.x.ticks) and len(chart.x.ticks) > 4
    height = max(1.4, 0.22 * rows + 0.8) if chart.kind == "dot" else 2.7
    failing = [series for series in chart.series if series.failures]
    height += 0.3 + 0.16 * len(failing) if failing else 0
    figure = Figure(figsize=(6.5 if wide else 5.2, height), layout="constrained")
    FigureCanvasAgg(figure)
    ((axes, strip),) = with_strips(figure, len(failing))
    for i, series in enumerate(chart.series):
        if chart.kind == "dot":
            _dots(axes, series, looks)
        else:
            _line(axes, chart, series, looks, i)
    _finish(axes, strip or axes, chart)
    if strip is not None:
        _failures(strip, failing, looks)
    if chart.kind != "dot" or any(series.look != "optimizer" for series in chart.series):
        _legend(figure, [axes, strip] if strip else [axes])
    return figure


def _legend(figure: Figure, panels: list[Axes]) -> None:
    by_label: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        by_label.update(zip(labels, handles, strict=True))
    if by_label:
        figure.legend(
            list(by_label.values()), list(by_label), loc="outside right center", frameon=False
        )


def _plain(text: str, longest: int = _LONG) -> str:
    """Return text without matplotlib's mathematical markup, shortened to fit the figure."""
    return plain_text(text if len(text) <= longest else text[: longest - 1] + "…")


def _wrapped(title: str, longest: int) -> str:
    """Return the title of an axis on as many lines as it needs."""
    return "\n".join(_plain(line, longest) for line in wrap(title, longest))


def _floats(values: list[Number]) -> list[float]:
    return [np.nan if value is None else value for value in values]


def _line(axes: Axes, chart: Chart, series: Series, looks: dict[str, Look], number: int) -> None:
    x, y = _floats(series.x), _floats(series.y)
    if series.look.startswith("tone"):
        tone = int(series.look[4:])
        axes.plot(x, y, color=TONES[tone], linewidth=0.4 + 0.3 * tone, label=_plain(series.name))
        return
    if series.look == "marks":
        look = looks.get(series.name, MARK)
        size = 6.0 if series.name not in looks else 2.2
        named = "" if series.name in looks else _plain(series.name)
        axes.plot(
            x, y, MARKERS[look.marker], color=look.colour, markersize=size, label=named,
            alpha=0.45 if series.name in looks else 1.0, zorder=1 if series.name in looks else 5,
        )  # fmt: skip
        return
    look = looks[series.name]
    step: Literal["post"] | None = "post" if chart.kind == "step" else None
    axes.plot(
        x, y, linestyle=DASHES[look.dash], marker=MARKERS[look.marker], color=look.colour,
        markersize=3.5, markevery=_marked(len(x), number), linewidth=1.1, label=_plain(series.name),
        drawstyle="steps-post" if step else "default",
    )  # fmt: skip
    if series.low:
        low, high = _floats(series.low), _floats(series.high)
        axes.fill_between(x, low, high, step=step, color=look.colour, alpha=0.13, linewidth=0)


def _failures(strip: Axes, failing: list[Series], looks: dict[str, Look]) -> None:
    """Mark when evaluations failed, in one row per optimizer."""
    for row, series in enumerate(failing):
        budgets = [budget for budget, _ in series.failures]
        colour = looks[series.name].colour
        strip.plot(budgets, [row] * len(budgets), "x", color=colour, markersize=3)
    names = [_plain(series.name, _SHORT) for series in failing]
    strip.set_yticks(range(len(failing)), names)
    strip.tick_params(labelsize=6.5)
    strip.plot([], [], "x", color="0.3", markersize=3, label="failed")


def _marked(n: int, number: int) -> tuple[int, int] | None:
    """Return (first, step) of about eight points with markers, staggered between the series."""
    if n <= 8:
        return None
    every = max(1, n // 8)
    return (number * every // 4) % every, every


def _dots(axes: Axes, series: Series, looks: dict[str, Look]) -> None:
    look = looks[series.name] if series.look == "optimizer" else _OWN[series.look]
    face = "white" if series.look == "hollow" else look.colour
    x, y = _floats(series.x), _floats(series.y)
    if series.low:
        axes.hlines(y, _floats(series.low), _floats(series.high), color=look.colour, linewidth=0.9)
    axes.plot(
        x, y, MARKERS[look.marker], color=look.colour, markerfacecolor=face, markersize=4.5,
        label=_plain(series.name),
    )  # fmt: skip


def _finish(axes: Axes, bottom: Axes, chart: Chart) -> None:
    axes.set_title(_plain(chart.title), loc="left", fontsize=9)
    for axis, name in ((chart.x, "x"), (chart.y, "y")):
        labelled = bottom if name == "x" else axes
        getattr(labelled, f"set_{name}label")(_wrapped(axis.title, _LINE[name]))
        if axis.log:
            getattr(axes, f"set_{name}scale")("log")
        if axis.limits:
            getattr(axes, f"set_{name}lim")(axis.limits)
        if axis.ticks:
            turned = name == "x" and max(map(len, axis.ticks)) * len(axis.ticks) > 60
            style = {"rotation": 20, "ha": "right"} if turned else {}
            getattr(axes, f"set_{name}ticks")(
                range(len(axis.ticks)), map(_plain, axis.ticks), **style
            )
    whole = all(x is None or x == round(x) for series in chart.series for x in series.x)
    if whole and not chart.x.log and not chart.x.ticks and chart.kind != "dot":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if chart.kind == "dot":
        axes.set_ylim(-0.6, len(chart.y.ticks) - 0.4)
    for height, label in chart.lines:
        axes.axhline(height, color="0.4", linewidth=0.7, linestyle=(0, (1, 2)))
        axes.annotate(
            label, (1, height), xycoords=axes.get_yaxis_transform(),
            ha="right", va="bottom", fontsize=7, color="0.3",
        )  # fmt: skip
    for i, members in enumerate(chart.brackets):
        at = 1.02 + 0.028 * i
        axes.plot(
            [at] * len(members), members, "-o", color="0.2", linewidth=1.4, markersize=3.2,
            clip_on=False, transform=axes.get_yaxis_transform(),
        )  # fmt: skip
    for x, y, text in chart.notes:
        axes.annotate(
            _plain(text), (x, y), ha="center", va="center", fontsize=6.5, color="0.25",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
        )  # fmt: skip
    if chart.notes:
        axes.yaxis.set_visible(False)
        axes.spines["left"].set_visible(False)
