"""Outcomes of single items: what is packed comes back, by the packing whose mean is the metric."""

import base64

import numpy as np
import pytest

from objectives.items import pack_bits, pack_floats, unpack, unpack_bits, unpack_floats


@pytest.mark.parametrize("n", [1, 7, 8, 9, 10, 100])
def test_bits_come_back_without_their_padding(n: int) -> None:
    right = np.arange(n) % 3 == 0
    text = pack_bits(right)
    assert unpack_bits(text, n).tolist() == right.tolist()
    assert unpack(text, float(right.mean())).tolist() == right.astype(float).tolist()


def test_numbers_come_back_in_the_precision_of_float16() -> None:
    shares = np.array([0.25, 0.5, 0.125])  # float16 holds them exactly
    assert unpack_floats(pack_floats(shares)).tolist() == shares.tolist()
    losses = np.array([2.25, 0.5, 3.1])
    text = pack_floats(losses)
    assert unpack_floats(text) == pytest.approx(losses, rel=1e-3)
    assert unpack(text, float(losses.mean())).tolist() == unpack_floats(text).tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (pack_floats(np.array([1.0, 2.0])), "items: expected outcomes whose mean is the metric 7"),
        ("startup", "items: expected outcomes in base64, got 'startup'"),
        ("\u00e9", "items: expected outcomes in base64, got"),
        (base64.b64encode(b"").decode(), "items: expected outcomes whose mean"),
    ],
)
def test_what_is_not_packed_outcomes_of_the_metric_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unpack(text, 7.0)
