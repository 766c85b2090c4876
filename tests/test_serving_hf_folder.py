"""The Hugging Face folder that servers read, from a LitGPT checkpoint."""

import json
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from litgpt import GPT, Config
from transformers import AutoModelForCausalLM, LlamaConfig

from objectives.serving.engines.hf_folder import hf_folder


def checkpoint(folder: Path) -> GPT:
    """Write a checkpoint of two small layers with grouped queries; return its model."""
    torch.manual_seed(0)
    config = Config(
        name="small",
        block_size=64,
        vocab_size=50,
        padded_vocab_size=50,
        n_layer=2,
        n_head=4,
        n_query_groups=2,
        n_embd=32,
        intermediate_size=48,
        rotary_percentage=1.0,
        parallel_residual=False,
        bias=False,
        norm_class_name="RMSNorm",
        norm_eps=1e-5,
        mlp_class_name="LLaMAMLP",
    )
    model = GPT(config)
    model.lm_head.weight = model.transformer.wte.weight
    folder.mkdir()
    torch.save(model.state_dict(), folder / "lit_model.pth")
    lines = [f"{f.name}: {json.dumps(getattr(config, f.name))}" for f in fields(config) if f.init]
    (folder / "model_config.yaml").write_text("\n".join(lines))
    (folder / "tokenizer.json").write_text("{}")
    LlamaConfig(
        architectures=["LlamaForCausalLM"],
        vocab_size=50,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
    ).save_pretrained(folder)
    return model


def test_the_folders_model_is_the_checkpoints_up_to_bfloat16(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path / "cache"))
    ours = checkpoint(tmp_path / "small")
    folder = hf_folder(str(tmp_path / "small"))
    names = {path.name for path in folder.iterdir()}
    assert names >= {"config.json", "model.safetensors", "tokenizer.json"}
    assert "model.pth" not in names
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokens = torch.arange(20)[None]
    with torch.no_grad():
        for weight in ours.parameters():  # as the folder's are rounded
            weight.copy_(weight.bfloat16().float())
        torch.testing.assert_close(theirs(tokens).logits, ours(tokens), rtol=1e-4, atol=1e-4)


def test_a_folder_is_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path / "cache"))
    checkpoint(tmp_path / "small")
    first = hf_folder(str(tmp_path / "small"))
    made = (first / "model.safetensors").stat().st_mtime_ns
    assert hf_folder(str(tmp_path / "small")) == first
    assert (first / "model.safetensors").stat().st_mtime_ns == made
    assert [path.name for path in first.parent.glob("half-*")] == []
