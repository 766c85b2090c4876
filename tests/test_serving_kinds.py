"""The permitted values of an engine's parameters; others are refused when the space is read."""

from pathlib import Path
from typing import Any

import pytest

from experiments.running.mistakes import explain
from node import build, search_path
from objectives.serving.constraints import Constraint
from objectives.serving.engines import llamacpp, sglang, vllm
from objectives.serving.engines.vllm import Vllm
from objectives.serving.host.launcher import Local
from objectives.serving.kinds import SHARE, SWITCH, WORD, Kind, check_space, one_of, whole
from test_serving_task import changed

ENGINES = {"serving_vllm": vllm, "serving_sglang": sglang, "serving": llamacpp}


@pytest.fixture(autouse=True)
def _on_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", search_path())


def line(name: str, *overrides: str) -> str:
    """Return the one line that the command line prints for a mistake."""
    try:
        build(name, *overrides)
    except Exception as error:
        explained = explain(error, list(overrides))
        assert explained is not None and "\n" not in explained
        return explained
    raise AssertionError("expected a mistake")


@pytest.mark.parametrize(
    ("name", "overrides", "expected"),
    [
        (
            "serving_sglang",
            ['++objective.space.enable_mixed_chunk.choices=["true","false"]'],
            "objective.space.enable_mixed_chunk: expected true or false, got 'true'",
        ),
        (
            "serving_sglang",
            ["++objective.space.enable_mixed_chunk.choices=[1,0]"],
            "enable_mixed_chunk: expected true or false, got 1",
        ),
        (
            "serving_vllm",
            ['++objective.space.enable_prefix_caching.choices=["true","false"]'],
            "enable_prefix_caching: expected true or false, got 'true'",
        ),
        (
            "serving_vllm",
            ["objective.default.async_scheduling=0"],
            "objective.default.async_scheduling: expected true or false, got 0",
        ),
        (
            "serving_sglang",
            ["++objective.space.tp_size.choices=[1,1.5]"],
            "objective.space.tp_size: expected an integer of at least 1, got 1.5",
        ),
        (
            "serving_sglang",
            ["++objective.space.tp_size.choices=[1,2.0]"],
            "tp_size: expected an integer of at least 1, got 2.0",
        ),
        (
            "serving_vllm",
            ['++objective.space.block_size.choices=["16"]'],
            "block_size: expected an integer of at least 1, got '16'",
        ),
        (
            "serving_vllm",
            ["++objective.space.max_num_seqs={type:float,lower:8,upper:16}"],
            "max_num_seqs: expected an integer of at least 1, got the type float; take int",
        ),
        (
            "serving_vllm",
            ["++objective.space.gpu_memory_utilization.upper=97"],
            "gpu_memory_utilization: expected a finite number of at least 0 and at most 1, got 97",
        ),
        (
            "serving_vllm",
            ["++objective.space.compilation.choices=[eager,fast]"],
            "compilation: expected one of eager, piecewise, full, got 'fast'",
        ),
        (
            "serving",
            ["++objective.space.flash_attn.choices=[auto,true]"],
            "flash_attn: expected one of auto, on, off, got True; put words such as on and off in",
        ),
        (
            "serving",
            ["++objective.space.cont_batching={type:int,lower:0,upper:1}"],
            "cont_batching: expected true or false, got 0",
        ),
        (
            "serving",
            ["++objective.space.cache_prompt={type:constant,value:yes please}"],
            "cache_prompt: expected true or false, got 'yes please'",
        ),
    ],
)
def test_a_value_of_another_kind_is_refused_where_the_space_is_read(
    name: str, overrides: list[str], expected: str
) -> None:
    assert expected in line(name, *overrides)


@pytest.mark.parametrize(
    ("runtime", "parameters", "expected"),
    [
        ("sglang", {"enable-mixed-chunk": ["true", "false"]}, "enable_mixed_chunk: expected true"),
        ("sglang", {"disable-radix-cache": [0, 1]}, "disable_radix_cache: expected true or false"),
        ("vllm", {"enable-prefix-caching": ["true", "false"]}, "enable_prefix_caching: expected"),
        ("vllm", {"enable-prefix-caching": [True, 1]}, "expected true or false, got 1"),
        ("sglang", {"tp-size": [1, "2"]}, "tp_size: expected an integer of at least 1, got '2'"),
    ],
)
def test_so_it_is_in_a_task_file(
    runtime: str, parameters: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    file = changed(tmp_path, base_runtime=runtime, parameters=parameters)
    assert expected in line("serving_task", file)


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_every_parameter_of_every_engine_has_a_kind(name: str) -> None:
    engine = build(name)._engine
    assert list(engine.parameters) == list(engine.kinds) == list(ENGINES[name].KINDS)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (SWITCH, [True, False], [0, 1, "true", None, 1.0]),
        (whole(), [1, 8], [0, -1, 1.0, True, "1", 1.5]),
        (whole(-1), [-1, 512], [-2, False]),
        (SHARE, [0.5, 1], [1.1, -0.1, "0.5", True, float("nan")]),
        (WORD, ["auto"], [True, 1]),
        (one_of("a", "b"), ["a"], ["c", 1, True]),
        (Kind(float, least=0), [0, 1e9], [-1, float("nan")]),
    ],
)
def test_a_kind_allows_its_own_values_alone(kind: Kind, good: list[Any], bad: list[Any]) -> None:
    assert [kind.allows(value) for value in good] == [True] * len(good)
    assert [kind.allows(value) for value in bad] == [False] * len(bad)


def test_a_parameter_without_a_kind_is_not_checked() -> None:
    check_space({}, {"a": {"type": "categorical", "choices": [1, "x"]}})


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("++objective.engine.environment={A: true}", "environment.A: expected text or a number"),
        ("++objective.engine.environment={A: null}", "environment.A: expected text or a number"),
        ("++objective.engine.environment={A: [1]}", "environment.A: expected text or a number"),
        ("objective.engine.flags=[--a,true]", "flags.1: expected text or a number"),
        ("objective.engine.flags=[[--a]]", "flags.0: expected text or a number"),
        ("objective.engine.tokens=[a,b]", "engine.tokens: expected the first and the last id"),
        ("objective.engine.tokens=[1.5,3]", "engine.tokens: expected the first and the last id"),
        ("objective.engine.tokens=[true,3]", "engine.tokens: expected the first and the last id"),
    ],
)
def test_what_a_server_is_started_with_is_text_or_a_number(override: str, expected: str) -> None:
    assert expected in line("serving_vllm", override)


@pytest.mark.parametrize("key", ["environment", "flags", "tokens", "program"])
@pytest.mark.parametrize("value", [None, True, 5, "text", {"a": {"b": 1}}, [None]])
def test_settings_of_an_engine_of_another_kind_are_refused(key: str, value: Any) -> None:
    settings: dict[str, Any] = {
        "program": ["vllm"], "model": "a/b", "tokens": [1, 9], "device": "cuda", "gpus": 1,
        "attention_heads": 1, "environment": {}, "flags": [], "launcher": Local(),
    }  # fmt: skip
    with pytest.raises(ValueError, match=f"objective.engine.{key}.*: expected"):
        Vllm(**{**settings, key: value})


def test_a_rule_over_text_says_what_it_was_given() -> None:
    rule = Constraint("a * b <= 8", ["a", "b"])
    with pytest.raises(ValueError, match="expected values that a . b <= 8 compares, got .*'x'"):
        rule.holds({"a": "x", "b": "y"})
