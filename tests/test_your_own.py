"""The commands of objectives/your_own.md, each as a dry run with substitute programs."""

import json
import re
import shlex
from pathlib import Path

import pytest

from experiments.command import main
from node import search_path
from processes import ROOT
from test_lora_own import _instructions, _llama

PAGE = (ROOT / "objectives" / "your_own.md").read_text()
COMMANDS = re.findall(r"^    tuneoff (run .*)$", PAGE, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files that the page names."""
    folder = tmp_path_factory.mktemp("desk")
    _llama(folder / "my_model")
    _instructions(folder / "my_data.jsonl")
    (folder / "my.gguf").write_bytes(b"GGUF")
    (folder / "allowed.csv").write_text("lora_rank,lora_alpha\n8,16\n16,32\n")
    (task,) = re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)
    (folder / "my_task.json").write_text(json.dumps(json.loads(task)))
    return folder


@pytest.fixture(autouse=True)
def _node(desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in the folder, on a machine with eight GPUs and all programs, within a Slurm job."""
    monkeypatch.chdir(desk)
    monkeypatch.setenv("PATH", f"{_squeue(tmp_path)}:{search_path()}")
    monkeypatch.setenv("STAND_IN_DOCKER", str(tmp_path))
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def _squeue(folder: Path) -> Path:
    """Write the two commands of Slurm that a dry run uses, with an empty queue."""
    programs = folder / "slurm"
    programs.mkdir()
    for name in ("sbatch", "squeue"):
        (programs / name).write_text("#!/bin/sh\nexit 0\n")
        (programs / name).chmod(0o755)
    return programs


def test_the_page_has_a_command_for_every_way_to_run() -> None:
    ways = ("my_model", "my.gguf", "container", "launcher=ssh", "srun", "my_task.json", "allowed")
    for way in ways:
        assert any(way in command for command in COMMANDS), way


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_passes_its_dry_run(
    command: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "objective=serving" in command and "engine.model=my.gguf" in command:
        pytest.importorskip("xllamacpp")
    words = [word for word in shlex.split(command) if word != "dry_run=true"]
    port = ["objective.port=8123"] if "launcher=ssh" in command else []
    before = sorted(desk.rglob("*"))
    assert main([*words, *port, "dry_run=true"]) == 0, capsys.readouterr().err
    shown = capsys.readouterr().out
    assert "checked    objective, default, optimizer, executor, stop rule, folder" in shown
    assert sorted(desk.rglob("*")) == before


def test_a_key_of_an_objective_s_own_is_unknown_to_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", "objective=branin", "task=my_task.json", "dry_run=true"]) == 2
    assert capsys.readouterr().err.startswith("task: expected one of optimizer, objective, ")
