"""Changed descriptions: by keys, as a whole, on the command line and in YAML files."""

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from experiments.running.composing import prepare
from experiments.running.from_words import run_of
from objectives.override import override
from objectives.space import UnitCube, build_space
from objectives.trial import Trial
from processes import ROOT, finish

RATE: dict[str, Any] = {"type": "float", "lower": 1e-4, "upper": 1.0, "log": True}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"upper": 2.0}, {**RATE, "upper": 2.0}),
        ({"type": "int", "lower": 1}, {"type": "int", "lower": 1, "upper": 1.0, "log": True}),
        (
            {"type": "float", "lower": 0.0, "upper": 1.0},
            {"type": "float", "lower": 0.0, "upper": 1.0},
        ),
        ({"type": "ordinal", "choices": [1, 2]}, {"type": "ordinal", "choices": [1, 2]}),
        ({"type": "constant", "value": 3}, {"type": "constant", "value": 3}),
        (3, {"type": "constant", "value": 3}),
        ({"type": "strange"}, {**RATE, "type": "strange"}),
    ],
)
def test_keys_are_changed_one_by_one_and_a_whole_description_replaces(
    given: Any, expected: dict[str, Any]
) -> None:
    assert override({"x": RATE}, {"x": given}) == {"x": expected}


def test_a_name_with_a_dot_is_said_to_be_settable_in_a_yaml_only() -> None:
    with pytest.raises(
        ValueError, match=r"got model; model\.lr holds a dot: .* in a YAML file only"
    ):
        override({"model.lr": RATE}, {"model": {"lr": {"upper": 2}}})
    with pytest.raises(ValueError, match=r"such as model\.lr, can be set in a YAML file only"):
        build_space({"model.lr": RATE, "model": {"lr": {"upper": 2}}})
    assert list(build_space({"model.lr": RATE})) == ["model.lr"]


def _space(*words: str) -> Any:
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        objective = compose("config", prepare(list(words))).objective
    return OmegaConf.to_container(objective.space)


def test_a_whole_description_on_the_command_line_replaces_that_of_the_yaml() -> None:
    argument = "objective.space.max_num_seqs={type:ordinal,choices:[128,256]}"
    space = _space("objective=serving_sim", argument)
    assert space["max_num_seqs"] == {"type": "ordinal", "choices": [128, 256]}
    assert list(space)[4] == "max_num_seqs"  # in its place
    build_space(space)


def test_part_of_a_description_is_merged_as_before() -> None:
    space = _space("objective=serving_sim", "objective.space.max_num_seqs={upper:64}")
    assert space["max_num_seqs"] == {"type": "int", "lower": 8, "upper": 64, "log": True}


def test_leftovers_of_another_type_are_answered_with_what_removes_them() -> None:
    words = [
        "objective.space.max_num_seqs.type=ordinal",
        "objective.space.max_num_seqs.choices=[1]",
    ]
    space = _space("objective=serving_sim", *words)
    with pytest.raises(ValueError, match=r"got lower; .*'~objective\.space\.max_num_seqs\.lower' "):
        build_space(space)
    removed = [f"~objective.space.max_num_seqs.{key}" for key in ("lower", "upper", "log")]
    build_space(_space("objective=serving_sim", *words, *removed))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["objective=tabular", "objective.parameters={f:config.f}"],
            "objective.parameters: expected a value of the same kind as in its YAML file, a list "
            "or a mapping, got {f:config.f}; to replace the one kind by the other, write "
            "'~objective.parameters' '+objective.parameters={f:config.f}'",
        ),
        (
            ["objective=branin", 'objective.space."model.lr".upper=2'],
            'objective.space."model.lr".upper: expected objective.space.<parameter>.<key>, got '
            "more levels; a parameter whose name contains dots can be set only in a YAML file",
        ),
        (
            ["objective=branin", "optimizer=optuna", "optimizer.options.n_startup_trials=3"],
            "optimizer.options: expected + before a key that its YAML file does not list, got "
            "n_startup_trials; write +optimizer.options.n_startup_trials=VALUE",
        ),
        (
            ["objective=branin", "executor.x=3"],
            "executor: expected no settings, as it has none, got x",
        ),
    ],
)
def test_what_the_command_line_cannot_say_is_answered_in_one_line(
    tmp_path: Path, arguments: list[str], expected: str
) -> None:
    done = finish("optimizer=random", "budget=3", *arguments, f"out={tmp_path}")
    assert done.returncode == 2
    assert done.stderr == expected + "\n"


