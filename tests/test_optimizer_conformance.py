"""Every optimizer YAML, and the variants that are classes of their own, keep the suite's facts."""

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

import pytest

from asking import NAMES, VARIANTS
from experiments.testing.elsewhere import asked_elsewhere
from experiments.testing.optimizer_suite import FACTS, OptimizerSuite
from experiments.testing.plug_ins import OptimizerYaml

ALL = [*NAMES, *VARIANTS]


def maker(name: str) -> OptimizerYaml:
    plug_in, *settings = name.split()
    return OptimizerYaml(plug_in, tuple(settings))


@cache
def _elsewhere() -> dict[str, Any]:
    """Return what all of them ask in one process with another hash seed."""
    return dict(zip(ALL, asked_elsewhere([maker(name) for name in ALL]), strict=True))


SLOW = [("test_one_that_learns_beats_random_search_on_the_sphere", "qlognehvi")]
"""Facts that take more than a minute of processor time."""


def _cases() -> Iterator[Any]:
    for fact, name in product(FACTS, ALL):
        marks = [pytest.mark.slow] if (fact, name) in SLOW else []
        yield pytest.param(fact, name, marks=marks)


@pytest.mark.parametrize(("fact", "name"), _cases())
def test_an_optimizer_keeps_the_contract(
    fact: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = OptimizerSuite.of(maker(name))()
    monkeypatch.setattr(suite, "asked_elsewhere", lambda: _elsewhere()[name])
    getattr(suite, fact)()
