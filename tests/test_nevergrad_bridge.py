"""Facts of the bridge to Nevergrad."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from ConfigSpace import ConfigurationSpace

from asking import LENGTH, MIXED, answers, converse, every_third_fails, floats
from objectives.space import check
from optimizers.nevergrad_bridge import NevergradBridge

NAMES = ["NGOpt", "TwoPointsDE", "PSO", "OnePlusOne", "CMA", "Cobyla", "ScrHammersleySearch"]


def _make(name: str, space: ConfigurationSpace = MIXED, budget: float = 20) -> NevergradBridge:
    return NevergradBridge(space, seed=0, name=name, budget=budget, num_workers=1)


@pytest.mark.parametrize("name", NAMES)
def test_other_optimizers_serve_the_space_and_repeat_by_their_seed(name: str) -> None:
    first, second = (converse(_make(name), every_third_fails(MIXED)) for _ in range(2))
    assert first == second
    assert len(first) == LENGTH
    for trial in first:
        check(MIXED, trial.config)


def test_a_method_that_cannot_run_in_parallel_waits_for_its_tell() -> None:
    optimizer = _make("Cobyla", floats(2))
    (trial,) = optimizer.ask(4)
    assert optimizer.ask(1) == []
    optimizer.tell(trial, answers(floats(2))(trial))
    assert len(optimizer.ask(1)) == 1


def test_a_method_that_can_run_in_parallel_fills_every_worker() -> None:
    assert len(_make("TwoPointsDE").ask(8)) == 8


def test_an_unknown_name_is_answered_with_the_closest() -> None:
    with pytest.raises(ValueError) as caught:
        _make("TwoPointDE")
    message = str(caught.value)
    assert message.startswith("nevergrad.name: expected one of the ")
    assert "got 'TwoPointDE'; did you mean TwoPointsDE or " in message
    assert "\n" not in message


def test_a_run_cannot_be_extended_as_nevergrad_plans_with_the_budget() -> None:
    assert not NevergradBridge.extendable


@pytest.mark.parametrize("name", ["MetaModel", "MetaModelFmin2", "MetaModelOnePlusOne", "NGOpt"])
def test_models_of_the_function_run_under_this_numpy(name: str) -> None:
    space = floats(2)
    assert len(converse(_make(name, space, budget=45), answers(space), 45)) == 45


@pytest.mark.parametrize("name", ["BOBYQA", "NLOPT_GN_CRS2_LM", "NLOPT_GN_ESCH", "PymooNSGA2"])
def test_a_method_whose_package_is_missing_is_refused_in_one_line(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("pybobyqa", "nlopt", "pymoo"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=f"expected a method whose packages .*, got {name}: "):
        converse(_make(name, floats(2)), answers(floats(2)))


THREADED = ["Cobyla", "SQP", "Powell", "MetaModelFmin2"]


@pytest.mark.parametrize("name", THREADED)
def test_closing_ends_the_thread_of_a_method(name: str) -> None:
    before = set(threading.enumerate())
    optimizer = _make(name, floats(2))
    converse(optimizer, answers(floats(2)), 5)
    optimizer.ask(1)
    assert set(threading.enumerate()) - before
    optimizer.close()
    optimizer.close()  # a second call has no effect
    assert not set(threading.enumerate()) - before


@pytest.mark.parametrize("name", ["Cobyla", "CmaFmin2"])
def test_a_program_that_ends_by_an_error_ends_though_nothing_was_closed(name: str) -> None:
    program = f"""
from asking import answers, converse, floats
from optimizers.nevergrad_bridge import NevergradBridge
optimizer = NevergradBridge(floats(2), seed=0, name={name!r}, budget=20, num_workers=1)
converse(optimizer, answers(floats(2)), 5)
optimizer.ask(1)
raise RuntimeError("left")
"""
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root / 'tests'}"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, timeout=120
    )
    assert done.returncode == 1
    assert b"RuntimeError: left" in done.stderr
