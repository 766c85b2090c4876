"""Facts of the presets `ga`, `de`, `pso`, `annealing` and `catcma`."""

from functools import partial

import numpy as np
import pytest

from asking import MIXED, answers, converse, floats
from experiments.testing.plug_ins import OptimizerYaml
from objectives.space import UnitCube, build_space
from objectives.trial import Evaluation, Trial
from optimizers.nevergrad_bridge import NevergradBridge


def _signed(sign: int, trial: Trial) -> Evaluation:
    return Evaluation(sign * float(trial.id), 1.0)


@pytest.mark.parametrize(("name", "population"), [("ga", 10), ("de", 10), ("pso", 8)])
def test_the_first_generation_is_drawn_before_anything_is_learnt(
    name: str, population: int
) -> None:
    space = floats(3)
    near, far = (
        converse(
            OptimizerYaml(name)(space, 1, 50),
            partial(_signed, sign),
            3 * population,
        )
        for sign in (1, -1)
    )
    assert near[:population] == far[:population]
    assert near != far


def test_annealing_does_not_depend_on_the_unit_of_the_values() -> None:
    space = floats(3)

    def trials(unit: float) -> list[Trial]:
        def answer(trial: Trial) -> Evaluation:
            value = answers(space)(trial).value
            assert value is not None
            return Evaluation(unit * value, 1.0)

        return converse(OptimizerYaml("annealing")(space, 1, 50), answer, 50)

    assert trials(2.0**-10) == trials(1.0) == trials(2.0**10)


def test_a_wrong_family_or_option_of_nevergrad_is_answered_in_one_line() -> None:
    def make(name: str, **options: int) -> NevergradBridge:
        return NevergradBridge(
            floats(2), seed=0, name=name, budget=9, num_workers=1, options=options
        )

    with pytest.raises(ValueError, match=r"in nevergrad.families, got Evolution; did you mean"):
        make("Evolution")
    with pytest.raises(ValueError, match=r"nevergrad.options: expected arguments of ConfPSO, got"):
        make("ConfPSO", particles=3)


def test_catcma_keeps_every_integer_and_every_choice_within_reach() -> None:
    """The margin gives each of them a probability of about 1 / (4 lambda) or more."""
    space = build_space(
        {
            "n": {"type": "int", "lower": 1, "upper": 300},
            "kind": {"type": "categorical", "choices": ["a", "b", "c"]},
        }
    )

    def at_the_end(trial: Trial) -> Evaluation:
        n = trial.config["n"]
        assert isinstance(n, int)
        return Evaluation(abs(n - 290) + 10.0 * (trial.config["kind"] != "c"), 1.0)

    trials = converse(OptimizerYaml("catcma")(space, 0, 400), at_the_end, 400)
    last = trials[-60:]
    assert np.mean([trial.config["kind"] == "c" for trial in last]) > 0.8
    assert min(at_the_end(trial).value or 0.0 for trial in trials) == 0.0
    assert len({trial.config["n"] for trial in last}) > 1


def test_presets_fill_every_worker_of_a_generation() -> None:
    for name in ("ga", "de", "pso", "catcma"):
        assert len(OptimizerYaml(name)(MIXED, 0, 50).ask(6)) == 6, name
    assert UnitCube(MIXED).dim == 6
