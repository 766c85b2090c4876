"""The serving objective's settings, reference and constraints, without any server."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ConfigSpace import ConfigurationSpace
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from experiments.running.mistakes import explain
from objectives.objective import HostFault, Objective
from objectives.serving import objective as module
from objectives.serving.bench import Bench
from objectives.serving.constraints import Constraint, read
from objectives.serving.grades import Failure, Invalid, SetUpError
from objectives.serving.host.host import cores
from objectives.serving.objective import Serving
from objectives.serving.reference import cache_path
from objectives.space import UnitCube, build_space
from objectives.trial import Goal, Trial
from stand_in import StandIn, serving, settings, trial

CONF = Path(__file__).parents[1] / "conf"
METRICS = {"output_tokens_per_s": 50.0, "ttft_p90_s": 1.0, "goodput_per_s": 1.0}


def build(*overrides: str) -> Objective:
    with initialize_config_dir(str(CONF), version_base=None):
        composed = compose("config", overrides=["~optimizer", "objective=serving", *overrides])
    built: Objective = instantiate(composed.objective, _convert_="all")
    return built


def line(*overrides: str) -> str:
    """Return the one line that the command line prints for a mistake."""
    try:
        build(*overrides)
    except Exception as error:
        explained = explain(error, list(overrides))
        assert explained is not None and "\n" not in explained
        return explained
    raise AssertionError("expected a mistake")


def a_space() -> ConfigurationSpace:
    integer = {"type": "int", "lower": 1, "upper": 8}
    return build_space({"a": integer, "b": integer, "c": {"type": "ordinal", "choices": [1, 2]}})


def test_the_space_of_llama_cpp_follows_the_cores_and_orders_its_batches() -> None:
    space = build().space
    assert UnitCube(space).n_values[0] == 2 * cores()
    cube = UnitCube(space)
    config = dict(space.get_default_configuration())
    assert cube.allows({**config, "n_batch": 512, "n_ubatch": 512})
    assert not cube.allows({**config, "n_batch": 512, "n_ubatch": 513})
    assert "n_cache_reuse" in space.conditional_hyperparameters


@pytest.mark.parametrize("preset", sorted(p.stem for p in (CONF / "objective/slo").glob("*.yaml")))
def test_every_preset_of_limits_can_be_chosen(preset: str) -> None:
    build(f"objective/slo@objective={preset}")


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (
            ["++objective.space.n_thread.type=int"],
            "objective.space: expected parameters of llama.cpp (.*), got n_thread; did you mean "
            "n_threads",
        ),
        (
            ['objective.constraints=["n_threads > 99"]'],
            "objective.constraints: expected rules that some configuration keeps, got "
            "n_threads > 99, which none does",
        ),
        (
            ["+objective.slo.queue_p90_s={limit:1,weight:1,steepness:0.3,fail_above:null}"],
            "objective.slo: expected a metric that is measured .*, got queue_p90_s",
        ),
        (
            [
                "objective.load.requests=20",
                "+objective.slo.ttft_p99_s={limit:1,weight:1,steepness:0.3,fail_above:null}",
            ],
            "objective.slo: expected at least 200 requests for ttft_p99_s, got 20; take ttft_p90_s",
        ),
        (
            ['objective.constraints=["n_threads <="]'],
            "objective.constraints: expected a comparison",
        ),
        (['objective.constraints=["n_slots <= 3"]'], "expected parameters of .*, got n_slots"),
        (["objective.default.n_threads=99"], "objective.default: config: expected a point"),
        (
            ["objective.repeats=3"],
            "objective.repeats: expected an integer of at least 0 and at most 2, got 3",
        ),
        (["objective.load.lengths=X"], r"objective.load.lengths: expected D\(in,out\)"),
        (["objective.score=speed"], "objective.score: expected one of .*, got 'speed'"),
        (
            ["objective.engine.model=no.gguf"],
            "expected SmolLM2-135M-Instruct or a GGUF file, got no.gguf, which does not exist",
        ),
    ],
)
def test_a_mistake_ends_in_one_clear_line(overrides: list[str], expected: str) -> None:
    assert re.search(expected, line(*overrides))


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "expected the extra 'serving' to be installed" in line()


def test_a_file_that_is_no_gguf_and_a_folder_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xllamacpp")
    monkeypatch.chdir(tmp_path)
    Path("text.gguf").write_text("hello")
    Path("folder.gguf").mkdir()
    assert "got text.gguf, which does not begin with GGUF" in line(
        "objective.engine.model=text.gguf"
    )
    assert "got folder.gguf, which is a folder" in line("objective.engine.model=folder.gguf")


def test_models_of_one_size_have_different_fingerprints(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    prints = []
    for number in (1, 2):  # the weights differ, the size and the beginning do not
        path = tmp_path / f"{number}.gguf"
        path.write_bytes(b"GGUF" + bytes(2**20) + bytes([number]) * 2**20)
        prints.append(build(f"objective.engine.model={path}").fingerprint()["model_digest"])
    assert prints[0] != prints[1]


def test_the_objective_is_alone_on_its_host() -> None:
    assert build().resources.whole_host


def test_the_default_scores_zero_against_a_reference_that_is_measured_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path))
    tokens = iter([50.0, 70.0, 60.0, 60.0, 120.0])  # three of the reference: the median is 60

    def run(bench: Bench, config: object, plan: object) -> Any:
        return {**METRICS, "output_tokens_per_s": next(tokens)}, {}

    monkeypatch.setattr(Bench, "run", run)
    settings: dict[str, Any] = {"score": "slo", "reference_runs": 3}
    first = serving(**settings).evaluate(trial("serves"))
    assert first.value == 0
    assert first.metrics["reference_output_tokens_per_s"] == 60
    # Another process reads the cache: the fifth number is this configuration's.
    second = serving(**settings).evaluate(trial("serves"))
    assert second.value == pytest.approx(-0.693147, abs=1e-6)  # log(60/120)


def test_a_reference_of_other_hardware_is_not_used() -> None:
    one = {"hardware": {"cpu": "a", "cores": 2}}
    other = {"hardware": {"cpu": "a", "cores": 4}}
    assert cache_path(one) != cache_path(other) and cache_path(one) == cache_path(dict(one))


def test_a_damaged_reference_says_what_to_delete(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path))
    monkeypatch.setattr(Bench, "run", lambda bench, config, plan: (dict(METRICS), {}))
    serving(score="slo").evaluate(trial("serves"))
    (path,) = (tmp_path / "serving").glob("reference-*.json")
    path.write_text(json.dumps({"metrics": 1}))
    with pytest.raises(ValueError, match="expected a cached reference, got damage; delete it"):
        serving(score="slo").evaluate(trial("serves"))


def test_a_lower_fidelity_sends_a_share_of_the_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []

    def run(bench: Bench, config: object, plan: Any) -> Any:
        sent.append(len(plan))
        return dict(METRICS), {}

    monkeypatch.setattr(Bench, "run", run)
    load = {"arrivals": "closed", "concurrency": 2, "requests": 90, "lengths": "D(8,4)"}
    objective = serving(load={**load, "shared_prefix": 2})
    for fidelity in (1.0, 1 / 3, 1 / 9):
        objective.evaluate(Trial(0, trial("serves").config, fidelity))
    assert sent == [90, 30, 10]


def closed(requests: int, concurrency: int) -> dict[str, Any]:
    load = {"arrivals": "closed", "lengths": "D(8,4)", "shared_prefix": 2}
    return {"load": {**load, "requests": requests, "concurrency": concurrency}}


def limited(metric: str) -> dict[str, Any]:
    keys = {"limit": 5.0, "weight": 1.0, "steepness": 0.3, "fail_above": None}
    return {"slo": {metric: keys}}


@pytest.mark.parametrize(
    ("requests", "concurrency", "metric", "grid"),
    [
        # The median needs 2 requests of a shortened load, p90 10, p99 200.
        (16, 8, "ttft_p50_s", None),  # 1/9 would be 2 requests, 1/3 five
        (54, 8, "ttft_p50_s", (1 / 3, 1.0)),  # 18; at 1/9 six would be under way, not eight
        (300, 8, "ttft_p90_s", (1 / 27, 1 / 9, 1 / 3, 1.0)),  # 11, 33, 100
        (300, 8, "ttft_p99_s", None),
        (600, 8, "ttft_p99_s", (1 / 3, 1.0)),
    ],
)
def test_a_share_keeps_the_concurrency_and_has_enough_requests_for_its_percentiles(
    requests: int, concurrency: int, metric: str, grid: tuple[float, ...] | None
) -> None:
    objective = serving(**closed(requests, concurrency), **limited(metric))
    assert (objective.fidelities.grid if objective.fidelities else None) == grid


def test_a_share_with_too_few_requests_is_refused() -> None:
    objective = serving(**closed(16, 8))
    with pytest.raises(ValueError, match="at least 10 of them, .* got 0.111111, which has 2"):
        objective.evaluate(Trial(0, trial("serves").config, 1 / 9))


def test_a_limit_on_the_time_per_token_needs_answers_of_two() -> None:
    one = {"arrivals": "closed", "concurrency": 1, "requests": 10, "shared_prefix": 0}
    with pytest.raises(ValueError, match="answers of at least 2 tokens for tpot_p90_s, got 1"):
        serving(load={**one, "lengths": "D(8,1)"}, **limited("tpot_p90_s"))


@pytest.mark.parametrize("score", ["slo", "goodput"])
def test_a_default_that_fails_is_a_mistake_of_the_set_up_and_no_trials_failure(
    score: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path))
    measured: list[str] = []

    def run(bench: Bench, config: Any, plan: object) -> Any:
        measured.append(config["behaviour"])
        raise Failure("refused", "no such model")

    monkeypatch.setattr(Bench, "run", run)
    objective = Serving(**settings(score=score))
    with pytest.raises(SetUpError) as raised:
        objective.evaluate(trial("dies"))
    assert measured == ["serves"]  # the default, before the trial
    line = str(raised.value)
    assert "\n" not in line
    assert "objective.default: expected a configuration that serves the load" in line
    assert "startup: refused: no such model" in line
    with pytest.raises(SetUpError):  # again, without measuring it again
        objective.evaluate(trial("dies"))
    assert measured == ["serves"]


def test_a_default_that_is_known_to_be_infeasible_is_refused_before_anything_runs() -> None:
    with pytest.raises(ValueError, match="objective.default: expected size .* has to be feasible"):
        serving(constraints=["size * half <= 7"])


def test_the_default_is_measured_once_where_the_score_is_not_related_to_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path))
    measured: list[str] = []

    def run(bench: Bench, config: Any, plan: object) -> Any:
        measured.append(config["behaviour"])
        return dict(METRICS), {}

    monkeypatch.setattr(Bench, "run", run)
    for _ in range(2):
        Serving(**settings(reference_runs=3)).evaluate(trial("dies"))
    assert measured == ["serves", "dies", "dies"]


def test_an_invalid_evaluation_is_repeated_after_growing_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)

    def run(bench: Bench, config: object, plan: object) -> Any:
        raise Invalid("port 8000: expected no program to listen on it, got one")

    monkeypatch.setattr(Bench, "run", run)
    objective = Serving(**settings())
    objective._reference = {}
    with pytest.raises(HostFault, match="host: invalid: port 8000"):
        objective.evaluate(trial("serves"))
    assert slept == [2.0, 8.0]


@pytest.mark.parametrize(
    ("score", "goals"),
    [
        ("slo", {}),
        ("goodput", {"goodput_per_s": Goal(minimise=False, unit="requests/s")}),
        ("throughput", {"output_tokens_per_s": Goal(minimise=False, unit="tokens/s")}),
        ("latency", {"e2e_p90_s": Goal(minimise=True, unit="s")}),
    ],
)
def test_what_the_value_stands_for_is_declared(score: str, goals: dict[str, Goal]) -> None:
    assert serving(score=score).goals == goals


def test_where_configurations_differ_in_gpus_a_rate_is_per_gpu() -> None:
    engine = StandIn()
    engine.most_gpus = 8
    goals = serving(engine=engine, score="goodput").goals
    assert goals == {"goodput_per_s_per_gpu": Goal(minimise=False, unit="requests/s/GPU")}
    assert serving(engine=engine, score="latency").goals == {}  # its value includes the GPUs
    assert list(serving(engine=engine, score="latency", gpu_cost=0.0).goals) == ["e2e_p90_s"]


def test_a_constraint_is_arithmetic_on_parameters() -> None:
    rule = Constraint("a * b * c <= 8 and a % 2 == 0", ["a", "b", "c"])
    assert rule.names == ["a", "a", "b", "c"]
    assert rule.holds({"a": 2, "b": 2, "c": 2})
    assert not rule.holds({"a": 2, "b": 4, "c": 2})
    assert not rule.holds({"a": 1, "b": 1, "c": 1})
    assert rule.holds({"a": 1, "b": 1})  # c is inactive


@pytest.mark.parametrize("text", ["a", "a + b", "__import__('os') == 1", "a.b < 1", "a[0] < 1"])
def test_what_is_no_comparison_of_parameters_is_no_constraint(text: str) -> None:
    with pytest.raises(ValueError, match="objective.constraints: expected a comparison"):
        Constraint(text, ["a", "b"])


def test_an_order_of_two_parameters_is_part_of_the_space_and_other_rules_are_not() -> None:
    space = a_space()
    others = read(["a <= b", "a * c <= 8"], space)
    assert [rule.text for rule in others] == ["a * c <= 8"]
    assert not UnitCube(space).allows({"a": 3, "b": 2, "c": 1})


def test_rules_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="got a > 7, which none does together with those before"):
        read(["a < 3", "a > 7"], a_space())


def test_settings_that_name_the_cores_are_counted() -> None:
    counted = [module._counted(text) for text in ("cores", "2*cores", "3 * cores", "auto", 7)]
    assert counted == [cores(), 2 * cores(), 3 * cores(), "auto", 7]
