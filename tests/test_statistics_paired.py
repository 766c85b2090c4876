"""Paired tests, Holm's correction, ranks and critical differences."""

import numpy as np
import pytest
from scipy.stats import wilcoxon

from experiments.analysis.statistics.anytime import Suite, compare_on
from experiments.analysis.statistics.paired import (
    differences,
    holm,
    least_p,
    least_pairs,
    paired,
    sign_test,
)
from experiments.analysis.statistics.ranks import (
    anytime_ranks,
    critical_difference,
    friedman,
    nemenyi,
    rank_columns,
    rank_table,
)
from experiments.analysis.statistics.signed_rank import signed_rank
from experiments.analysis.statistics.simulated import lognormal, suite_of
from made_runs import made_run

INF = float("inf")


def test_the_signed_rank_p_is_scipys_exact_one_where_there_are_no_ties() -> None:
    rng = np.random.default_rng(0)
    for n in (3, 6, 15, 40):
        d = rng.standard_normal(n) + 0.3
        assert signed_rank(d)[0] == pytest.approx(wilcoxon(d, method="exact").pvalue)


def test_tied_differences_have_the_exact_p_of_all_sign_changes() -> None:
    # |d| = 1, 1, 1, 2: midranks 2, 2, 2, 4 of total 10, all positive but one of rank 2: W+ = 8.
    # W+ >= 8 with: all (10); without one of the three 2s (8, three ways): 4 of 16; two-sided 8/16.
    assert signed_rank(np.array([1.0, 1.0, -1.0, 2.0])) == (0.5, 1)


def test_zeros_are_left_out_of_the_signed_ranks() -> None:
    assert signed_rank(np.array([0.0, 1.0, 2.0, 0.0, 3.0])) == signed_rank(
        np.array([1.0, 2.0, 3.0])
    )


def test_five_pairs_never_reach_the_level() -> None:
    assert signed_rank(-np.arange(1.0, 6)) == (0.0625, -1)  # 2 of 2^5
    assert least_p(5) == 0.0625


def test_the_least_number_of_pairs_grows_with_the_comparisons() -> None:
    # 2^(1-n) < 0.05: n = 6. 66 comparisons: 2^(1-n) < 0.000758: n = 12.
    assert (least_pairs(1, 0.05), least_pairs(66, 0.05)) == (6, 12)


def test_a_run_without_a_success_loses_to_every_value_and_ties_with_its_like() -> None:
    test = paired(np.array([INF, INF, 1.0]), np.array([5.0, INF, 2.0]))
    # Differences inf, 0, -1: ranks 2 and 1; wins 0, 1/2, 1.
    assert (test.wins, test.sign, test.p) == (0.5, 1, 1.0)


def test_values_that_differ_by_rounding_are_ties() -> None:
    a = np.array([0.1 + 0.2, 1.0, 2.0])
    assert paired(a, np.array([0.3, 1.5, 2.5])).wins == pytest.approx(2.5 / 3)


def test_a_constant_is_held_against_by_the_sign_test() -> None:
    # 7 of 8 lie below: P(at most 1 of 8) = 9 / 256, two-sided 18 / 256. Their sizes say nothing.
    varied = np.array([1.0, 2, 3, 4, 5, 6, 7, 99])
    test = paired(varied, np.full(8, 8.0), (False, True))
    assert (test.kind, test.sign) == ("sign", -1)
    assert test.p == pytest.approx(18 / 256)
    assert sign_test(np.zeros(3)) == (1.0, 0)


def test_two_constants_are_not_tested_however_many_copies_there_are() -> None:
    test = paired(np.full(30, 1.0), np.full(30, 2.0), (True, True))
    assert (test.kind, test.p, test.sign) == ("none", None, -1)


def test_runs_that_all_end_at_one_value_are_a_sample_unless_they_are_copies() -> None:
    # 30 of 30 pairs in one direction: 2 of 2^30.
    test = paired(np.zeros(30), np.ones(30))
    assert (test.kind, test.p, test.sign) == ("signed-rank", 2.0**-29, -1)


def test_differences_that_are_equal_but_for_rounding_share_their_rank() -> None:
    # 0.3 - 0.1 and 0.2 - 0 differ in the last bit, as do 2/3 - 1/3 and 1/3 - 0.
    d = differences(np.array([0.3, 0.0, 2 / 3, 0.0]), np.array([0.1, 0.2, 1 / 3, 1 / 3]))
    assert signed_rank(d) == signed_rank(np.array([2.0, -2, 3, -3])) == (1.0, 0)


def test_a_difference_of_the_tie_itself_is_a_tie_on_either_side() -> None:
    low = np.array([0.6, 0.1, 0.7, 0.3])
    assert not differences(low, low + 0.2, 0.2).any()
    assert not differences(low + 0.2, low, 0.2).any()


