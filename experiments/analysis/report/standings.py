"""Tables: standings, currencies, incumbents with their tests, failures, provenance."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.analysis import sources
from experiments.analysis.labels import is_own
from experiments.analysis.report.shown import FLOOR, show
from experiments.analysis.report.subject import Subject
from experiments.analysis.report.table import Cell, Row, Table, number
from experiments.analysis.results import Run
from experiments.analysis.statistics.answer import Answer
from experiments.analysis.statistics.anytime import Suite, Task
from experiments.analysis.statistics.currencies import CURRENCIES, CurrencyRanks
from experiments.analysis.statistics.items import compare_items, has_items
from experiments.analysis.statistics.ranks import task_ranks
from experiments.analysis.statistics.targets import expected_running_time
from experiments.running.looks import OWN
from experiments.running.provenance import project

_LONG = 160  # maximum characters shown of an error
TARGET = 0.1
"""The target of the expected running time, in normalised regret."""


def ranking(found: Answer) -> Table:
    """Return the table of the answer."""
    rows = []
    for name, rank in found.ranks.items():
        better = ", ".join(found.better[name]) or "–"
        cells = [Cell(name), Cell(f"{rank:.2f}", rank), Cell(found.letters(name) or "–")]
        rows.append(Row([*cells, Cell(better)], name))
    columns = ["optimizer", "mean rank", "group", "better than"]
    caption = "Ranking; optimizers that share a group's letter are not distinguishable"
    return Table("ranking", columns, rows, caption, ("optimizers", "seeds", "objectives"))


def standings(suite: Suite) -> Table:
    """Return a table of the final incumbents of each optimizer on each objective."""
    rows = []
    for task in suite.tasks:
        shown = show(suite, task)
        ranked = task_ranks(task, suite.optimizers)
        for name, curves in shown.curves.items():
            finals = curves[:, -1]
            low, middle, high = np.quantile(finals, [0, 0.5, 1], method="nearest")
            rank = np.nan if ranked is None else float(ranked[suite.optimizers.index(name)])
            n_failed = sum(task.n_failed[name].values())
            cells = [Cell(task.name), Cell(name), Cell(f"{len(finals)}", len(finals))]
            cells += [_final(each, shown.log) for each in (middle, low, high)]
            area = float(task.area(name).mean())
            running = float(expected_running_time(task, name, [TARGET])[0])
            cells += [number(rank, 3), number(area, 3), number(running, 3)]
            cells += [Cell(f"{n_failed}", n_failed), Cell(f"{shown.label}, {shown.direction}")]
            rows.append(Row(cells, name, task.name))
    columns = ["objective", "optimizer", "runs", "median", "least", "most", "mean rank"]
    columns += ["regret area", f"ERT to {TARGET:.0%}", "failed evaluations", "quantity"]
    caption = "Incumbents at the common budget"
    return Table("standings", columns, rows, caption, ("optimizers", "objectives"))


def _final(value: float, floored: bool) -> Cell:
    return Cell(f"≤ {FLOOR:g}", value) if floored and value <= FLOOR else number(value)


def currency_table(found: CurrencyRanks) -> Table:
    """Return a table of mean ranks by currency; flips are marked at the one that falls behind."""
    fell: dict[tuple[str, str], list[str]] = defaultdict(list)
    for ahead, other, currency in found.flips:
        fell[ahead, currency].append(other)
    rows = []
    for name in sorted(found.ranks["evaluations"], key=found.ranks["evaluations"].__getitem__):
        cells = [Cell(name)]
        for currency in CURRENCIES:
            rank = found.ranks[currency][name]
            mark = " ▾" if fell[name, currency] else ""
            cells.append(Cell(f"{rank:.2f}{mark}", rank))
        behind = [f"{', '.join(fell[name, c])} ({c})" for c in CURRENCIES if fell[name, c]]
        share = found.own_share[name]
        if found.others:
            cells.append(number(found.others.get(name, np.nan), 3))
        cells += [Cell(f"{share:.1%}", share), Cell("; ".join(behind) or "–")]
        rows.append(Row(cells, name))
    beside = [f"evaluations, without {OWN}"] if found.others else []
    columns = ["optimizer", *CURRENCIES, *beside, "own share of time", "falls behind (▾)"]
    caption = "Mean ranks in each currency"
    if any(map(is_own, found.ranks["evaluations"])):
        caption += f"; {OWN}: a method of this suite's own, judged by its authors"
    return Table("currencies", columns, rows, caption)


def own_time_table(suite: Suite) -> Table:
    """Return a table of the optimizers' own time."""
    rows = []
    for name in suite.optimizers:
        runs = [run for task in suite.tasks for run in task.runs.get(name, {}).values()]
        if not runs:
            continue
        own = np.array([float(run.ask_s.sum() + run.tell_s.sum()) for run in runs])
        each = np.concatenate([run.ask_s + run.tell_s for run in runs])
        longest = max(float(run.ask_s.max()) for run in runs)
        numbers = [float(np.median(own)), float(np.median(each)), longest]
        rows.append(Row([Cell(name), *(Cell(seconds(s), s) for s in numbers)], name))
    columns = ["optimizer", "per run", "per evaluation", "longest ask"]
    return Table("own_time", columns, rows, "Median time inside ask and tell", ("optimizers",))


