"""Lists of allowed combinations: every optimizer asks only these."""

import itertools
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asking import NAMES
from experiments.command import main
from experiments.running.from_words import run_of
from experiments.running.making_objective import make_objective, with_allowed
from experiments.testing.plug_ins import OptimizerYaml
from objectives.allowed import read_allowed, restrict
from objectives.combinations import Combinations
from objectives.space import UnitCube, build_space
from objectives.trial import Config, Evaluation
from scripted_endpoint import endpoint

DESCRIPTION: dict[str, Any] = {
    "rate": {"type": "float", "lower": 1e-4, "upper": 1.0, "log": True},
    "rank": {"type": "int", "lower": 1, "upper": 64},
    "kind": {"type": "categorical", "choices": ["a", "b"]},
    "steps": {"type": "int", "lower": 1, "upper": 9, "when": {"kind": "b"}},
}
WHOLE: list[Config] = [
    {"rate": 0.001, "rank": 8, "kind": "a"},
    {"rate": 0.03, "rank": 8, "kind": "b", "steps": 3},
    {"rate": 0.03, "rank": 33, "kind": "a"},
    {"rate": 0.7, "rank": 64, "kind": "b", "steps": 9},
]
PARTS: list[Config] = [{"rank": 8, "kind": "a"}, {"rank": 33}, {"rank": 64, "kind": "b"}]


def _space(rows: list[Config]) -> Any:
    space = build_space(DESCRIPTION)
    restrict(space, rows)
    return space


def test_every_point_of_the_cube_stands_for_an_allowed_configuration() -> None:
    cube = UnitCube(_space(WHOLE))
    for u in np.random.default_rng(0).random((200, 4)):
        config = cube.config(u)
        assert config in WHOLE and cube.allows(config)
        assert cube.config(cube.point(config)) == config
    assert not cube.allows({"rate": 0.001, "rank": 9, "kind": "a"})


def test_what_a_combination_leaves_out_is_free() -> None:
    cube = UnitCube(_space(PARTS))
    rates = set()
    for u in cube.draw(np.random.default_rng(0), 100):
        config = cube.config(u)
        assert cube.allows(config)
        assert any(part.items() <= config.items() for part in PARTS)
        rates.add(config["rate"])
    assert len(rates) == 100
    assert not cube.allows({"rate": 0.5, "rank": 8, "kind": "b", "steps": 1})


def test_combinations_are_drawn_equally_often() -> None:
    cube = UnitCube(_space(WHOLE))
    drawn = [cube.config(u) for u in cube.draw(np.random.default_rng(0), 400)]
    counts = [drawn.count(config) for config in WHOLE]
    # 400 draws, 100 each in the mean, with a standard deviation of 8.7.
    assert min(counts) > 65 and sum(counts) == 400


def test_a_list_survives_a_pickle() -> None:
    cube = UnitCube(pickle.loads(pickle.dumps(_space(WHOLE))))
    assert cube.config([0.5] * 4) in WHOLE
    assert Combinations(WHOLE).hold(WHOLE[1])


@pytest.fixture(scope="module", autouse=True)
def _language_model() -> Any:
    with endpoint() as (url, _), pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEOFF_LLM_URL", url)
        yield


SEVERAL = ("motpe", "nsga2", "parego", "qlognehvi")  # of several goals; they are made alike
ONE_GOAL = [name for name in NAMES if name not in SEVERAL]
QUICK = [name for name in ONE_GOAL if not OptimizerYaml(name).is_slow]
SLOW = [name for name in ONE_GOAL if name not in QUICK]


