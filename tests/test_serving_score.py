"""The metrics, the score and the grades of a load's requests."""

import base64
import math
from typing import Any

import numpy as np
import pytest

from objectives.serving.grades import GRADES, Failure
from objectives.serving.load.measures import Requests, check_metric, measure
from objectives.serving.score import SCORES, Score, build

REFERENCE = {"output_tokens_per_s": 50.0, "e2e_p90_s": 3.0}


def rows() -> Requests:
    """Return three requests, of which the last fails."""
    return Requests(
        arrival_s=np.array([0.0, 1.0, 2.0]),
        first_s=np.array([0.5, 2.5, np.nan]),
        end_s=np.array([1.5, 4.0, 3.0]),
        prompt_tokens=np.array([10, 10, 10]),
        answer_tokens=np.array([11, 4, 0]),
        errors=("", "", "connection closed"),
        gaps_s=np.array([0.1] * 10 + [0.5] * 3),
    )


def slo(**change: Any) -> dict[str, dict[str, Any]]:
    keys = {"limit": 2.0, "weight": 1.0, "steepness": 0.2, "fail_above": None}
    return {"ttft_p90_s": {**keys, **change}}


def scored(score: Score, ttft: float, tokens: float = 50.0) -> float:
    metrics = {"ttft_p90_s": ttft, "output_tokens_per_s": tokens, "e2e_p90_s": 3.0}
    return score.value({**metrics, "goodput_per_s": 1.0}, REFERENCE)


def test_metrics_are_those_worked_out_by_hand() -> None:
    metrics = measure(rows(), {"ttft_p90_s": 1.0})
    assert metrics["ttft_p50_s"] == pytest.approx(1.0)  # of 0.5 and 1.5
    assert metrics["ttft_p90_s"] == pytest.approx(1.4)  # 0.5 + 0.9 (1.5 - 0.5)
    assert metrics["tpot_p90_s"] == pytest.approx(0.1 + 0.9 * 0.4)  # 1.0/10 and 1.5/3
    assert metrics["itl_p50_s"] == pytest.approx(0.1)
    assert metrics["e2e_p90_s"] == pytest.approx(1.5 + 0.9 * 1.5)  # 1.5 and 3.0
    assert metrics["load_s"] == pytest.approx(4.0)
    assert metrics["output_tokens_per_s"] == pytest.approx(15 / 4)
    assert metrics["requests_per_s"] == pytest.approx(2 / 4)
    assert metrics["failed_share"] == pytest.approx(1 / 3)


def test_goodput_counts_the_requests_that_meet_every_limit_themselves() -> None:
    assert measure(rows(), {"ttft_p90_s": 1.0})["goodput_per_s"] == pytest.approx(1 / 4)
    assert measure(rows(), {"ttft_p90_s": 1.5})["goodput_per_s"] == pytest.approx(2 / 4)
    both = {"ttft_p90_s": 1.5, "tpot_p90_s": 0.2}
    assert measure(rows(), both)["goodput_per_s"] == pytest.approx(1 / 4)


def test_a_load_without_a_success_has_no_latencies() -> None:
    nan, one = np.array([np.nan]), np.array([1.0])
    none = Requests(one, nan, 2 * one, np.array([10]), np.array([0]), ("refused",), np.array([]))
    metrics = measure(none, {})
    assert "ttft_p50_s" not in metrics
    assert metrics["failed_share"] == 1.0 and metrics["output_tokens_per_s"] == 0.0


def test_every_request_is_kept_as_a_row_of_half_floats() -> None:
    packed = rows().pack()
    columns = {
        name: np.frombuffer(base64.b64decode(text), "<f2").tolist() for name, text in packed.items()
    }
    assert columns["arrival_s"] == [0.0, 1.0, 2.0]
    assert columns["ttft_s"][:2] == [0.5, 1.5] and math.isnan(columns["ttft_s"][2])
    assert columns["e2e_s"][:2] == [1.5, 3.0]
    assert columns["answer_tokens"] == [11, 4, 0] and columns["failed"] == [0, 0, 1]


