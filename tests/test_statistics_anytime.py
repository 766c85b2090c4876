"""Runs on a common budget: unfinished runs, failures, references, and fixed choices."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.analysis.results import Run
from experiments.analysis.statistics.anytime import Missing, Quantity, compare_on
from experiments.analysis.statistics.improvement import improvement
from made_runs import made_run

INF = float("inf")


def _curve(run: Run) -> list[float]:
    return list(map(float, compare_on([run]).tasks[0].curves["a"][0]))


def test_a_curve_is_the_least_success_so_far_and_infinite_before_the_first() -> None:
    assert _curve(made_run([None, 3.0, 5.0, 2.0])) == [INF, 3.0, 3.0, 2.0]


def test_a_graded_failure_is_a_failure_however_low_its_value() -> None:
    assert _curve(made_run([-1e9, 3.0], failed=[0])) == [INF, 3.0]


def test_only_full_evaluations_are_incumbents_and_parts_spend_their_share() -> None:
    # Spent after each: 1/2, 1, 2, 3. No full evaluation is done after spending 1.
    run = made_run([0.1, 0.2, 4.0, 2.0], fidelities=[0.5, 0.5, 1, 1], budget=3)
    assert _curve(run) == [INF, 4.0, 2.0]


def test_a_run_that_ended_before_its_budget_keeps_its_incumbent() -> None:
    assert _curve(made_run([4.0, 2.0], budget=4)) == [4.0, 2.0, 2.0, 2.0]


def test_an_unfinished_run_keeps_its_incumbent_and_it_is_said() -> None:
    whole, partial = made_run([3.0, 2.0, 1.0]), made_run([5.0, 4.0], "b", budget=3, ended=False)
    suite = compare_on([whole, partial])
    curves = [curve[0].tolist() for curve in suite.tasks[0].curves.values()]
    assert curves == [[3, 2, 1], [5, 4, 4]]
    assert suite.notes == [
        "f: 1 of 2 runs are unfinished, so their incumbents are carried forward to the common "
        "budget (first: b, seed 0, at 2 of 3); finish them with the command that started them",
    ]


def test_runs_that_were_given_less_set_the_common_budget_and_it_is_said() -> None:
    suite = compare_on([made_run([3.0, 2.0, 1.0]), made_run([5.0, 4.0], "b")])
    curves = [curve[0].tolist() for curve in suite.tasks[0].curves.values()]
    assert curves == [[3, 2], [5, 4]]
    assert suite.notes == [
        "f: runs are compared at the common budget of 2; 1 of 2 runs had a larger budget, up to 3"
    ]


def test_where_no_run_is_finished_the_budget_compared_is_what_one_of_them_spent() -> None:
    runs = [
        made_run([3.0, 2.0], ended=False, budget=9),
        made_run([1.0], "b", ended=False, budget=9),
    ]
    assert compare_on(runs).tasks[0].grid.tolist() == [1, 2]


def test_an_unfinished_copy_leaves_a_constant_a_constant() -> None:
    runs = [made_run([3.0, 2.0, 1.0], "a", seed) for seed in range(3)]
    runs.append(made_run([3.0, 2.0], "a", 3, budget=3, ended=False))
    assert compare_on(runs).tasks[0].fixed == {"a"}
    ended = made_run([3.0, 2.0], "a", 3, budget=3)
    assert not compare_on([*runs[:3], ended]).tasks[0].fixed


def test_the_probability_of_improvement_is_of_the_seeds_that_both_have() -> None:
    a = [made_run([x], "a", seed) for seed, x in enumerate([1.0, 9.0])]
    found = improvement(compare_on([*a, made_run([2.0], "b", 0)]), "a", "b")
    assert found is not None and found.probability == 1


def test_a_run_that_failed_as_a_whole_truncates_nobody_and_has_no_further_success() -> None:
    runs = [made_run([3.0, 2.0], "a"), made_run([5.0], "b", budget=2, ended=False)]
    missing = [Missing("b", "f", 0, failed=True), Missing("c", "f", 0, failed=True)]
    suite = compare_on(runs, missing=missing)
    curves = {name: own[0].tolist() for name, own in suite.tasks[0].curves.items()}
    assert curves == {"a": [3, 2], "b": [5, 5], "c": [INF, INF]}
    assert suite.notes == ["the run of c on f with seed 0 failed: it ranks last"]


def test_planned_runs_that_are_not_made_are_said() -> None:
    missing = [Missing("b", "f", seed, failed=False) for seed in (0, 1)]
    assert compare_on([made_run([1.0])], missing=missing).notes == [
        "planned runs that have not been made yet: 2 (b on f (2))"
    ]


def test_a_seed_that_one_optimizer_lacks_is_said_and_not_common() -> None:
    runs = [made_run([1.0], "a", 0), made_run([1.0], "a", 1), made_run([1.0], "b", 0)]
    suite = compare_on(runs)
    assert suite.tasks[0].seeds == [0]
    assert "b has no run for 1 of 2 seeds on f" in suite.notes[0]


def test_copies_of_one_trajectory_are_fixed_and_another_order_is_not() -> None:
    copies = [made_run([3.0, None, 1.0], "a", seed) for seed in range(3)]
    orders = [made_run([1.0, 3.0] if seed else [3.0, 1.0], "b", seed) for seed in range(3)]
    assert compare_on([*copies, *orders]).tasks[0].fixed == {"a"}


def test_runs_that_failed_alike_at_other_configurations_are_no_copies() -> None:
    runs = [made_run([None, None], "a", seed) for seed in range(2)]
    runs[1].configs[0] = {"x": 9.0}
    assert not compare_on(runs).tasks[0].fixed


def test_copies_on_different_instances_are_not_fixed() -> None:
    runs = [made_run([3.0, 1.0], "a", seed, settings={"instance": seed}) for seed in range(3)]
    task = compare_on(runs).tasks[0]
    assert task.instances and not task.fixed


def test_regret_is_zero_at_the_best_seen_and_one_at_the_typical_first_success() -> None:
    runs = [made_run([9.0, 1.0], "a"), made_run([None, 5.0], "b")]
    task = compare_on(runs).tasks[0]
    # Best seen 1; first successes 9 and 5, their median 7; scale 6.
    assert task.regret("a")[0] == pytest.approx([8 / 6, 0])
    assert task.regret("b")[0] == pytest.approx([INF, 4 / 6])
    assert task.area("b")[0] == pytest.approx((1 + 4 / 6) / 2)


def test_a_known_optimum_is_the_reference_and_noise_below_it_is_no_negative_regret() -> None:
    run = made_run([4.0, -1.0])
    optima = {'{"class": "f"}': 0.0}
    task = compare_on([run], optima=optima).tasks[0]
    assert task.known
    assert task.regret("a")[0] == pytest.approx([1, 0])


def test_a_metric_is_read_at_the_incumbent_by_value_and_its_sign_makes_lower_better() -> None:
    run = made_run([3.0, 1.0, 2.0], metrics={"accuracy": [0.5, 0.7, 0.9]})
    curve = compare_on([run], Quantity("accuracy", -1)).tasks[0].curves["a"][0]
    assert curve.tolist() == [-0.5, -0.7, -0.7]


def test_a_test_metric_counts_where_the_incumbent_was_tested() -> None:
    run = made_run([3.0, 1.0], tests=[{"id": 1, "metrics": {"mmlu": 0.3}}])
    assert compare_on([run], Quantity("mmlu", -1)).tasks[0].final("a").tolist() == [-0.3]


def test_a_metric_that_an_incumbent_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="expected mmlu at the incumbent of a on f, seed 0"):
        compare_on([made_run([3.0])], Quantity("mmlu", -1))


def test_runs_of_different_fingerprints_are_refused() -> None:
    runs = [made_run([1.0]), made_run([1.0], "b", fingerprint={"data": "new"})]
    with pytest.raises(ValueError, match="f: expected runs of one fingerprint, got data=None"):
        compare_on(runs)


def test_one_seed_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one run of a with seed 0, got two"):
        compare_on([made_run([1.0]), made_run([1.0, 2.0])])


def test_a_run_without_any_evaluation_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"a run without any \(b, seed 0\)"):
        compare_on([made_run([1.0]), made_run([], "b", budget=1, ended=False)])


def test_the_incumbent_of_equal_values_is_the_first() -> None:
    assert made_run([2.0, 1.0, 1.0]).incumbent(3) == 1
    assert made_run([None, 1.0]).incumbent(1) is None


def test_a_mean_of_seeds_hides_no_run_without_success() -> None:
    runs = [made_run([1.0], "a", 0), made_run([None], "a", 1)]
    assert np.isinf(compare_on(runs).tasks[0].final("a").mean())


def test_the_probability_of_improvement_counts_ties_half_and_no_success_as_worst() -> None:
    a = [made_run([x], "a", seed) for seed, x in enumerate([1.0, 2.0])]
    b = [made_run([x], "b", seed) for seed, x in enumerate([2.0, None])]
    found = improvement(compare_on([*a, *b]), "a", "b")
    # Pairs: 1 < 2 wins, 1 < inf wins, 2 = 2 half, 2 < inf wins: 3.5 of 4.
    assert found is not None and found.probability == 3.5 / 4


def test_tasks_are_in_the_order_of_their_numbers() -> None:
    runs = [made_run([1.0], objective=f"bbob function={i}") for i in (10, 2, 1)]
    names = [task.name for task in compare_on(runs).tasks]
    assert names == ["bbob function=1", "bbob function=2", "bbob function=10"]


def test_a_resumed_trial_spends_what_it_adds() -> None:
    # A third, then the rest of that trial: one full evaluation is done when one is spent.
    run = made_run([9.0, 4.0, 2.0], fidelities=[1 / 3, 1, 1], budget=2)
    resumed = replace(run, prices=np.array([1 / 3, 2 / 3, 1.0]))
    assert _curve(resumed) == [4.0, 2.0]
    assert _curve(run) == [INF, 4.0]


def test_a_low_value_at_a_low_fidelity_beats_nothing() -> None:
    cheap = made_run([0.1, 0.1, 5.0], "a", fidelities=[0.5, 0.5, 1])
    full = made_run([4.0, 4.0], "b")
    task = compare_on([cheap, full]).tasks[0]
    assert task.final("a").tolist() == [5.0] and task.final("b").tolist() == [4.0]
    never = made_run([0.1] * 4, "a", fidelities=[0.5] * 4, budget=2)
    assert compare_on([never, full]).tasks[0].final("a").tolist() == [INF]