def test_many_pairs_have_the_normal_approximation_of_the_exact_p() -> None:
    rng = np.random.default_rng(0)
    d = rng.standard_normal(700) + 0.08
    exact = wilcoxon(d, method="exact").pvalue
    assert signed_rank(d)[0] == pytest.approx(exact, rel=0.01)


def test_many_equal_differences_have_the_exact_p_of_the_sign_test() -> None:
    d = np.where(np.random.default_rng(0).random(10_042) < 0.51, 1.0, -1.0)
    assert signed_rank(d) == pytest.approx(sign_test(d))


def test_one_pair_says_nothing() -> None:
    assert paired(np.array([1.0]), np.array([2.0])).p == 1.0


def test_other_numbers_of_values_are_refused() -> None:
    with pytest.raises(ValueError, match="pairs: expected equal shapes"):
        paired(np.zeros(2), np.zeros(3))


def test_holm_multiplies_the_least_by_all_and_never_falls() -> None:
    # 0.01 x 3 = 0.03; 0.03 x 2 = 0.06; 0.04 x 1 = 0.04, raised to 0.06.
    assert holm([0.03, 0.01, 0.04]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_ties_share_their_rank_and_no_success_is_last() -> None:
    values = np.array([[1.0, 0.3], [INF, 0.1 + 0.2], [2.0, 5.0]])
    assert rank_columns(values).tolist() == [[1, 1.5], [3, 1.5], [2, 3]]


def test_ranks_are_averaged_over_seeds_and_then_over_tasks() -> None:
    ends = {("f", "a"): [1.0, 2.0], ("f", "b"): [3.0, 1.0], ("g", "a"): [1.0], ("g", "b"): [2.0]}
    runs = [
        made_run([x], optimizer, seed, objective=objective)
        for (objective, optimizer), values in ends.items()
        for seed, x in enumerate(values)
    ]
    names, table = rank_table(compare_on(runs))
    assert (names, table.tolist()) == (["f", "g"], [[1.5, 1.5], [1.0, 2.0]])


def test_ranks_over_the_budget_see_who_was_ahead_early() -> None:
    runs = [made_run([5.0, 5.0, 1.0], "late"), made_run([2.0, 2.0, 2.0], "early")]
    # early: 1, 1, 2; late: 2, 2, 1.
    assert anytime_ranks(compare_on(runs)) == pytest.approx(np.array([4 / 3, 5 / 3]))


def test_critical_differences_are_those_of_demsars_table() -> None:
    # q at 0.05 (Demsar 2006, table 5a): 2.343 for 3, 2.728 for 5, 3.164 for 10 classifiers.
    for k, q in ((3, 2.343), (5, 2.728), (10, 3.164)):
        assert nemenyi(k, 14, 0.05) == pytest.approx(q * np.sqrt(k * (k + 1) / 84), abs=1e-3)


def test_friedmans_p_is_iman_and_davenports() -> None:
    rows = np.array([[1.0, 2, 3], [1, 2, 3], [1, 3, 2], [2, 1, 3]])
    # Means 1.25, 2, 2.75: chi2 = 12 x 4 / (3 x 4) (0.75^2 + 0.75^2) = 4.5, and F = 3 x 4.5 / (8 -
    # 4.5) = 3.857 on (2, 6) degrees of freedom, of which the tail is (1 + 2 F / 6)^-3.
    assert friedman(rows) == pytest.approx((1 + 2 * (13.5 / 3.5) / 6) ** -3)


def test_friedmans_p_of_one_order_throughout_is_none_and_of_ties_throughout_one() -> None:
    assert friedman(np.tile([2.0, 2.0, 2.0], (5, 1))) == 1.0
    assert friedman(np.tile([1.0, 2.0, 3.0], (5, 1))) == 0.0


def _suite(n_tasks: int, n_optimizers: int = 3) -> Suite:
    rng = np.random.default_rng(1)
    return suite_of(lognormal(rng, (n_tasks, n_optimizers, 4)))


def test_few_tasks_or_two_optimizers_support_no_critical_difference() -> None:
    assert critical_difference(_suite(10), 0.05) is None
    assert critical_difference(_suite(30, 2), 0.05) is None


def test_a_critical_difference_says_its_power_and_who_is_not_told_apart() -> None:
    found = critical_difference(_suite(12), 0.05)
    assert found is not None
    # 2.343 sqrt(12 / 72) = 0.957, and 0.842 sqrt(12 / 72) = 0.344 more for a power of 80 %.
    assert found.difference == pytest.approx(0.957, abs=1e-3)
    assert found.detectable - found.difference == pytest.approx(0.344, abs=1e-3)
    assert [sorted(group) for group in found.groups] == [["o00", "o01", "o02"]]
