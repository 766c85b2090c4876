"""The figure of one run: the incumbent and every evaluation, with failures on a separate strip."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from experiments.running.header import Header
from experiments.running.headline import default_number, headline, top_fidelity
from experiments.running.history import History
from experiments.running.incumbent import Incumbent
from experiments.running.looks import FAILED, PLAIN, looks
from experiments.running.panels import (
    draw_default,
    legend,
    mark_outside,
    plain_text,
    view,
    with_strips,
)
from experiments.running.whole_files import whole

BUDGET = "budget spent (full evaluations)"
_TOP, _BOTTOM, _RIGHT, _PAD = 0.26, 0.48, 0.06, 0.05  # inches: title, horizontal axis, the rest
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class _Drawn:
    """The points of a run, as (budget spent, shown metric)."""

    full: list[tuple[float, float]]
    partial: list[tuple[float, float]]
    steps: list[tuple[float, float]]
    failures: list[float]
    default: float | None


def draw(history: History, path: Path) -> None:
    """Write `convergence.png`: the incumbent over the budget spent, and every evaluation.

    The vertical axis shows the metric that the value represents, if the objective names one. Failed
    evaluations have no metric and are marked on a separate strip below. With several goals, the
    figure shows the first two of them against each other, and the incumbents.
    """
    assert history.header is not None
    figure = Figure(figsize=(7.0, 4.4), dpi=150)
    FigureCanvasAgg(figure)
    if history.header.several:
        _draw_goals(figure, history)
    else:
        _draw_over_budget(figure, history)
    notice = plain_text(history.header.notice or "")
    note = figure.supxlabel(notice, fontsize=7, color="0.3", wrap=True) if notice else None
    _set_margins(figure, note)
    with whole(path) as new:
        figure.savefig(new, pil_kwargs={"compress_level": 1})


def _draw_over_budget(figure: Figure, history: History) -> None:
    assert history.header is not None
    header, points = history.header, _points(history)
    ((axes, strip),) = with_strips(figure, 1 if points.failures else 0)
    _draw_evaluations(axes, points, header.names["optimizer"])
    if strip is not None:
        strip.plot(points.failures, [0] * len(points.failures), "x", color=FAILED, label="failed")
        strip.set_yticks([0], [f"failed ({len(points.failures)})"])
    bottom = strip or axes
    axes.set_title(_title(header))
    bottom.set_xlabel(BUDGET)
    axes.set_ylabel(plain_text(headline(header).label))
    bottom.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(axes, *([strip] if strip else []))


def _title(header: Header) -> str:
    names = header.names
    run = f"{plain_text(names['optimizer'])} on {plain_text(names['objective'])}"
    return f"{run}, seed {header.seed}"


def _draw_goals(figure: Figure, history: History) -> None:
    """Draw the first two goals of every full success, the incumbents, and the known front."""
    assert history.header is not None
    header, axes = history.header, figure.subplots()
    first, second = list(header.goals)[:2]
    full = {
        id: (evaluation.metrics[first], evaluation.metrics[second])
        for id, evaluation in history.evaluations.items()
        if evaluation.error is None and history.trials[id].fidelity == 1.0
    }
    n_failed = sum(evaluation.error is not None for evaluation in history.evaluations.values())
    if full:
        axes.plot(*_split(list(full.values())), "o", color=PLAIN, markersize=4, label="evaluation")
    best = sorted(full[id] for id in history.incumbents() if id in full)
    look = looks([header.names["optimizer"]])[header.names["optimizer"]]
    if best:
        axes.plot(*_split(best), "o", color=look.colour, markersize=7, label="incumbents")
    if header.front and len(header.goals) == 2:
        known = sorted((point[0], point[1]) for point in header.front)
        axes.plot(*_split(known), ".", color="0.6", markersize=2, zorder=0, label="known front")
    axes.set_title(_title(header) + (f" ({n_failed} failed)" if n_failed else ""))
    for name, label in ((first, axes.set_xlabel), (second, axes.set_ylabel)):
        goal = header.goals[name]
        unit = f", {goal.unit}" if goal.unit else ""
        label(plain_text(f"{name}{unit}, {'less' if goal.minimise else 'more'} is better"))
    if full:
        legend(axes)


def _set_margins(figure: Figure, note: Text | None) -> None:
    """Fit the axes into the figure, with the look of matplotlib's constrained layout.

    That layout measures every text twice, which takes 0.04 s of CPU time. Here only the labels
    whose size varies are measured: those of the vertical axes, and the note at the bottom.
    """
    width, height = (float(inches) for inches in figure.get_size_inches())
    bottom = _BOTTOM
    if note is not None:
        bottom += note.get_window_extent().height / figure.dpi + 0.06
    figure.subplots_adjust(
        bottom=bottom / height, top=1 - _TOP / height, right=1 - _RIGHT / width, hspace=0.08
    )
    boxes = [(axes.bbox, axes.yaxis.get_tightbbox()) for axes in figure.axes]
    left = max(axes.x0 - labels.x0 for axes, labels in boxes if labels is not None) / figure.dpi
    figure.subplots_adjust(left=(left + _PAD) / width)


def _points(history: History) -> _Drawn:
    assert history.header is not None
    about = headline(history.header)
    drawn = _Drawn([], [], [], [], default_number(history))
    spent, top = 0.0, top_fidelity(history)
    best = Incumbent(limits=history.header.limits)
    for id, evaluation in history.evaluations.items():
        trial = history.trials[id]
        spent += history.price(trial)
        number = about.of(evaluation)
        if evaluation.error is not None:
            drawn.failures.append(spent)
        elif number is not None and trial.fidelity < top:
            drawn.partial.append((spent, number))
        elif number is not None:
            drawn.full.append((spent, number))
            if best.told(id, evaluation, trial.fidelity):
                drawn.steps.append((spent, number))
    if drawn.steps:
        drawn.steps.append((spent, drawn.steps[-1][1]))
    return drawn


def _draw_evaluations(axes: Axes, points: _Drawn, optimizer: str) -> None:
    look = looks([optimizer])[optimizer]
    if points.full:
        axes.plot(*_split(points.full), "o", color=PLAIN, markersize=4, label="evaluation")
    if points.partial:
        axes.plot(
            *_split(points.partial), "o", color=PLAIN, mfc="none", markersize=3,
            label="partial evaluation",
        )  # fmt: skip
    if not points.steps:
        return
    limits = view([y for _, y in points.full], points.steps[-1][1])
    limits = draw_default([axes], points.default, limits)
    axes.set_ylim(limits)
    mark_outside(axes, *_split([*points.full, *points.partial]), limits)
    axes.step(
        *_split(points.steps), where="post", color=look.colour, linewidth=2, label="incumbent"
    )


def _split(points: Points) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
