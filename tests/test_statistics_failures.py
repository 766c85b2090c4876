"""Failures stay visible: crashes never help, whatever value a failed evaluation carries."""

from collections.abc import Iterator

import numpy as np
import pytest

from experiments.analysis.results import Run
from experiments.analysis.statistics.anytime import Suite, compare_on
from experiments.analysis.statistics.currencies import currency_ranks
from experiments.analysis.statistics.improvement import win_shares
from experiments.analysis.statistics.ranks import anytime_ranks, rank_table
from experiments.analysis.statistics.targets import times
from experiments.analysis.statistics.verdict import verdict
from made_runs import made_run

OPTIMIZERS, SEEDS, BUDGET = ("a", "b", "c"), 6, 12
PENALTIES = (None, 1e6, 0.0, -1e9)  # a grade may be any number; the error alone counts


def _suites(n: int) -> Iterator[tuple[Suite, Suite]]:
    """Yield suites, and the same with a tenth of the evaluations of `a` crashed."""
    rng = np.random.default_rng(0)
    for number in range(n):
        few = number % 3 == 0  # of few values, so that ties occur
        runs, crashed = [], []
        for objective in ("f", "g"):
            for name in OPTIMIZERS:
                for seed in range(SEEDS):
                    values = np.exp(2 * rng.standard_normal(BUDGET))
                    values = np.floor(values) if few else values
                    spent = rng.exponential(size=BUDGET).tolist()
                    run = made_run(values.tolist(), name, seed, objective=objective, costs=spent)
                    runs.append(run)
                    drawn = rng.random(BUDGET) < (0.1 if name == "a" else 0.0)
                    crashed.append(
                        _crash(run, np.flatnonzero(drawn).tolist(), PENALTIES[number % 4])
                    )
        yield compare_on(runs), compare_on(crashed)


def _crash(run: Run, lost: list[int], penalty: float | None) -> Run:
    values = [penalty if i in lost else value for i, value in enumerate(run.values.tolist())]
    return made_run(
        values,
        run.optimizer,
        run.seed,
        objective=run.objective,
        failed=lost,
        costs=run.costs.tolist(),
    )


def _ranks(suite: Suite) -> list[float]:
    """Return the rank of `a` at the end, over the budget, and in time."""
    anytime, currencies = anytime_ranks(suite), currency_ranks(suite)
    assert anytime is not None and currencies is not None
    in_time = [currencies.ranks[currency]["a"] for currency in ("time", "cost")]
    return [*rank_table(suite)[1][:, 0].tolist(), float(anytime[0]), *in_time]


def test_a_tenth_of_crashes_never_improves_an_optimizers_rank() -> None:
    for before, after in _suites(60):
        assert all(b <= a + 1e-12 for b, a in zip(_ranks(before), _ranks(after), strict=True))


def test_a_tenth_of_crashes_never_raises_a_share_of_wins_or_turns_a_verdict() -> None:
    for before, after in _suites(60):
        for task, same in zip(before.tasks, after.tasks, strict=True):
            for other in OPTIMIZERS[1:]:
                shares = [win_shares(each, OPTIMIZERS)["a", other] for each in (task, same)]
                assert shares[1] <= shares[0] + 1e-12
        was = [one.better for one in verdict(before, 0.5).within if one.first == "a"]
        now = [one.better for one in verdict(after, 0.5).within if one.first == "a"]
        assert not [pair for pair in zip(was, now, strict=True) if pair[1] == "a" != pair[0]]


def test_a_failed_evaluation_spends_its_budget() -> None:
    suite = compare_on([made_run([None, None, 1.0]), made_run([2.0, 2.0, 2.0], "b")])
    assert times(suite.tasks[0], "a", [0.0]).tolist() == [[3.0]]


def test_a_run_without_a_success_ranks_last_in_every_currency() -> None:
    runs = [made_run([None, None], "a", failed=[0]), made_run([9.0, 9.0], "b")]
    suite = compare_on(runs)
    found = currency_ranks(suite)
    assert found is not None
    assert [own["a"] for own in found.ranks.values()] == [2, 2, 2]


def test_failures_are_counted_within_the_common_budget() -> None:
    runs = [made_run([None, 1.0, None], "a"), made_run([1.0], "b", budget=3, ended=False)]
    assert compare_on(runs).tasks[0].n_failed == {"a": {0: 2}, "b": {0: 0}}
    runs.append(made_run([1.0, 1.0], "c"))
    assert compare_on(runs).tasks[0].n_failed == {"a": {0: 1}, "b": {0: 0}, "c": {0: 0}}


@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_suite_in_which_everything_failed_ties(penalty: float | None) -> None:
    runs = [made_run([penalty] * 2, name, failed=[0, 1]) for name in OPTIMIZERS]
    assert rank_table(compare_on(runs))[1].tolist() == [[2, 2, 2]]


def _in(currency: str, runs: list[Run]) -> dict[str, float]:
    found = currency_ranks(compare_on(runs))
    assert found is not None
    return {"time": found.ranks["time"], "cost": found.ranks["cost"]}[currency]


@pytest.mark.parametrize("currency", ["time", "cost"])
@pytest.mark.parametrize("cost", [0.0, 0.01])
def test_an_optimizer_that_fails_throughout_at_no_cost_does_not_end_the_comparison(
    currency: str, cost: float
) -> None:
    runs = [
        made_run([5.0, 4.0, 3.0], "a"),
        made_run([6.0, 5.0, 4.0], "b"),
        made_run([None] * 3, "c", costs=[cost] * 3),
    ]
    assert _in(currency, runs) == {"a": 1, "b": 2, "c": 3}


def test_refusals_at_no_cost_do_not_end_the_comparison_before_the_others_succeed() -> None:
    # b had four evaluations of five refused: it spent 1 s, the others 5.
    runs = [
        made_run([5.0, 5, 5, 5, 1], "a"),
        made_run([None, None, None, None, 2], "b", costs=[0, 0, 0, 0, 1]),
        made_run([5.0, 5, 5, 5, 3], "c"),
    ]
    assert _in("cost", runs) == {"a": 1, "b": 2, "c": 3}


def test_an_unfinished_run_does_not_set_the_common_time() -> None:
    runs = [made_run([5.0, 5.0, 1.0], "a"), made_run([3.0], "b", budget=3, ended=False)]
    assert _in("cost", runs) == {"a": 1, "b": 2}


def test_where_nothing_costs_anything_all_that_was_found_counts() -> None:
    runs = [made_run([5.0, 1.0], "a", costs=[0, 0]), made_run([4.0, 2.0], "b", costs=[0, 0])]
    assert _in("cost", runs) == {"a": 1, "b": 2}


def test_equal_mean_ranks_do_not_flip_by_their_last_digit() -> None:
    rng = np.random.default_rng(0)
    runs = []
    for i in range(7):
        for seed in range(3):
            low, high = np.sort(rng.random(2)).tolist()
            ends = (low, high) if (i + seed) % 2 else (high, low)
            for name, end in zip("ab", ends, strict=True):
                runs.append(made_run([end], name, seed, objective=f"f{i}"))
    found = currency_ranks(compare_on(runs))
    assert found is not None and found.flips == []
    assert found.ranks["time"] == found.ranks["evaluations"]
