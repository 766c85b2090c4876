"""Outcomes of single items, packed into text for the log.

An evaluation may log one outcome for each item that its metric averages over, such as the answer to
a question or the loss of a sequence. Paired comparisons of two configurations need them. They are
packed in base64, either as bits (`numpy.packbits`, first item in the highest bit) or as
little-endian float16. The text says neither which of the two it is nor how many bits of the last
byte are padding; the metric, which is the mean of the items, does.

One entry is of another kind: an objective that measures its default configuration before the first
trial, as a reference, packs the values of these measurements under `DEFAULT`, as little-endian
float64.
"""

import base64
import binascii

import numpy as np
from numpy.typing import NDArray

DEFAULT = "default"
"""The entry of the values of the default configuration, as the objective measured it itself."""

FLOAT16 = 2e-3  # relative tolerance of a mean of float16, which has a precision of 11 bits

Floats = NDArray[np.float64]


def pack_bits(outcomes: NDArray[np.bool_]) -> str:
    """Pack a boolean per item, (n,)."""
    return base64.b64encode(np.packbits(outcomes).tobytes()).decode()


def pack_floats(outcomes: Floats) -> str:
    """Pack a number per item, (n,), as float16."""
    return base64.b64encode(outcomes.astype("<f2").tobytes()).decode()


def pack_exact(values: Floats) -> str:
    """Pack numbers, (n,), as float64."""
    return base64.b64encode(values.astype("<f8").tobytes()).decode()


def unpack_exact(text: str) -> Floats:
    """Unpack the numbers of `pack_exact`, (n,).

    Raises:
        ValueError: the text is not base64 of finite float64 numbers.
    """
    try:
        found = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f8")
    except (binascii.Error, ValueError):
        raise ValueError(f"items: expected float64 in base64, got {text[:40]!r}") from None
    if not np.isfinite(found).all():
        raise ValueError(f"items: expected finite numbers, got {found.tolist()}")
    return found.astype(np.float64)


def unpack_bits(text: str, n: int) -> NDArray[np.bool_]:
    """Unpack the n items of `pack_bits`."""
    raw = np.frombuffer(base64.b64decode(text), dtype=np.uint8)
    return np.unpackbits(raw, count=n).astype(bool)


def unpack_floats(text: str) -> Floats:
    """Unpack the items of `pack_floats`, (n,), in the precision of float16."""
    return np.frombuffer(base64.b64decode(text), dtype="<f2").astype(np.float64)


def unpack(text: str, mean: float) -> Floats:
    """Return packed outcomes, (n,), by the packing whose mean is the metric.

    If all outcomes are 0, the last byte does not show where the padding begins; all of its bits are
    returned then.

    Raises:
        ValueError: the text is not base64, or neither packing gives the metric as the mean.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"items: expected outcomes in base64, got {text[:40]!r}") from None
    bits = np.unpackbits(np.frombuffer(raw, dtype=np.uint8)).astype(np.float64)
    for n in range(len(bits), max(len(bits) - 8, 0), -1):
        if not bits[n:].any() and abs(bits.sum() / n - mean) < 1e-9:
            return np.asarray(bits[:n])
    if raw and len(raw) % 2 == 0:
        floats = np.frombuffer(raw, dtype="<f2").astype(np.float64)
        if abs(floats.mean() - mean) <= FLOAT16 * max(abs(mean), 1e-3):
            return floats
    raise ValueError(f"items: expected outcomes whose mean is the metric {mean:g}, got others")
