"""The report's section on evaluations below full fidelity."""

import numpy as np

from experiments.analysis.report.fidelities import has_fidelities, over_cost, pruned, trials
from experiments.analysis.report.subject import Subject
from experiments.analysis.results import Run
from experiments.analysis.statistics.anytime import compare_on
from experiments.analysis.statistics.gather import quantity_of
from made_runs import made_run

THIRD = 1 / 3


def halving(seed: int = 0) -> Run:
    """Return a run: three configurations at a third, of which the second fails, one promoted."""
    run = made_run(
        [3.0, None, 2.0, 1.0, 4.0],
        "halving",
        seed,
        fidelities=[THIRD, THIRD, THIRD, 1.0, 1.0],
        costs=[10.0, 10.0, 10.0, 15.0, 60.0],
        budget=3.0,
    )
    run.configs[3] = dict(run.configs[2])
    return run


def full(seed: int = 0) -> Run:
    return made_run([5.0, 2.5, 3.0], "full", seed, costs=[30.0, 30.0, 30.0])


def subject(*runs: Run) -> Subject:
    every = list(runs)
    return Subject(every, compare_on(every, quantity_of(every, None, None), {}, []))


def test_a_trial_is_stopped_unless_its_configuration_went_on_or_failed() -> None:
    assert pruned(halving()).tolist() == [True, False, False, False, False]
    assert not has_fidelities([full()]) and has_fidelities([full(), halving()])


def test_trials_are_counted_at_each_fidelity() -> None:
    table = trials(subject(halving(), halving(1), full(), full(1)))
    assert table is not None
    rows = [
        [cell.number or 0.0 for cell in row.cells[2:]]
        for row in table.rows
        if row.optimizer != "full"
    ]
    # Two seeds: six trials at a third, two failed, two stopped; 2 of 6 units of the budget.
    assert np.allclose(rows, [[THIRD, 6, 2, 2, 2 / 6], [1.0, 4, 0, 0, 4 / 6]])


def test_the_curve_over_the_cost_counts_full_evaluations_only() -> None:
    (chart,) = over_cost(subject(halving(), full()))
    lines = {one.name: dict(zip(one.x, one.y, strict=True)) for one in chart.series}
    # The costs add up to 10, 20, 30, 45, 105; the first full evaluation is the fourth answer.
    levels = [x for x in lines["halving"] if x is not None]
    assert all(lines["halving"][x] is None for x in levels if x < 44)
    assert all(lines["halving"][x] == 1.0 for x in levels if x > 46)
    assert all(lines["full"][x] == 5.0 for x in levels if 31 < x < 59)
    assert all(lines["full"][x] == 2.5 for x in levels if x > 61)


def test_runs_of_full_evaluations_have_no_such_section() -> None:
    assert trials(subject(full())) is None
    assert over_cost(subject(full())) == []
