"""What an objective returns or raises: made plain, or a failed evaluation that names the field."""

import asyncio
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.running.events import Ask, Evaluated
from experiments.running.executors.evaluating import evaluate, normalised
from experiments.running.header import Header
from experiments.running.run_log import RunLog, read
from made_headers import header_event
from objectives.objective import Objective
from objectives.trial import Evaluation, Trial
from odd import Odd


class Handing(Objective):
    """Returns the value that it was given."""

    space = Odd.space

    def __init__(self, returned: Any) -> None:
        self._returned = returned

    def evaluate(self, trial: Trial) -> Evaluation:
        returned: Evaluation = self._returned
        return returned


SCALARS = [
    np.float32(1.5), np.float64(1.5), np.array(1.5), np.int64(2), np.float16(0.5), 3,
    np.longdouble(1.5), np.uint8(2), Fraction(3, 2),
]  # fmt: skip


@pytest.mark.parametrize("scalar", SCALARS, ids=repr)
def test_scalars_of_numpy_become_numbers(scalar: Any) -> None:
    plain = normalised(Evaluation(scalar, scalar, {"m": scalar}))
    assert plain == Evaluation(float(scalar), float(scalar), {"m": float(scalar)})
    assert {type(plain.value), type(plain.cost), type(plain.metrics["m"])} == {float}


def test_scalars_of_torch_become_numbers() -> None:
    torch = pytest.importorskip("torch")
    plain = normalised(Evaluation(torch.tensor(1.5), 1.0, {"m": torch.tensor(2)}))
    assert plain == Evaluation(1.5, 1.0, {"m": 2.0})


def made(**fields: Any) -> Any:
    """Return an evaluation with fields of any type."""
    return Evaluation(**{"value": 1.0, "cost": 1.0, **fields})


WRONG: list[tuple[Any, str]] = [
    (made(cost=float("nan")), "cost: expected seconds, got nan"),
    (made(cost=float("inf")), "cost: expected seconds, got inf"),
    (made(cost=-1.0), "cost: expected seconds, got -1.0"),
    (made(cost=1e300), "cost: expected seconds, got 1e+300"),
    (made(cost=None), "cost: expected seconds, got None"),
    (made(cost="1.5"), "cost: expected seconds, got '1.5'"),
    (made(cost=np.float32("nan")), "cost: expected seconds, got nan"),
    (made(value=float("nan")), "value: expected a finite number, got nan"),
    (made(value=np.array([1.0])), "value: expected a finite number, got array([1.])"),
    (made(value="1"), "value: expected a finite number, got '1'"),
    (made(value=True), "value: expected a finite number, got True"),
    (made(value=10**400), "value: expected a finite number, got 1000"),
    (made(value=1 + 2j), "value: expected a finite number, got (1+2j)"),
    (made(value=None), "evaluation: expected a value or an error, got neither"),
    (made(metrics=None), "metrics: expected numbers by name, got None"),
    (made(metrics={"m": None}), "metrics.m: expected a number, got None"),
    (made(metrics={"m": "high"}), "metrics.m: expected a number, got 'high'"),
    (made(metrics={3: 1.0}), "metrics: expected names that are text, got 3"),
    (made(error=RuntimeError("no")), "error: expected text or None, got RuntimeError('no')"),
    (made(items={"m": b"bits"}), "items.m: expected text, got b'bits'"),
    (made(value=np.ma.masked), "value: expected a finite number, got masked"),
    (made(value=10**5000), "value: expected a finite number, got a value of the type int"),
    (made(cost=np.timedelta64(3, "ns")), "cost: expected seconds, got np.timedelta64(3,'ns')"),
    (made(cost=timedelta(seconds=3)), "cost: expected seconds, got datetime.timedelta"),
    (
        made(metrics={"m": np.datetime64(1, "ns")}),
        "metrics.m: expected a number, got np.datetime64",
    ),
    (made(metrics={"\udcff": 1.0}), r"metrics: expected names that are text, got '\udcff'"),
    (made(items={"m": "\udcff"}), r"items.m: expected text, got '\udcff'"),
    (made(error=""), "error: expected text or None, got ''"),
    (made(items=None), "items: expected packed outcomes by name, got None"),
    (None, "evaluate: expected an Evaluation, got None"),
    (1.5, "evaluate: expected an Evaluation, got 1.5"),
]


@pytest.mark.parametrize(("returned", "message"), WRONG, ids=[message for _, message in WRONG])
def test_what_is_no_evaluation_is_a_failed_one_that_names_the_field(
    returned: Any, message: str
) -> None:
    answer = evaluate(Handing(returned), Trial(0, {"x": 0.5}))
    evaluation = answer.evaluation
    assert evaluation is not None and evaluation.value is None
    assert evaluation.error is not None and message in evaluation.error


class Unsayable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


RAISED: list[tuple[BaseException, str]] = [
    (Unsayable(), "Unsayable: a message that cannot be shown (RuntimeError)"),
    (FileNotFoundError("no \udcff"), r"FileNotFoundError: no \udcff"),
    (asyncio.CancelledError("late"), "CancelledError: late"),
    (GeneratorExit("closed"), "GeneratorExit: closed"),
    (ExceptionGroup("two", [ValueError("a")]), "ExceptionGroup: two (1 sub-exception)"),
    (ValueError("x" * 10**6), "ValueError: " + "x" * 3988 + "..."),
]


class Raising(Objective):
    """Raises the exception that it was given."""

    space = Odd.space

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def evaluate(self, trial: Trial) -> Evaluation:
        raise self._error


@pytest.mark.parametrize(("error", "message"), RAISED, ids=lambda x: str(type(x)))
def test_whatever_an_objective_raises_is_in_the_log(
    error: BaseException, message: str, tmp_path: Path
) -> None:
    trial = Trial(0, {"x": 0.5})
    answer = evaluate(Raising(error), trial)
    assert answer.evaluation is not None
    with RunLog(tmp_path) as log:
        log.begin(Header.from_json(header_event()))
        log.append(Ask(1, [trial], 0.0, {}, 0.0))
        log.append(Evaluated(0, answer.evaluation, 0.0, answer.traceback))
    assert read(tmp_path / "log.jsonl").evaluations[0].error == message


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), BaseExceptionGroup("", [KeyboardInterrupt()])]
)
def test_an_interrupt_is_no_failed_evaluation(error: BaseException) -> None:
    with pytest.raises(type(error)):
        evaluate(Raising(error), Trial(0, {"x": 0.5}))


def test_a_failure_with_a_long_or_odd_error_is_kept() -> None:
    told = normalised(made(value=2.0, error="no \udcff" + "x" * 10**6))
    assert told.error is not None and told.error.startswith(r"no \udcff") and len(told.error) < 5000


def test_metrics_that_are_not_finite_are_left_out() -> None:
    assert normalised(Evaluation(1.0, 1.0, {"m": float("nan"), "n": 2.0})).metrics == {"n": 2.0}
