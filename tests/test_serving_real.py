"""One smoke run of the real llama.cpp server: it needs the machine to itself (marker `alone`)."""

import base64
from pathlib import Path

import numpy as np
import psutil
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from objectives.objective import Objective
from objectives.serving.host.host import free_port, is_free
from objectives.trial import Config, Evaluation, Trial

CONF = Path(__file__).parents[1] / "conf"
# Four prompts of 160 tokens, one after the other: what two threads share is their prefill.
LOAD = {
    "arrivals": "closed",
    "concurrency": 1,
    "requests": 4,
    "lengths": "D(160,4)",
    "shared_prefix": 0,
}


def build(port: int) -> Objective:
    with initialize_config_dir(str(CONF), version_base=None):
        composed = compose("config", overrides=["~optimizer", "objective=serving"])
    # With another busy process, two threads wait for each other and are slower than one.
    changes = {"port": port, "score": "goodput", "max_foreign_cores": 0.5}
    composed.objective.merge_with({**changes, "load": LOAD})
    built: Objective = instantiate(composed.objective, _convert_="all")
    return built


def least_ttft_s(evaluation: Evaluation) -> float:
    return float(np.frombuffer(base64.b64decode(evaluation.items["ttft_s"]), "<f2").min())


@pytest.mark.alone
def test_a_real_server_serves_faster_on_two_threads_than_on_one_and_leaves_nothing() -> None:
    port = free_port("127.0.0.1")
    objective = build(port)
    config: Config = {
        "n_threads": 1,
        "n_threads_batch": 1,
        "n_parallel": 1,
        "n_batch": 256,
        "n_ubatch": 256,
        "flash_attn": "auto",
        "cache_type_k": "f16",
        "cache_type_v": "f16",
        "cont_batching": True,
        "cache_prompt": False,
        "kv_unified": False,
        "poll": 0,
        "speculative": "none",
    }
    one = objective.evaluate(Trial(0, config))
    two = objective.evaluate(Trial(1, {**config, "n_threads": 2, "n_threads_batch": 2}))
    assert (one.error, two.error) == (None, None), "this test needs a machine that is else idle"
    assert least_ttft_s(two) < least_ttft_s(one)
    assert is_free("127.0.0.1", port)
    assert psutil.Process().children(recursive=True) == []
