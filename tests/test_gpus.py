"""The setting `gpus`: the number of GPUs of each evaluation."""

from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.command import main
from experiments.running.executors import on_slurm
from experiments.running.executors.choice import SlurmChoice
from experiments.running.from_words import run_of
from node import search_path
from objectives.lora_ft import devices
from test_lora_cli import _checkpoint


@pytest.fixture
def _node(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand on a machine with eight GPUs and the programs of the servers."""
    monkeypatch.setenv("PATH", search_path())
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("_node")
def test_a_server_s_configurations_use_at_most_these_gpus() -> None:
    run = run_of("objective=serving_task", "gpus=2", "objective.attention_heads=32")
    assert run.objective.resources.gpus == 2
    assert run.header.objective["gpus"] == 2


def test_litgpt_trains_on_these_gpus_and_a_cluster_is_asked_for_them(tmp_path: Path) -> None:
    model = f"objective.model={_checkpoint(tmp_path / 'model')}"
    words = ("objective=lora_ft", "objective.route=litgpt_cli", model)
    run = run_of(*words, "gpus=4")
    assert run.objective.resources.gpus == 4 and run.objective.resources.whole_host
    deployment = run.objective.deployment()
    assert deployment is not None and run.objective.default is not None
    assert "--devices=4" in deployment.command(run.objective.default)
    assert run_of(*words).objective.resources.gpus == 0  # one device may be a CPU
    assert "gpus" not in run_of(*words).header.objective  # the identity is the one of before


def test_a_job_of_slurm_asks_for_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(on_slurm, "OnSlurm", lambda made, limit, given, poll: asked.update(given))
    model = f"objective.model={_checkpoint(tmp_path / 'model')}"
    run = run_of("objective=lora_ft", "objective.route=litgpt_cli", model, "gpus=4")
    SlurmChoice()(run.objective, 1, None)
    assert asked["gpus_per_node"] == 4 and asked["exclusive"]


def test_a_login_node_without_a_gpu_can_ask_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.kind("auto", 1) == "cuda" and devices.kind("auto", 0) == "cpu"
    with pytest.raises(ValueError, match="device: expected auto with gpus=0, got cuda"):
        devices.kind("cuda", 0)
    with pytest.raises(
        ValueError, match="gpus: expected an integer of at least 0 and at most 1, got 2"
    ):
        devices.kind("auto", 2)
    with pytest.raises(devices.NoGpu, match="expected a GPU that torch can use, got none"):
        devices.take("cuda")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["objective=branin", "gpus=1"], "gpus: expected null, as an evaluation of this objective"),
        (["objective=branin", "gpus=-1"], "gpus: expected an integer of at least 0, got -1"),
        (["objective=branin", "gpus=many"], "gpus: expected an integer of at least 0, got 'many'"),
        (["objective=serving", "gpus=1"], "gpus: expected null"),
    ],
)
def test_a_number_that_nothing_uses_is_refused_in_one_line(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "objective=serving" in words:
        pytest.importorskip("xllamacpp")
    assert main(["run", "optimizer=random", "dry_run=true", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line


@pytest.mark.usefixtures("_node")
def test_a_wrapped_objective_receives_the_number() -> None:
    run = run_of("objective=slow", "objective@objective.inner=serving_vllm", "gpus=2")
    assert run.objective.resources.gpus == 2
