"""vLLM's and SGLang's command lines, and configurations that are refused before the launch."""

import re
from pathlib import Path

import numpy as np
import pytest

from experiments.running.composing import prepare
from experiments.running.mistakes import explain
from node import build, search_path
from objectives.serving.engine import Demand
from objectives.serving.engines.vllm import Vllm
from objectives.serving.grades import GRADES
from objectives.space import UnitCube
from objectives.trial import Config, Trial

NAMES = ["serving_vllm", "serving_vllm_cpu", "serving_sglang", "serving_sglang_small"]
DEMAND = Demand(tokens=1000, requests=10)


@pytest.fixture(autouse=True)
def _on_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", search_path())
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)


def known_flags(engine: str) -> set[str]:
    """Return the flags in the engine's own help; the file's first line names the version."""
    return set(Path(__file__).with_name(f"{engine}_flags.txt").read_text().splitlines()[1:])


def command(name: str, config: Config) -> list[str]:
    engine = build(name)._engine
    assert hasattr(engine, "command")
    words: list[str] = engine.command(config, "a-model", 8000, DEMAND)
    return words


def line(name: str, *overrides: str) -> str:
    """Return the one line that the command line prints for a mistake."""
    try:
        build(name, *overrides)
    except Exception as error:
        explained = explain(error, list(overrides))
        assert explained is not None and "\n" not in explained
        return explained
    raise AssertionError("expected a mistake")


def grade(name: str, config: Config, *overrides: str) -> tuple[float, float, str]:
    """Return the grade, the cost and the error of a configuration that is not launched."""
    objective = build(name, *overrides)
    full = {**objective.default, **config}
    evaluation = objective.evaluate(Trial(0, full))
    assert evaluation.value is not None
    above = evaluation.value - objective._score.ceiling
    return above, evaluation.cost, str(evaluation.error)


@pytest.mark.parametrize("name", NAMES)
def test_every_flag_of_every_configuration_is_one_that_the_engine_lists(name: str) -> None:
    objective = build(name)
    engine = objective._engine
    known = known_flags(engine.name.lower())
    cube = UnitCube(objective.space)
    assert hasattr(engine, "command")
    for u in np.random.default_rng(0).random((200, cube.dim)):
        words = engine.command(cube.config(u), "a-model", 8000, DEMAND)
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known


def test_vllms_command_line_spells_every_parameter() -> None:
    config: Config = {
        "tensor_parallel_size": 2,
        "gpu_memory_utilization": 0.9,
        "max_num_seqs": 64,
        "enable_chunked_prefill": False,
        "enable_prefix_caching": True,
        "compilation": "piecewise",
        "cudagraph_max_size": 256,
        "disable_custom_all_reduce": True,
        "speculative": "ngram",
        "num_speculative_tokens": 4,
        "prompt_lookup_max": 3,
    }
    assert command("serving_vllm", config) == [
        "--model=a-model",
        "--host=127.0.0.1",
        "--port=8000",
        "--max-model-len=1032",  # 1000, plus 32 for drafts and the end-of-text token
        "--tensor-parallel-size=2",
        "--gpu-memory-utilization=0.9",
        "--max-num-seqs=64",
        "--no-enable-chunked-prefill",
        "--enable-prefix-caching",
        "--disable-custom-all-reduce",
        '--compilation-config={"cudagraph_mode": "PIECEWISE"}',
        "--max-cudagraph-capture-size=256",
        '--speculative-config={"method": "ngram", "num_speculative_tokens": 4, '
        '"prompt_lookup_max": 3, "prompt_lookup_min": 2}',
    ]


def test_eager_vllm_without_speculation_has_neither_configuration() -> None:
    words = command("serving_vllm", {"compilation": "eager", "speculative": "none"})
    assert words[4:] == ["--enforce-eager"]


def test_sglangs_command_line_spells_every_parameter() -> None:
    config: Config = {
        "tp_size": 2,
        "mem_fraction_static": 0.8,
        "schedule_policy": "dfs-weight",
        "chunked_prefill_size": -1,
        "cuda_graph_max_bs": 64,
        "disable_radix_cache": True,
        "enable_mixed_chunk": False,
        "speculative_algorithm": "none",
    }
    assert command("serving_sglang", config) == [
        "--model-path",
        "a-model",
        "--host=127.0.0.1",
        "--port=8000",
        "--context-length=1032",
        "--enable-metrics",
        "--tp-size=2",
        "--mem-fraction-static=0.8",
        "--schedule-policy=dfs-weight",
        "--chunked-prefill-size=-1",
        "--cuda-graph-max-bs-decode=64",
        "--disable-radix-cache",
    ]


def test_the_small_space_of_sglang_has_160_configurations() -> None:
    # 4 sizes, 5 shares of the memory, 2 policies, 4 chunks.
    assert np.prod(UnitCube(build("serving_sglang_small").space).n_values) == 160


