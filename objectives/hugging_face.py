"""Hugging Face folders as models for LitGPT: recognise one, name its architecture, convert it.

A folder has `config.json`, `tokenizer.json` and the weights (`*.safetensors` or `*.bin`). LitGPT's
own converter translates the weights. It takes the architecture by the name of one of LitGPT's
configurations: the one whose sizes are those of `config.json`, preferably of the folder's name. A
plain Llama or Mistral of other sizes gets a configuration made from `config.json`.
"""

import contextlib
import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

WEIGHTS = ("*.safetensors", "*.bin")
CONFIG, TOKENIZER = "config.json", "tokenizer.json"
_SMALL = (
    CONFIG,
    TOKENIZER,
    "tokenizer_config.json",
    "generation_config.json",
    "model.safetensors.index.json",
    "pytorch_model.bin.index.json",
)
_PLAIN = ("llama", "mistral")  # the architectures that need no configuration of LitGPT's
_HEADER_BYTES = 1 << 20  # of a file of weights, which the digest reads

Json = dict[str, Any]


def weights_of(folder: Path) -> list[Path]:
    """Return the files of weights in a folder, sorted; a trainer's arguments are none."""
    found = {file for pattern in WEIGHTS for file in folder.glob(pattern)}
    return sorted(file for file in found if file.name != "training_args.bin")


def is_hugging_face(folder: Path) -> bool:
    """Return whether a folder has a Hugging Face configuration and weights."""
    return (folder / CONFIG).is_file() and bool(weights_of(folder))


def digest_parts(folder: Path) -> Iterator[bytes]:
    """Yield what identifies a folder: its small files, and the head and the size of each weight."""
    for name in _SMALL:
        if (folder / name).is_file():
            yield name.encode() + (folder / name).read_bytes()
    for file in weights_of(folder):
        with file.open("rb") as stream:
            yield f"{file.name} {file.stat().st_size}".encode() + stream.read(_HEADER_BYTES)


def check(folder: Path) -> None:
    """Raise `ValueError` unless a Hugging Face folder can be converted.

    Raises:
        ValueError: a file is missing, or LitGPT does not know the architecture.
    """
    if not (folder / TOKENIZER).is_file():
        raise ValueError(f"objective.model: expected {TOKENIZER} in {folder}, got none")
    architecture(folder)


def architecture(folder: Path) -> Json:
    """Return LitGPT's configuration of a folder, as the arguments of `litgpt.config.Config`.

    Raises:
        ValueError: `config.json` cannot be read, or LitGPT does not know the architecture.
    """
    from litgpt.config import configs

    path = folder / CONFIG
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: expected JSON, got: {error}") from None
    if not isinstance(given, dict) or not _sizes(given):
        raise ValueError(f"{path}: expected the sizes of a causal language model, got none")
    known = [one for one in configs if _fits(given, one)]
    names = (folder.name, str(given.get("_name_or_path", "")).rpartition("/")[2])
    named = [one for one in known if one["name"] in names or one["hf_config"].get("name") in names]
    if named or known:
        return dict((named or known)[0])
    kind = given.get("model_type")
    if kind in _PLAIN and not _rope(given)[1] and not given.get("sliding_window"):
        return _plain(folder.name, given)
    raise ValueError(
        f"objective.model: expected an architecture that LitGPT knows, got model_type {kind} with "
        f"sizes of none of its configurations in {path}"
    )


def _sizes(given: Mapping[str, Any]) -> Json:
    """Return the sizes in LitGPT's words; empty if one is missing."""
    keys = {
        "n_embd": "hidden_size",
        "n_layer": "num_hidden_layers",
        "n_head": "num_attention_heads",
        "intermediate_size": "intermediate_size",
        "vocab_size": "vocab_size",
    }
    if not all(isinstance(given.get(key), int) for key in keys.values()):
        return {}
    sizes = {name: given[key] for name, key in keys.items()}
    return {**sizes, "n_query_groups": given.get("num_key_value_heads") or sizes["n_head"]}


def _rope(given: Mapping[str, Any]) -> tuple[float, bool]:
    """Return the base of the rotary embedding, and whether it is scaled."""
    about = given.get("rope_parameters") or given.get("rope_scaling") or {}
    base = about.get("rope_theta") or given.get("rope_theta") or 10000.0
    kind = about.get("rope_type") or about.get("type") or "default"
    return float(base), kind != "default"


def _fits(given: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Return whether one of LitGPT's configurations has the sizes of `config.json`."""
    sizes = _sizes(given)
    vocabularies = (known.get("vocab_size"), known.get("padded_vocab_size"))
    mine = {key: known.get(key) for key in sizes if key not in ("vocab_size", "n_query_groups")}
    return (
        mine == {key: sizes[key] for key in mine}
        and (known.get("n_query_groups") or known.get("n_head")) == sizes["n_query_groups"]
        and sizes["vocab_size"] in vocabularies
        and float(known.get("rope_base", 10000)) == _rope(given)[0]
    )


def _plain(name: str, given: Mapping[str, Any]) -> Json:
    """Return the configuration of a plain Llama."""
    sizes = _sizes(given)
    return {
        **sizes,
        "name": name,
        "hf_config": {},
        "block_size": given.get("max_position_embeddings", 2048),
        "padded_vocab_size": sizes["vocab_size"],
        "head_size": given.get("head_dim") or sizes["n_embd"] // sizes["n_head"],
        "rope_base": int(_rope(given)[0]),
        "rotary_percentage": 1.0,
        "parallel_residual": False,
        "bias": bool(given.get("mlp_bias", False)),
        "attn_bias": bool(given.get("attention_bias", False)),
        "norm_class_name": "RMSNorm",
        "norm_eps": given.get("rms_norm_eps", 1e-5),
        "mlp_class_name": "LLaMAMLP",
    }


def convert(source: Path, folder: Path) -> None:
    """Write the LitGPT checkpoint of a Hugging Face folder into a new folder.

    Raises:
        ValueError: LitGPT cannot convert the weights.
    """
    from litgpt.config import name_to_config
    from litgpt.scripts.convert_hf_checkpoint import convert_hf_checkpoint

    own = architecture(source)
    folder.mkdir(parents=True)
    weights = weights_of(source)
    for file in weights:
        os.symlink(file.resolve(), folder / file.name)
    for name in _SMALL:
        if (source / name).is_file():
            shutil.copy(source / name, folder / name)
    quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with quiet[0], quiet[1], _registered(name_to_config, own):
        try:
            convert_hf_checkpoint(folder, model_name=own["name"])
        except (KeyError, NotImplementedError) as error:
            raise ValueError(
                f"objective.model: expected weights that LitGPT's converter reads in {source}, "
                f"got: {error!r}"
            ) from None
    for file in weights:
        (folder / file.name).unlink()


@contextlib.contextmanager
def _registered(known: dict[str, Any], own: Json) -> Iterator[None]:
    """Let LitGPT know a configuration by its name within the block."""
    added = own["name"] not in known
    if added:
        known[own["name"]] = own
    try:
        yield
    finally:
        if added:
            del known[own["name"]]


def cached(name: str) -> Path | None:
    """Return the folder of a model in the cache of the Hugging Face hub, or None."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError, OSError):
        return None
