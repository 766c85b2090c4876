"""Charts and a table of the incumbents of several goals.

With two goals, a chart shows the median attainment surface of each optimizer, the goals that half
of its runs attained together, with a band from the surface of a quarter to that of three quarters
of the runs (V. Grunert da Fonseca, C. Fonseca and A. Hall, EMO 2001; moocore's `eaf`). With more
goals, a matrix of charts shows the incumbents by pairs of goals.
"""

from collections.abc import Sequence
from itertools import combinations

import moocore
import numpy as np

from experiments.analysis.report.chart import Axis, Chart, Number, Series, numbers
from experiments.analysis.report.standings import config_text
from experiments.analysis.report.subject import Subject
from experiments.analysis.report.table import Cell, Row, Table, number
from experiments.analysis.results import Floats, Run
from experiments.analysis.statistics.anytime import Task
from experiments.analysis.statistics.fronts import front, natural, points

_MOST_MARKS = 150  # marks of one optimizer
_MOST_ROWS = 200  # incumbents in the table
_GAP = 5.0  # median distances between points of the known front; longer ones are gaps in it
_QUARTILES = (25.0, 50.0, 75.0)
DEFAULT = "default configuration"
_ONE_RUN = "Lines: what each run attains."
_MANY_RUNS = "Lines: what half of the runs attain; bands: a quarter to three quarters of the runs."


def several(task: Task) -> bool:
    """Return whether the runs of a task have several goals."""
    return any(run.header.several for own in task.runs.values() for run in own.values())


def charts(subject: Subject) -> list[Chart]:
    """Return the charts of every objective of several goals."""
    found = []
    for task in filter(several, subject.suite.tasks):
        goals = len(subject.runs_of(task)[0].header.goals)
        pairs = combinations(range(goals), 2)
        found += [_chart(task, subject.runs_of(task), pair, goals == 2) for pair in pairs]
    return found


def chart(subject: Subject, task: Task, goals: tuple[str, str] | None = None) -> Chart:
    """Return the chart of two goals of a task, by default of the first two.

    Raises:
        ValueError: it lacks one of these goals.
    """
    names = list(subject.runs_of(task)[0].header.goals)
    wanted = goals or (names[0], names[1])
    for name in wanted:
        if name not in names:
            raise ValueError(f"goals: expected two of {', '.join(names)}, got {name}")
    pair = (names.index(wanted[0]), names.index(wanted[1]))
    return _chart(task, subject.runs_of(task), pair, len(names) == 2)


def _chart(task: Task, runs: Sequence[Run], pair: tuple[int, int], whole: bool) -> Chart:
    """Return the chart of two goals.

    Args:
        task: the task.
        runs: its runs.
        pair: the places of the goals.
        whole: whether there are no other goals, so that attainment surfaces are drawn.
    """
    header = runs[0].header
    names = list(header.goals)
    x, y = (names[place] for place in pair)
    series: list[Series] = []
    surfaces = {}
    if whole:
        series = _known(runs[0]) if header.front else []
        surfaces = {name: _surface(list(own.values())) for name, own in task.runs.items()}
        series += [surface for name in surfaces if (surface := surfaces[name]) is not None]
    series += [_marks(name, list(own.values()), pair) for name, own in task.runs.items()]
    series += _default(runs, pair)
    caption = "Marks: incumbents of all runs; hover one to see its configuration."
    if whole:
        single = all(len(own) == 1 for own in task.runs.values())
        caption = f"{_ONE_RUN if single else _MANY_RUNS} {caption}"
    return Chart(
        f"pareto {x} {y}",
        f"{task.name}: {y} against {x}",
        "step",
        Axis(_label(runs[0], x)),
        Axis(_label(runs[0], y)),
        [one for one in series if one.x],
        objective=task.name,
        follows=("optimizers",),
        caption=caption,
    )


def _label(run: Run, name: str) -> str:
    goal = run.header.goals[name]
    unit = f" ({goal.unit})" if goal.unit else ""
    return f"{name}{unit}, {'less' if goal.minimise else 'more'} is better"


def _known(run: Run) -> list[Series]:
    """Return the known front of two goals as a line, with gaps between its separate parts."""
    known = np.array(run.header.front)
    known = known[np.argsort(known[:, 0], kind="stable")]
    steps = np.linalg.norm(np.diff(known, axis=0) / (np.ptp(known, axis=0) + 1e-300), axis=1)
    ends = np.flatnonzero(steps > _GAP * np.median(steps)) + 1
    known = np.insert(known, ends, np.nan, axis=0)
    return [Series("known front", numbers(known[:, 0]), numbers(known[:, 1]), look="tone1")]


