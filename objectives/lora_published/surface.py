"""The closed form: HellaSwag and MMLU accuracy over rank, alpha and learning rate.

With s = alpha / rank (the integers as used), L = log10(learning rate), sigma the logistic
function, `shrunk` s' and the symbols of the published analysis:

    s'   = s 10^(-rho sigma((L - l1) / w1))
    gain = g sigma((L - lg) / 0.15)
    acc  = ch + (b - ch + gain) exp(-(s'/s0)^k - c s') sigma(-(L + kk log10 s - l2) / w2)

Here ch is chance and b is the accuracy of the base model. The exponential is the collapse due to
adapters that did not start at zero, and rho describes how far training repairs it. The last factor
is the cliff at too large learning rates. Dropout and weight decay are left out, because they had no
effect.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Surface:
    """The thirteen parameters of one metric; `fit.py` prints them in this order."""

    ch: float
    b: float
    log10_s0: float
    k: float
    c: float
    rho: float
    l1: float
    w1: float
    l2: float
    w2: float
    kk: float
    g: float
    lg: float

    def accuracy(self, scale: Array, log10_rate: Array) -> Array:
        """Return the accuracy (n,) at alpha / rank (n,) and log10 of the learning rate (n,).

        Scalars are accepted too, and take a tenth of the time of arrays of shape (1,).
        """
        shrunk = scale * 10 ** (-self.rho * logistic((log10_rate - self.l1) / self.w1))
        gain = self.g * logistic((log10_rate - self.lg) / 0.15)
        collapse = np.exp(-((shrunk / 10**self.log10_s0) ** self.k) - self.c * shrunk)
        past_cliff = (log10_rate + self.kk * np.log10(scale) - self.l2) / self.w2
        accuracy: Array = self.ch + (self.b - self.ch + gain) * collapse * logistic(-past_cliff)
        return accuracy


def logistic(x: Array) -> Array:
    """Return 1 / (1 + e^-x) without overflow."""
    result: Array = 0.5 * (1 + np.tanh(0.5 * x))
    return result
