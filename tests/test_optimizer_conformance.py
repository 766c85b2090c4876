"""Every optimizer, and every variant with a separate class, satisfies the conformance suite.

An optimizer with slow asks runs a few of the facts in `make test` and all in `make test-slow`. The
latter also runs the facts in `LONG` of two further optimizers, which take half a minute or more.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from asking import NAMES, VARIANTS
from experiments.testing.elsewhere import asked_elsewhere
from experiments.testing.optimizer_suite import FACTS, QUICK_FACTS, OptimizerSuite
from experiments.testing.plug_ins import OptimizerYaml
from scripted_endpoint import endpoint

ALL = [*NAMES, *VARIANTS]


@pytest.fixture(scope="session", autouse=True)
def a_language_model() -> Iterator[None]:
    """Serve the optimizers that ask a language model, at one address: settings are cached."""
    with endpoint() as (url, _), pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEOFF_LLM_URL", url)
        yield


def maker(name: str) -> OptimizerYaml:
    plug_in, *settings = name.split()
    return OptimizerYaml(plug_in, tuple(settings))


SLOW = [name for name in ALL if maker(name).is_slow]
QUICK = [name for name in ALL if name not in SLOW]


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], dict[str, Any]]:
    """Return a function that returns the asks of all optimizers, with another hash seed.

    One process asks them, for all of the workers of pytest: they share the folder above theirs.
    """
    place = tmp_path_factory.getbasetemp()
    shared = place.parent if "PYTEST_XDIST_WORKER" in os.environ else place

    @cache
    def asked() -> dict[str, Any]:
        with (shared / "elsewhere.json").open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # the first worker asks while the others wait
            file.seek(0)
            if text := file.read():
                return dict(json.loads(text))
            found = dict(zip(ALL, asked_elsewhere([maker(name) for name in ALL]), strict=True))
            json.dump(found, file)
            return found

    return asked


# gp_bo, tpe, mf_gp and bamsoo keep the sphere in `make test`; the published bamsoo also has the
# published sequences in test_replay.py.
LONG = {
    ("test_one_that_learns_beats_random_search_on_the_sphere", "smac_rf"),
    ("test_one_that_learns_beats_random_search_on_the_sphere", "bamsoo variant=published"),
    ("test_trials_are_plain_points_of_the_space_numbered_from_zero", "bamsoo variant=published"),
    ("test_values_of_any_size_are_survived", "bamsoo variant=published"),
}
"""Facts and names that `make test` leaves to `make test-slow`."""

CASES = [
    *(
        pytest.param(fact, name, True, marks=[pytest.mark.slow] if (fact, name) in LONG else [])
        for fact in FACTS
        for name in QUICK
    ),
    *(pytest.param(fact, name, False) for fact in QUICK_FACTS for name in SLOW),
    *(pytest.param(fact, name, True, marks=pytest.mark.slow) for fact in FACTS for name in SLOW),
]
"""Facts, names, and whether to run all facts or only the quick ones."""


@pytest.mark.parametrize(("fact", "name", "thorough"), CASES)
def test_an_optimizer_keeps_the_contract(
    fact: str,
    name: str,
    thorough: bool,
    monkeypatch: pytest.MonkeyPatch,
    elsewhere: Callable[[], dict[str, Any]],
) -> None:
    suite = OptimizerSuite.of(maker(name))()
    monkeypatch.setattr(suite, "thorough", thorough)
    monkeypatch.setattr(suite, "asked_elsewhere", lambda: elsewhere()[name])
    getattr(suite, fact)()