def test_a_mapping_may_give_options_that_the_yaml_of_an_optimizer_does_not_list() -> None:
    run = run_of("optimizer=optuna", "optimizer.options={n_startup_trials: 3}", "objective=branin")
    assert run.settings.optimizer["options"] == {"n_startup_trials": 3}


def test_a_table_s_rows_and_columns_are_chosen_on_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("config.f,value,failed\n1,0.5,false\n2,,true\n3,0.25,False\n")
    done = finish(
        *("optimizer=grid", "objective=tabular", "budget=4", f"objective.data={path}"),
        *("~objective.parameters", "+objective.parameters={f:config.f}"),
        *("objective.where={failed:false}", f"out={tmp_path / 'run'}"),
    )
    assert done.returncode == 0, done.stderr
    assert "(2 configurations, deterministic)" in done.stdout


WORDS = (
    "on off On OFF yes no NO Yes y n Y N true True FALSE null 010 0 10 -3 +4 1_000 1:30 1:30:15 "
    "0x1F 0b11 0o17 1e-3 2.5 .5 1.5e3 inf 2020-01-01 1_0:30 auto"
).split()


@pytest.mark.parametrize("word", WORDS)
def test_a_word_means_the_same_in_a_yaml_and_on_the_command_line(word: str, tmp_path: Path) -> None:
    prepare([])
    path = tmp_path / "words.yaml"
    path.write_text(f"choices: [{word}]\n")
    in_yaml = OmegaConf.to_container(OmegaConf.load(path))
    typed = OverridesParser.create().parse_override(f"choices=[{word}]").value()
    if word == "inf":  # no choice can be either
        return
    assert isinstance(in_yaml, dict) and repr(in_yaml["choices"]) == repr(_plain(typed))


def _plain(values: Any) -> list[Any]:
    """Return a parsed list as Hydra composes it."""
    return [str(value) if type(value).__name__ == "QuotedString" else value for value in values]


def test_on_and_off_in_a_yaml_of_an_objective_are_text(tmp_path: Path) -> None:
    prepare([])
    path = tmp_path / "mine.yaml"
    path.write_text("flash_attn: {type: categorical, choices: [auto, on, off]}\n")
    described: Any = OmegaConf.to_container(OmegaConf.load(path))
    cube = UnitCube(build_space(described))
    assert [cube.config([u])["flash_attn"] for u in (0.1, 0.5, 0.9)] == ["auto", "on", "off"]


def test_a_pinned_parameter_keeps_its_condition() -> None:
    child = {"type": "int", "lower": 2, "upper": 5, "when": {"kernel": "poly"}}
    kernel = {"type": "categorical", "choices": ["rbf", "poly"]}
    pins: Any = {"degree": 3}
    found = override({"kernel": kernel, "degree": child}, pins)
    assert found["degree"] == {"type": "constant", "value": 3, "when": {"kernel": "poly"}}


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        ("branin", "x1", "2.5"),
        ("lora_ft", "lora_rank", "8"),
        ("lora_published", "lora_rank", "16"),
        ("lora_table", "lora_rank", "16"),
        ("serving_sim", "max_num_seqs", "128"),
        ("mixed", "depth", "3"),
    ],
)
def test_a_value_on_the_command_line_pins_a_parameter(
    name: str, parameter: str, value: str
) -> None:
    words = ["optimizer=random", f"objective={name}", "budget=3"]
    run = run_of(*words, f"objective.space.{parameter}={value}")
    free = run_of(*words)
    assert run.header.space is not None
    assert run.header.space[parameter]["type"] == "constant"
    assert str(run.header.space[parameter]["value"]) == value
    assert run.header.identity != free.header.identity
    cube = UnitCube(run.objective.space)
    config = cube.config([0.3] * cube.dim)
    run.objective.evaluate(Trial(0, config)) if run.objective.cheap else None
    if run.objective.default is not None:
        assert str(run.objective.default[parameter]) == value
