"""The README's commands and examples, as a reader would try them."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from processes import ROOT, command, events

README = (ROOT / "README.md").read_text()
CHEAP = ["budget=4", "plot=false", "progress=false"]


def _blocks(language: str) -> dict[str, str]:
    """Return the code blocks whose first line names their file."""
    blocks = re.findall(rf"```{language}\n# (\S+)\n(.*?)```", README, flags=re.DOTALL)
    return dict(blocks)


def _commands() -> list[list[str]]:
    lines = re.findall(r"^\$ python run\.py (.*?)(?:  +#.*)?$", README, flags=re.MULTILINE)
    return [shlex.split(line) for line in lines if "lora_ft" not in line]


@pytest.mark.parametrize("arguments", _commands(), ids=" ".join)
def test_a_command_of_the_readme_runs(arguments: list[str], tmp_path: Path) -> None:
    swept = "-m" in arguments
    out = str(tmp_path / "${hydra:runtime.choices.optimizer}-${seed}")
    narrow = ["optimizer=lhs,soo", "seed=range(0,2)"] if swept else []
    kept = [a for a in arguments if not swept or a.startswith(("-m", "objective="))]
    done = subprocess.run(
        command(*kept, *narrow, *CHEAP, f"out={out}", f"hydra.sweep.dir={tmp_path}"),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    logs = list(tmp_path.glob("*/log.jsonl"))
    assert len(logs) == (4 if swept else 1)


def test_the_optimizer_and_the_objective_of_the_readme_run_together(tmp_path: Path) -> None:
    for name, text in {**_blocks("python"), **_blocks("yaml")}.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    done = subprocess.run(
        command(
            f"--config-dir={tmp_path / 'conf'}",
            "optimizer=halving",
            "optimizer._target_=halving.Halving",
            "objective=sphere",
            "objective._target_=sphere.Sphere",
            "budget=60",
            f"out={tmp_path / 'run'}",
        ),
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path / 'optimizers'}:{tmp_path / 'objectives'}"},
    )
    assert done.returncode == 0, done.stderr
    values = [event["value"] for event in events(tmp_path / "run") if "value" in event]
    assert len(values) == 60
    assert min(values[30:]) < min(values[:10])
