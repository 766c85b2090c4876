"""A task file's `parallel_config` and `quant_config`, whose values stand for several flags.

    parallel_config  tp, pp, dp and others, each a list: the engine's own parameters; or `presets`,
                     names of combinations of them, which are one parameter, `parallel_preset`
    quant_config     gemm_dtype, kvcache_dtype, attention_dtype, moe_dtype, each a value or a list,
                     or `presets`: parameters of these names and `quant_preset`

Parameters that are not the engine's own are replaced by its flags before a server is started
(`Alternatives.flags`). A value for which the engine has no flag is refused, because two
alternatives that start the same server would differ only by noise. This is a departure from the
autotuner, which ignores such a value with a warning.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from objectives.trial import Config, Value

_PARALLEL: Mapping[str, Mapping[str, str]] = {
    "sglang": {
        "tp": "tp_size",
        "pp": "pp_size",
        "dp": "dp_size",
        "moe_dense_tp": "moe_dense_tp_size",
    },
    "vllm": {
        "tp": "tensor_parallel_size",
        "pp": "pipeline_parallel_size",
        "dp": "data_parallel_size",
        "dcp": "decode_context_parallel_size",
        "enable_expert_parallel": "enable_expert_parallel",
    },
}
_PARALLEL_PRESETS: Mapping[str, Mapping[str, Config]] = {
    "sglang": {"moe-optimized": {"tp": 2, "pp": 1, "dp": 8, "moe_dense_tp": 2}},
    "vllm": {
        "moe-optimized": {"tp": 2, "pp": 1, "dp": 8, "enable_expert_parallel": True},
        "long-context": {"tp": 4, "pp": 1, "dp": 1, "dcp": 4},
    },
}
_SHARED_PRESETS: Mapping[str, Config] = {
    "single-gpu": {"tp": 1, "pp": 1, "dp": 1},
    "high-throughput": {"tp": 1, "pp": 1, "dp": 8},
    "large-model-tp": {"tp": 8, "pp": 1, "dp": 1},
    "large-model-tp-pp": {"tp": 8, "pp": 2, "dp": 1},
    "balanced": {"tp": 2, "pp": 1, "dp": 4},
}
_DTYPES = ("gemm_dtype", "kvcache_dtype", "attention_dtype", "moe_dtype")
_QUANT_PRESETS: Mapping[str, Sequence[str]] = {  # in the order of _DTYPES
    "default": ("auto", "auto", "auto", "auto"),
    "kv-cache-fp8": ("auto", "fp8_e5m2", "auto", "auto"),
    "dynamic-fp8": ("fp8", "fp8_e5m2", "fp8", "fp8"),
    "bf16-stable": ("bfloat16", "fp8_e5m2", "auto", "auto"),
    "aggressive-moe": ("bfloat16", "fp8_e5m2", "fp8", "w4afp8"),
}
_PRESETS = {"parallel_config": "parallel_preset", "quant_config": "quant_preset"}
FIELDS: Mapping[tuple[str, str], list[str]] = {
    (runtime, section): list(_PARALLEL[runtime]) if section == "parallel_config" else [*_DTYPES]
    for runtime in _PARALLEL
    for section in _PRESETS
}
"""The keys of a section beside `presets`, by runtime and section."""
_GEMM = ("auto", "float16", "bfloat16", "float32", "fp8")
_KV_CACHE = {
    "sglang": {"auto": "auto", "fp8": "fp8_e5m2", "fp8_e5m2": "fp8_e5m2", "fp8_e4m3": "fp8_e4m3"},
    "vllm": {name: name for name in ("auto", "bfloat16", "fp8", "fp8_e5m2", "fp8_e4m3")},
}
_FP8 = ("fp8", "fp8_e5m2", "fp8_e4m3")


class Alternatives:
    """The parameters of a file that stand for several flags.

    Args:
        runtime: the engine whose flags are used.

    Attributes:
        names: the names of the parameters.
    """

    def __init__(self, runtime: str) -> None:
        self._runtime = runtime
        self.names: list[str] = []

    def parameter(self, section: str, key: str) -> str:
        """Return the parameter for a key of a section; record it if it is one of ours."""
        if section == "parallel_config" and key in _PARALLEL[self._runtime]:
            return _PARALLEL[self._runtime][key]
        name = key if key in _DTYPES else _PRESETS[section]
        self.names.append(name)
        return name

    def check(self, lists: Mapping[str, list[Any]]) -> None:
        """Raise `ValueError` if a value stands for no flags, or for flags that are also given.

        Args:
            lists: the values of all parameters of the file.
        """
        if "parallel_preset" in lists:
            clash = [name for name in _PARALLEL[self._runtime].values() if name in lists]
            if clash:
                raise ValueError(
                    f"parallel_config.presets: expected no size beside it, got {clash[0]}"
                )
        ours = [name for name in self.names if name in lists]
        known = {
            "parallel_preset": [*_SHARED_PRESETS, *_PARALLEL_PRESETS[self._runtime]],
            "quant_preset": list(_QUANT_PRESETS),
        }
        for name in set(ours) & set(known):
            for value in lists[name]:
                if value not in known[name]:
                    section = next(key for key, parameter in _PRESETS.items() if parameter == name)
                    raise ValueError(
                        f"{section}.presets: expected {known[name]} for {self._runtime}, got "
                        f"{value!r}"
                    )
        for values in itertools.product(*(lists[name] for name in ours)):
            config = dict(zip(ours, values, strict=True))
            for flag in self.flags(config):
                if flag in lists:
                    raise ValueError(
                        f"parameters: expected {flag} in parameters or in {', '.join(ours)}, got "
                        "it in both"
                    )

    def flags(self, config: Config) -> Config:
        """Return a configuration with our parameters replaced by the engine's flags.

        Raises:
            ValueError: the engine has no flag for a value.
        """
        flags = {name: value for name, value in config.items() if name not in self.names}
        if "parallel_preset" in config:
            own = _PARALLEL_PRESETS[self._runtime]
            sizes = {**_SHARED_PRESETS, **own}[str(config["parallel_preset"])]
            flags |= {_PARALLEL[self._runtime][key]: value for key, value in sizes.items()}
        given = {name: config[name] for name in _DTYPES if name in config}
        if given or "quant_preset" in config:
            preset = _QUANT_PRESETS[str(config.get("quant_preset", "default"))]
            flags |= self._quantised({**dict(zip(_DTYPES, preset, strict=True)), **given})
        return flags

    def _quantised(self, dtypes: Mapping[str, Value]) -> Config:
        """Return the flags of four data types."""
        gemm, cache, attention, moe = (dtypes[name] for name in _DTYPES)
        _expect("gemm_dtype", self._runtime, gemm, _GEMM)
        caches = _KV_CACHE[self._runtime]
        _expect("kvcache_dtype", self._runtime, cache, caches)
        flags: Config = {}
        if gemm == "fp8":
            flags["quantization"] = "fp8"
        elif gemm != "auto":
            flags["dtype"] = gemm
        if cache != "auto":
            flags["kv_cache_dtype"] = caches[str(cache)]
        if self._runtime == "vllm":  # vLLM has one data type for all layers
            _expect("attention_dtype", self._runtime, attention, ("auto", str(gemm)))
            _expect("moe_dtype", self._runtime, moe, ("auto", str(gemm)))
            return flags
        _expect("attention_dtype", self._runtime, attention, ("auto", str(gemm), *_FP8))
        if attention in _FP8:
            flags["attention_backend"] = "flashinfer"  # with it, an fp8 cache means fp8 attention
        _expect("moe_dtype", self._runtime, moe, ("auto", str(gemm), "fp8", "w4afp8", "mxfp4"))
        if moe in ("w4afp8", "mxfp4"):
            flags.pop("dtype", None)
            flags["quantization"] = moe
        elif moe == "fp8" and gemm != "fp8":
            flags["moe_runner_backend"] = "flashinfer_cutlass"
        return flags


def _expect(name: str, runtime: str, value: Value, known: Any) -> None:
    if value not in known:
        raise ValueError(
            f"quant_config: expected {name} to be one that {runtime} has a flag for "
            f"({', '.join(dict.fromkeys(known))}), got {value!r}"
        )
