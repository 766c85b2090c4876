"""Figures of runs for notebooks and papers: those of the report, as matplotlib figures.

    from experiments.analysis import results

    runs = results.load("results/smoke")
    runs.plot.ranks().savefig("ranks.pdf")

Each method returns a new figure and shows nothing. A notebook shows it as the last line of a cell.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Literal

from matplotlib.figure import Figure

from experiments.analysis.report import comparisons, figures, over_budget, parameters
from experiments.analysis.report.chart import Chart
from experiments.analysis.report.subject import Subject, subject_of
from experiments.analysis.results import Run
from experiments.analysis.statistics.answer import answer, answer_on
from experiments.analysis.statistics.anytime import Task
from experiments.analysis.statistics.ranks import critical_difference
from experiments.analysis.statistics.verdict import LEVEL, verdict
from experiments.running.looks import looks

Profile = Literal["targets", "performance", "data"]
_PROFILES: dict[Profile, int] = {"targets": 0, "performance": 1, "data": 2}


class Plots:
    """The figures of some runs.

    Where a figure is about one objective, `objective` is its label, such as `branin`; it may be
    left out if all runs are of one objective.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        """Take the runs; nothing is computed before a figure is asked for."""
        self._runs = list(runs)

    @cached_property
    def _subject(self) -> Subject:
        return subject_of(self._runs)

    def convergence(self, objective: str | None = None) -> Figure:
        """Return the median incumbent over the budget, with bootstrapped 95 % intervals.

        Raises:
            ValueError: the objective is unknown, or there are several and none was chosen.
        """
        return self._drawn(over_budget.convergence_of(self._subject, self._task(objective)))

    def ranks(self, objective: str | None = None) -> Figure:
        """Return mean ranks at the common budget, with bars that join indistinguishable groups.

        Args:
            objective: ranks on one objective; by default, over all of them.

        Raises:
            ValueError: the objective is unknown, or no two optimizers have common seeds.
        """
        suite = self._subject.suite
        found = verdict(suite)
        one = None if objective is None else self._task(objective)
        short = answer(suite, found) if one is None else answer_on(one, found)
        if short is None:
            raise ValueError("ranks: expected two optimizers with common seeds, got none")
        return self._drawn(comparisons.ranking(short))

    def ranks_over_budget(self) -> Figure:
        """Return mean ranks over the budget.

        Raises:
            ValueError: no two optimizers have runs on one objective.
        """
        chart = over_budget.rank_over_budget(self._subject.suite)
        if chart is None:
            raise ValueError(
                "ranks_over_budget: expected an objective with runs of all optimizers, got none"
            )
        return self._drawn(chart)

    def critical_difference(self) -> Figure:
        """Return mean ranks with Nemenyi's critical difference.

        Raises:
            ValueError: there are too few objectives or optimizers for one.
        """
        found = critical_difference(self._subject.suite, LEVEL)
        if found is None:
            raise ValueError(
                "critical_difference: expected at least three optimizers on more than ten "
                "objectives with runs of all of them, got fewer"
            )
        return self._drawn(comparisons.critical_difference(found))

    def profiles(self, kind: Profile = "performance") -> Figure:
        """Return a profile over all objectives.

        Args:
            kind: performance (relative to the fastest optimizer), data (relative to the number of
                parameters), or targets (the share of targets reached within a budget).

        Raises:
            ValueError: the kind is unknown.
        """
        if kind not in _PROFILES:
            raise ValueError(f"kind: expected one of {', '.join(_PROFILES)}, got {kind}")
        return self._drawn(over_budget.reached_targets(self._subject.suite)[_PROFILES[kind]])

    def front(self, objective: str | None = None, goals: tuple[str, str] | None = None) -> Figure:
        """Return the incumbents of several goals, by two of them.

        Args:
            objective: the objective.
            goals: the goals on the horizontal and the vertical axis; by default the first two.

        Raises:
            ValueError: the objective has one goal, or lacks one of these.
        """
        from experiments.analysis.report import pareto  # moocore, of the extra `stats`

        task = self._task(objective)
        if not pareto.several(task):
            raise ValueError(f"front: expected several goals of {task.name}, got one")
        return self._drawn(pareto.chart(self._subject, task, goals))

    def parallel(self, objective: str | None = None) -> Figure:
        """Return the evaluated configurations as lines over the parameters, the best on top."""
        task = self._task(objective)
        runs = self._subject.runs_of(task)
        return self._drawn(parameters.parallel(task, runs, parameters.cube_of(runs)))

    def importance(self, objective: str | None = None) -> Figure:
        """Return the importance of the parameters by fANOVA and SHAP.

        Conditional parameters are left out, because they would absorb the importance of those that
        they depend on.

        Raises:
            ValueError: importance cannot be estimated; the message says why.
            ModuleNotFoundError: the extra `report` is not installed.
        """
        from experiments.analysis.report import forests

        task = self._task(objective)
        runs = self._subject.runs_of(task)
        cube = parameters.cube_of(runs)
        given, left_out = forests.sample(runs, cube), forests.conditional(runs, cube)
        if given is None:
            raise ValueError(f"{task.name}: {parameters.unmeasured_line(runs, left_out)}")
        found = forests.measure(given)
        return self._drawn(parameters.importance_chart(task, found, left_out=left_out))

    def centre_bias(self, objective: str) -> Figure:
        """Return the final values with the optimum where it was published and where it was moved.

        Args:
            objective: the objective's name without its shift, such as `ackley`.

        Raises:
            ValueError: it does not have runs with and without a shift.
        """
        pairs = {pair.name: pair for pair in comparisons.centre_pairs(self._subject.suite)}
        if objective not in pairs:
            raise ValueError(
                f"objective: expected one with runs with shift=none and with a shift "
                f"({', '.join(pairs) or 'there is none'}), got {objective}"
            )
        return self._drawn(comparisons.centre_bias(pairs[objective]))

    def _task(self, objective: str | None) -> Task:
        tasks = {task.name: task for task in self._subject.suite.tasks}
        if objective is None and len(tasks) == 1:
            return next(iter(tasks.values()))
        if objective not in tasks:
            raise ValueError(f"objective: expected one of {', '.join(tasks)}, got {objective}")
        return tasks[objective]

    def _drawn(self, chart: Chart) -> Figure:
        return figures.styled(chart, looks(self._subject.suite.optimizers))
