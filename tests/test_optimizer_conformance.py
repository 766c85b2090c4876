"""Every optimizer YAML keeps the contract of `optimizers/optimizer.py`.

So do the variants that are classes of their own.
"""

import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.random import mtrand

from asking import (
    LENGTH,
    MIXED,
    NAMES,
    SPACES,
    VARIANTS,
    Answer,
    answers,
    converse,
    every_third_fails,
    floats,
    make,
    value,
)
from objectives.space import UnitCube, check
from objectives.trial import Evaluation, Trial
from optimizers.random_search import draw

each_optimizer = pytest.mark.parametrize("name", [*NAMES, *VARIANTS])
each_space = pytest.mark.parametrize("space_name", SPACES)


@each_optimizer
@each_space
def test_trials_are_plain_points_of_the_space_numbered_from_zero(
    name: str, space_name: str
) -> None:
    space = SPACES[space_name]
    trials = converse(make(name, space, seed=1), answers(space))
    assert trials, "nothing was asked"
    assert [trial.id for trial in trials] == list(range(len(trials)))
    for trial in trials:
        check(space, trial.config)
        assert json.loads(json.dumps(trial.to_json())) == trial.to_json()
        assert {type(value) for value in trial.config.values()} <= {bool, int, float, str}
        assert 0 < trial.fidelity <= 1


@each_optimizer
def test_an_ask_returns_at_most_n(name: str) -> None:
    optimizer = make(name, MIXED, seed=1)
    for n in (0, 1, 2, 5, 3):
        trials = optimizer.ask(n)
        assert len(trials) <= n
        for trial in trials:
            optimizer.tell(trial, answers(MIXED)(trial))


@each_optimizer
def test_the_same_seed_asks_the_same_trials(name: str) -> None:
    first, second = (
        converse(make(name, MIXED, seed=3), every_third_fails(MIXED)) for _ in range(2)
    )
    assert first == second


@pytest.fixture(scope="module")
def asked_elsewhere() -> Any:
    """Return what every optimizer asks in a process with another hash seed."""
    program = Path(__file__).with_name("asking.py")
    root = program.parents[1]
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(root)}
    finished = subprocess.run(
        [sys.executable, str(program), *NAMES, *VARIANTS],
        env=environment,
        stdout=subprocess.PIPE,
        timeout=900,
        check=True,
    )
    return json.loads(finished.stdout)


@each_optimizer
def test_a_process_with_another_hash_seed_asks_the_same_trials(
    name: str, asked_elsewhere: Any
) -> None:
    here = converse(make(name, MIXED, seed=5), every_third_fails(MIXED), n=2)
    assert [trial.to_json() for trial in here] == asked_elsewhere[name]


@each_optimizer
def test_the_global_random_generators_are_left_alone(name: str) -> None:
    make(name, MIXED, seed=2)  # an import may draw
    before = _global_states()
    converse(make(name, MIXED, seed=2), every_third_fails(MIXED), n=2)
    assert _global_states() == before


def _global_states() -> list[Any]:
    states: list[Any] = [random.getstate(), repr(mtrand._rand.get_state())]
    if "torch" in sys.modules:
        states.append(sys.modules["torch"].get_rng_state().tolist())
    return states


@each_optimizer
def test_the_space_is_left_as_it_was(name: str) -> None:
    before = repr(MIXED), repr(MIXED.random.get_state())
    converse(make(name, MIXED, seed=2), answers(MIXED))
    assert (repr(MIXED), repr(MIXED.random.get_state())) == before


@each_optimizer
def test_nothing_is_left_in_the_working_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    converse(make(name, MIXED, seed=2), answers(MIXED))
    assert list(tmp_path.iterdir()) == []


@each_optimizer
def test_an_empty_ask_changes_nothing(name: str) -> None:
    space = floats(3)
    often, once = make(name, space, seed=4), make(name, space, seed=4)
    pending: list[Trial] = []
    while len(pending) < LENGTH:
        assert often.ask(0) == []
        trials = once.ask(1)
        assert often.ask(1) == trials
        if not trials:
            assert often.ask(2) == []
            break
        pending += trials
    for trial in pending:
        for optimizer in (often, once):
            optimizer.tell(trial, answers(space)(trial))
    assert often.ask(1) == once.ask(1)


@each_optimizer
def test_tells_may_come_in_any_order(name: str) -> None:
    optimizer = make(name, MIXED, seed=6)
    rng = np.random.default_rng(0)
    pending: list[Trial] = []
    told: list[Trial] = []
    while len(told) < LENGTH:
        pending += optimizer.ask(4)
        if not pending:
            break
        for _ in range(min(2, len(pending))):
            trial = pending.pop(int(rng.integers(len(pending))))
            optimizer.tell(trial, answers(MIXED)(trial))
            told.append(trial)
    ids = [trial.id for trial in told + pending]
    assert sorted(ids) == list(range(len(ids)))
    assert len(told) >= LENGTH - 3


def _all_fail(trial: Trial) -> Evaluation:
    return Evaluation(None, cost=1.0, error="all fail")


def _graded_failures(trial: Trial) -> Evaluation:
    if trial.id % 2:
        return answers(MIXED)(trial)
    return Evaluation(1e4 + trial.id, cost=1.0, error="failed, but how far it got is known")