@pytest.mark.parametrize(
    ("config", "overrides", "expected"),
    [
        (
            {
                "tensor_parallel_size": 4,
                "disable_custom_all_reduce": False,
                "data_parallel_size": 4,
            },
            [],
            "tensor_parallel_size \\* pipeline_parallel_size \\* data_parallel_size <= 8",
        ),
        (
            {"tensor_parallel_size": 8, "disable_custom_all_reduce": False},
            ["objective.engine.attention_heads=12"],
            "expected 12 attention heads to be shared evenly, got 8 GPUs",
        ),
        (
            {"pipeline_parallel_size": 4},
            ["objective.engine.gpus=2"],
            "expected at most 2 GPUs, got 4",
        ),
        (
            {"enable_chunked_prefill": False, "max_num_batched_tokens": 300},
            ['objective.load.lengths="D(1024,128)"', "objective.default.max_num_seqs=8"],
            "expected max_num_batched_tokens >= 1184, the longest sequence",  # 1024 + 128 + 32
        ),
    ],
)
def test_what_vllm_is_known_to_refuse_is_never_launched(
    config: Config, overrides: list[str], expected: str
) -> None:
    above, cost, error = grade("serving_vllm", config, *overrides)
    assert (above, cost) == (GRADES["infeasible"], 0)
    assert re.search(expected, error)


@pytest.mark.parametrize(
    ("name", "overrides", "expected"),
    [
        ("serving_vllm", ["objective.engine.gpus=9"], "expected 9 GPUs on this machine, got 8"),
        (
            "serving_vllm",
            ["objective.engine.program=[none]"],
            "expected vLLM on this machine, got no",
        ),
        (
            "serving_sglang",
            ["objective.engine.program=[python3,-m,sglang.launch_server]"],
            "expected SGLang on this machine, got python3 without sglang; install it",
        ),
        (
            "serving_vllm",
            ["++objective.space.max_num_seq.type=int"],
            "expected parameters of vLLM .*, got max_num_seq; did you mean max_num_seqs",
        ),
        (
            "serving_sglang",
            ['objective.constraints=["tp_size > 8"]'],
            "expected rules that some configuration keeps, got tp_size > 8, which none does",
        ),
        (
            "serving_vllm",
            ["objective.engine.device=tpu"],
            "objective.engine.device: expected one of",
        ),
        (
            "serving_vllm",
            ["objective/launcher@objective.engine=ssh", "objective.engine.launcher.host=-oProxy"],
            "objective.engine.launcher.host: expected a host, got '-oProxy'",
        ),
        (
            "serving_vllm",
            [
                "objective/launcher@objective.engine=ssh",
                "objective.engine.launcher.host=unreachable",
            ],
            "expected to reach unreachable, got: ssh: Could not resolve hostname",
        ),
        (
            "serving_vllm",
            ["objective/launcher@objective.engine=srun"],
            "expected to run inside a SLURM job for srun, got no SLURM_JOB_ID",
        ),
        (
            "serving_vllm_cpu",
            ["objective.engine.model=/no/such"],
            "expected a folder with config.json",
        ),
    ],
)
def test_a_mistake_ends_in_one_clear_line(name: str, overrides: list[str], expected: str) -> None:
    assert re.search(expected, line(name, *overrides))


def test_a_model_s_folder_may_be_relative_although_the_server_runs_in_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "models" / "mine").mkdir(parents=True)
    (tmp_path / "models" / "mine" / "config.json").write_text('{"num_attention_heads": 8}')
    monkeypatch.chdir(tmp_path)
    engine = build("serving_vllm", "objective.engine.model=models/mine")._engine
    assert isinstance(engine, Vllm)
    words = " ".join(engine.launch({}, 8000, Demand(10, 10)).command)
    assert str(tmp_path / "models" / "mine") in words
    assert words.count("models/mine") == words.count(str(tmp_path / "models" / "mine"))


def test_the_model_of_this_machine_is_not_looked_for_on_another() -> None:
    words = ["objective/launcher@objective.engine=ssh", "objective.engine.launcher.host=node"]
    said = line("serving_vllm_cpu", *words)
    assert "expected a folder on node" in said and "objectives.serving.engines.hf_folder" in said


def test_a_machine_without_gpus_is_told_of_the_cpu_variant(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "vllm").symlink_to(Path(search_path().split(":")[0]) / "vllm")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "expected 8 GPUs on this machine, got 0" in line("serving_vllm")
    assert "objective=serving_vllm_cpu" in line("serving_vllm")


def test_the_cause_of_a_failed_start_is_the_first_error_not_its_consequences() -> None:
    engine = build("serving_vllm")._engine
    assert isinstance(engine, Vllm)
    printed = (
        "(EngineCore pid=7) ERROR 11-21 17:18:19 [core.py:1] ValueError: No available memory for "
        "the cache blocks.\n"
        "(APIServer pid=6) RuntimeError: Engine core initialization failed. See root cause above.\n"
    )
    assert engine.reason(printed) == "ValueError: No available memory for the cache blocks."
    assert engine.is_out_of_memory(printed)


def test_a_launcher_is_chosen_where_the_engine_has_it() -> None:
    assert prepare(["objective.engine.launcher=ssh", "objective.engine.launcher.host=node"]) == [
        "objective/launcher@objective.engine=ssh",
        "objective.engine.launcher.host=node",
    ]
    assert "did you mean objective.engine.launcher?" in line(
        "serving_vllm", *prepare(["objective.launcher=ssh"])
    )
