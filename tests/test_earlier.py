"""Logs of earlier formats can be read, and nothing that a log names is instantiated."""

import json
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from experiments.analysis import export, verdict
from experiments.analysis.report import __main__ as report
from experiments.analysis.results import load
from experiments.running import provenance
from experiments.running.earlier import upgraded
from experiments.running.header import Header
from experiments.running.run_log import read
from made_headers import header_event
from objectives.description import describe
from objectives.objective import Objective
from objectives.space import UnitCube, build_space

LOGS = Path(__file__).parent / "logs"
RESULTS = provenance.ROOT / "results"
COMMITTED = sorted({path.parent for name in ("*.xz", "log.jsonl") for path in RESULTS.rglob(name)})


def header_of(name: str) -> Header:
    header = read(LOGS / name).header
    assert header is not None
    return header


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda path: path.name)
def test_every_committed_log_says_its_problem(folder: Path) -> None:
    for run in load([folder]):
        assert run.header.space is not None and len(run.values) > 0
        cube = UnitCube(build_space(run.header.space, run.header.forbidden))
        assert all(cube.names == list(cube.space) or config.keys() <= set(cube.names)
                   for config in run.configs)  # fmt: skip
        metric = run.header.metric
        assert metric is None or metric in run.metrics


def test_a_log_without_an_optimum_has_that_of_its_surface() -> None:
    header = header_of("format1_without_optimum.jsonl")
    assert header.optimum == pytest.approx(0.520595, abs=1e-6)
    goal = header.goals["hellaswag_acc"]
    assert not goal.minimise and goal.optimum == pytest.approx(0.479405, abs=1e-6)
    assert header.space is not None and header.space["learning_rate"]["log"]


def test_a_log_of_format_1_has_space_and_problem_of_coco() -> None:
    header = header_of("format1.jsonl")
    assert header.coco == ("bbob", 8, 1) and header.optimum == 149.15
    assert header.space == {
        name: {"type": "float", "lower": -5.0, "upper": 5.0} for name in ("x1", "x2")
    }
    assert header.objective["class"] == "Failing" and header.objective["inner"]["class"] == "Bbob"
    assert "objectives." not in json.dumps(header.to_json())


def composed(*words: str) -> dict[str, Any]:
    with initialize_config_dir(str(provenance.ROOT / "conf"), version_base=None):
        settings = compose("config", list(words))
    plain = OmegaConf.to_container(settings.objective, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


@pytest.mark.parametrize(
    "words",
    [
        "branin", "rosenbrock", "ackley", "levy", "hartmann3", "hartmann6", "shekel", "mixed",
        "bbob objective.dimension=3", "bbob objective.shift=3", "lora_published",
        "lora_published objective.noise=repeat", "noisy objective.sd=2", "failing", "slow",
        "branin ++objective.space.x1.upper=3", "tabular objective.data=objectives/branin_grid.csv",
    ],
)  # fmt: skip
def test_the_tables_say_what_the_objectives_say(words: str) -> None:
    name, *overrides = words.split()
    settings = composed(f"objective={name}", *overrides)
    made: Objective = instantiate(settings, _convert_="all")
    old = {
        **header_event(format=1, objective=settings, optimizer={}, optimum=made.optimum),
        "metric": made.metric,
    }
    header = Header.from_json(upgraded(old))
    # fmt: skip
    if header.space is not None:  # a table's space is derived from the table
        assert header.space == describe(made.space)
    assert header.coco == made.coco
    assert header.noise_sd == pytest.approx(made.noise_sd, rel=1e-4)
    assert {key: goal.minimise for key, goal in header.goals.items()} == {
        key: goal.minimise for key, goal in made.goals.items()
    }


def exploits(marker: Path) -> list[dict[str, Any]]:
    """Return settings that each write the marker when they are instantiated."""
    source = marker.with_suffix(".source")
    source.write_text("0")
    copy = {"_target_": "shutil.copy", "src": str(source), "dst": str(marker)}
    path = {"_target_": "pathlib.Path", "_args_": [str(marker)]}
    nested = f"${{oc.create:{{_target_: shutil.copy, src: '{source}', dst: '{marker}'}}}}"
    return [
        copy,
        {"_target_": "objectives.synthetic.Branin", "shift": nested, "space": {}},
        {"_target_": "objectives.functions.synthetic.Branin", "shift": copy, "space": {}},
        {"_target_": "os.system", "command": f"touch {marker}"},
        {"_target_": "pathlib.Path.touch", "_args_": [path]},
    ]  # fmt: skip


@pytest.mark.parametrize("format", [1, 2])
@pytest.mark.parametrize("number", range(5))
def test_whoever_reads_results_makes_nothing_that_a_log_names(
    number: int, format: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = tmp_path / "marker"
    settings = exploits(marker)[number]
    about = header_event(format=format, objective=settings, optimizer=settings, fingerprint={})
    folder = tmp_path / "runs"
    for seed in range(2):
        header = {**about, "metric": None, "seed": seed, "identity": str(seed)}
        lines = [header]
        for id in range(3):
            trial = {"id": id, "config": {"x": id / 7}, "fidelity": 1.0}
            lines.append({"event": "ask", "n": 1, "trials": [trial], "ask_s": 0.1, "tell_s": {}})
            answer = {"value": id + 1.0, "cost": 1.0, "metrics": {}, "error": None, "time": 6.0}
            lines.append({"event": "evaluation", "id": id, **answer})
        (folder / str(seed)).mkdir(parents=True)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / str(seed) / "log.jsonl").write_text(text)
    verdict.main([str(folder)])
    report.main([str(folder), f"out={tmp_path / 'report'}"])
    for kind in ("optuna", "ioh", "coco", "csv"):
        ending = {"optuna": ".db", "csv": ".csv"}.get(kind, "")
        export.main([str(folder), f"format={kind}", f"out={tmp_path / kind}{ending}"])
    assert not marker.exists()