@each_optimizer
@pytest.mark.parametrize(
    "answer",
    [every_third_fails(MIXED), _all_fail, _graded_failures],
    ids=["every third", "all", "graded"],
)
def test_failures_are_survived(name: str, answer: Any) -> None:
    trials = converse(make(name, MIXED, seed=7), answer, n=2)
    assert len(trials) >= LENGTH - 3
    for trial in trials:
        check(MIXED, trial.config)


@each_optimizer
@pytest.mark.parametrize("space_name", ["one integer", "constants"])
def test_failures_in_a_finite_space_are_survived(name: str, space_name: str) -> None:
    space = SPACES[space_name]
    for answer in (every_third_fails(space), _all_fail):
        assert converse(make(name, space, seed=7), answer)


def _sized(*values: float) -> Answer:
    """Return a function that gives the values in turn."""
    return lambda trial: Evaluation(values[trial.id % len(values)], cost=1.0)


def _one_success(trial: Trial) -> Evaluation:
    if trial.id == 5:
        return Evaluation(1.0, cost=1.0)
    return Evaluation(2.0 + trial.id % 4, cost=1.0, error="graded")


LARGEST = sys.float_info.max
SIZES: dict[str, Answer] = {
    "the largest": _sized(LARGEST, -LARGEST, 1.0),
    "one cliff": _sized(0.3, 1e300, *(0.1 * k for k in range(20))),
    "one abyss": _sized(0.3, -1e300, *(0.1 * k for k in range(20))),
    "a relative spread of 1e-12": _sized(*(1e9 + 1e-3 * math.sin(k) for k in range(20))),
    "many of the least, and large": _sized(5e6, 5e6 + 2, 5e6, 5e6, 5e6 + 1),
    "the smallest": _sized(0.0, 5e-324, 1e-323),
    "all the same": _sized(3.0),
    "one success": _one_success,
}


@each_optimizer
@pytest.mark.parametrize("size", SIZES)
def test_values_of_any_size_are_survived(name: str, size: str) -> None:
    trials = converse(make(name, MIXED, seed=7), SIZES[size], n=2)
    assert len(trials) >= LENGTH - 3
    for trial in trials:
        check(MIXED, trial.config)


@each_optimizer
def test_a_replay_resumes_from_every_line(name: str) -> None:
    length = LENGTH - 1  # two more than the initial designs
    answer = every_third_fails(MIXED)
    whole = converse(make(name, MIXED, seed=8), answer, length)
    for n_told in range(len(whole)):
        between, asked = make(name, MIXED, seed=8), make(name, MIXED, seed=8)
        for optimizer in (between, asked):
            converse(optimizer, answer, n_told)
        # Cut after a tell: the next ask is the next trial. Cut after an ask: its trial is told
        # when it has been evaluated again, and the run goes on.
        assert between.ask(1) == whole[n_told : n_told + 1]
        (pending,) = asked.ask(1)
        asked.tell(pending, answer(pending))
        assert asked.ask(1) == whole[n_told + 1 : n_told + 2] or n_told + 1 == len(whole)


@each_optimizer
@pytest.mark.parametrize("space_name", ["mixed with forbidden combinations", "conditional"])
def test_a_replay_that_drifted_is_survived(name: str, space_name: str) -> None:
    space = SPACES[space_name]
    optimizer = make(name, space, seed=9)
    rng = np.random.default_rng(1)
    seen: set[int] = set()
    for turn in range(LENGTH):
        for trial in optimizer.ask(1):
            assert trial.id not in seen
            check(space, trial.config)
            seen.add(trial.id)
            foreign = Trial(trial.id, draw(UnitCube(space), rng))
            logged = foreign if turn % 3 == 1 else trial
            optimizer.tell(logged, every_third_fails(space)(logged))
        if turn % 4 == 2:
            unknown = Trial(max(seen) + 2, draw(UnitCube(space), rng))
            optimizer.tell(unknown, answers(space)(unknown))
            seen.add(unknown.id)
    assert seen


SPHERE_LENGTH = 35


@each_optimizer
def test_one_that_learns_beats_random_search_on_the_sphere(name: str) -> None:
    if not _learns(name):
        return
    n_wins = n_losses = 0
    while n_wins < 8 and n_losses < 3:  # 8 of 10 seeds, as soon as they are certain
        if _wins(name, seed=n_wins + n_losses):
            n_wins += 1
        else:
            n_losses += 1
    assert n_wins == 8


def _learns(name: str) -> bool:
    """Return whether what it asks depends on what it is told."""
    near, far = (_on_sphere(name, 0, optimum, length=20)[0] for optimum in (0.2, 0.8))
    return near != far


def _wins(name: str, seed: int) -> bool:
    """Return whether it comes closer than random search to an optimum that moves by the seed.

    Random search is the median of 15 runs: one alone is lucky too often.
    """
    optimum = float(np.random.default_rng(seed).uniform(0.15, 0.85))
    bests = [_on_sphere("random", 1000 + 15 * seed + k, optimum)[1] for k in range(15)]
    return _on_sphere(name, seed, optimum)[1] < float(np.median(bests))


def _on_sphere(
    name: str, seed: int, optimum: float, length: int = SPHERE_LENGTH
) -> tuple[list[Trial], float]:
    """Return the trials asked in four dimensions, and the best value."""
    space = floats(4)
    trials = converse(
        make(name, space, seed, length),
        lambda trial: Evaluation(value(space, trial, optimum), cost=1.0),
        length,
    )
    return trials, min(value(space, trial, optimum) for trial in trials)
