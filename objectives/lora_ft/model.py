"""LitGPT's model with adapters, rebuilt for each evaluation over base weights loaded once.

LoRA (Hu et al. 2021, https://arxiv.org/abs/2106.09685, section 4.1): a matrix W0 (d, k) becomes
W0 + (alpha / r) B A with B (d, r) = 0 and A (r, k) random at the start, so an untrained adapter
changes nothing. A is drawn as LitGPT draws it (Kaiming uniform, a = sqrt(5)), from a fixed seed.

The adapters are stored in the weights' precision, as LitGPT's `bf16-true` stores them. They are
never merged, because rounding W0 + (alpha / r) B A to bfloat16 loses a small update.
"""

import math
import threading
from dataclasses import dataclass
from pathlib import Path

import torch
from litgpt.lora import GPT, Config
from torch import Tensor, nn

from objectives.lora_ft.packing import Packed
from objectives.lora_ft.settings import MATRICES

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
_MAX_LENGTH = 2048  # tokens; every question and instruction of the data is much shorter


@dataclass(frozen=True)
class Adapters:
    """The settings of an evaluation's adapters."""

    rank: int
    alpha: int
    dropout: float
    matrices: tuple[str, ...]
    seed: int


class Dropout(nn.Module):
    """Dropout with a generator of the calling thread; on CPU ten times as fast as torch's.

    A value is dropped if 16 random bits lie below p, so p is rounded to 1/65536. Threads that share
    a model draw independently, and the global generators are not changed.
    """

    _local = threading.local()

    def __init__(self, p: float) -> None:
        super().__init__()
        self._dropped = round(p * 2**16) - 2**15  # as int16
        self.scale = 1 / (1 - p)

    @classmethod
    def seed(cls, seed: int, device: torch.device) -> None:
        """Seed the calling thread's generator."""
        cls._local.generator = torch.Generator(device).manual_seed(seed)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x.masked_fill(self.draw(x), 0) * self.scale

    def draw(self, x: Tensor) -> Tensor:
        """Draw which values of x are dropped; the others are multiplied by `scale`."""
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64, device=x.device)
        words.random_(-(2**63), None, generator=self._local.generator)
        bits = words.view(torch.int16)[: x.numel()].view(x.shape)
        return bits < self._dropped


def set_dropout(model: GPT, p: float) -> None:
    """Set the dropout of every adapter."""
    for module in model.modules():
        if hasattr(module, "lora_A"):
            module.lora_dropout = Dropout(p) if p > 0 else nn.Identity()


class BaseModel:
    """A checkpoint's weights on one device, from which adapted models are made.

    Args:
        folder: a LitGPT checkpoint folder.
        device: the device of the weights.
        precision: bf16 or fp32.

    Attributes:
        max_length: longest sequence, in tokens.

    Raises:
        ValueError: the model's attention is not plain causal attention, which packing needs.
    """

    def __init__(self, folder: Path, device: torch.device, precision: str) -> None:
        self._config_file = folder / "model_config.yaml"
        config = Config.from_file(self._config_file)
        if not is_plain(config):
            raise ValueError(
                f"objective.model: expected plain causal attention over one rotary table, "
                f"got {config.name}"
            )
        self.device = device
        self.dtype = DTYPES[precision]
        stored = torch.load(folder / "lit_model.pth", mmap=True, weights_only=True)
        moved: dict[int, Tensor] = {}  # tied matrices stay tied
        for tensor in stored.values():
            if tensor.data_ptr() not in moved:
                moved[tensor.data_ptr()] = tensor.to(device=device, dtype=self.dtype, copy=True)
        self._weights = {name: moved[tensor.data_ptr()] for name, tensor in stored.items()}
        self.max_length = min(_MAX_LENGTH, config.block_size)

    def adapted(self, adapters: Adapters) -> GPT:
        """Build a model with fresh adapters over the shared base weights.

        Only the adapters require gradients.
        """
        chosen = {f"lora_{name}": name in adapters.matrices for name in MATRICES}
        config = Config.from_file(
            self._config_file,
            lora_r=adapters.rank,
            lora_alpha=adapters.alpha,
            lora_dropout=adapters.dropout,
            **chosen,
        )
        with torch.device("meta"):
            model = GPT(config)
        model.load_state_dict(dict(self._weights), strict=False, assign=True)
        model.max_seq_length = self.max_length
        model.cos, model.sin = model.rope_cache(device=self.device)
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        generator = torch.Generator().manual_seed(adapters.seed)
        for module in model.modules():
            if hasattr(module, "lora_A"):
                a = torch.empty(module.lora_A.shape, device="cpu")
                nn.init.kaiming_uniform_(a, a=math.sqrt(5), generator=generator)
                b = torch.zeros(module.lora_B.shape, device="cpu")
                module.lora_A = nn.Parameter(a.to(self.device, self.dtype))
                module.lora_B = nn.Parameter(b.to(self.device, self.dtype))
        set_dropout(model, adapters.dropout)
        starts = [p for name, p in model.named_parameters() if name.endswith("lora_B")]
        n_off = sum(bool(b.any()) for b in starts)
        if n_off or not starts:
            raise RuntimeError(
                f"adapters: expected to start at B = 0, got {n_off} of {len(starts)} that do not"
            )
        return model


def is_plain(config: Config) -> bool:
    """Return whether blocks accept any mask and positions, which `log_likelihoods` needs."""
    return not (
        config.sliding_window_size
        or config.rope_indices
        or config.scale_embeddings
        or config.latent_attention
        or config.final_logit_softcapping
        or config.attention_logit_softcapping
    )


def log_likelihoods(model: GPT, packed: Packed) -> Tensor:
    """Return (N,) log-probabilities of the targets, in nats, from a float32 log-softmax.

    Only the positions that predict a target pass through the LM head.
    """
    x = model.transformer.wte(packed.tokens)  # (R, T, C)
    cos, sin = model.cos[packed.positions], model.sin[packed.positions]  # (R, T, n_elem)
    for block in model.transformer.h:
        x = block(x, cos, sin, packed.mask)
    x = model.transformer.ln_f(x).flatten(0, 1)[packed.predictors]
    logits = model.lm_head(x).float()  # (N, vocabulary)
    return -nn.functional.cross_entropy(logits, packed.targets, reduction="none")
