"""The process of one llama.cpp server: `python -m objectives.serving.engines.llamacpp_server JSON`.

`llamacpp.py` defines the content of the JSON. The process serves until it is killed, at the latest
when the process that started it ends.
"""

import json
import sys
import threading
from typing import Any

import xllamacpp as llama

from objectives.child import end_with_parent

_FLASH = {"auto": "AUTO", "on": "ENABLED", "off": "DISABLED"}
_SPECULATIVE = {"none": "NONE", "ngram_simple": "NGRAM_SIMPLE"}
_AS_THEY_ARE = (
    "n_parallel",
    "n_batch",
    "n_ubatch",
    "cont_batching",
    "cache_prompt",
    "n_cache_reuse",
    "kv_unified",
)


def parameters(settings: dict[str, Any]) -> Any:
    """Return llama.cpp's parameters for the settings of `LlamaCpp.launch`."""
    params = llama.CommonParams()
    params.model.path = settings["model"]
    params.hostnames = [settings["host"]]
    params.port = settings["port"]
    params.fit_params = False  # otherwise llama.cpp changes tuned parameters to fit the memory
    params.ui = False
    for name in _AS_THEY_ARE:
        if name in settings:
            setattr(params, name, settings[name])
    params.n_ctx = params.n_parallel * settings["slot_tokens"]
    threads = {"n_threads": params.cpuparams, "n_threads_batch": params.cpuparams_batch}
    for name, cpu in threads.items():
        if name in settings:
            cpu.n_threads = settings[name]
        if "poll" in settings:
            cpu.poll = settings["poll"]
    for name in ("cache_type_k", "cache_type_v"):
        if name in settings:
            setattr(params, name, llama.ggml_type[f"GGML_TYPE_{settings[name].upper()}"])
    if "flash_attn" in settings:
        flash = f"LLAMA_FLASH_ATTN_TYPE_{_FLASH[settings['flash_attn']]}"
        params.flash_attn_type = llama.llama_flash_attn_type[flash]
    if "speculative" in settings:
        kind = f"COMMON_SPECULATIVE_TYPE_{_SPECULATIVE[settings['speculative']]}"
        params.speculative.types = [llama.common_speculative_type[kind]]
    return params


def main() -> None:
    end_with_parent()
    try:
        server = llama.Server(parameters(json.loads(sys.argv[1])))
    except RuntimeError:  # llama.cpp has already printed the reason
        sys.exit(1)
    print(f"listening on {server.listening_address}", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
