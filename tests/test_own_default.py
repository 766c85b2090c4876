"""`tuneoff best` counts the measurements that an objective makes of its own default."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.analysis.pasted import recommended
from experiments.analysis.results import Run
from experiments.analysis.statistics.gain import recommendation
from experiments.analysis.statistics.own_default import measured, noise_of
from made_runs import made_run
from objectives.items import DEFAULT, pack_exact, unpack_exact
from objectives.trial import Config

ELSEWHERE: Config = {"x": 0.9}  # no trial of the runs below


def _run(values: list[float], default: list[float], noise_sd: float = 0.0) -> Run:
    """Return a run whose evaluations record these values of the default."""
    items = {DEFAULT: pack_exact(np.array(default))}
    run = made_run(values, items=[items] * len(values))
    return replace(run, header=replace(run.header, default=ELSEWHERE, noise_sd=noise_sd))


def test_numbers_are_packed_without_loss() -> None:
    values = np.array([0.1, -1 / 3, 1e-300])
    assert unpack_exact(pack_exact(values)).tolist() == values.tolist()
    for text in ("?", pack_exact(np.array([np.inf])), "AAAA"):
        with pytest.raises(ValueError, match="items: expected"):
            unpack_exact(text)


def test_the_gain_over_a_default_that_is_no_trial_is_computed_from_its_measurements() -> None:
    run = _run([-0.5, 3.0, 5.0, 4.0], [0.0, 0.1, -0.1, 0.05, -0.05], noise_sd=0.2)
    found = recommendation(run)
    assert found is not None and found.default is not None and found.gain is not None
    assert found.default.config == ELSEWHERE and found.default.evaluations == 5
    assert found.default.value == pytest.approx(0.0)
    # The prior of the four values: mean 2.875, variance 4.296875 - 0.04. The posterior variance is
    # 0.04 x 4.256875 / 4.296875, to which 0.04 / 5 of the default is added.
    variance = 0.04 * 4.256875 / 4.296875 + 0.04 / 5
    assert found.gain.high - found.gain.mean == pytest.approx(1.959964 * variance**0.5, rel=1e-5)
    assert found.gain.verdict == "better than the default"
    assert "start=default" not in recommended(run, None)["verdict"]


def test_the_noise_is_what_the_default_shows_if_that_is_more_than_declared() -> None:
    noise = noise_of(0.1, np.array([-1.0, 0.0, 1.0]))
    assert noise.sd == pytest.approx(1.0) and noise.freedom == 2
    assert noise.half(1.0, 0.95) == pytest.approx(4.3027, rel=1e-4)  # Student's t
    assert noise_of(2.0, np.array([-1.0, 0.0, 1.0])).half(1.0, 0.95) == pytest.approx(1.959964)
    found = recommendation(_run([-0.5, 3.0, 5.0], [-1.0, 0.0, 1.0], noise_sd=0.1))
    assert found is not None and found.gain is not None
    assert found.gain.verdict == "not better than the default"
    assert "3 measurements of the default" in found.gain.evidence


def test_a_confirmation_is_compared_with_the_default_round_by_round() -> None:
    run = _run([-0.7, 1.0], [0.0, 0.0], noise_sd=0.09)
    again = made_run(
        [-0.64, -0.73, 0.18],
        items=[{DEFAULT: pack_exact(np.array(of))} for of in ([0.0], [0.1, -0.1], [0.0, 0.0])],
    )
    again.configs[:] = [run.configs[0]] * 3
    again = replace(again, header=replace(again.header, default=ELSEWHERE))
    found = recommendation(run, again)
    assert found is not None and found.gain is not None and found.default is not None
    d = np.array([0.64, 0.73, -0.18])
    assert found.gain.mean == pytest.approx(d.mean())
    # Student's t with 2 degrees of freedom.
    half = 4.302653 * d.std(ddof=1) / 3**0.5
    assert found.gain.high - found.gain.mean == pytest.approx(half, rel=1e-5)
    assert found.gain.verdict == "not better than the default"
    assert found.default.evaluations == 5


def test_without_noise_the_single_measurement_is_exact() -> None:
    found = recommendation(_run([2.0, 1.0], [0.0]))
    assert found is not None and found.gain is not None
    assert (found.gain.low, found.gain.high) == (-1.0, -1.0)
    assert found.gain.verdict == "worse than the default"


def test_a_damaged_entry_or_one_without_a_default_is_not_counted() -> None:
    run = _run([1.0], [0.0])
    assert measured(replace(run, header=replace(run.header, default=None)), 0).size == 0
    assert measured(replace(run, items=[{DEFAULT: "!"}]), 0).size == 0
