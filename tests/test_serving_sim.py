"""The objective on the simulated node: score, grades, noise, and invalid settings."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from objectives.objective import Objective
from objectives.space import UnitCube
from objectives.trial import Config, Evaluation, Trial

CONF = str(Path(__file__).parents[1] / "conf")


def settings(*overrides: str) -> Any:
    with initialize_config_dir(CONF, version_base=None):
        return compose("config", ["~optimizer", "objective=serving_sim", *overrides]).objective


def build(*overrides: str) -> Objective:
    built: Objective = instantiate(settings(*overrides), _convert_="all")
    return built


def default(**changes: Any) -> Config:
    found: Any = OmegaConf.to_container(settings().default)
    config: Config = {**found, **changes}
    if "tensor_parallel_size" in changes:
        config["disable_custom_all_reduce"] = False
    if config["speculative"] == "ngram":
        config |= {"num_speculative_tokens": 3, "prompt_lookup_max": 4}
    if not config["enable_chunked_prefill"]:
        del config["max_num_partial_prefills"]
    return config


def evaluate(config: Config, *overrides: str, id: int = 0) -> Evaluation:
    return build(*overrides).evaluate(Trial(id, config))


QUIET = ("objective.noise=0", "objective.run_noise=0", "objective.load.requests=100")


def test_the_default_scores_nought_without_noise() -> None:
    found = evaluate(default(), *QUIET)
    assert found.value == 0 and found.error is None


def test_half_the_gpus_for_the_same_tokens_score_log_two() -> None:
    # A load far below the capacity of two replicas, in a closed loop, so that they determine its
    # duration.
    slow = [*QUIET, "objective.load.rate_per_s=1", "objective.load.lengths='D(64,8)'"]
    found = evaluate(default(data_parallel_size=2), *slow)
    assert found.value == pytest.approx(-np.log(2), abs=0.01)


def test_the_metrics_have_the_names_of_every_serving_objective() -> None:
    latencies = {"ttft_p50_s", "ttft_p90_s", "tpot_p90_s", "itl_p50_s", "e2e_p90_s"}
    rates = {"output_tokens_per_s", "requests_per_s", "goodput_per_s"}
    rates |= {f"{rate}_per_gpu" for rate in rates}
    others = {"failed_share", "memory_bytes", "startup_s", "gpus"}
    assert latencies | rates | others <= set(evaluate(default(), *QUIET).metrics)


def test_noise_differs_between_trials_and_repeats_with_the_seed() -> None:
    first, second = build(), build()
    values = [first.evaluate(Trial(id, default())).value for id in (0, 1)]
    assert values[0] != values[1]
    assert [second.evaluate(Trial(id, default())).value for id in (1, 0)] == values[::-1]


def test_a_fidelity_is_a_share_of_the_requests() -> None:
    objective = build(*QUIET, "objective.load.rate_per_s=10")
    found = objective.evaluate(Trial(0, default(), 0.25))
    whole = objective.evaluate(Trial(1, default()))
    # 25 and 100 requests at 10 a second: about 2.5 and 10 s of load, and the last answer.
    assert found.metrics["load_s"] < 0.6 * whole.metrics["load_s"]


@pytest.mark.parametrize(
    ("requests", "grid"),
    [
        (500, (1 / 27, 1 / 9, 1 / 3, 1.0)),  # the limits are on p90, which needs 10 requests
        (100, (1 / 9, 1 / 3, 1.0)),  # 1/27 would be 4
        (20, None),
    ],
)
def test_a_share_has_enough_requests_for_the_percentiles_of_the_limits(
    requests: int, grid: tuple[float, ...] | None
) -> None:
    fidelities = build(f"objective.load.requests={requests}").fidelities
    assert (None if fidelities is None else fidelities.grid) == grid
    assert fidelities is None or not fidelities.resumable  # a longer load starts anew


def failed(config: Config, *overrides: str) -> tuple[str, str, float, float]:
    """Return status, stage, grade and cost; a configuration that is not launched has grade 4."""
    objective = build(*QUIET, *overrides)
    found = objective.evaluate(Trial(0, config))
    worst = objective.evaluate(Trial(1, default(tensor_parallel_size=8, data_parallel_size=4)))
    assert found.error is not None and found.value is not None and worst.value is not None
    grade = round(4 + found.value - worst.value, 6)
    return found.items["status"], found.items["stage"], grade, found.cost


def test_more_gpus_than_the_node_has_are_never_launched() -> None:
    config = default(tensor_parallel_size=8, data_parallel_size=2)
    assert failed(config) == ("infeasible", "check", 4, 0)


def test_what_is_never_launched_is_known_to_the_space() -> None:
    objective = build()
    cube = UnitCube(objective.space)
    n_refused = 0
    for u in np.random.default_rng(0).random((300, cube.dim)):
        config = cube.config(u)
        if cube.allows(config):
            continue
        n_refused += 1
        try:
            evaluation = objective.evaluate(Trial(0, config))
        except ValueError:  # a forbidden clause
            continue
        assert evaluation.cost == 0 and "not launched" in (evaluation.error or "")
    assert n_refused > 150  # three fifths and more
    for u in cube.draw(np.random.default_rng(1), 15):
        error = objective.evaluate(Trial(0, cube.config(u))).error
        assert error is None or "not launched" not in error


def test_whole_prompts_need_a_budget_for_the_longest() -> None:
    config = default(enable_chunked_prefill=False, max_num_batched_tokens=4096)
    assert failed(config)[:3] == ("infeasible", "check", 4)


def test_speculation_with_asynchronous_scheduling_is_refused() -> None:
    found = failed(default(speculative="ngram", async_scheduling=True))
    assert found == ("refused", "startup", 3.5, 10)


BIG = ("objective.model=llama-3.1-70b", "objective.default.tensor_parallel_size=8")
BIG_DEFAULT = ("objective.default.data_parallel_size=1", "objective.load.rate_per_s=1")
BIG_RULE = "+objective.default.disable_custom_all_reduce=false"


def test_seventy_billion_weights_on_one_gpu_run_out_of_memory() -> None:
    found = failed(default(), *BIG, *BIG_DEFAULT, BIG_RULE)
    assert found[:3] == ("out_of_memory", "startup", 3)


def test_a_step_that_does_not_fit_beside_the_cache_kills_the_server() -> None:
    # 0.97 of 80 GiB leaves 1.8 GiB besides the driver; a step of 32,768 tokens has 3.9 GB of
    # activations, of which half is taken as fragmented: 1.8 GiB and the logits' share.
    config = default(
        gpu_memory_utilization=0.97,
        max_num_batched_tokens=32768,
        max_num_seqs=1024,
        data_parallel_size=1,
    )
    long = ("objective.load.lengths='D(8000,8)'", "objective.load.rate_per_s=1000")
    assert failed(config, *long)[:3] == ("died", "load", 2.5)


def test_a_load_that_breaks_off_is_graded_by_what_was_done() -> None:
    # The default needs 5 s for the load, one sequence at a time on one GPU several minutes.
    config = default(max_num_seqs=8, data_parallel_size=1)
    status, stage, grade, _ = failed(config, "objective.load_timeout_s=12")
    assert (status, stage) == ("broke_off", "load")
    assert 1 < grade < 2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("objective.model=gpt-2", r"objective.model: expected one of .*, got 'gpt-2'"),
        ("objective.system=v100", r"objective.system: expected one of .*, got 'v100'"),
        ("objective.dtype=fp8", r"objective.dtype: expected one of .*, got 'fp8'"),
        (
            "objective.noise=-1",
            r"objective.noise: expected a finite number of at least 0 and at most 1, got -1",
        ),
        (
            "objective.max_model_len=100",
            r"objective.max_model_len: expected an integer of at least",
        ),
        ("+objective.space.n_threads={type: int, lower: 1, upper: 4}", "got n_threads"),
        ("objective.default.data_parallel_size=16", "objective.default: expected a config"),
        ("objective.model=llama-3.1-70b", "objective.default: .* does not fit"),
        ("objective.slo.ttft_p90_s.limit=0", "slo.ttft_p90_s.limit: expected"),
        (
            "objective.space.max_num_seqs={type: float, lower: 8, upper: 1024}",
            "expected integers, got the type float",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_refused_in_one_line(override: str, message: str) -> None:
    with pytest.raises(InstantiationException) as caught:
        build(override)
    reason = str(caught.value.__cause__ or caught.value)
    assert "\n" not in reason
    with pytest.raises(ValueError, match=message):
        raise ValueError(reason)


def test_seventy_billion_weights_run_with_the_overrides_of_the_yaml() -> None:
    found = evaluate(
        default(tensor_parallel_size=8, data_parallel_size=1), *QUIET, *BIG, *BIG_DEFAULT, BIG_RULE
    )
    assert found.error is None
