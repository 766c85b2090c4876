"""`tuneoff best`: the recommended configuration, its gain over the default, and how to use it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from experiments import command
from experiments.analysis.pasted import beside_front, recommended, text
from experiments.analysis.results import Run, load
from experiments.analysis.statistics.fronts import front
from experiments.analysis.statistics.gain import recommendation
from experiments.running.events import Ask, Evaluated
from experiments.running.from_words import run_of
from experiments.running.header import Header
from experiments.running.run_log import RunLog
from made_headers import header_event
from made_runs import made_run
from objectives.deployment import Deployment, check_words, fill, settings_of
from objectives.lora_ft import command_lines
from objectives.space import UnitCube
from objectives.trial import Config, Evaluation, Trial


def with_default(run: Run, noise_sd: float = 0.0) -> Run:
    header = replace(run.header, default=run.configs[0], noise_sd=noise_sd)
    return replace(run, header=header)


def test_a_text_is_left_out_where_a_parameter_of_it_is_missing() -> None:
    assert fill(["a", "--x={x}", "--y={y}"], {"x": 1e-05}) == ["a", "--x=1e-05"]


def test_a_choice_stands_for_the_entries_of_its_case() -> None:
    entry = {"by": "x", "cases": {"true": ["on"], "none": []}, "else": ["{x}"], "absent": ["?"]}
    configs: list[Config] = [{"x": True}, {"x": "none"}, {"x": 3}, {}]
    filled = [fill([entry], config) for config in configs]
    assert filled == [["on"], [], ["3"], ["?"]]


def test_a_multiple_of_a_whole_number_can_be_asked_for() -> None:
    assert fill(["{n*160}"], {"n": 4}) == ["640"]


def test_flags_are_nested_settings_too() -> None:
    words = ["serve", "--a.b=1", "--a.c=x y", "--no-graph", "--fast", '--d={"e": [1]}']
    assert settings_of(words) == {
        "a": {"b": 1, "c": "x y"}, "graph": False, "fast": True, "d": {"e": [1]}
    }  # fmt: skip


@pytest.mark.parametrize("words", [None, [3], [{"cases": {}}], [{"by": "x", "cases": []}]])
def test_words_that_are_none_are_refused(words: object) -> None:
    with pytest.raises(ValueError, match=r"deployment\.words: expected"):
        check_words(words)


def test_the_header_holds_the_deployment_and_older_headers_have_none() -> None:
    assert Header.from_json(header_event()).deployment is None
    case: dict[str, Config] = {"config": {"p": "a"}, "flags": {"tp": 2}}
    stated = Deployment("vLLM", ["serve", "--tp={tp}"], {"A": "1"}, [case])
    event = {**header_event(), "deployment": stated.to_json()}
    read = Header.from_json(json.loads(json.dumps(event))).deployment
    assert read == stated and stated.command({"p": "a"}) == ["serve", "--tp=2"]


def test_without_noise_the_gain_is_exact() -> None:
    found = recommendation(with_default(made_run([3.0, 1.0, 2.0])))
    assert found is not None and found.gain is not None
    assert (found.gain.mean, found.gain.low, found.gain.high) == (2.0, 2.0, 2.0)
    assert found.gain.verdict == "better than the default"


def test_a_default_that_nothing_beats_is_said_to_be() -> None:
    found = recommendation(with_default(made_run([1.0, 2.0])))
    assert found is not None and found.gain is not None
    assert found.gain.verdict == "not better than the default"


def test_a_gain_within_the_noise_is_no_gain() -> None:
    found = recommendation(with_default(made_run([1.0, 0.9, 3.0, 5.0]), noise_sd=1.0))
    assert found is not None and found.gain is not None
    assert found.best.config == {"x": 0.1} and found.best.value > 0.9  # shrunk to the mean
    assert found.gain.low < 0 < found.gain.high


def test_new_evaluations_replace_the_lucky_value() -> None:
    run = with_default(made_run([1.0, 0.0, 3.0]), noise_sd=1.0)
    again = made_run([0.9, 1.1, 1.0, 1.2, 1.3, 1.1])
    lucky: Config = {"x": 0.1}
    usual: Config = {"x": 0.0}
    again.configs[:] = [lucky] * 3 + [usual] * 3
    found = recommendation(run, again)
    assert found is not None and found.gain is not None and found.default is not None
    assert found.best.value == pytest.approx(1.0) and found.default.value == pytest.approx(1.2)
    # Variances 0.01 and 0.01 over 3 each: standard error sqrt(0.02 / 3) = 0.0816, 4 degrees of
    # freedom.
    half = 2.7764 * np.sqrt(0.02 / 3)
    assert found.gain.high - found.gain.mean == pytest.approx(half, rel=1e-4)
    assert found.gain.verdict == "not better than the default"


def test_a_run_that_did_not_evaluate_the_default_says_so() -> None:
    run = made_run([1.0, 2.0])
    assert "states no default" in recommended(run, None)["verdict"]
    elsewhere = replace(run, header=replace(run.header, default={"x": 0.9}))
    assert "start=default" in recommended(elsewhere, None)["verdict"]
    assert recommended(made_run([None]), None) == {}


def test_a_default_that_was_evaluated_once_is_not_said_to_be_missing() -> None:
    run = with_default(made_run([1.0, 0.0, 3.0]))
    again = made_run([0.9, 1.1, 1.0])
    again.configs[:] = [{"x": 0.1}] * 3
    told = recommended(run, again)
    assert told["default"]["value"] == 1.0
    assert "was evaluated once" in told["verdict"] and "gain" not in told


def test_what_is_pasted_into_a_shell_is_a_variable_of_its_own() -> None:
    run = made_run([1.0])
    run.configs[0] = {"1x": 2, "a.b": "c d", "é": True}
    lines = text([{**recommended(run, None), **_ABOUT}], "env").splitlines()
    assert lines[-3:] == ["_1X=2", "A_B='c d'", "_=true"]
    run.configs[0] = {"a.b": 1, "a_b": 2}
    with pytest.raises(ValueError, match="as a.b and a_b are both A_B in a shell, got env"):
        text([{**recommended(run, None), **_ABOUT}], "env")


def test_a_variable_s_name_in_a_log_cannot_be_a_command() -> None:
    deployed = Deployment("x", ["x"], {"A;touch B": "1"}).to_json()
    with pytest.raises(ValueError, match="deployment.environment: expected names of variables"):
        Header.from_json({**header_event(), "deployment": deployed})


def test_numbers_that_overflow_are_null_in_json() -> None:
    run = with_default(made_run([1.7e308, -1.7e308]))
    found = json.loads(text([recommended(run, None)], "json"), parse_constant=pytest.fail)
    assert found[0]["gain"]["mean"] is None


_ABOUT = {"optimizer": "a", "objective": "f", "seed": 0}


def log_of(tmp_path: Path, *words: str) -> Run:
    """Return the run of a log that has only its header and one evaluation of the default."""
    run = run_of("optimizer=random", *words)
    assert run.objective.default is not None
    with RunLog(tmp_path) as log:
        log.begin(run.header)
        log.append(Ask(1, [Trial(0, dict(run.objective.default))], 0.0, {}, 0.0))
        log.append(Evaluated(0, Evaluation(1.0, 1.0), 1.0))
    (found,) = load([tmp_path])
    return found


def test_the_command_of_litgpt_is_the_one_that_its_route_runs(tmp_path: Path) -> None:
    words = ["objective=lora_ft", "objective.route=litgpt_cli", "objective.lora_space=realistic"]
    more = ["objective.model=SmolLM2-135M-Instruct", "objective.devices=1"]
    run = run_of("optimizer=random", *words, *more)
    objective = run.objective
    deployed = objective.deployment()
    assert deployed is not None
    cube, rng = UnitCube(objective.space), np.random.default_rng(0)
    training, source = vars(objective)["_training"], vars(objective)["_source"]
    for u in cube.draw(rng, 20):
        config = cube.config(u)
        ran = command_lines.finetune(
            training, config, Path(vars(objective)["_model"]), source.flags(Path("DATA")),
            training.max_steps, Path("out/finetuned"),
        )  # fmt: skip
        steps = [word for word in ran if not word.startswith("--tuneoff")]
        assert sorted(deployed.command(config)[1:]) == sorted(steps)


def test_llama_cpp_gives_every_slot_the_largest_request(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    run = log_of(tmp_path, "objective=serving")
    found = recommended(run, None)["recommended"]
    words = found["command"].split()
    assert words[0] == "llama-server"
    slots = int(words[words.index("--parallel") + 1])
    assert int(words[words.index("--ctx-size") + 1]) % slots == 0


@pytest.mark.parametrize("format", ["yaml", "json", "flags", "env"])
def test_each_format_can_be_pasted(
    format: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command.main(
        ["run", "optimizer=random", "objective=branin", "budget=4", "plot=false",
         "start=[{x1: 0.25, x2: 0.5}]", f"out={tmp_path / 'a'}"]
    )  # fmt: skip
    capsys.readouterr()
    assert command.main(["best", str(tmp_path / "a"), f"format={format}"]) == 0
    shown = capsys.readouterr().out
    out = tmp_path / "best.txt"
    command.main(["best", str(tmp_path / "a"), f"format={format}", f"out={out}"])
    assert out.read_text() == shown
    (run,) = load([tmp_path / "a"])
    place = run.incumbent()
    assert place is not None
    config = run.configs[place]
    if format in ("yaml", "json"):
        assert yaml.safe_load(shown)[0]["recommended"]["config"] == config
        return
    pasted = [line for line in shown.splitlines() if not line.startswith("#")]
    words = pasted[0].split() if format == "flags" else pasted
    expected = {"flags": [f"--x1={config['x1']!r}", f"--x2={config['x2']!r}"]}.get(
        format, [f"X1={config['x1']!r}", f"X2={config['x2']!r}"]
    )
    assert words == expected


def test_nothing_is_pasted_of_a_run_without_success() -> None:
    one = {"optimizer": "a", "objective": "f", "seed": 0}
    assert text([one], "flags") == "# a on f, seed 0: no success"


def test_a_front_is_compared_with_the_default(tmp_path: Path) -> None:
    pytest.importorskip("moocore")
    words = ["run", "optimizer=random", "objective=zdt1", "budget=6", "plot=false"]
    assert command.main([*words, f"out={tmp_path / 'run'}"]) == 0
    (run,) = load([tmp_path / "run"])
    n = len(front(run))
    header = replace(run.header, default={**run.configs[0], "x1": 0.123})
    known = beside_front(replace(run, header=header))
    assert "start=default" in known["verdict"] and known["default"]["config"] == header.default
    worst = {name: np.append(run.metrics[name], 99.0) for name in run.header.goals}
    assert header.default is not None
    more = replace(
        run,
        header=header, metrics=worst, configs=[*run.configs, header.default],
        ids=np.append(run.ids, 99), fidelities=np.append(run.fidelities, 1.0),
        values=np.append(run.values, np.nan), errors=[*run.errors, None],
        prices=np.append(run.prices, 1.0),
    )  # fmt: skip
    assert beside_front(more)["verdict"].startswith(f"{n} of {n} configurations of the front are")
    best = replace(header, default=run.configs[front(run)[0]])
    assert beside_front(replace(run, header=best))["verdict"].startswith("no configuration found")


def test_a_comment_stays_on_its_line_whatever_a_log_is_called() -> None:
    one = {"optimizer": "a\nrm b", "objective": "f", "seed": 0}
    assert text([one], "flags") == "# a rm b on f, seed 0: no success"
