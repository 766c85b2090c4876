"""LitGPT's command line, refusing to train adapters that do not start at zero.

    python -m objectives.lora_ft.launch finetune_lora ...

Takes what `litgpt` takes and does what it does. Lightning starts every further rank with the same
command, so what follows happens in each process of a training:

- the process group ends when the process that started it does (`objectives/child.py`);
- after LitGPT has made the model, placed its shards on the devices and read the base weights, and
  before the first step, B of every adapter is looked at where it lies. Unless all of it is 0 on
  every device, every rank says so and exits with status 1.

The second guards against what evidently happened in the published runs (several devices: the
model is made without memory, and its values are set only after it is sharded).
"""

import sys
from typing import Any

import torch
from torch import Tensor, nn

from objectives.child import end_with_parent


def check(model: nn.Module, rank: int) -> str | None:
    """Return what is wrong with the adapters' start on this device, or None.

    Of a sharded matrix this rank's part is looked at.
    """
    starts = [
        (name, _here(parameter))
        for name, parameter in model.named_parameters()
        if name.endswith("lora_B")
    ]
    if not starts:
        return f"adapters: expected some, got none on rank {rank}"
    if any(b.is_meta for _, b in starts):
        return f"adapters: expected B on a device, got no memory for it on rank {rank}"
    # `not all zero` rather than a maximum: NaN, which memory never set may hold, is no zero.
    off = [(name, b) for name, b in starts if not bool((b == 0).all())]
    if not off:
        return None
    name, b = off[0]
    return (
        f"adapters: expected to start at B = 0 on every device, got {len(off)} of {len(starts)} "
        f"that do not on rank {rank} ({b.device}): {name} up to {float(b.abs().max()):.3g}"
    )


def _here(parameter: Tensor) -> Tensor:
    """Return a parameter's values on this device."""
    local = getattr(parameter, "to_local", None)
    return (local() if local is not None else parameter).detach()


def guard(fit: Any) -> Any:
    """Wrap LitGPT's training loop, which every rank calls with the model as it will train it."""

    def guarded(fabric: Any, model: nn.Module, **others: Any) -> Any:
        problem = check(model, fabric.global_rank)
        if problem is not None:
            print(problem, file=sys.stderr, flush=True)
        n_bad = torch.tensor(float(problem is not None), device=fabric.device)
        n_bad = fabric.all_reduce(n_bad, reduce_op="sum")
        if float(n_bad) > 0:
            sys.exit(1)
        fabric.print(f"adapters: B = 0 on {fabric.world_size} of {fabric.world_size} devices")
        return fit(fabric=fabric, model=model, **others)

    return guarded


def main() -> None:
    end_with_parent()
    from litgpt.__main__ import main as litgpt
    from litgpt.finetune import lora

    lora.fit = guard(lora.fit)
    litgpt()


if __name__ == "__main__":
    main()