def seconds(s: float) -> str:
    """Return a duration as text, in the unit that suits its size."""
    if s < 1e-3:
        return f"{s * 1e6:.3g} µs"
    if s < 1:
        return f"{s * 1e3:.3g} ms"
    return f"{s:.3g} s" if s < 120 else f"{s / 60:.3g} min"


def incumbents(subject: Subject) -> Table:
    """Return a table of each run's incumbent, with its metrics and its test metrics."""
    runs = [run for task in subject.suite.tasks for run in subject.runs_of(task)]
    kept = {id(run): run.incumbent() for run in runs}
    metrics = _names(run.metrics for run in runs)
    tests = _names(test["metrics"] for run in runs for test in run.tests)
    values = not all(
        run.header.several for run in runs
    )  # runs of several goals have no single value
    rows = []
    for run in runs:
        i = kept[id(run)]
        cells = [Cell(run.objective), Cell(run.optimizer), Cell(f"{run.seed}", run.seed)]
        if i is None:
            why = "no success" if run.failed.all() else "no success within the limits"
            n_empty = 1 + values + len(metrics) + len(tests)
            cells += [Cell(why, np.inf), *[Cell("–")] * n_empty]
        else:
            tested = {t["id"]: t["metrics"] for t in run.tests}.get(int(run.ids[i]), {})
            nothing = np.full(len(run.ids), np.nan)
            cells.append(Cell(f"{i + 1}", i + 1))
            cells += [number(float(run.values[i]), 5)] if values else []
            cells += [number(tested.get(name, np.nan)) for name in tests]
            cells += [number(float(run.metrics.get(name, nothing)[i])) for name in metrics]
            cells += [Cell(config_text(run.configs[i]))]
        trial = None if i is None else int(run.ids[i])
        rows.append(Row(cells, run.optimizer, run.objective, run.seed, trial))
    columns = ["objective", "optimizer", "seed", "found at"]
    columns += ["value (minimised)"] if values else []
    columns += [*(f"test: {name}" for name in tests), *metrics, "configuration"]
    caption = "The best evaluation of each run, at the highest fidelity that it reached"
    if any(run.header.several for run in runs):
        caption += "; of several goals, the incumbent whose worst goal is best"
    return Table("incumbents", columns, rows, caption, ("optimizers", "seeds", "objectives"))


def _names(rows: Any) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def config_text(config: dict[str, Any]) -> str:
    """Return a configuration as one line of text."""
    return ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in config.items()
    )


