"""A Llama with random weights, small enough to be created and trained within a test."""

from pathlib import Path

import torch
from litgpt.model import GPT, Config
from litgpt.utils import save_config


def write(folder: Path, vocabulary: int = 97) -> Path:
    """Write a LitGPT checkpoint folder without a tokenizer, and return it."""
    folder.mkdir(parents=True)
    config = Config(
        name="tiny-llama",
        block_size=64,
        vocab_size=vocabulary,
        padded_vocab_size=vocabulary,
        n_layer=2,
        n_head=6,
        n_query_groups=2,
        n_embd=48,
        head_size=8,
        rotary_percentage=1.0,
        parallel_residual=False,
        bias=False,
        norm_class_name="RMSNorm",
        mlp_class_name="LLaMAMLP",
        intermediate_size=96,
    )
    generator = torch.Generator().manual_seed(0)
    model = GPT(config)
    for name, parameter in model.named_parameters():
        spread = 1 if "norm" in name or "ln_f" in name else 0
        drawn = torch.randn(parameter.shape, generator=generator)
        parameter.data.copy_(spread + 0.2 * drawn)
    torch.save(model.state_dict(), folder / "lit_model.pth")
    save_config(config, folder)
    return folder
