"""The two import rules of the architecture, and what a light module may load."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
OURS = ("objectives", "optimizers", "experiments", "run")
HEAVY = (
    "torch",
    "botorch",
    "gpytorch",
    "smac",
    "optuna",
    "nevergrad",
    "cmaes",
    "sklearn",
    "pandas",
)
LIGHT = [
    "objectives.space",
    "objectives.trial",
    "objectives.functions.synthetic",
    "optimizers.optimizer",
    "optimizers.random_search",
    "optimizers.lhs",
    "optimizers.sobol",
    "optimizers.grid",
    "optimizers.soo",
    "experiments.running.runner",
]


def _imports(folder: str) -> Iterator[tuple[Path, str]]:
    """Yield every module of this project that a file below `folder` imports, with the file."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: expected absolute imports"
                module = node.module or ""
                is_package = module in OURS
                names = [f"{module}.{a.name}" for a in node.names] if is_package else [module]
            for name in names:
                if name.split(".")[0] in OURS:
                    yield path, name


def _offences(folder: str, *allowed: str) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path, name in _imports(folder)
        if not any(name == prefix or name.startswith(f"{prefix}.") for prefix in allowed)
    ]


def test_an_optimizer_knows_the_space_and_the_trials_and_nothing_of_the_objective() -> None:
    assert _offences("optimizers", "optimizers", "objectives.space", "objectives.trial") == []


def test_an_objective_knows_no_optimizer_and_no_plumbing() -> None:
    assert _offences("objectives", "objectives") == []


def test_the_plumbing_knows_no_concrete_optimizer_and_no_concrete_objective() -> None:
    contracts = (
        "objectives.objective",
        "objectives.space",
        "objectives.trial",
        "optimizers.optimizer",
    )
    assert _offences("experiments", "experiments", *contracts) == []


def test_package_files_are_empty() -> None:
    for package in OURS[:3]:
        for path in (ROOT / package).rglob("__init__.py"):
            assert path.read_text() == "", path


def test_the_light_modules_load_no_heavy_library() -> None:
    program = f"""
import sys
from importlib import import_module
for module in {LIGHT!r}:
    import_module(module)
    print(*(f"{{module}} loads {{name}}" for name in {HEAVY!r} if name in sys.modules))
"""
    finished = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert finished.stdout.split() == []