def test_a_high_percentile_needs_enough_requests() -> None:
    check_metric("objective.slo", "ttft_p99_s", 200)
    check_metric("objective.slo", "ttft_p90_s", 5)
    with pytest.raises(ValueError, match="at least 200 requests for ttft_p99_s, got 20"):
        check_metric("objective.slo", "ttft_p99_s", 20)


@pytest.mark.parametrize("metric", ["ttft_s", "latency", "ttft_p100_s"])
def test_a_metric_that_is_not_measured_is_refused(metric: str) -> None:
    with pytest.raises(ValueError, match=f"objective.slo: expected a metric .*, got {metric}"):
        check_metric("objective.slo", metric, 1000)


def test_the_default_scores_zero_and_a_better_configuration_less() -> None:
    score = build("slo", "output_tokens_per_s", slo(), 20)
    assert scored(score, ttft=2.0) == 0
    assert scored(score, ttft=1.0, tokens=100.0) == pytest.approx(-math.log(2))


def test_the_penalty_is_continuous_at_the_limit_and_bounded_beyond_twice_it() -> None:
    score = build("slo", "output_tokens_per_s", slo(), 20)
    assert scored(score, ttft=2.0 + 1e-9) == pytest.approx(0, abs=1e-8)
    # v = 0.5, s = 0.2: 0.2 (e^2.5 - 1)/(e^5 - 1) 5 = 0.0758582
    assert scored(score, ttft=3.0) == pytest.approx(0.0758582, rel=1e-5)
    assert scored(score, ttft=4.0) == pytest.approx(1.0)  # w s C = 1 * 0.2 * 5
    assert scored(score, ttft=1e9) == pytest.approx(1.0)


def test_a_rate_may_be_limited_from_below() -> None:
    limited = {"requests_per_s": {"limit": 1.0, "weight": 1.0, "steepness": 0.2, "fail_above": 0.5}}
    score = build("slo", "output_tokens_per_s", limited, 20)
    assert score.slo[0].violation({"requests_per_s": 0.75}) == 0.25
    with pytest.raises(Failure, match="requests_per_s"):
        score.check({"requests_per_s": 0.4})


def test_rates_are_compared_per_gpu() -> None:
    score = build("throughput", "output_tokens_per_s", slo(), 20)
    metrics = {"output_tokens_per_s": 100.0, "gpus": 2.0}
    assert score.value(metrics, {**REFERENCE, "gpus": 1.0}) == 0


def test_goodput_is_negated_and_needs_no_reference() -> None:
    score = build("goodput", "output_tokens_per_s", slo(), 20)
    assert not score.needs_reference
    assert score.value({"goodput_per_s": 1.2}, {}) == -1.2


@pytest.mark.parametrize("failed", [0.05, 0.1, 0.3, 0.5])
def test_a_latency_does_not_gain_by_failing_requests(failed: float) -> None:
    # Half the requests failing at 0.5 s is worse than none at 2 s; so is one of twenty.
    score = build("latency", "e2e_p90_s", {}, 20)
    reference = {"e2e_p90_s": 1.0}
    fast = score.value({"e2e_p90_s": 0.5, "failed_share": failed}, reference)
    slow = score.value({"e2e_p90_s": 2.0, "failed_share": 0.0}, reference)
    assert fast > slow == pytest.approx(math.log(2))
    assert fast <= score.ceiling


def test_a_failed_request_costs_a_latency_more_the_more_there_are() -> None:
    # Of p90 a tenth may fail: b goes from log(0.5) to log(20) on the way there.
    score = build("slo", "e2e_p90_s", {}, 20)
    values = [
        score.value({"e2e_p90_s": 0.5, "failed_share": f}, {"e2e_p90_s": 1.0})
        for f in (0.0, 0.05, 0.1, 0.4)
    ]
    worst = math.log(20)
    halfway = (math.log(0.5) + worst) / 2
    assert values == pytest.approx([math.log(0.5), halfway, worst, worst])


