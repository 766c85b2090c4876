"""The contents of the report by section, used for both the page and the separate files."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

from experiments.analysis import sources
from experiments.analysis.report import (
    comparisons,
    fidelities,
    over_budget,
    over_time,
    parameters,
    standings,
)
from experiments.analysis.report.chart import Chart
from experiments.analysis.report.forests import (
    Importance,
    conditional,
    families,
    measure,
    sample,
)
from experiments.analysis.report.limits import limits
from experiments.analysis.report.selection import selection
from experiments.analysis.report.subject import Subject
from experiments.analysis.report.table import Table
from experiments.analysis.report.trials import trials
from experiments.analysis.statistics.answer import answer, sentence
from experiments.analysis.statistics.anytime import Suite, Task
from experiments.analysis.statistics.currencies import CurrencyRanks, currency_ranks
from experiments.analysis.statistics.ranks import critical_difference
from experiments.analysis.statistics.verdict import LEVEL, listed, sentences, verdict
from objectives.space import UnitCube


@dataclass(frozen=True)
class Section:
    """A heading with the lines, charts and tables below it, in this order.

    Attributes:
        about: for each line, the objectives that it is about; no entry if it is about all.
    """

    title: str
    lines: list[str] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    about: list[list[str]] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """The section's anchor in links to the page."""
        return self.title.lower().replace(" ", "-")


@dataclass(frozen=True)
class Contents:
    """The contents of a report.

    Attributes:
        title: the title of the page.
        facts: the amount of data: runs, evaluations, budget.
        answer: the answer in one sentence.
        ranking: the picture of the answer, and its table; None if nothing is compared.
        verdict: the sentences of the verdict.
        limits: the sentences on what the runs cannot show.
        notes: caveats about the data, and warnings.
    """

    title: str
    facts: list[str]
    answer: str
    ranking: tuple[Chart, Table] | None
    verdict: list[str]
    limits: list[str]
    notes: list[str]
    sections: list[Section]
    selection: dict[str, Any] = field(default_factory=dict)
    trials: list[dict[str, Any]] = field(default_factory=list)


def contents(
    subject: Subject,
    pool: Executor,
    equal: float = 0.0,
    known: Callable[[list[Chart]], None] = lambda charts: None,
) -> Contents:
    """Return the contents of a report on some runs.

    Args:
        subject: the runs.
        pool: the executor that fits the forests.
        equal: differences up to this size are ties in the verdict.
        known: a function called with charts as soon as they are complete, once for each chart.
    """
    suite = subject.suite
    fitted = _fitted(subject, pool)
    critical = critical_difference(suite, LEVEL)
    pairs = comparisons.centre_pairs(suite)
    provenance, warnings = standings.provenance(suite.tasks)
    notices = dict.fromkeys(n for run in subject.runs if (n := run.header.notice))
    rank = over_budget.rank_over_budget(suite)
    targets = over_budget.reached_targets(suite)
    failures = standings.failures(subject.runs)
    items = standings.item_table(suite, LEVEL)
    first = [
        Section("Convergence", [], over_budget.convergence(subject), [standings.standings(suite)]),
        *_pareto(subject),
        Section("Ranks and targets", [], ([rank] if rank else []) + targets),
    ]
    if critical is not None:
        chart = comparisons.critical_difference(critical)
        first.append(Section("Critical difference", [], [chart]))
    first += [
        _currencies(suite),
        _fidelities(subject),
        Section(
            "Centre bias",
            [comparisons.bias_line(pair) for pair in pairs],
            [comparisons.centre_bias(pair) for pair in pairs],
            about=[[pair.shifted.name, pair.centred.name] for pair in pairs],
        ),
    ]
    found = verdict(suite, equal=equal)
    short = answer(suite, found)
    ranking = (comparisons.ranking(short), standings.ranking(short)) if short else None
    known([ranking[0]] if ranking else [])
    known([chart for section in first for chart in section.charts])
    last = [
        Section("Incumbents", [], [], [standings.incumbents(subject), *([items] if items else [])])
    ]
    if failures is not None:
        last.append(Section("Failures", [], [], [failures]))
    origins = standings.sources_table(subject.runs)
    tables = [origins, provenance] if origins else [provenance]
    last.append(Section("Provenance", warnings, [], tables))
    said = sentences(suite, found)
    measured = _parameters(subject, fitted)  # waits for the forests
    known(measured.charts)
    sections = [*first, measured, *last]
    return Contents(
        title=_title(suite),
        facts=_facts(subject),
        answer=sentence(short) if short else said[0],
        ranking=ranking,
        verdict=said,
        limits=limits(subject, critical, pairs),
        notes=[*sources.notes(subject.runs), *warnings, *suite.notes, *notices],
        sections=[s for s in sections if s.lines or s.charts or s.tables],
        selection=selection(subject, found),
        trials=trials(subject),
    )


