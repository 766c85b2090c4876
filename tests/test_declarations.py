"""What an objective declares about itself: plain numbers reach the log, all else is refused."""

from typing import Any

import numpy as np
import pytest

from experiments.running.declarations import declarations
from objectives.functions.synthetic import Branin
from objectives.objective import Objective, Resources
from objectives.trial import Goal, Limit


def declared(**attributes: Any) -> Objective:
    objective = Branin(shift=None, space={})
    for name, value in attributes.items():
        setattr(objective, name, value)
    return objective


def test_numbers_of_numpy_are_declared_as_plain_ones() -> None:
    fields = declarations(
        declared(
            fingerprint=lambda: {"rows": np.int64(3), "mean": [np.float32(0.5)]},
            default={"x1": np.float64(1.5), "x2": np.int64(2)},
            optimum=np.float64(0.25),
            noise_sd=np.float32(0.5),
        )
    )
    assert fields["fingerprint"] == {"version": 1, "rows": 3, "mean": [0.5]}
    assert fields["default"] == {"x1": 1.5, "x2": 2} and type(fields["default"]["x2"]) is int
    assert (fields["optimum"], fields["noise_sd"]) == (0.25, 0.5)


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"fingerprint": lambda: {"a": {1: 2}}}, "fingerprint.a: expected keys that are text"),
        ({"fingerprint": lambda: {"a": [b"x"]}}, r"fingerprint.a\[0\]: expected null, .* got b'x'"),
        ({"fingerprint": lambda: {"a": np.nan}}, "fingerprint.a: expected a finite number, got"),
        ({"fingerprint": lambda: [1]}, r"fingerprint: expected keys with values, got \[1\]"),
        ({"fingerprint": lambda: None}, "fingerprint: expected keys with values, got None"),
        ({"goals": ["m"]}, r"goals: expected keys with values, got \['m'\]"),
        ({"goals": {"m": True}}, "goals.m: expected a Goal, got True"),
        ({"goals": {"m": Goal(True, reference=np.inf)}}, "goals.m.reference: expected null or a"),
        ({"limits": {"m": 3.0}}, "limits.m: expected a Limit, got 3.0"),
        ({"limits": {"m": Limit(np.nan)}}, "limits.m.bound: expected a finite number, got nan"),
        ({"fidelities": [0.5, 1.0]}, r"fidelities: expected a Fidelities, got \[0.5, 1.0\]"),
        ({"resources": {"gpus": 1}}, "resources: expected a Resources, got {'gpus': 1}"),
        ({"resources": Resources(gpus=-1)}, "resources.gpus: expected an integer of at least 0"),
        ({"default": [1]}, r"default: expected parameters with their values, got \[1\]"),
        ({"noise_sd": -1}, "noise_sd: expected a finite number of at least 0, got -1"),
        ({"optimum": "0"}, "optimum: expected null or a finite number, got '0'"),
        ({"version": "a"}, "version: expected an integer of at least 0, got 'a'"),
        ({"coco": "bbob"}, "coco: expected a suite, a function and an instance, got 'bbob'"),
        ({"space": None}, "space: expected a ConfigurationSpace, got None"),
        ({"hypervolume": "x"}, "hypervolume: expected null or a finite number, got 'x'"),
        (
            {"goals": {"a": Goal(True), "b": Goal(True)}, "front": [{"a": 1.0}]},
            "front.b: expected a finite number, got None",
        ),
        ({"front": None}, "front: expected a Sequence, got None"),
        ({"deployment": lambda: 3}, "deployment: expected a Deployment, got 3"),
        ({"notice": lambda: 5}, "notice: expected null or text, got 5"),
    ],
)
def test_what_a_log_cannot_hold_is_refused_by_name(attributes: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"^objective.{said}") as refused:
        declarations(declared(**attributes))
    assert "\n" not in str(refused.value)
