"""Targets, profiles, intervals, the Bayesian test, currencies, and items."""

import base64

import numpy as np
import pytest

from experiments.analysis.results import Run
from experiments.analysis.statistics.anytime import Suite, compare_on
from experiments.analysis.statistics.bayesian import over_tasks, signed_rank, within_task
from experiments.analysis.statistics.currencies import currency_ranks
from experiments.analysis.statistics.improvement import improvement
from experiments.analysis.statistics.intervals import interval
from experiments.analysis.statistics.items import compare_items, has_items, unpack
from experiments.analysis.statistics.targets import (
    data_profile,
    ecdf,
    expected_running_time,
    performance_profile,
    times,
)
from made_runs import made_run

INF = float("inf")


def _two() -> Suite:
    """Return two optimizers of two seeds: references 0, first successes 8 throughout."""
    runs = [
        made_run([8.0, 4.0, 0.0], "a", 0),
        made_run([8.0, 8.0, 8.0], "a", 1),
        made_run([8.0, 2.0, 2.0], "b", 0),
        made_run([None, 8.0, 4.0], "b", 1),
    ]
    return compare_on(runs)


def test_times_are_those_of_the_first_step_within_the_target() -> None:
    # Targets 1, 1/2, 1/4 of 8 above 0.
    task = _two().tasks[0]
    assert times(task, "a", [1, 0.5, 0.25]).tolist() == [[1, 2, 3], [1, INF, INF]]
    assert times(task, "b", [1, 0.5, 0.25]).tolist() == [[1, 2, 2], [2, 3, INF]]


def test_the_expected_running_time_counts_what_misses_spent() -> None:
    # To 1/2: a spends 2, and 3 in vain, for one success; b 2 and 3 for two. To 0: a 3 + 3 for one.
    task = _two().tasks[0]
    assert expected_running_time(task, "a", [0.5, 0.0]).tolist() == [5, 6]
    assert expected_running_time(task, "b", [0.5, 0.0]).tolist() == [2.5, INF]


def test_the_ecdf_is_the_share_of_runs_and_targets_reached() -> None:
    # Of a's four: 1 at 1 and 1; 1/2 at 2.
    budgets, share = ecdf(_two(), "a", [1, 0.5])
    assert (budgets.tolist(), share.tolist()) == ([1, 2, 3], [0.5, 0.75, 0.75])


def test_an_optimizer_without_runs_on_a_task_reaches_nothing_there() -> None:
    runs = [made_run([1.0], "a"), made_run([1.0], "b"), made_run([1.0], "a", objective="g")]
    assert ecdf(compare_on(runs), "b", [1])[1].tolist() == [0.5]


def test_performance_profiles_compare_with_the_best_of_each_problem() -> None:
    # To 1/2: seed 0 both in 2, ratio 1; seed 1 b in 3, a never.
    ratios, shares = performance_profile(_two(), 0.5)
    assert ratios.tolist() == [1]
    assert {name: share.tolist() for name, share in shares.items()} == {"a": [0.5], "b": [1.0]}


def test_a_problem_that_nobody_solves_counts_in_all_shares() -> None:
    runs = [made_run([8.0], "a", 0), made_run([8.0], "b", 0), made_run([None], "a", 1)]
    runs.append(made_run([None], "b", 1))
    assert performance_profile(compare_on(runs), 1.0)[1]["a"].tolist() == [0.5]


def test_data_profiles_count_budgets_of_one_more_than_the_parameters() -> None:
    # One parameter: 2 and 3 evaluations are 1 and 1.5.
    xs, shares = data_profile(_two(), 0.5)
    assert xs.tolist() == [1, 1.5]
    assert shares["b"].tolist() == [0.5, 1.0]


def test_an_interval_holds_the_median_and_is_the_same_again() -> None:
    curves = np.random.default_rng(0).lognormal(size=(20, 3))
    low, high = interval(curves)
    assert (low <= np.median(curves, axis=0)).all() and (np.median(curves, axis=0) <= high).all()
    assert np.array_equal(interval(curves)[0], low)


def test_intervals_of_runs_without_success_have_infinite_ends() -> None:
    curves = np.array([[INF, 1.0], [INF, 1.0], [5.0, 1.0], [4.0, 1.0]])
    low, high = interval(curves)
    assert high.tolist() == [INF, 1.0] and low[1] == 1.0


def test_one_run_has_no_interval() -> None:
    assert np.isnan(interval(np.ones((1, 2)))).all()


def test_intervals_cover_the_median_at_about_their_confidence() -> None:
    rng = np.random.default_rng(0)
    draws = rng.lognormal(size=(20, 300))  # 300 samples of 20 whose median is 1
    low, high = interval(draws)
    assert 0.85 < ((low <= 1) & (high >= 1)).mean() <= 0.99


def test_the_probability_of_improvement_has_an_interval_unless_there_is_one_run_each() -> None:
    runs = [made_run([float(x)], "a", x) for x in range(6)]
    runs += [made_run([x + 0.5], "b", x) for x in range(6)]
    found = improvement(compare_on(runs), "a", "b")
    assert found is not None
    assert found.probability == 21 / 36  # x < y + 0.5 in 6 + 5 + ... + 1 of 36
    assert found.low < 21 / 36 < found.high
    one = improvement(compare_on([made_run([1.0], "a"), made_run([2.0], "b")]), "a", "b")
    assert one is not None and one.probability == 1 and np.isnan(one.low)
    assert improvement(compare_on([made_run([1.0])]), "a", "b") is None


