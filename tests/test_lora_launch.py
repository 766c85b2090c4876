"""What runs in LitGPT's own process: its schedule, its devices, and the check of its adapters."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from objectives.lora_ft import launch


class _Model(nn.Module):
    """A substitute for a model with one adapter."""

    def __init__(self, b: torch.Tensor) -> None:
        super().__init__()
        self.lora_B = nn.Parameter(b)


_NAN = torch.tensor([[0.0, float("nan")]])


def test_more_or_fewer_processes_than_devices_are_refused(
    capfd: pytest.CaptureFixture[str],
) -> None:
    fabric = SimpleNamespace(global_rank=0, world_size=1)
    with pytest.raises(SystemExit):
        launch.guard(lambda **_: pytest.fail("it trained"), 2)(fabric, _Model(torch.zeros(2, 2)))
    assert "devices: expected 2 processes, one per device, got 1" in capfd.readouterr().err


def _rates(flags: dict[str, str], steps: int, made: int) -> list[float]:
    """Return the learning rates of the first steps."""
    parameter = nn.Parameter(torch.zeros(1))
    torch_optimizer = torch.optim.AdamW([parameter], lr=1e-3)
    scheduler = launch.scheduler(torch_optimizer, 2, made, flags)
    rates = []
    for _ in range(steps):
        rates.append(torch_optimizer.param_groups[0]["lr"])
        torch_optimizer.step()
        scheduler.step()
    return rates


def test_a_share_of_the_steps_has_the_rates_of_the_whole_schedule() -> None:
    from litgpt.finetune.lora import get_lr_scheduler

    torch_optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=1e-3)
    theirs = get_lr_scheduler(torch_optimizer, warmup_steps=2, max_steps=9)
    expected = []
    for _ in range(9):
        expected.append(torch_optimizer.param_groups[0]["lr"])
        torch_optimizer.step()
        theirs.step()
    assert _rates({"--tuneoff_schedule_steps": "9"}, 9, made=9) == pytest.approx(expected)
    assert _rates({"--tuneoff_schedule_steps": "9"}, 3, made=3) == pytest.approx(expected[:3])
    flat = _rates({"--tuneoff_schedule": "constant"}, 9, made=9)
    assert flat == pytest.approx([0.0, 5e-4, *[1e-3] * 7])
    assert _rates({"--tuneoff_min_lr": "1e-4"}, 10, made=9)[-1] == pytest.approx(1e-4)


def test_what_litgpt_does_not_know_is_kept_from_it() -> None:
    flags, rest = launch.own_flags(["finetune_lora", "--seed=1", "--tuneoff_schedule=constant"])
    assert flags == {"--tuneoff_schedule": "constant"}
    assert rest == ["finetune_lora", "--seed=1"]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            _Model(torch.tensor([[0.0, 0.5]])),
            "1 of 1 that do not on rank 2 (cpu): lora_B up to 0.5",
        ),
        (_Model(_NAN), "lora_B up to nan"),
        (_Model(torch.zeros(1, device="meta")), "no memory"),
        (nn.Linear(1, 1), "expected some, got none"),
    ],
)
def test_adapters_that_do_not_start_at_zero_are_named(model: nn.Module, words: str) -> None:
    assert launch.check(_Model(torch.zeros(2, 2)), 0) is None
    problem = launch.check(model, 2)
    assert problem is not None and words in problem


def test_training_does_not_begin_where_another_device_found_a_fault() -> None:
    # Here B is zero; the sum over the ranks says that on one of them it is not.
    fabric = SimpleNamespace(
        global_rank=0,
        world_size=2,
        device="cpu",
        print=print,
        all_reduce=lambda x, reduce_op: x + 1,
    )
    with pytest.raises(SystemExit, match="1"):
        launch.guard(lambda **_: pytest.fail("it trained"))(fabric, _Model(torch.zeros(2, 2)))
