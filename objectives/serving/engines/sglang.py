"""SGLang's OpenAI-compatible server: an `Engine`. CUDA only.

Parameters have the names of SGLang's flags (checked against 0.5.23: `tests/sglang_flags.txt`), but
for `cuda_graph_max_bs`, which that version calls --cuda-graph-max-bs-decode (earlier ones
--cuda-graph-max-bs), and `speculative_algorithm`, whose `none` is no flag. What the space leaves
out has SGLang's default. --context-length is derived from the load's largest request.
"""

from collections.abc import Mapping
from types import MappingProxyType

from objectives.serving.engine import Demand
from objectives.serving.engines.node_engine import NodeEngine
from objectives.trial import Config

_VALUES = MappingProxyType(
    {
        "tp_size": "--tp-size",
        "dp_size": "--dp-size",
        "mem_fraction_static": "--mem-fraction-static",
        "schedule_policy": "--schedule-policy",
        "chunked_prefill_size": "--chunked-prefill-size",
        "max_running_requests": "--max-running-requests",
        "schedule_conservativeness": "--schedule-conservativeness",
        "cuda_graph_max_bs": "--cuda-graph-max-bs-decode",
        "page_size": "--page-size",
        "attention_backend": "--attention-backend",
        "kv_cache_dtype": "--kv-cache-dtype",
        "num_continuous_decode_steps": "--num-continuous-decode-steps",
        "speculative_algorithm": "--speculative-algorithm",
    }
)
_SWITCHES = MappingProxyType(
    {"disable_radix_cache": "--disable-radix-cache", "enable_mixed_chunk": "--enable-mixed-chunk"}
)
PARAMETERS = (*_VALUES, *_SWITCHES)


class Sglang(NodeEngine):
    """SGLang with one model."""

    name = "SGLang"
    packages = ("sglang",)
    parameters = PARAMETERS
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

    def command(self, config: Config, model: str, port: int, demand: Demand) -> list[str]:
        # As two words: `sglang serve` looks for the model by this flag before it reads the others.
        words = ["--model-path", model, f"--host={self.host}", f"--port={port}"]
        words += [f"--context-length={self.longest(demand)}", "--enable-metrics"]
        for name, flag in _VALUES.items():
            if config.get(name, "none") != "none":
                words.append(f"{flag}={config[name]}")
        return [*words, *(flag for name, flag in _SWITCHES.items() if config.get(name) is True)]

    def gpus(self, config: Config) -> int:
        return int(config.get("tp_size", 1)) * int(config.get("dp_size", 1))

    def tensor_parallel(self, config: Config) -> int:
        return int(config.get("tp_size", 1))