def _surface(runs: Sequence[Run]) -> Series | None:
    """Return the median attainment surface of an optimizer's runs, with its band."""
    sets = [points(run)[front(run)] for run in runs]
    sets = [each for each in sets if len(each)]
    if not sets:
        return None
    labels = np.concatenate([np.full(len(each), i) for i, each in enumerate(sets)])
    # Runs without an incumbent attain nothing, so percentiles count them too.
    share = np.array(_QUARTILES) * len(runs) / len(sets)
    wanted = [min(float(each), 100.0) for each in share]
    found = moocore.eaf(np.concatenate(sets), labels, percentiles=sorted(set(wanted)))
    grid = np.unique(found[:, 0])
    rows = [_steps(found[np.isclose(found[:, 2], level)][:, :2], grid) for level in wanted]
    attained = [s <= 100.0 + 1e-9 for s in share.tolist()]
    best, middle, worst = (
        _natural(runs[0], grid, row if ok else np.full(len(grid), np.nan))
        for row, ok in zip(rows, attained, strict=True)
    )
    name, one = runs[0].optimizer, len(runs) == 1
    return Series(name, middle[0], middle[1], [] if one else worst[1], [] if one else best[1])


def _steps(surface: Floats, grid: Floats) -> Floats:
    """Return the least second goal (n,) that a surface attains up to each first goal (n,)."""
    nothing = np.inf
    return np.array([surface[surface[:, 0] <= x + 1e-12, 1].min(initial=nothing) for x in grid])


def _natural(run: Run, x: Floats, y: Floats) -> tuple[list[Number], list[Number]]:
    shown = natural(run, np.column_stack([x, y]))
    return numbers(shown[:, 0]), numbers(shown[:, 1])


def _marks(name: str, runs: Sequence[Run], pair: tuple[int, int]) -> Series:
    """Return the incumbents of an optimizer's runs, each with its description."""
    every = [(run, place) for run in runs for place in front(run)]
    chosen = np.random.default_rng(0).permutation(len(every))[:_MOST_MARKS]
    marks = [every[k] for k in sorted(chosen.tolist())]
    shown = [natural(run, points(run)[[place]])[0] for run, place in marks]
    return Series(
        name,
        numbers(row[pair[0]] for row in shown),
        numbers(row[pair[1]] for row in shown),
        hover=[
            f"seed {run.seed}, trial {run.ids[place]}: {config_text(run.configs[place])}"
            for run, place in marks
        ],
        look="marks",
        trials=[(run.seed, int(run.ids[place])) for run, place in marks],
    )


def _default(runs: Sequence[Run], pair: tuple[int, int]) -> list[Series]:
    """Return the evaluations of the default configuration, of which noise makes several points."""
    said: dict[tuple[float, float], str] = {}
    for run in runs:
        place = run.default()
        if place is not None:
            row = natural(run, points(run)[[place]])[0]
            text = f"{run.optimizer}, seed {run.seed}: {config_text(run.configs[place])}"
            said.setdefault((float(row[pair[0]]), float(row[pair[1]])), text)
    if not said:
        return []
    x, y = (numbers(column) for column in zip(*said, strict=True))
    return [Series(DEFAULT, x, y, hover=list(said.values()), look="marks")]


def table(subject: Subject) -> Table | None:
    """Return the incumbents over all runs of each objective, to choose from."""
    rows: list[Row] = []
    names: list[str] = []
    for task in filter(several, subject.suite.tasks):
        names = list(dict.fromkeys([*names, *subject.runs_of(task)[0].header.goals]))
    for task in filter(several, subject.suite.tasks):
        for run, place in _best_of_all(subject.runs_of(task))[:_MOST_ROWS]:
            cells = [Cell(task.name), Cell(run.optimizer), Cell(f"{run.seed}", run.seed)]
            measured = {name: float(column[place]) for name, column in run.metrics.items()}
            shown = [measured.get(name, np.nan) for name in names]
            cells += [number(x if name in run.header.goals else np.nan, 5)
                      for name, x in zip(names, shown, strict=True)]  # fmt: skip
            cells.append(Cell(config_text(run.configs[place])))
            rows.append(Row(cells, run.optimizer, task.name, run.seed, int(run.ids[place])))
    if not rows:
        return None
    columns = ["objective", "optimizer", "seed", *names, "configuration"]
    caption = "The evaluations that no other one of any run dominates"
    return Table("front", columns, rows, caption, ("optimizers", "seeds", "objectives"))


def _best_of_all(runs: Sequence[Run]) -> list[tuple[Run, int]]:
    """Return the incumbents over all runs, in the order of the first goal."""
    every = [(run, place) for run in runs for place in front(run)]
    if not every:
        return []
    own = np.array([points(run)[place] for run, place in every])
    kept = np.flatnonzero(moocore.is_nondominated(own))
    return [every[k] for k in kept[np.argsort(own[kept, 0], kind="stable")].tolist()]
