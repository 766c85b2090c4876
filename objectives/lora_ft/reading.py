"""Log-likelihoods of branches, by the lean model if it supports the model, else by LitGPT's."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from litgpt.lora import GPT
from torch import Tensor

from objectives.lora_ft import lean
from objectives.lora_ft.forest import plant
from objectives.lora_ft.model import log_likelihoods
from objectives.lora_ft.packing import Branching, pack, rows

_ROW_LENGTH = 256  # tokens; longer rows cost more attention and less overhead


@dataclass(frozen=True)
class Reading:
    """The log-likelihoods of every token of every branch.

    Attributes:
        log_likelihoods: (N,) in nats.
        owners: (N,) index of the token's branch, counted over all sequences.
    """

    log_likelihoods: Tensor
    owners: Tensor

    def sums(self) -> Tensor:
        """Return each branch's log-likelihood, float64."""
        n_branches = int(self.owners.max()) + 1
        sums = self.log_likelihoods.new_zeros(n_branches, dtype=torch.float64)
        return sums.index_add_(0, self.owners, self.log_likelihoods.double())


def read(model: GPT, sequences: Sequence[Branching]) -> Reading:
    """Compute the log-likelihoods of the sequences as one piece of work."""
    device = model.lm_head.linear.weight.device
    if device.type == "cpu" and lean.can_read(model):
        forest = plant(sequences)
        return Reading(lean.log_likelihoods(model, forest), forest.owners)
    layout = rows(sequences, _ROW_LENGTH)
    packed = pack([[sequences[i] for i in row] for row in layout]).to(device)
    firsts = [0]
    for sequence in sequences:
        firsts.append(firsts[-1] + len(sequence.branches))
    order = [b for row in layout for i in row for b in range(firsts[i], firsts[i + 1])]
    owners = torch.tensor(order, device=device)[packed.owners]
    return Reading(log_likelihoods(model, packed), owners)
