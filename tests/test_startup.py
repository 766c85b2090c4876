"""The imports of a start, and that deferring `scipy.stats` changes only the time."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

QUICK = "from experiments.running.quick_start import quick_start\nwith quick_start():\n    pass\n"


def python(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )


def said(program: str) -> list[str]:
    """Return the lines that a program prints, in a process where a warning is an error."""
    return python("-W", "error", "-c", program).stdout.splitlines()


def test_a_start_with_lhs_imports_neither_torch_nor_matplotlib_nor_the_whole_of_scipy_stats(
    tmp_path: Path,
) -> None:
    run = ["run.py", "optimizer=lhs", "objective=branin", "budget=2", "plot=false"]
    report = python("-X", "importtime", *run, f"out={tmp_path}/run").stderr
    imported = {line.rpartition("|")[2].strip() for line in report.splitlines()}
    assert "optimizers.random_search" in imported  # which lhs imports
    assert imported.isdisjoint(["torch", "matplotlib", "scipy.stats._stats_py"])


def test_parameters_that_need_scipy_stats_sample_as_after_an_ordinary_import() -> None:
    sample = """
import pickle
from ConfigSpace import *
space = ConfigurationSpace(seed=1)
space.add(
    BetaFloatHyperparameter("a", alpha=2, beta=3, lower=0, upper=1),
    BetaIntegerHyperparameter("b", alpha=2, beta=3, lower=0, upper=9),
    NormalFloatHyperparameter("c", mu=0, sigma=1, lower=-2, upper=2),
    NormalIntegerHyperparameter("d", mu=0, sigma=5, lower=-9, upper=9),
    UniformIntegerHyperparameter("e", 1, 1000, log=True),
)
space = pickle.loads(pickle.dumps(space))
for config in space.sample_configuration(20):
    print(dict(config))
"""
    assert said(QUICK + sample) == said(sample)


def test_config_space_is_imported_as_ever_where_it_needs_more_than_there_are_stand_ins() -> None:
    fewer = (
        "from experiments.running import quick_start as q\nq._DEFERRED['scipy.stats'] = ('beta',)\n"
    )
    whole = "import ConfigSpace, scipy.stats\nprint(scipy.stats.norm.cdf(0.0))"
    assert said(fewer + QUICK + whole) == ["0.5"]


def test_what_is_left_for_later_is_there_when_it_is_used() -> None:
    program = """
import numpy, numpy.testing, numpy.f2py
numpy.testing.assert_allclose([1.0], [1.0])
from numpy.testing import assert_equal
print(numpy.f2py.get_include()[-3:])
"""
    assert said(QUICK + program) == ["src"]


DRAWING = """
from experiments.running.quick_start import import_drawing
import_drawing("experiments.running.panels")
"""


def test_matplotlib_is_whole_after_a_quick_import_of_it() -> None:
    program = """
import fontTools, matplotlib.artist
from matplotlib.figure import Figure
axes = Figure().subplots()
axes.plot("xs", data={"xs": [0, 1]})[0].set(linewidth=3)
print(fontTools.agl.toUnicode("A"), axes.lines[0].get_linewidth())
class Mine(matplotlib.artist.Artist):
    def set_mine(self, value): pass
print("mine" in Mine.set.__doc__, "xlim" in matplotlib.artist.kwdoc(axes))
"""
    assert said(DRAWING + program) == ["A 3.0", "True True"]


def test_matplotlib_is_imported_as_ever_where_it_names_its_functions_otherwise() -> None:
    other = """
from experiments.running import quick_start as q
q._DOCUMENTING += (("", "none", None), (".artist:None", "none", None), (".none", "none", None))
"""
    shown = "import matplotlib.lines\nprint('linewidth' in matplotlib.lines.Line2D.set.__doc__)"
    assert said(other + DRAWING + shown) == ["True"]


def test_scipy_stats_is_whole_after_qmc_was_imported_alone() -> None:
    program = """
from optimizers.light_qmc import qmc
import scipy.stats, pickle
print(scipy.stats.qmc is qmc, scipy.stats._stats_py is not None)
print(scipy.stats.norm.cdf(0.0), scipy.stats.beta(1, 1).mean())
print(type(pickle.loads(pickle.dumps(qmc.Sobol(2, rng=0)))) is scipy.stats.qmc.Sobol)
"""
    assert said(program) == ["True True", "0.5 0.5", "True"]


def test_qmc_alone_finds_the_distributions_that_it_needs_later() -> None:
    draw = "print(qmc.MultivariateNormalQMC([0.0, 1.0], rng=0).random(4).tolist())"
    alone = said(f"from optimizers.light_qmc import qmc\n{draw}")
    assert alone == said(f"import scipy.stats\nfrom scipy.stats import qmc\n{draw}")
