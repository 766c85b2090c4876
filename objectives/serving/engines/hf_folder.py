"""Convert the default model to a Hugging Face folder for vLLM and SGLang, once, in the cache.

    python -m objectives.serving.engines.hf_folder            # prints the folder

SmolLM2-135M-Instruct comes as a 4-bit GGUF file. `objectives/checkpoint.py` converts it to a LitGPT
checkpoint. Here LitGPT's own `convert_from_litgpt` writes the weights back under Hugging Face's
names. The weights are stored as bfloat16, like those of the published model, next to the tokenizer
and the configuration of the checkpoint. The server therefore serves the dequantised 4-bit weights:
its speed is that of the published model, and its answers are those of the GGUF file.

One process converts while the others wait for its lock. The folder is put in place by one atomic
rename.
"""

import contextlib
import fcntl
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from objectives.cache import cache_folder
from objectives.checkpoint import SMOLLM2, find

_RECIPE = 1  # increased whenever the conversion of the same checkpoint changes
_AS_THEY_ARE = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")


def hf_folder(model: str = SMOLLM2) -> Path:
    """Return the Hugging Face folder of a model that LitGPT reads; convert the model if necessary.

    Args:
        model: a model as `objectives.checkpoint.find` takes it.

    Raises:
        ValueError: the model does not exist.
        ModuleNotFoundError: the extra `llm`, which the conversion needs, is not installed.
    """
    found = find(model)
    final = cache_folder() / "hugging_face" / f"{found.digest[:16]}-{_RECIPE}" / found.name
    if not final.is_dir():
        checkpoint = found.folder()
        final.parent.mkdir(parents=True, exist_ok=True)
        with _locked(final.parent / "lock"):
            if not final.is_dir():
                _convert(checkpoint, final)
    return final


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock, which the system releases when the process ends."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _convert(checkpoint: Path, final: Path) -> None:
    """Convert into a temporary folder beside `final`, then rename it; call under the lock."""
    half = Path(tempfile.mkdtemp(prefix="half-", dir=final.parent))
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            _write_weights(checkpoint, half)
        for name in _AS_THEY_ARE:
            if (checkpoint / name).is_file():
                shutil.copy(checkpoint / name, half / name)
        _write_config(half)
        half.chmod(0o755)
        os.replace(half, final)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _write_weights(checkpoint: Path, folder: Path) -> None:
    import torch
    from litgpt.scripts.convert_lit_checkpoint import convert_lit_checkpoint
    from safetensors.torch import save_file

    convert_lit_checkpoint(checkpoint, folder)
    written = folder / "model.pth"
    weights: dict[str, Any] = torch.load(written, mmap=True, weights_only=True)
    embedding = weights["model.embed_tokens.weight"]
    if torch.equal(weights.get("lm_head.weight", embedding), embedding):
        weights.pop("lm_head.weight", None)  # the weights are tied, as config.json says
    stored = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in weights.items()}
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    written.unlink()


def _write_config(folder: Path) -> None:
    """Record in config.json that the weights are bfloat16 now."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder)
    config.dtype = "bfloat16"
    config.save_pretrained(folder)


if __name__ == "__main__":
    print(hf_folder(*sys.argv[1:2]))
