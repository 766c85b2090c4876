"""The autotuner's task file, its limits and its mistakes; and a server's Prometheus page."""

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.running.mistakes import explain
from node import build, search_path
from objectives.serving.engines.server_metrics import read
from objectives.serving.task import EXAMPLE


@pytest.fixture(autouse=True)
def _on_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", search_path())


def changed(folder: Path, **parts: Any) -> str:
    """Write the example with some parts changed; return the override that chooses it."""
    path = folder / "task.json"
    path.write_text(json.dumps({**json.loads(EXAMPLE.read_text()), **parts}))
    return f"task={path}"


def test_the_example_is_the_small_space_of_sglang() -> None:
    task, small = build("serving_task"), build("serving_sglang_small")
    assert task._engine.name == "SGLang"
    assert {str(task.space[n]) for n in task.space} == {str(small.space[n]) for n in small.space}


def test_a_task_is_one_load_at_the_highest_concurrency_unless_one_is_chosen() -> None:
    assert build("serving_task")._plan.concurrency == 8
    assert build("serving_task", "objective.concurrency=4")._plan.concurrency == 4
    assert len(build("serving_task")._plan) == 100


def test_limits_have_the_files_numbers_and_fail_where_it_says() -> None:
    limits = {limit.metric: limit for limit in build("serving_task")._score.slo}
    assert (limits["e2e_p90_s"].limit, limits["e2e_p90_s"].weight) == (5.0, 2.0)
    assert limits["e2e_p90_s"].fail_above == 0.2 and limits["e2e_p90_s"].steepness == 0.1
    assert limits["ttft_p50_s"].fail_above is None


def test_a_task_for_vllm_may_have_the_older_form_of_parameters(tmp_path: Path) -> None:
    parameters = {
        "tensor-parallel-size": {"type": "choice", "values": [1, 2]},
        "enable-prefix-caching": [True, False],
    }
    task = build("serving_task", changed(tmp_path, base_runtime="vllm", parameters=parameters))
    assert task._engine.name == "vLLM"
    assert task._default == {"tensor_parallel_size": 1, "enable_prefix_caching": True}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"parameters": {"tp-sizes": [1, 2]}}, "got tp_sizes; did you mean tp_size"),
        ({"parameters": {}}, "parameters: expected an object with keys, got {}"),
        ({"base_runtime": "trt"}, "base_runtime: expected one of ['sglang', 'vllm'], got 'trt'"),
        ({"optimization": {"objective": "cost"}}, "objective: expected one of"),
        ({"slo": {"queue": {"threshold": 1}}}, "slo: expected the keys"),
        (
            {"slo": {"latency": {"p99": {"threshold": 1.0}}}},
            "expected at least 200 requests for e2e_p99_s, got 100",
        ),
        ({"benchmark": {"traffic_scenarios": ["D(9,9)"]}}, "num_concurrency: expected a list"),
    ],
)
def test_a_mistake_in_a_task_ends_in_one_clear_line(
    parts: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    assert expected in mistake(changed(tmp_path, **parts))


def test_a_file_that_is_none_or_no_json_is_named(tmp_path: Path) -> None:
    assert "expected a JSON file, got /no/such.json" in mistake("task=/no/such.json")
    (tmp_path / "task.json").write_text("{")
    assert "task: expected JSON, got" in mistake(f"task={tmp_path}/task.json")


def mistake(*overrides: str) -> str:
    try:
        build("serving_task", *overrides)
    except Exception as error:
        explained = explain(error, list(overrides))
        assert explained is not None and "\n" not in explained
        return explained
    raise AssertionError("expected a mistake")


def test_a_recorded_page_of_vllm_is_read_whatever_its_labels() -> None:
    # As vLLM 0.32.0 on CPU printed it, idle: tests/vllm_metrics.txt.
    page = read(Path(__file__).with_name("vllm_metrics.txt").read_text())
    assert page["vllm:kv_cache_usage_perc"] == [0.0]
    assert page["vllm:num_preemptions_total"] == [0.0]


def test_samples_of_several_engines_stand_side_by_side() -> None:
    text = '# TYPE a gauge\na{engine="0"} 1.5\na{engine="1"} 2 1700000000\nb +Inf\nbroken\n'
    assert read(text) == {"a": [1.5, 2.0], "b": [float("inf")]}
