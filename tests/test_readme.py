"""The README's commands and examples, and the page on notebooks, executed as a reader would."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from processes import ROOT

README = (ROOT / "README.md").read_text()
NOTEBOOKS = (ROOT / "experiments" / "notebooks.md").read_text()
EXPENSIVE = ("lora_ft",)


def _blocks(language: str) -> dict[str, str]:
    """Return the code blocks whose first line names their file."""
    return dict(re.findall(rf"```{language}\n# (\S+)\n(.*?)```", README, flags=re.DOTALL))


def _commands() -> list[str]:
    return re.findall(r"^\$ (tuneoff .*?)(?:  +#.*)?$", README, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the README's files, and `tuneoff` below bin/."""
    folder = tmp_path_factory.mktemp("reader")
    for name, text in {**_blocks("python"), **_blocks("yaml")}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "bin").mkdir()
    program = folder / "bin" / "tuneoff"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m experiments "$@"\n')
    program.chmod(0o755)
    return folder


def _typed(line: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a line in a shell."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
    }
    return subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.mark.long
def test_the_commands_of_the_readme_work_in_their_order(folder: Path) -> None:
    commands = _commands()
    assert len(commands) > 15
    for line in commands:
        if " run " in line and any(name in line for name in EXPENSIVE):
            line += " --cfg job"  # composed, not run
        elif " run " in line:
            line += " plot=false" + ("" if "budget=" in line else " budget=5")
        done = _typed(line, folder)
        assert done.returncode == 0, f"{line}: {done.stderr}{done.stdout}"
    assert (folder / "report" / "index.html").is_file()
    assert (folder / "seed0.png").is_file() and (folder / "smoke.db").is_file()


def test_the_examples_of_the_readme_are_typed(folder: Path) -> None:
    files = [str(folder / name) for name in _blocks("python")]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout


def test_every_command_of_make_exists() -> None:
    targets = re.findall(r"^\$ make (\w+)", README, flags=re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text()
    assert targets and all(f"\n{target}:" in makefile for target in targets)


def test_every_link_of_the_readme_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)", README + (ROOT / "CONTRIBUTING.md").read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (ROOT / link).exists()] == []


def test_the_page_on_notebooks_runs(folder: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", NOTEBOOKS, flags=re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        done = _typed(f"{sys.executable} -c {shlex.quote(block)}", folder)
        assert done.returncode == 0, done.stderr
        assert done.stdout
