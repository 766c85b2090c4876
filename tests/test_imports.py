"""The three rules of the architecture, and what a light module may load."""

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


# Rule 1, fairness: an optimizer knows the space, the fidelities and the goals, never the function.


def test_an_optimizer_knows_the_space_and_the_trials_and_nothing_of_the_objective() -> None:
    known = ("objectives.space", "objectives.trial", "objectives.expected")
    assert _offences("optimizers", "optimizers", *known) == []


def test_the_validation_of_settings_which_all_families_use_imports_nothing_of_this_project() -> (
    None
):
    tree = ast.parse((ROOT / "objectives" / "expected.py").read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {str(module).split(".")[0] for module in modules} & set(OURS)


def test_an_objective_knows_no_optimizer_and_no_plumbing() -> None:
    assert _offences("objectives", "objectives") == []


# Rule 2: the plumbing is neutral. It knows the contracts, and branches on no plug-in's name.


def test_the_plumbing_knows_no_concrete_optimizer_and_no_concrete_objective() -> None:
    contracts = (
        "objectives.allowed",
        "objectives.description",
        "objectives.expected",
        "objectives.heartbeat",
        "objectives.items",
        "objectives.objective",
        "objectives.plain_files",  # reading of files; it names no objective
        "objectives.plain_yaml",
        "objectives.space",
        "objectives.trial",
        "optimizers.optimizer",
    )
    assert _offences("experiments", "experiments", *contracts) == []


def _plug_ins() -> set[str]:
    """Return the names of the YAML files of both families."""
    return {
        path.stem
        for family in ("optimizer", "objective")
        for path in (ROOT / "conf" / family).glob("*.yaml")
    }


def _compared(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the texts that a module compares with something, or looks up, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            sides = [node.value]
        else:
            continue
        for side in sides:
            for leaf in ast.walk(side):
                if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str):
                    yield leaf.lineno, leaf.value


def test_the_plumbing_branches_on_no_name_of_a_plug_in() -> None:
    names = _plug_ins()
    offences = [
        f"{path.relative_to(ROOT)}, line {line}: {text}"
        for folder in ("running", "sweeping", "analysis", "replaying", "watching", "testing")
        for path in sorted((ROOT / "experiments" / folder).rglob("*.py"))
        for line, text in _compared(ast.parse(path.read_text()))
        if text in names
    ]
    assert offences == []


# Rule 3: running writes logs, analysis reads them.

COMMAND_LINE = (
    "hydra",
    "experiments.sweeping",
    "experiments.paper",
    "experiments.running.run",
    "experiments.running.runner",
    "experiments.running.executors",
    "experiments.running.command_line",
    "experiments.running.run_command",
    "experiments.running.composing",
)
"""Modules that code which only reads results does not import."""


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements that are executed when a module is imported."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield child
            yield from _outside_functions(child)


def _all_imports(path: Path) -> Iterator[str]:
    for node in _outside_functions(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _reached(folder: str) -> dict[str, str]:
    """Return all direct and indirect imports of a folder's modules, each with its importer."""
    found: dict[str, str] = {}
    queue = [(path, folder) for path in sorted((ROOT / folder).rglob("*.py"))]
    while queue:
        path, importer = queue.pop()
        for name in _all_imports(path):
            if name in found:
                continue
            found[name] = str(path.relative_to(ROOT))
            place = ROOT / (name.replace(".", "/") + ".py")
            if place.is_file():
                queue.append((place, importer))
    return found


def test_analysis_imports_no_run_loop_no_hydra_and_no_command_line() -> None:
    reached = _reached("experiments/analysis")
    offences = {
        name: importer
        for name, importer in reached.items()
        if any(name == prefix or name.startswith(f"{prefix}.") for prefix in COMMAND_LINE)
    }
    assert offences == {}


def test_a_process_that_reads_results_has_loaded_no_hydra() -> None:
    modules = [
        str(path.relative_to(ROOT).with_suffix("")).replace("/", ".")
        for path in sorted((ROOT / "experiments" / "analysis").rglob("*.py"))
        if path.stem not in ("__init__", "__main__", "optuna_storage")  # that one needs Optuna
    ]
    program = f"import sys\nfrom importlib import import_module\nfor m in {modules!r}:\n"
    program += "    import_module(m)\nprint('hydra' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.stdout == "False\n", done.stderr


def test_running_imports_neither_sweeping_nor_analysis() -> None:
    names = ("analysis", "sweeping", "paper", "replaying", "testing", "watching")
    others = tuple(f"experiments.{name}" for name in names)
    offences = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path, name in _imports("experiments/running")
        if name.startswith(others)
    ]
    assert offences == []


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