def test_gpus_cost_a_latency() -> None:
    metrics = {"e2e_p90_s": 0.5, "gpus": 8.0}
    reference = {"e2e_p90_s": 1.0, "gpus": 1.0}
    values = [
        build("slo", "e2e_p90_s", {}, 20, gpu_cost=g).value(metrics, reference) for g in (0, 1)
    ]
    assert values == pytest.approx([math.log(0.5), math.log(0.5 * 8)])
    with pytest.raises(ValueError, match="objective.gpu_cost: expected a finite number .*, got -1"):
        build("slo", "e2e_p90_s", {}, 20, gpu_cost=-1)


def test_a_metric_that_is_missing_breaks_its_limit() -> None:
    score = build("slo", "output_tokens_per_s", slo(fail_above=1.5), 20)
    with pytest.raises(Failure, match="ttft_p90_s: expected within .*, got none"):
        score.check({})


def test_the_compat_score_jumps_at_the_limit_as_the_autotuner_does() -> None:
    score = build("compat", "e2e_p90_s", slo(fail_above=0.5), 20)
    assert scored(score, ttft=2.0) == 1.0
    assert scored(score, ttft=2.0 + 1e-9) == pytest.approx(2.0)  # 1 + w exp(0)
    assert scored(score, ttft=2.4) == pytest.approx(1 + math.e)  # v = 0.2 = s


def test_the_compat_score_is_finite_for_a_limit_that_never_fails() -> None:
    score = build("compat", "e2e_p90_s", slo(), 20)
    assert scored(score, ttft=1e9) == pytest.approx(1 + math.exp(1 / 0.2))  # v counts as 1


@pytest.mark.parametrize("name", SCORES)
def test_every_failure_lies_above_every_success_and_is_finite(name: str) -> None:
    score = build(name, "output_tokens_per_s", slo(fail_above=3.0), 20)
    worst = max(scored(score, ttft=8.0, tokens=tokens) for tokens in (1e-300, 0.0, 1.0, 50.0))
    failures = [score.ceiling + Failure(status, "", 0.5).grade for status in GRADES]
    assert math.isfinite(max(failures))
    assert worst <= score.ceiling < min(failures)


def test_a_hard_limit_fails_only_above_its_ratio() -> None:
    score = build("slo", "output_tokens_per_s", slo(fail_above=0.5), 20)
    score.check({"ttft_p90_s": 3.0})
    with pytest.raises(Failure, match=r"ttft_p90_s: expected within 2 \+ 50 %, got 3.1"):
        score.check({"ttft_p90_s": 3.1})


def test_a_failure_is_graded_by_how_far_it_got() -> None:
    order = ["infeasible", "refused", "timed_out", "died", "broke_off", "requests_failed"]
    grades = [Failure(status, "", 0.25).grade for status in order]
    assert grades == [4.0, 3.5, 3.0, 2.5, 1.75, 0.5]
    assert Failure("broke_off", "", 0.75).grade < Failure("broke_off", "", 0.5).grade


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"limit": 0}, "ttft_p90_s.limit: expected a finite number above 0, got 0"),
        ({"weight": -1}, "ttft_p90_s.weight: expected a finite number of at least 0, got -1"),
        (
            {"steepness": 0.6},
            "ttft_p90_s.steepness: expected a finite number of at least 0.1 and at most 0.5",
        ),
        ({"limits": 1}, "ttft_p90_s: expected the keys"),
    ],
)
def test_an_slo_that_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build("slo", "output_tokens_per_s", slo(**change), 20)


def test_an_unknown_score_is_refused() -> None:
    with pytest.raises(ValueError, match="objective.score: expected one of .*, got 'speed'"):
        build("speed", "output_tokens_per_s", slo(), 20)
