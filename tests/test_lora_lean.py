"""The lean forward and backward are LitGPT's."""

from pathlib import Path

import numpy as np
import pytest
import torch
from litgpt.lora import GPT
from torch import Tensor

import tiny_llama
from objectives.lora_ft import lean
from objectives.lora_ft.forest import groves, plant
from objectives.lora_ft.model import Adapters, BaseModel, Dropout, log_likelihoods
from objectives.lora_ft.packing import Branching, pack

SEQUENCES = [
    Branching([1, 2, 3, 4], [[5, 6, 7]]),
    Branching([1, 2, 3, 9, 9], [[5, 6], [5, 8, 8, 8]]),
    Branching([1, 2], [[3]]),
    Branching([40, 41, 42, 43, 44, 45, 46], [[47, 48]]),
]
CHOICES = [
    ("query", "key", "value", "projection"),
    ("query", "key", "value", "projection", "mlp"),
    ("query", "value"),
    ("mlp",),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama.write(tmp_path_factory.mktemp("tiny") / "tiny-llama")


def _model(folder: Path, precision: str, matrices: tuple[str, ...], dropout: float = 0.0) -> GPT:
    base = BaseModel(folder, torch.device("cpu"), precision)
    model = base.adapted(Adapters(3, 4, dropout, matrices, 7))
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if name.endswith("lora_B"):
            parameter.data.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model


def _gradients(model: GPT, log_probabilities: Tensor) -> list[Tensor]:
    weights = torch.linspace(0.5, 1.5, len(log_probabilities))
    adapters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return list(torch.autograd.grad((log_probabilities * weights).sum(), adapters))


@pytest.mark.parametrize("matrices", CHOICES)
def test_values_and_gradients_are_those_of_litgpt(folder: Path, matrices: tuple[str, ...]) -> None:
    model = _model(folder, "fp32", matrices)
    expected = log_likelihoods(model, pack([[sequence] for sequence in SEQUENCES]))
    got = lean.log_likelihoods(model, plant(SEQUENCES))
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
    pairs = zip(_gradients(model, got), _gradients(model, expected), strict=True)
    for ours, theirs in pairs:
        assert theirs.abs().max() > 0
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_bfloat16_errs_no_more_than_litgpt_does(folder: Path) -> None:
    exact = log_likelihoods(_model(folder, "fp32", CHOICES[1]), pack([SEQUENCES]))
    model = _model(folder, "bf16", CHOICES[1])
    theirs = log_likelihoods(model, pack([SEQUENCES])) - exact
    ours = lean.log_likelihoods(model, plant(SEQUENCES)) - exact
    assert ours.square().mean().sqrt() < 1.3 * theirs.square().mean().sqrt()


def test_dropout_is_that_of_litgpt_where_nothing_is_shared(folder: Path) -> None:
    model = _model(folder, "fp32", CHOICES[1], dropout=0.3).train()
    alone = [Branching([40, 41, 42, 43], [[47, 48, 49]])]
    Dropout.seed(5, torch.device("cpu"))
    expected = log_likelihoods(model, pack([alone]))
    Dropout.seed(5, torch.device("cpu"))
    got = lean.log_likelihoods(model, plant(alone))
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
    undropped = lean.log_likelihoods(model.eval(), plant(alone))
    assert (got - undropped).abs().max() > 0.01


def test_the_derivative_holds_under_dropout(folder: Path) -> None:
    """The slope along a direction, by differences in float32, is the gradient's."""
    model = _model(folder, "fp32", CHOICES[1], dropout=0.3).train()
    adapters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    generator = torch.Generator().manual_seed(2)
    direction = [torch.randn(p.shape, generator=generator) for p in adapters]

    def value() -> Tensor:
        Dropout.seed(5, torch.device("cpu"))
        return lean.log_likelihoods(model, plant(SEQUENCES)).sum()

    @torch.no_grad()
    def moved(step: float) -> float:
        for parameter, along in zip(adapters, direction, strict=True):
            parameter.add_(along, alpha=step)
        answer = float(value())
        for parameter, along in zip(adapters, direction, strict=True):
            parameter.sub_(along, alpha=step)
        return answer

    gradients = torch.autograd.grad(value(), adapters)
    slope = sum(float((g * d).sum()) for g, d in zip(gradients, direction, strict=True))
    measured = (moved(1e-3) - moved(-1e-3)) / 2e-3
    assert measured == pytest.approx(slope, rel=0.02)


def test_a_common_prefix_is_computed_once() -> None:
    forest = plant(SEQUENCES[:2])
    # 1 2 3 4 5 6 | 9 9 5 (the branch 5 6) | 8 8 (of the branch 5 8 8 8, behind that 5).
    assert forest.tokens.tolist() == [1, 2, 3, 4, 5, 6, 9, 9, 5, 8, 8]
    assert forest.positions.tolist() == [0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 7]
    assert forest.targets.tolist() == [5, 6, 7, 5, 6, 5, 8, 8, 8]
    assert forest.predictors.tolist() == [3, 4, 5, 7, 8, 7, 8, 9, 10]
    assert forest.owners.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2]
    assert forest.paths.flatten()[forest.places].tolist() == list(range(11))


def test_groves_hold_every_sequence_once_within_the_limit() -> None:
    rng = np.random.default_rng(3)
    sequences = [Branching([1] * n, [[2, 3]]) for n in rng.integers(1, 40, 50).tolist()]
    pieces = groves(sequences, 60)
    assert sorted(i for piece in pieces for i in piece) == list(range(50))
    assert all(sum(sequences[i].n_inputs for i in piece) <= 60 for piece in pieces)
    assert len(groves([Branching([1] * 99, [[2]])], 60)) == 1
