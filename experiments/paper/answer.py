"""The answer: the optimizers' mean ranks on each body of evidence, after 20, 30 and 50 evaluations.

A body of evidence is a committed experiment. On each, and after each number of evaluations, the
optimizers' incumbents are ranked: the runs of one seed are ranked (1 is best, ties share their mean
rank), and the ranks are averaged over seeds and then over tasks. The verdict at that number of
evaluations (`experiments.analysis.statistics.verdict`) says which optimizers are distinguishable
from the one with the lowest mean rank; the others are in bold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.analysis.results import ROUNDING, Run, load
from experiments.analysis.statistics.anytime import Suite, compare_on
from experiments.analysis.statistics.gather import known_optima
from experiments.analysis.statistics.ranks import rank_table
from experiments.analysis.statistics.verdict import LEVEL, verdict
from experiments.paper.numbers import Cell, Facts, Section, Source, Table, count, number, words
from experiments.paper.pictures import BLUE, LIGHT, MIDDLE, figure
from experiments.paper.published import ranges

MARKS = (20, 30, 50)
WATTS = 10.0
"""The assumed power of a busy processor core, in watts; it was not measured."""


@dataclass(frozen=True)
class Ranks:
    """Mean ranks after a number of evaluations.

    Attributes:
        mean: the mean rank of each optimizer.
        tied: the optimizers that are not distinguishable from the one with the lowest mean rank,
            including itself.
    """

    mean: dict[str, float]
    tied: frozenset[str]


@dataclass(frozen=True)
class Evidence:
    """An experiment that is evidence for the question.

    Attributes:
        name: its heading.
        path: the path of its runs, for numbers.json.
        runs: the number of its runs.
        tasks: the number of its tasks.
        seeds: the smallest number of seeds that all optimizers of a task share.
        hours: the CPU hours of its runs: the optimizers' own time, and the cost of the evaluations
            if it was measured rather than looked up or simulated.
        ranks: by number of evaluations; a number above the common budget is absent.
        told: the optimizers and seeds of its runs.
    """

    name: str
    path: str
    runs: int
    tasks: int
    seeds: int
    hours: float
    ranks: dict[int, Ranks]
    told: str

    @property
    def source(self) -> Source:
        """The source for numbers.json."""
        return {"results": self.path, "runs": self.told}


def of(
    name: str, runs: Sequence[Run], path: str, *, measured: bool, workers: int | None = None
) -> Evidence:
    """Return the evidence of an experiment.

    Args:
        name: its heading.
        runs: its runs, labelled together.
        path: where they are, as the settings give it.
        measured: whether the evaluations' costs were measured while the experiment ran.
        workers: only runs with this number of workers count; None means all runs.

    Raises:
        ValueError: the runs cannot be compared.
    """
    runs = [run for run in runs if workers in (None, run.header.workers)]
    suite = compare_on(runs, optima=known_optima(runs))
    ranks = {mark: _ranks(_within(suite, mark)) for mark in MARKS if _reaches(suite, mark)}
    spent = sum(float(run.ask_s.sum() + run.tell_s.sum()) for run in runs)
    if measured:
        spent += sum(float(run.costs.sum()) for run in runs)
    return Evidence(
        name=name,
        path=path,
        runs=len(runs),
        tasks=len(suite.tasks),
        seeds=min(len(task.seeds) for task in suite.tasks),
        hours=spent / 3600,
        ranks=ranks,
        told=_told(runs),
    )


def _told(runs: Sequence[Run]) -> str:
    names = sorted({run.optimizer for run in runs})
    return f"{', '.join(names)}; seeds {ranges(sorted({run.seed for run in runs}))}"


def _reaches(suite: Suite, mark: int) -> bool:
    return all(task.budget >= mark - ROUNDING for task in suite.tasks)


def _within(suite: Suite, mark: int) -> Suite:
    """Return the suite as it was after `mark` evaluations."""
    tasks = []
    for task in suite.tasks:
        n = int(np.searchsorted(task.grid, mark + ROUNDING))
        curves = {
            name: {seed: curve[:n] for seed, curve in own.items()}
            for name, own in task.curves.items()
        }
        tasks.append(replace(task, grid=task.grid[:n], curves=curves))
    return replace(suite, tasks=tasks)


def _ranks(suite: Suite) -> Ranks:
    _, table = rank_table(suite)
    mean = dict(zip(suite.optimizers, map(float, table.mean(axis=0)), strict=True))
    first = min(mean, key=lambda name: (mean[name], name))
    found = verdict(suite, LEVEL)
    pairs = found.across if len(suite.tasks) > 1 else found.within
    worse = {
        pair.second if pair.first == first else pair.first
        for pair in pairs
        if first in (pair.first, pair.second) and pair.better == first
    }
    return Ranks(mean, frozenset(mean) - worse)


def gather(entries: Sequence[Mapping[str, Any]], root: Path) -> tuple[list[Evidence], list[str]]:
    """Return the evidence that exists, and the headings of what does not exist yet."""
    found, absent = [], []
    for entry in entries:
        path = None if entry["runs"] is None else root / entry["runs"]
        if path is None or not path.exists():
            absent.append(str(entry["name"]))
            continue
        body = of(
            str(entry["name"]),
            load([path]),
            str(entry["runs"]),
            measured=bool(entry["measured"]),
            workers=entry.get("workers"),
        )
        found += [body] if body.ranks else []
    return found, absent


def sections(evidence: Sequence[Evidence], absent: Sequence[str]) -> list[Section]:
    """Return the table, the account of the evidence, and the sentences."""
    return [_table(evidence), _account(evidence), _words(evidence, absent)]


def _order(evidence: Sequence[Evidence]) -> list[str]:
    """Return the optimizers by the mean of their relative ranks at the last mark of each body.

    A relative rank is 0 for the first of a body of evidence and 1 for the last. Optimizers with
    more bodies of evidence come first.
    """
    places: dict[str, list[float]] = {}
    for body in evidence:
        last = body.ranks[max(body.ranks)].mean
        for name, rank in last.items():
            places.setdefault(name, []).append((rank - 1) / max(len(last) - 1, 1))
    return sorted(places, key=lambda name: (-len(places[name]), float(np.mean(places[name])), name))


def _table(evidence: Sequence[Evidence]) -> Table:
    rows = []
    for name in _order(evidence):
        cells = []
        for body in evidence:
            for ranks in body.ranks.values():
                if name not in ranks.mean:
                    cells.append(Cell(None, "--", body.source))
                    continue
                cell = number(ranks.mean[name], 1, body.source)
                bold = rf"\textbf{{{cell.shown}}}" if name in ranks.tied else cell.shown
                cells.append(Cell(cell.value, bold, cell.source))
        rows.append((name, cells))
    columns = ["", *(f"{body.name}, {mark}" for body in evidence for mark in body.ranks)]
    groups = [(body.name, len(body.ranks)) for body in evidence]
    return Table("answer", columns, rows, groups=groups)


def _account(evidence: Sequence[Evidence]) -> Table:
    rows = [
        (
            body.name,
            [
                count(body.tasks, body.source),
                count(body.seeds, body.source),
                count(body.runs, body.source),
                number(body.hours, 2, body.source),
                number(body.hours * WATTS / 1000, 3, body.source),
            ],
        )
        for body in evidence
    ]
    columns = ["evidence", "tasks", "seeds", "runs", "CPU hours", "kWh"]
    return Table("answer_account", columns, rows)


def _words(evidence: Sequence[Evidence], absent: Sequence[str]) -> Facts:
    told = []
    for body in evidence:
        last = max(body.ranks)
        ranks = body.ranks[last]
        first = min(ranks.mean, key=lambda name: (ranks.mean[name], name))
        others = sorted(ranks.tied - {first}, key=ranks.mean.__getitem__)
        tied = (
            f"not distinguishable from it: {', '.join(others)}"
            if others
            else "it is distinguishable from every other"
        )
        told.append(f"{body.name}, {last} evaluations: {first} has the lowest mean rank; {tied}")
    everything: Source = {
        "results": evidence[0].path,
        "runs": "; ".join(f"{body.path}: {body.told}" for body in evidence),
    }
    missing = ", ".join(absent) if absent else "none"
    return Facts(
        "answer_facts",
        {
            "AnswerWords": words(". ".join(told) + ".", everything),
            "AnswerAbsent": words(missing, everything),
            "AnswerWatts": number(WATTS, 0, {"settings": __name__, "key": "WATTS"}),
        },
    )


def draw(evidence: Sequence[Evidence]) -> Figure:
    """Draw the mean ranks at the largest number of evaluations, one panel per body of evidence."""
    names = _order(evidence)[::-1]
    made = figure(0.17 * len(names) + 0.7)
    panels = made.subplots(1, len(evidence), sharey=True, squeeze=False)[0]
    for axes, body in zip(panels, evidence, strict=True):
        last = max(body.ranks)
        ranks = body.ranks[last]
        for place, name in enumerate(names):
            if name not in ranks.mean:
                continue
            tied = name in ranks.tied
            axes.plot([1, ranks.mean[name]], [place, place], color=LIGHT, linewidth=0.6, zorder=1)
            axes.plot(
                ranks.mean[name],
                place,
                "o",
                color=BLUE,
                markerfacecolor=BLUE if tied else "white",
                zorder=2,
            )
        axes.set_yticks(range(len(names)), names)
        axes.set_xlim(0.5, len(ranks.mean) + 0.5)
        axes.set_title(f"{body.name}\nafter {last}", loc="left", fontsize=7)
        axes.tick_params(axis="y", length=0, colors=MIDDLE)
    made.supxlabel("mean rank (1 is best); filled: not distinguishable from the lowest", fontsize=8)
    return made