def item_table(suite: Suite, level: float) -> Table | None:
    """Return a table that compares incumbents item by item; None if no items are logged."""
    rows = []
    for task in suite.tasks:
        run = next(run for own in task.runs.values() for run in own.values())
        metric = suite.quantity.metric or run.header.metric
        if metric is None or not has_items(task, metric):
            continue
        for one in compare_items(task, metric):
            told = "yes" if one.corrected < level else "no"
            cells = [Cell(task.name), Cell(one.first), Cell(one.second)]
            cells += [number(one.difference, 3), number(one.standard_error, 2)]
            cells += [number(one.corrected, 2), Cell(told), Cell(f"{one.n_items} of {metric}")]
            rows.append(Row(cells, (one.first, one.second), task.name))
    columns = ["objective", "first", "second", "first less second", "standard error"]
    columns += ["p (Holm)", "distinguishable", "items"]
    caption = "Incumbents compared item by item (these configurations, not their optimizers)"
    return Table("items", columns, rows, caption, ("optimizers", "objectives")) if rows else None


def failures(runs: Sequence[Run]) -> Table | None:
    """Return a table of errors with their counts, the most frequent first; None without errors."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for run in runs:
        for error in run.errors:
            if error is not None:
                line = " ".join(error.split())
                line = line if len(line) <= _LONG else line[: _LONG - 1] + "…"
                counts[run.objective, run.optimizer, line] += 1
    rows = [
        Row([Cell(objective), Cell(optimizer), Cell(f"{n}", n), Cell(line)], optimizer, objective)
        for (objective, optimizer, line), n in counts.most_common(200)
    ]
    columns = ["objective", "optimizer", "times", "error"]
    if not rows:
        return None
    caption = "Failed evaluations (each one spent its budget)"
    return Table("failures", columns, rows, caption, ("optimizers", "objectives"))


def provenance(tasks: Sequence[Task]) -> tuple[Table, list[str]]:
    """Return a table of each objective's code and machines, and warnings where runs differ."""
    rows, warnings = [], []
    for task in tasks:
        runs = [run for own in task.runs.values() for run in own.values()]
        facts = [_facts(run) for run in runs]
        keys = list(dict.fromkeys(key for each in facts for key in each))
        different = {
            key: sorted({each.get(key, "none") for each in facts})
            for key in keys
            if len({each.get(key) for each in facts}) > 1
        }
        if different:
            said = "; ".join(f"{key}: {', '.join(v)}" for key, v in list(different.items())[:6])
            more = f"; and {len(different) - 6} more" if len(different) > 6 else ""
            warnings.append(
                f"{task.name}: its runs were made under different conditions: {said}{more}"
            )
        groups = Counter(tuple(sorted(each.items())) for each in facts)
        for group, n in groups.most_common():
            each = dict(group)
            shown = [each[key] for key in ("code", "hardware", "fingerprint")]
            versions = ", ".join(f"{k} {v}" for k, v in group if k not in _FACTS)
            cells = [Cell(task.name), Cell(f"{n}", n), *map(Cell, shown), Cell(versions)]
            rows.append(Row(cells, None, task.name))
    columns = ["objective", "runs", "code", "hardware", "fingerprint", "packages"]
    caption = "Code, hardware and packages of the runs"
    return Table("provenance", columns, rows, caption, ("objectives",)), warnings


def sources_table(runs: Sequence[Run]) -> Table | None:
    """Return a table of the folders and files that the runs come from; None if there is one."""
    found = sources.facts(runs)
    if len(found) < 2:
        return None
    rows = [Row([Cell(text) for text in each.values()]) for each in found]
    columns = [*found[0]][:-1] + ["packages that differ"]
    caption = "Where the runs come from"
    return Table("sources", columns, rows, caption, ("optimizers", "seeds", "objectives"))


_FACTS = ("code", "hardware", "fingerprint")


def _facts(run: Run) -> dict[str, str]:
    header = run.header
    tools = project()["optional-dependencies"]["dev"]  # these do not influence a run
    prints = [f"{k}={str(v)[:12]}" for k, v in header.fingerprint.items()]
    return {
        "code": sources.code_of(run),
        "hardware": sources.hardware_of(run),
        "fingerprint": ", ".join(prints),
        **{name: str(version) for name, version in header.versions.items() if name not in tools},
    }