def _pareto(subject: Subject) -> list[Section]:
    """Return the section on fronts, if an objective has several goals."""
    if not any(run.header.several for run in subject.runs):
        return []
    from experiments.analysis.report import pareto  # moocore, of the extra `stats`

    table = pareto.table(subject)
    return [Section("Fronts", [], pareto.charts(subject), [table] if table else [])]


def _title(suite: Suite) -> str:
    tasks = len(suite.tasks)
    where = suite.tasks[0].name if tasks == 1 else f"{tasks} objectives"
    n = len(suite.optimizers)
    return f"{n} optimizers on {where}" if n > 1 else f"{suite.optimizers[0]} on {where}"


def _facts(subject: Subject) -> list[str]:
    suite = subject.suite
    budgets = sorted({float(task.grid[-1]) for task in suite.tasks})
    budget = f"{budgets[0]:g}" if len(budgets) == 1 else f"{budgets[0]:g} to {budgets[-1]:g}"
    seeds = {seed for task in suite.tasks for own in task.curves.values() for seed in own}
    n = sum(len(run.ids) for run in subject.runs)
    failed = sum(int(run.failed.sum()) for run in subject.runs)
    named = dict.fromkeys(task.compared for task in suite.tasks)
    compared = listed(["the value minimised" if name == "value" else name for name in named])
    return [
        _plural(len(subject.runs), "run"), _plural(n, "evaluation"), f"{failed:,} failed",
        _plural(len(seeds), "seed"), f"common budget {budget}", f"compared by {compared}",
    ]  # fmt: skip


def _plural(n: int, word: str) -> str:
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


def _currencies(suite: Suite) -> Section:
    found = currency_ranks(suite) if len(suite.optimizers) > 1 else None
    tables = [standings.own_time_table(suite)]
    charts = [over_budget.own_time(suite)]
    simulated = over_time.convergence(suite)
    if found is None:
        return Section("Time and cost", [], [*charts, *simulated], tables)
    charts.insert(0, comparisons.currencies(found))
    charts += simulated
    return Section("Time and cost", [_flips(found)], charts,
                   [standings.currency_table(found), *tables])  # fmt: skip


def _fidelities(subject: Subject) -> Section:
    table = fidelities.trials(subject)
    charts = fidelities.over_cost(subject)
    return Section("Fidelities", [], charts, [table] if table else [])


def _flips(found: CurrencyRanks) -> str:
    if not found.flips:
        return "The optimizers have the same order in all three currencies."
    beaten: dict[tuple[str, str], list[str]] = {}
    for ahead, behind, currency in found.flips:
        beaten.setdefault((ahead, behind), []).append(currency)
    by_currencies: dict[tuple[str, str], list[str]] = {}
    for (ahead, behind), currencies in beaten.items():
        by_currencies.setdefault((ahead, " and ".join(currencies)), []).append(behind)
    said = [
        f"{ahead} is ahead of {listed(behind)} in evaluations but behind in {currencies}"
        for (ahead, currencies), behind in by_currencies.items()
    ]
    more = "; the table has more" if len(said) > 4 else ""
    return f"The order depends on the currency: {'; '.join(said[:4])}{more}."


@dataclass(frozen=True)
class _Fitted:
    """A task's axes, and the futures of its parameters' importance.

    Attributes:
        importance: of the parameters that every configuration has; None if it cannot be measured.
        families: of the conditional ones, with their names.
        left_out: the conditional parameters.
    """

    task: Task
    cube: UnitCube
    importance: "Future[Importance] | None"
    families: "list[tuple[list[str], Future[Importance]]]"
    left_out: list[str]


def _fitted(subject: Subject, pool: Executor) -> list[_Fitted]:
    made = []
    for task in subject.suite.tasks:
        runs = subject.runs_of(task)
        cube = parameters.cube_of(runs)
        given = sample(runs, cube)
        apart = [(names, sample(runs, cube, names)) for names in families(runs, cube)]
        made.append(
            _Fitted(
                task,
                cube,
                pool.submit(measure, given) if given else None,
                [(names, pool.submit(measure, one)) for names, one in apart if one],
                conditional(runs, cube),
            )
        )
    return made


def _parameters(subject: Subject, fitted: Sequence[_Fitted]) -> Section:
    outcomes: dict[str, list[str]] = {}
    charts = []
    for each in fitted:
        runs = subject.runs_of(each.task)
        charts.append(parameters.parallel(each.task, runs, each.cube))
        if each.importance is None:
            line = parameters.unmeasured_line(runs, each.left_out)
        else:
            measured = each.importance.result()
            line = parameters.frozen_line(measured)
            charts.append(parameters.importance_chart(each.task, measured, left_out=each.left_out))
        outcomes.setdefault(line, []).append(each.task.name)
        for names, one in each.families:
            charts.append(parameters.importance_chart(each.task, one.result(), names))
    lines = [f"{listed(names)}: {outcome}" for outcome, names in outcomes.items()]
    return Section("Parameters", lines, charts, about=[*outcomes.values()])