def test_the_probability_of_improvement_compares_runs_of_one_instance_only() -> None:
    ends = {"a": [1.0, 10.0], "b": [2.0, 11.0]}
    runs = [
        made_run([x], name, seed, settings={"instance": seed})
        for name, values in ends.items()
        for seed, x in enumerate(values)
    ]
    found = improvement(compare_on(runs), "a", "b")
    assert found is not None and found.probability == 1


def test_the_bayesian_test_favours_the_lower_and_finds_equivalence_within_the_region() -> None:
    low, high = np.linspace(0.1, 0.2, 12), np.linspace(0.4, 0.5, 12)
    assert signed_rank(low, high, 0.01)[0] > 0.99
    assert signed_rank(high, low, 0.01)[2] > 0.99
    assert signed_rank(low, low + 1e-4, 0.01)[1] > 0.99
    with pytest.raises(ValueError, match="rope: expected a number of at least 0, got -1"):
        signed_rank(low, high, -1)


def test_the_bayesian_test_says_nothing_of_few_numbers_or_of_a_constant() -> None:
    few = [made_run([float(seed)], name, seed) for name in "ab" for seed in range(4)]
    assert over_tasks(compare_on(few), "a", "b") is None
    assert within_task(compare_on(few).tasks[0], "a", "b") is None
    fixed = [made_run([1.0], "a", seed) for seed in range(9)]
    varied = [made_run([float(seed)], "b", seed) for seed in range(9)]
    assert within_task(compare_on([*fixed, *varied]).tasks[0], "a", "b") is None


def test_the_bayesian_test_over_tasks_has_one_number_per_task() -> None:
    runs = []
    for i in range(8):
        for seed in range(3):
            runs.append(made_run([8.0, 1.0], "a", seed, objective=f"f{i}"))
            runs.append(made_run([8.0, 7.0], "b", seed, objective=f"f{i}"))
    found = over_tasks(compare_on(runs), "a", "b")
    assert found is not None
    assert found.n == 8 and found.first_better > 0.95


def test_in_time_an_optimizer_is_judged_by_what_it_had_found_by_the_common_time() -> None:
    runs = [
        made_run([5.0, 4.0, 3.0], "quick", ask_s=[0, 0, 0]),  # 3 s in all
        made_run([6.0, 2.0, 1.0], "slow", ask_s=[0, 2, 2]),  # answers after 1, 4, 7 s
    ]
    found = currency_ranks(compare_on(runs))
    assert found is not None
    assert found.ranks["evaluations"] == {"quick": 2, "slow": 1}
    assert found.ranks["time"] == {"quick": 1, "slow": 2}
    assert found.ranks["cost"] == {"quick": 2, "slow": 1}
    assert found.flips == [("slow", "quick", "time")]
    assert found.budgets["time"] == {"f": 3.0}
    assert found.own_share["slow"] == pytest.approx(4 / 7)


def test_in_cost_cheap_evaluations_are_worth_more() -> None:
    runs = [made_run([1.0, 2.0], "a", costs=[5, 5]), made_run([2.0, 1.5], "b", costs=[1, 1])]
    found = currency_ranks(compare_on(runs))
    assert found is not None
    # The common cost is 2 s: `a` has no answer by then.
    assert found.ranks["cost"] == {"a": 2, "b": 1}


def _packed(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode()


def _item_runs(outcomes: dict[str, list[int]]) -> list[Run]:
    return [
        made_run(
            [1 - float(np.mean(bits))],
            name,
            items=[{"acc": _packed(np.packbits(bits))}],
            metrics={"acc": [float(np.mean(bits))]},
        )
        for name, bits in outcomes.items()
    ]


def test_items_are_unpacked_as_bits_or_floats_by_their_mean() -> None:
    bits = np.array([1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0])
    assert unpack(_packed(np.packbits(bits)), float(bits.mean())).tolist() == bits.tolist()
    floats = np.array([0.5, 1.25, 3.0], dtype="<f2")
    assert unpack(_packed(floats), 4.75 / 3).tolist() == [0.5, 1.25, 3.0]
    with pytest.raises(ValueError, match="items: expected outcomes whose mean is the metric 9"):
        unpack(_packed(floats), 9.0)


def test_right_and_wrong_answers_are_compared_by_mcnemars_exact_test() -> None:
    right = [1] * 12 + [0] * 8
    runs = _item_runs({"a": right, "b": [0] * 8 + [1] * 4 + [0] * 8})
    (found,) = compare_items(compare_on(runs).tasks[0], "acc")
    # They differ on 8 items, all of them right with a: 2 / 2^8.
    assert found.corrected == pytest.approx(2 / 2**8)
    assert found.difference == pytest.approx(8 / 20)


def test_equal_items_are_not_told_apart_and_all_zeros_have_as_many_items_as_the_others() -> None:
    runs = _item_runs({"a": [0] * 11, "b": [0] * 10 + [1], "c": [0] * 11})
    found = compare_items(compare_on(runs).tasks[0], "acc")
    assert [one.n_items for one in found] == [11, 11, 11]
    assert [one.corrected for one in found] == [1, 1, 1]


def test_items_of_another_number_are_refused() -> None:
    runs = _item_runs({"a": [1] * 11, "b": [1] * 9})
    with pytest.raises(
        ValueError, match=r"f: expected the same number of items in all runs, got \[9, 11\]"
    ):
        compare_items(compare_on(runs).tasks[0], "acc")


def test_runs_without_items_have_none() -> None:
    assert not has_items(compare_on([made_run([1.0])]).tasks[0], "acc")
