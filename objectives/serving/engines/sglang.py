"""The engine SGLang: its OpenAI-compatible server, on CUDA only.

Parameters have the names of SGLang's flags (checked against 0.5.23: `tests/sglang_flags.txt`). The
exception is `cuda_graph_max_bs`, which that version calls --cuda-graph-max-bs-decode and earlier
versions call --cuda-graph-max-bs. The value `none` of `speculative_algorithm` or `quantization`
omits the flag. Flags that the space leaves out have SGLang's defaults. --context-length is derived
from the load's largest request.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType

from objectives.deployment import Entry
from objectives.serving.engine import Demand
from objectives.serving.engines.node_engine import NodeEngine
from objectives.serving.kinds import SHARE, SWITCH, WORD, Kind, whole
from objectives.trial import Config

_VALUES: Mapping[str, tuple[str, Kind]] = MappingProxyType(
    {
        "tp_size": ("--tp-size", whole()),
        "dp_size": ("--dp-size", whole()),
        "pp_size": ("--pp-size", whole()),
        "moe_dense_tp_size": ("--moe-dense-tp-size", whole()),
        "mem_fraction_static": ("--mem-fraction-static", SHARE),
        "schedule_policy": ("--schedule-policy", WORD),
        "chunked_prefill_size": ("--chunked-prefill-size", whole(-1)),
        "max_running_requests": ("--max-running-requests", whole()),
        "schedule_conservativeness": ("--schedule-conservativeness", Kind(float, least=0)),
        "cuda_graph_max_bs": ("--cuda-graph-max-bs-decode", whole()),
        "page_size": ("--page-size", whole()),
        "dtype": ("--dtype", WORD),
        "quantization": ("--quantization", WORD),
        "kv_cache_dtype": ("--kv-cache-dtype", WORD),
        "attention_backend": ("--attention-backend", WORD),
        "moe_runner_backend": ("--moe-runner-backend", WORD),
        "num_continuous_decode_steps": ("--num-continuous-decode-steps", whole()),
        "speculative_algorithm": ("--speculative-algorithm", WORD),
    }
)
_SWITCHES = MappingProxyType(
    {"disable_radix_cache": "--disable-radix-cache", "enable_mixed_chunk": "--enable-mixed-chunk"}
)
KINDS: Mapping[str, Kind] = MappingProxyType(
    {**{name: kind for name, (_, kind) in _VALUES.items()}, **dict.fromkeys(_SWITCHES, SWITCH)}
)


_FLAGS: list[Entry] = [
    *(
        {"by": name, "cases": {"none": []}, "else": [f"{flag}={{{name}}}"]}
        for name, (flag, _) in _VALUES.items()
    ),
    *({"by": name, "cases": {"true": [flag]}} for name, flag in _SWITCHES.items()),
]


class Sglang(NodeEngine):
    """SGLang with one model."""

    name = "SGLang"
    packages = ("sglang",)
    parameters = tuple(KINDS)
    kinds = KINDS
    gauges: Mapping[str, str] = MappingProxyType(
        {
            "sglang:token_usage": "kv_cache_usage",
            "sglang:num_running_reqs": "running",
            "sglang:num_queue_reqs": "waiting",
        }
    )
    counters: Mapping[str, str] = MappingProxyType(
        {
            "sglang:num_retracted_requests_total": "preemptions",
            "sglang:prompt_tokens_total": "prompt_tokens",
            "sglang:generation_tokens_total": "generation_tokens",
            "sglang:cached_tokens_total": "prefix_cache_hits",
        }
    )

    def words(self, model: str, port: int, demand: Demand) -> list[Entry]:
        # As two words, because `sglang serve` searches for this flag before it parses the others.
        return [
            *("--model-path", model, f"--host={self.host}", f"--port={port}"),
            *(f"--context-length={self.longest(demand)}", "--enable-metrics"),
            *_FLAGS,
        ]

    def gpus(self, config: Config) -> int:
        sizes = ("tp_size", "dp_size", "pp_size")
        return math.prod(int(config.get(size, 1)) for size in sizes)

    def tensor_parallel(self, config: Config) -> int:
        return int(config.get("tp_size", 1))
