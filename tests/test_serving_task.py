"""The autotuner's task file, its limits and its mistakes; and a server's Prometheus page."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from experiments.running.mistakes import explain
from node import build, search_path
from objectives.serving.engine import Demand
from objectives.serving.engines.server_metrics import read
from objectives.serving.task import EXAMPLE
from objectives.serving.task_file import UNREAD
from objectives.trial import Config, Trial


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
    assert task.default == {"tensor_parallel_size": 1, "enable_prefix_caching": True}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"parameters": {"tp-sizes": [1, 2]}}, "got tp_sizes; did you mean tp_size"),
        ({"parameters": {}}, "parameters: expected an object with keys, got {}"),
        ({"base_runtime": "trt"}, "base_runtime: expected one of sglang, vllm, got 'trt'"),
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


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (
            {"slos": {}},
            "file: expected the keys [",
        ),
        ({"slos": {}}, "got slos; did you mean slo?"),
        ({"paralel_config": {"tp": [1]}}, "did you mean parallel_config?"),
        ({"model": {"id": "x"}}, "model: expected the keys"),
        ({"model": {"id_or_path": "x", "name": "y"}}, "model: expected id_or_path, or in an older"),
        ({"model": {"namespace": "x"}}, "model: expected id_or_path"),
        ({"model": {"id_or_path": 7}}, "model.id_or_path: expected a name or a folder, got 7"),
        (
            {"slo": {"latency": {"p90": {"threshold": 5, "hard_fail": "false"}}}},
            "slo.latency.p90.hard_fail: expected true or false, got 'false'",
        ),
        (
            {"slo": {"latency": {"p90": {"threshold": 5, "hard_fails": True}}}},
            "got hard_fails; did you mean hard_fail?",
        ),
        (
            {"slo": {"latency": {"p90": {"threshold": "5"}}}},
            "slo.latency.p90.threshold: expected a finite number above 0, got '5'",
        ),
        (
            {"slo": {"ttft": {"threshold": 1, "p90": {"threshold": 1}}}},
            "slo.ttft: expected the keys",
        ),
        ({"slo": {"ttft": {}}}, "slo.ttft: expected a threshold"),
        ({"slo": {"ttft": 1}}, "slo.ttft: expected an object with keys, got 1"),
        (
            {"slo": {"ttft": {"threshold": 1}, "steepness": True}},
            "slo.steepness: expected a finite number above 0",
        ),
        ({"slo": [1]}, "slo: expected an object with keys, got [1]"),
        (
            {"slo": {"latency": {"p99": {"weight": 1}}}},
            "threshold: expected a finite number above 0, got None",
        ),
        (
            {"optimization": {"objective": "minimize_latency", "timeout_iteration": 5}},
            "got timeout_iteration; did you mean timeout_per_iteration?",
        ),
        (
            {"optimization": {"objective": "minimize_latency", "timeout_per_iteration": "60"}},
            "timeout_per_iteration: expected a finite number above 0, got '60'",
        ),
        ({"optimization": {"objective": ["minimize_latency"]}}, "objective: expected one of"),
        ({"base_runtime": 3}, "base_runtime: expected one of"),
        (
            {"parameters": {"tp-size": [[1]]}},
            "parameters.tp-size: expected true, false, numbers or",
        ),
        ({"parameters": {"tp-size": 4}}, "parameters.tp-size: expected a list of values, got 4"),
        ({"parameters": {"tp-size": {"vals": [1]}}}, "did you mean values?"),
        (
            {"parameters": {"tp-size": [1, 2], "tensor-parallel-size": [4, 8]}},
            "parameters.tensor-parallel-size: expected tp_size once, got it in parameters.tp-size",
        ),
        ({"parameters": {"--tp-size": [1], "tp_size": [2]}}, "expected tp_size once"),
        ({"parallel_config": {"tp": [1, 2]}}, "parallel_config.tp: expected tp_size once"),
        ({"parallel_config": {"tensor": [1, 2]}}, "parallel_config: expected the keys"),
        ({"parallel_config": {"dp": [1.5]}}, "dp_size: expected an integer of at least 1, got 1.5"),
        ({"parallel_config": {"dp": []}}, "parallel_config.dp: expected a list of values, got []"),
        (
            {"parallel_config": {"presets": ["twins"]}, "parameters": {"page-size": [1]}},
            "parallel_config.presets: expected ['single-gpu', ",
        ),
        (
            {"parallel_config": {"presets": ["balanced"], "pp": [1]}},
            "parallel_config.presets: expected no size beside it, got tp_size",
        ),
        ({"quant_config": {"presets": ["fp4"]}}, "quant_config.presets: expected ['default', "),
        (
            {"quant_config": {"gemm_dtype": "int8"}},
            "quant_config: expected gemm_dtype to be one that sglang",
        ),
        (
            {"quant_config": {"kvcache_dtype": ["auto", "int4"]}},
            "expected kvcache_dtype to be one that sglang",
        ),
        (
            {
                "quant_config": {"presets": ["kv-cache-fp8"]},
                "parameters": {"kv-cache-dtype": ["auto"]},
            },
            "expected kv_cache_dtype in parameters or in",
        ),
        ({"quant_config": 3}, "quant_config: expected an object with keys, got 3"),
    ],
)
def test_a_key_or_a_value_that_is_none_is_refused_with_its_place(
    parts: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    said = mistake(changed(tmp_path, **parts))
    assert expected in said
    assert "task.json: " in said or "objective.space." in said


@pytest.mark.parametrize(
    ("benchmark", "expected"),
    [
        (
            {"num_concurrency": [1, "8"]},
            "num_concurrency: expected integers of at least 1, got '8'",
        ),
        ({"num_concurrency": [True]}, "expected integers of at least 1, got True"),
        ({"num_concurrency": [0]}, "expected integers of at least 1, got 0"),
        ({"num_concurrency": 8}, "num_concurrency: expected a list of values, got 8"),
        ({"traffic_scenarios": [5]}, "traffic_scenarios: expected texts, got 5"),
        ({"max_requests_per_iteration": "50"}, "expected an integer of at least 1, got '50'"),
        ({"max_requests_per_iteration": 50.5}, "expected an integer of at least 1, got 50.5"),
        ({"dataset_url": "somewhere"}, "benchmark: expected the keys"),
        ({"additional_params": {"temperature": 0.7}}, "additional_params.temperature: expected 0"),
        ({"additional_params": {"top_p": 0.7}}, "additional_params: expected the keys"),
    ],
)
def test_what_is_said_of_the_load_has_its_type_and_is_never_dropped(
    benchmark: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    whole = {**json.loads(EXAMPLE.read_text())["benchmark"], **benchmark}
    assert expected in mistake(changed(tmp_path, benchmark=whole))


def test_what_is_deliberately_unread_is_a_list_and_changes_nothing(tmp_path: Path) -> None:
    example = json.loads(EXAMPLE.read_text())
    parts: dict[str, Any] = {key: {"a": 1} for key in UNREAD[""]}
    for section in ("model", "optimization", "benchmark"):
        parts[section] = {**example[section], **dict.fromkeys(UNREAD[section], "x")}
    task = build("serving_task", changed(tmp_path, **parts))
    assert task.default == build("serving_task").default


def commands(tmp_path: Path, **parts: Any) -> list[list[str]]:
    """Return what distinguishes the command lines of every configuration of a task."""
    objective = build("serving_task", changed(tmp_path, **parts))
    found = []
    for choice in itertools.product(*(values_of(objective.space[n]) for n in objective.space)):
        config = objective.engine_config(dict(zip(objective.space, choice, strict=True)))
        words = objective._engine.launch(config, 8000, Demand(10, 1)).command
        found.append(sorted(words[words.index("--enable-metrics") + 1 :]))
    return found


def values_of(parameter: Any) -> list[Any]:
    return list(getattr(parameter, "sequence", ()) or parameter.choices)


def test_sizes_of_parallel_config_are_tuned(tmp_path: Path) -> None:
    # parallel_config_test.json of the autotuner: four configurations.
    parts = {"parallel_config": {"tp": [2, 4], "dp": [1, 2]}}
    found = commands(tmp_path, **parts, parameters={"mem-fraction-static": [0.85]})
    assert sorted(found) == sorted(
        [f"--dp-size={dp}", "--mem-fraction-static=0.85", f"--tp-size={tp}"]
        for tp, dp in itertools.product((2, 4), (1, 2))
    )


def test_presets_of_quant_config_are_tuned_and_start_different_servers(tmp_path: Path) -> None:
    # quant_multi_preset_task.json: three configurations.
    presets = ["default", "kv-cache-fp8", "dynamic-fp8"]
    found = commands(
        tmp_path, quant_config={"presets": presets}, parameters={"mem-fraction-static": [0.8]}
    )
    assert [[word for word in words if "mem" not in word] for words in found] == [
        [],
        ["--kv-cache-dtype=fp8_e5m2"],
        ["--attention-backend=flashinfer", "--kv-cache-dtype=fp8_e5m2", "--quantization=fp8"],
    ]


def test_data_types_of_quant_config_may_be_values_or_lists(tmp_path: Path) -> None:
    # quant_custom_task.json: one combination; and a list of two caches.
    fields = {"gemm_dtype": "fp8", "attention_dtype": "fp8", "moe_dtype": "auto"}
    found = commands(
        tmp_path,
        quant_config={**fields, "kvcache_dtype": ["auto", "fp8_e5m2"]},
        parameters={"mem-fraction-static": [0.8]},
    )
    shared = ["--attention-backend=flashinfer", "--mem-fraction-static=0.8", "--quantization=fp8"]
    assert found == [shared, sorted([*shared, "--kv-cache-dtype=fp8_e5m2"])]


def test_presets_of_parallel_config_are_one_parameter(tmp_path: Path) -> None:
    objective = build(
        "serving_task",
        changed(
            tmp_path,
            base_runtime="vllm",
            parallel_config={"presets": ["single-gpu", "balanced", "large-model-tp-pp"]},
            parameters={"max-num-seqs": [64]},
        ),
    )
    expanded = [
        objective.engine_config({"parallel_preset": name, "max_num_seqs": 64})
        for name in ("single-gpu", "balanced")
    ]
    sizes = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
    assert [[config[size] for size in sizes] for config in expanded] == [[1, 1, 1], [2, 1, 4]]
    # Sixteen GPUs are more than there are: never launched.
    large: Config = {"parallel_preset": "large-model-tp-pp", "max_num_seqs": 64}
    evaluation = objective.evaluate(Trial(0, large))
    assert "expected at most 8 GPUs, got 16" in str(evaluation.error) and evaluation.cost == 0


def test_what_vllm_has_no_flag_for_is_refused(tmp_path: Path) -> None:
    parts = {"base_runtime": "vllm", "parameters": {"max-num-seqs": [64]}}
    said = mistake(changed(tmp_path, **parts, quant_config={"presets": ["aggressive-moe"]}))
    assert "quant_config: expected attention_dtype to be one that vllm has a flag for" in said
    found = build(
        "serving_task",
        changed(tmp_path, **parts, quant_config={"presets": ["default", "dynamic-fp8"]}),
    ).engine_config({"quant_preset": "dynamic-fp8", "max_num_seqs": 64})
    assert found == {"max_num_seqs": 64, "quantization": "fp8", "kv_cache_dtype": "fp8_e5m2"}


def test_older_files_call_the_model_by_its_name(tmp_path: Path) -> None:
    task = build("serving_task", changed(tmp_path, model={"name": "llama", "namespace": "x"}))
    assert "with llama on" in str(task.notice())


def test_a_file_that_is_none_or_no_json_is_named(tmp_path: Path) -> None:
    assert "expected a JSON file, got /no/such.json" in mistake("task=/no/such.json")
    (tmp_path / "task.json").write_text("{")
    assert "task: expected JSON, got" in mistake(f"task={tmp_path}/task.json")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"tp-size": [1, 2, 4, 8]', '"tp-size": [1], "tp-size": [8]', "the key 'tp-size' twice"),
        ('"slo": {', '"slo": {}, "slo": {', "the key 'slo' twice"),
        (
            '"timeout_per_iteration": 600',
            '"timeout_per_iteration": 1' + "0" * 400,
            "a finite number above 0",
        ),
        ('"max_requests_per_iteration": 100', '"max_requests_per_iteration": 1' + "0" * 12, "most"),
        ('"num_concurrency": [4, 8]', '"num_concurrency": [1' + "0" * 12 + "]", "at most 10000000"),
        ("[1, 2, 4, 8]", '{"type": "range", "values": [1, 8]}', "tp-size.type: expected choice"),
    ],
)
def test_a_task_of_which_a_part_would_be_dropped_or_never_fit_is_refused(
    old: str, new: str, expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "task.json"
    path.write_text(EXAMPLE.read_text().replace(old, new, 1))
    assert expected in mistake(f"task={path}")


@pytest.mark.parametrize("slo", [[], False, 0, ""])
def test_a_slo_that_is_none_is_refused(slo: Any, tmp_path: Path) -> None:
    assert "slo: expected an object" in mistake(changed(tmp_path, slo=slo))


def test_a_byte_order_mark_of_a_task_is_no_matter(tmp_path: Path) -> None:
    path = tmp_path / "task.json"
    path.write_text(EXAMPLE.read_text(), encoding="utf-8-sig")
    assert len(build("serving_task", f"task={path}")._plan) == 100


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
