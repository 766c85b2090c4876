"""The default model as a Hugging Face folder, which vLLM and SGLang read: made once, in the cache.

    python -m objectives.serving.engines.hf_folder            # prints the folder

SmolLM2-135M-Instruct comes as a 4-bit GGUF (`objectives/checkpoint.py`), which is
converted to a LitGPT checkpoint there. Here LitGPT's own `convert_from_litgpt` writes the weights
back under Hugging Face's names; they are stored as bfloat16, as the published model's are, beside
the tokenizer and the configuration of the checkpoint. So the server serves the dequantised 4-bit
weights: its speed is that of the published model, its answers are those of the GGUF.

The folder appears by one rename, and one process converts while the others wait for its lock.
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

_RECIPE = 1  # raised whenever the same checkpoint would be converted to something else
_AS_THEY_ARE = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")


def hf_folder(model: str = SMOLLM2) -> Path:
    """Return the Hugging Face folder of a model that LitGPT reads; convert it where that is new.

    Args:
        model: what `objectives.checkpoint.find` takes.

    Raises:
        ValueError: the model does not exist.
        ModuleNotFoundError: the extra `llm`, which converts, is not installed.
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
    """Hold an exclusive lock that the system releases when the process ends."""
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
        weights.pop("lm_head.weight", None)  # tied, as config.json says
    stored = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in weights.items()}
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    written.unlink()


def _write_config(folder: Path) -> None:
    """Say in config.json that the weights are bfloat16 now."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder)
    config.dtype = "bfloat16"
    config.save_pretrained(folder)


if __name__ == "__main__":
    print(hf_folder(*sys.argv[1:2]))
