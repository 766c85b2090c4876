"""Goals and limits of the serving objectives: what is declared, judged and refused."""

from typing import Any

import pytest

from node import build, search_path
from objectives.objective import Objective
from objectives.serving.bench import Bench
from objectives.serving.grades import GRADES
from objectives.trial import Config, Evaluation, Goal, Limit, Trial, keeps, signed
from optimizers.goal_targets import goal_targets
from stand_in import serving, trial

SERVERS = ("serving", "serving_vllm", "serving_sglang", "serving_task", "serving_sim")
TWO = "objective.goals={output_tokens_per_s_per_gpu: 0, ttft_p90_s: 10}"
GOALS = {
    "output_tokens_per_s_per_gpu": Goal(minimise=False, unit="tokens/s/GPU", reference=0.0),
    "ttft_p90_s": Goal(minimise=True, unit="s", reference=10.0),
}
SLOW = {"output_tokens_per_s": 50.0, "ttft_p90_s": 9.0, "output_tokens_per_s_per_gpu": 25.0}


@pytest.fixture(autouse=True)
def _engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stand-ins be the engines of this machine."""
    monkeypatch.setenv("PATH", search_path())


@pytest.mark.parametrize("name", SERVERS)
def test_every_serving_objective_has_the_same_goals_and_limits(name: str) -> None:
    objective = build(name, TWO, "objective.limits={tpot_p90_s: 0.1, requests_per_s: 2}")
    assert objective.goals == GOALS and list(objective.goals) == list(GOALS)
    assert objective.limits == {
        "tpot_p90_s": Limit(0.1, unit="s"),
        "requests_per_s": Limit(2.0, at_most=False, unit="requests/s"),
    }
    assert objective.metric == "output_tokens_per_s_per_gpu"


@pytest.mark.parametrize("name", SERVERS)
def test_the_slo_becomes_the_limits_and_the_base_the_goal(name: str) -> None:
    objective: Any = build(name, "objective.limits=slo")
    assert {metric: limit.bound for metric, limit in objective.limits.items()} == {
        limit.metric: limit.limit for limit in objective._score.slo
    }
    assert len(objective.goals) == 1


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("goals", ["speed"], r"goals: expected .*'ttft_p90_s', .*'startup_s'.*, got 'speed'"),
        ("goals", [], r"goals: expected a list of .*, got \[\]"),
        ("goals", [1], r"goals: expected .*, got 1"),
        ("limits", {"speed": 1}, r"limits: expected .*'e2e_p90_s', .*, got 'speed'"),
        ("limits", "strict", r"limits: expected bounds by metric.*, got 'strict'"),
        ("limits", {"ttft_p90_s": None}, r"limits.ttft_p90_s: expected a finite number, got None"),
        ("goals", ["itl_p99_s"], "goals: expected at least 200 requests for itl_p99_s, got 10"),
    ],
)
def test_goals_and_limits_that_cannot_be_are_refused_in_one_line(
    setting: str, value: Any, expected: str
) -> None:
    with pytest.raises(ValueError, match=rf"^objective\.{expected}") as raised:
        serving(**{setting: value})
    assert "\n" not in str(raised.value)


def test_another_percentile_is_measured_where_it_is_a_goal() -> None:
    evaluation = serving(goals=["itl_p70_s"]).evaluate(trial("serves"))
    assert evaluation.value == evaluation.metrics["itl_p70_s"]


def _stand_in(**changes: Any) -> Objective:
    return serving(goals={"output_tokens_per_s_per_gpu": 0, "ttft_p90_s": 10}, **changes)


def test_a_breach_is_a_success_with_its_metrics_and_no_penalty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Bench, "run", lambda bench, config, plan: (dict(SLOW), {}))
    hard = {"limit": 5.0, "weight": 1.0, "steepness": 0.3, "fail_above": 0.1}
    slo = {"ttft_p90_s": hard}
    failed = serving(slo=slo).evaluate(trial("serves"))
    assert failed.error is not None and "expected within 5 + 10 %" in failed.error
    objective = _stand_in(slo=slo, limits="slo")
    kept = objective.evaluate(trial("serves"))
    assert kept.error is None and kept.value is None
    assert kept.metrics.items() >= SLOW.items()
    assert not keeps(objective.limits, kept.metrics)
    alone = serving(slo=slo, goals=["output_tokens_per_s_per_gpu"], limits="slo")
    assert alone.evaluate(trial("serves")).value == -25.0


def test_a_real_exchange_measures_every_goal_and_failures_stay_graded_in_each() -> None:
    objective = _stand_in(limits={"failed_share": 0.25}, load_timeout_s=1.5)
    behaviours = ("serves", "fails_most", "dies", "refuses")
    told = [objective.evaluate(trial(behaviour)) for behaviour in behaviours]
    good, *failures = told
    assert good.error is None and good.value is None
    assert keeps(objective.limits, good.metrics)
    assert signed(objective.goals, good.metrics) is not None
    _expect_graded(objective, told)
    grades = [GRADES[status] for status in ("requests_failed", "died", "refused")]
    assert [e.value for e in failures] == pytest.approx(grades)  # above a rate, of which 0 is worst


def test_the_simulated_nodes_failures_are_graded_in_each_goal() -> None:
    objective = build("serving_sim", TWO, "objective.load.requests=60")
    assert objective.default is not None
    changes: list[Config] = [
        {},
        {"data_parallel_size": 2},
        {"async_scheduling": True, "speculative": "ngram", **_NGRAM},  # refused
        {"pipeline_parallel_size": 4, "data_parallel_size": 8},  # never launched
    ]
    configs = [{**objective.default, **change} for change in changes]
    told = [objective.evaluate(Trial(id, config)) for id, config in enumerate(configs)]
    assert [e.error is None for e in told] == [True, True, False, False]
    _expect_graded(objective, told)


_NGRAM: Config = {"num_speculative_tokens": 3, "prompt_lookup_max": 4}


def _expect_graded(objective: Objective, told: list[Evaluation]) -> None:
    """Expect failures, in ascending order of grade, to be as much worse in each goal."""
    penalties = [e.value for e in told if e.error is not None and e.value is not None]
    assert len(penalties) == sum(e.error is not None for e in told)
    assert penalties == sorted(penalties)
    targets = goal_targets(told, objective.goals)  # (n, goals)
    for column in targets.T:
        succeeded = [x for x, e in zip(column, told, strict=True) if e.error is None]
        failed = [x for x, e in zip(column, told, strict=True) if e.error is not None]
        assert failed == sorted(failed) and failed[0] >= max(succeeded)


@pytest.mark.parametrize(
    ("goal", "worst"),
    [
        ("output_tokens_per_s", 0.0),
        ("e2e_p90_s", 20.0),  # neither start nor load may take longer
        ("memory_bytes", 2.0**44),
        ("failed_share", 1.0),
    ],
)
def test_a_failure_of_a_single_goal_is_worse_than_every_success(goal: str, worst: float) -> None:
    failed = serving(goals=[goal], constraints=["size * half <= 8"]).evaluate(
        trial("serves", size=16)
    )
    assert failed.error is not None and failed.value == worst + GRADES["infeasible"]
