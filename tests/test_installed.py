"""The package as `pip install .` installs it, used from another folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from processes import ROOT

SOURCES = ("experiments", "objectives", "optimizers", "conf")
FILES = ("pyproject.toml", "README.md", "LICENSE")

MINE = '''
import numpy as np

from objectives.space import UnitCube
from optimizers.optimizer import Optimizer


class Mine(Optimizer):
    """Uniform draws."""

    def __init__(self, space, *, seed):
        super().__init__(space, seed=seed)
        self._cube, self._rng = UnitCube(space), np.random.default_rng(seed)

    def ask(self, n=1):
        return [self._trial(self._cube.config(u)) for u in self._cube.draw(self._rng, n)]

    def tell(self, trial, evaluation):
        pass
'''
EXPERIMENT = "optimizers: [mine, random]\nobjectives: [branin]\nseeds: 0,1\nbudget: 3\n"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which the package is installed, without its dependencies."""
    copy, target = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("site")
    for name in SOURCES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, copy)
    words = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [sys.executable, *words, "--target", str(target), str(copy)],
        check=True,
        capture_output=True,
        timeout=600,
    )
    return target


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a user's folder, which has packages with the names of ours, and one of its own."""
    for name in ("experiments", "objectives", "optimizers"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('not ours')\n")
    for name in ("mypackage", "myconf/optimizer", "myconf/experiment"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "mypackage" / "mine.py").write_text(MINE)
    (tmp_path / "myconf" / "optimizer" / "mine.yaml").write_text("_target_: mypackage.mine.Mine\n")
    (tmp_path / "myconf" / "experiment" / "mine.yaml").write_text(EXPERIMENT)
    return tmp_path


def run(site: Path, folder: Path, *words: str) -> str:
    """Run the installed command and return what it prints."""
    done = subprocess.run(
        [sys.executable, str(site / "bin" / "tuneoff"), *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_file_of_ours_is_installed(installed: Path) -> None:
    for source, place in (("conf", "experiments/conf"), *((name, name) for name in SOURCES[:3])):
        files = [p.relative_to(ROOT / source) for p in (ROOT / source).rglob("*") if p.is_file()]
        ours = [file for file in files if "__pycache__" not in file.parts]
        assert [str(f) for f in ours if not (installed / place / f).is_file()] == []


def test_own_classes_run_from_any_folder_and_no_package_of_the_folder_is_taken_for_ours(
    installed: Path, folder: Path
) -> None:
    config = "--config-dir=myconf"
    words = ["optimizer=mine", "objective=branin", "budget=3", "plot=false"]
    assert "3 evaluations, 0 failed" in run(installed, folder, "run", config, *words)
    assert run(installed, folder, "sweep", config, "experiment=mine", "runs=2").startswith("4 done")
    assert "mine: 4 done" in run(installed, folder, "status", "experiment=mine")
    assert "4 runs" in run(installed, folder, "pack", "results/mine")
    assert "x1:" in run(installed, folder, "best", "results/mine")
    confirmed = run(installed, folder, "confirm", config, "results/branin", "out=confirmed")
    assert "confirmed" in confirmed
    assert sorted(path.name for path in (folder / "results").iterdir()) == ["branin", "mine"]


def test_an_objective_finds_the_data_that_it_brings(installed: Path, folder: Path) -> None:
    words = ["optimizer=random", "budget=2", "plot=false"]
    assert "2 evaluations" in run(installed, folder, "run", "objective=tabular", *words)


def test_a_missing_extra_is_named_as_pip_takes_it(installed: Path, folder: Path) -> None:
    program = (
        "from experiments.running import provenance as p\n"
        "print(p.is_checkout(), p.install_command(p.extra_of('smac')), p.code())"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False pip install 'tuneoff[smac]' {'version': '0.1.0'}\n"
