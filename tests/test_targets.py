"""The class that a YAML file names: the error if there is none, or if it is a wrong one."""

from typing import Any

import pytest

from experiments.running.targets import check_targets
from optimizers.lhs import LatinHypercube
from optimizers.optimizer import Optimizer


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"x": 1}, "expected a YAML file that names a class in _target_, got none"),
        ({"_target_": "nowhere.Mine"}, "got nowhere.Mine (No module named 'nowhere')"),
        ({"_target_": "optimizers.lhs.Gone"}, "expected its _target_ to be a class"),
        ({"_target_": "collections.Counter"}, "to be a subclass of Optimizer, got collections"),
        (
            {"_target_": "optimizers.lhs.LatinHypercube", "start": [{"_target_": "nowhere.Start"}]},
            "expected its start.0._target_ to be a class that can be imported, got nowhere.Start",
        ),
    ],
)
def test_a_class_that_is_not_there_is_said_by_what_was_typed(
    settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError) as error:
        check_targets("optimizer", "mine", settings, Optimizer)
    text = str(error.value)
    assert text.startswith("optimizer=mine: expected ") and said in text and "; " in text


def test_the_class_of_a_yaml_file_is_found() -> None:
    settings = {"_target_": "optimizers.lhs.LatinHypercube"}
    assert check_targets("optimizer", "lhs", settings, Optimizer) is LatinHypercube
