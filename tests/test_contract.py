"""Errors inside an optimizer: they are bugs, unless they are in the form of a mistake."""

import pytest

from experiments.running.contract import faults_of_optimizer


@pytest.mark.parametrize("error", [ValueError("shapes (2,) (3,)"), SystemExit(0)])
def test_an_error_inside_an_optimizer_is_no_mistake_of_the_users(error: BaseException) -> None:
    with pytest.raises(RuntimeError, match="^optimizer: expected its ask to end, got") as raised:
        with faults_of_optimizer("ask"):
            raise error
    assert raised.value.__cause__ is error


def test_an_optimizer_may_refuse_in_our_form() -> None:
    with pytest.raises(ValueError, match="^grid.order: expected one of a, b, got c$"):
        with faults_of_optimizer("ask"):
            raise ValueError("grid.order: expected one of a, b, got c")