def _value(config: Config) -> float:
    return float(config["rank"]) + float(config["rate"])


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        *itertools.product(QUICK, [WHOLE, PARTS]),
        *(pytest.param(*pair, marks=pytest.mark.slow) for pair in itertools.product(SLOW, [WHOLE])),
    ],
)
def test_an_optimizer_asks_only_allowed_combinations(name: str, rows: list[Config]) -> None:
    space = _space(rows)
    cube = UnitCube(space)
    optimizer = OptimizerYaml(name)(space, 1, 40)
    for _ in range(16):
        for trial in optimizer.ask(2):
            assert cube.allows(trial.config), trial.config
            optimizer.tell(trial, Evaluation(_value(trial.config), 1.0))
    optimizer.close()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"rang": 3}], "[0]: expected parameters of ['kind', 'rank', 'rate', 'steps'], got rang"),
        ([{"rank": 65}], "[0].rank: expected a whole number from 1 to 64, got 65"),
        ([{"rank": 2.5}], "[0].rank: expected a whole number from 1 to 64, got 2.5"),
        ([{"rank": 2}, {"rate": "fast"}], "[1].rate: expected a number from 0.0001 to 1.0, got"),
        ([{"kind": "c"}], "[0].kind: expected one of ['a', 'b'], got 'c'"),
        ([{"steps": 3}], "[0]: expected kind, on which steps depends, got none"),
        ([{"kind": "a", "steps": 3}], "[0]: expected active parameters only, got steps"),
    ],
)
def test_an_impossible_combination_is_named(rows: list[Config], expected: str) -> None:
    with pytest.raises(ValueError) as error:
        _space(rows)
    assert str(error.value).startswith(f"objective.allowed{expected}")


def test_a_combination_that_the_space_forbids_is_named() -> None:
    space = build_space(DESCRIPTION, [{"kind": "a", "rank": 8}])
    with pytest.raises(ValueError, match="config: expected a point of the space"):
        restrict(space, [WHOLE[0]])


@pytest.mark.parametrize("end", ["csv", "yaml", "json"])
def test_a_list_is_read_from_a_file(tmp_path: Path, end: str) -> None:
    path = tmp_path / f"list.{end}"
    if end == "csv":
        names = list(DESCRIPTION)
        lines = [",".join(str(row.get(name, "")) for name in names) for row in WHOLE]
        path.write_text("\n".join([",".join(names), *lines]) + "\n")
    else:
        path.write_text(json.dumps(WHOLE))
    space = _space(read_allowed(str(path)))
    cube = UnitCube(space)
    assert all(cube.allows(config) for config in WHOLE)


@pytest.mark.parametrize("given", ["missing.csv", 3, [], [3], {"x": 1}])
def test_what_is_no_list_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match="expected a (list of )?combination"):
        read_allowed(given)


def test_the_home_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="^objective.allowed: expected the home folder of a user"):
        read_allowed("~no_such_user_of_this_host/allowed.csv")


def test_a_log_makes_nobody_read_a_file() -> None:
    settings = run_of("objective=branin").settings.objective
    with pytest.raises(ValueError, match="objective.allowed: expected a list of combinations"):
        make_objective({**settings, "allowed": "/etc/hostname"})
    assert with_allowed({**settings, "allowed": None}) == settings


def test_a_run_keeps_to_its_list_together_with_pins_and_narrowed_ranges(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "allowed.csv"
    path.write_text("lora_rank,lora_alpha\n8,16\n16,32\n16,16\n")
    words = [
        *("optimizer=tpe", "objective=lora_published", "budget=12", "plot=false"),
        *("objective.space.learning_rate.upper=1e-3", "objective.space.weight_decay=0.01"),
        *(f"objective.allowed={path}", f"out={tmp_path / 'run'}", "progress=false"),
    ]
    assert main(["run", *words]) == 0
    path.unlink()  # the log holds the list, so it can be resumed with the list itself
    listed = "[{lora_rank: 8, lora_alpha: 16}, {lora_rank: 16, lora_alpha: 32}]"
    log = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert json.loads(log[0])["objective"]["allowed"][0] == {"lora_rank": 8, "lora_alpha": 16}
    configs = [trial["config"] for line in log for trial in json.loads(line).get("trials", [])]
    pairs = {(config["lora_rank"], config["lora_alpha"]) for config in configs}
    assert pairs <= {(8, 16), (16, 32), (16, 16)} and len(pairs) > 1
    assert all(config["learning_rate"] <= 1e-3 for config in configs)
    capsys.readouterr()
    pinned = ["objective.space.lora_rank=16", f"objective.allowed={listed}", "dry_run=true"]
    assert main(["run", "objective=lora_published", *pinned]) == 2
    assert "objective.allowed[0].lora_rank: expected one of [16], got 8" in capsys.readouterr().err


def test_a_list_is_part_of_the_identity_by_its_contents(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("[{x1: 1.0}, {x1: 2.0}]")
    plain = run_of("objective=branin").header
    named = run_of("objective=branin", f"objective.allowed={tmp_path}/list.yaml").header
    listed = run_of("objective=branin", "objective.allowed=[{x1: 1.0}, {x1: 2.0}]").header
    assert named.identity == listed.identity != plain.identity
