"""Measure a trained model: the target, and the test metrics, which are never optimised."""

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from litgpt.lora import GPT

from objectives.items import pack_bits, pack_floats
from objectives.lora_ft import scoring
from objectives.lora_ft.packing import Branching
from objectives.lora_ft.team import Team
from objectives.lora_ft.training import Diverged
from objectives.lora_ft.workbench import Workbench


@dataclass
class Measured:
    """Metrics, and the per-item outcomes behind them."""

    metrics: dict[str, float] = field(default_factory=dict)
    items: dict[str, str] = field(default_factory=dict)

    def untrained(self, names: Collection[str]) -> "Measured":
        """Return these metrics and their items under the names of the untrained model's scores."""
        return Measured(
            {f"untrained_{name}": x for name, x in self.metrics.items() if name in names},
            {f"untrained_{name}": text for name, text in self.items.items() if name in names},
        )


def selection(
    team: Team, model: GPT, bench: Workbench, n_items: int, with_hellaswag: bool
) -> Measured:
    """Return what configurations are selected by: the held-out loss, and HellaSwag if asked."""
    measured = heldout(team, model, bench, n_items)
    if with_hellaswag:
        more = hellaswag(team, model, bench)
        measured.metrics |= more.metrics
        measured.items |= more.items
    return measured


def heldout(team: Team, model: GPT, bench: Workbench, n_items: int) -> Measured:
    """Return the loss on the first held-out instructions, in nats per token."""
    return _loss("heldout_loss", team, model, bench.heldout[:n_items])


def hellaswag(team: Team, model: GPT, bench: Workbench) -> Measured:
    """Return the accuracies and the probability of the right ending."""
    sums = scoring.branch_sums(team, model, bench.tokens(bench.hellaswag))
    _expect_finite(sums)
    judged = scoring.outcomes(bench.hellaswag, sums)
    return Measured(
        {
            "hellaswag_acc": float(judged.right.mean()),
            "hellaswag_acc_norm": float(judged.right_norm.mean()),
            "hellaswag_p_right": float(judged.p_right.mean()),
        },
        {
            "hellaswag_acc": pack_bits(judged.right),
            "hellaswag_acc_norm": pack_bits(judged.right_norm),
            "hellaswag_p_right": pack_floats(judged.p_right),
        },
    )


def test(team: Team, model: GPT, bench: Workbench) -> dict[str, float]:
    """Return the loss on other held-out instructions, and HellaSwag and MMLU if there are any."""
    metrics = hellaswag(team, model, bench).metrics if bench.hellaswag else {}
    if bench.test:
        metrics |= _loss("test_loss", team, model, bench.test).metrics
    if bench.mmlu:
        sums = scoring.branch_sums(team, model, bench.tokens(bench.mmlu))
        metrics["mmlu_acc"] = float(scoring.outcomes(bench.mmlu, sums).right.mean())
    return metrics


def _loss(name: str, team: Team, model: GPT, sequences: list[Branching]) -> Measured:
    losses = scoring.losses(sequences, scoring.branch_sums(team, model, sequences))
    _expect_finite(losses)
    return Measured({name: float(losses.mean())}, {name: pack_floats(losses)})


def _expect_finite(values: scoring.Floats) -> None:
    if not np.isfinite(values).all():
        raise Diverged("the trained model's log-likelihoods are not finite")
