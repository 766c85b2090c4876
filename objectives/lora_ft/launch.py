"""LitGPT's command line, which refuses to train adapters that do not start at zero.

    python -m objectives.lora_ft.launch finetune_lora ...

It takes the arguments of `litgpt` and does the same. Lightning starts every further rank with the
same command, so the following additions apply to each process of a training:

- the process group ends when the process that started it ends (`objectives/child.py`);
- after LitGPT has made the model, placed its shards on the devices and read the base weights, and
  before the first step, B of every adapter is checked on its device. Unless B is 0 on every device,
  every rank reports this and exits with status 1. The ranks also exit if their number differs from
  the requested number of devices, as it may in a cluster's job of another size;
- the learning rate follows the schedule of `schedule.py`. LitGPT itself has only one of its forms,
and only over the steps that it makes.

The second addition guards against what evidently happened in the published runs. On several
devices, the model is created on the meta device, and its values are set only after sharding.
"""

import functools
import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from objectives.child import end_with_parent
from objectives.lora_ft.schedule import MIN_LR, SCHEDULE, SCHEDULE_STEPS, after_warmup


def check(model: nn.Module, rank: int) -> str | None:
    """Return the error in the adapters' initial values on this device, or None.

    For a sharded matrix, this rank's part is checked.
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
    # The test is `not all zero` and not a maximum, because uninitialised memory may hold NaN.
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


def guard(fit: Any, n_devices: int | None = None) -> Any:
    """Wrap LitGPT's training loop, which every rank calls with the model to be trained.

    Args:
        n_devices: the expected number of ranks; None means any number.
    """

    def guarded(fabric: Any, model: nn.Module, **others: Any) -> Any:
        if n_devices is not None and fabric.world_size != n_devices:
            print(
                f"devices: expected {n_devices} processes, one a device, got {fabric.world_size}",
                file=sys.stderr,
                flush=True,
            )
            sys.exit(1)
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


def scheduler(
    torch_optimizer: Optimizer, warmup_steps: int, max_steps: int, flags: Mapping[str, str]
) -> LambdaLR:
    """Return the schedule that replaces LitGPT's `get_lr_scheduler`.

    Args:
        max_steps: the number of steps that LitGPT makes, which is the length of the schedule unless
            a flag sets a larger one.
        flags: the flags of this program, by name.
    """
    steps = int(flags.get(SCHEDULE_STEPS, max_steps))
    kind, min_lr = flags.get(SCHEDULE, "cosine"), float(flags.get(MIN_LR, "0"))
    peak = float(torch_optimizer.param_groups[0]["lr"])

    def share(step: int) -> float:
        if step < warmup_steps:
            return step / warmup_steps
        done = (step - warmup_steps) / max(steps - warmup_steps, 1)
        return after_warmup(kind, done, peak, min_lr) / peak if peak > 0 else 0.0

    return LambdaLR(torch_optimizer, share)


def own_flags(arguments: list[str]) -> tuple[dict[str, str], list[str]]:
    """Separate this program's flags from LitGPT's arguments."""
    pairs = [argument.partition("=") for argument in arguments]
    own = (SCHEDULE_STEPS, SCHEDULE, MIN_LR)
    flags = {name: value for name, _, value in pairs if name in own}
    return flags, [a for a, (name, _, _) in zip(arguments, pairs, strict=True) if name not in own]


def main() -> None:
    end_with_parent()
    from litgpt.__main__ import main as litgpt
    from litgpt.finetune import lora

    flags, sys.argv[1:] = own_flags(sys.argv[1:])
    devices = [a.removeprefix("--devices=") for a in sys.argv if a.startswith("--devices=")]
    lora.fit = guard(lora.fit, int(devices[0]) if devices else None)
    if flags:
        lora.get_lr_scheduler = functools.partial(scheduler, flags=flags)
    litgpt()


if __name__ == "__main__":
    main()
