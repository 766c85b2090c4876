"""A conditional space of every kind of parameter, with a known optimum.

The value imitates the tuning of a small network with a kernel head. It is a sum of non-negative
terms that all vanish at exactly one configuration, so the optimum is 0.

The function is not unimodal: the best learning rate depends on the depth, with a ripple; the branch
that contains the optimum (`poly`) is worse than the other branches for most of its degrees, so a
greedy choice of the branch fails; and `mix` depends on two nested conditions.
"""

import math
from time import perf_counter
from typing import Any

from objectives.objective import Objective
from objectives.override import Descriptions, override
from objectives.space import build_space, check
from objectives.trial import Config, Evaluation, Trial

_KERNELS = ["linear", "rbf", "poly"]
_LEVELS = ["none", "low", "middle", "high"]
_SPACE: dict[str, dict[str, Any]] = {
    "learning_rate": {"type": "float", "lower": 1e-5, "upper": 1.0, "log": True},
    "momentum": {"type": "float", "lower": 0.0, "upper": 1.0},
    "depth": {"type": "int", "lower": 1, "upper": 12},
    "width": {"type": "int", "lower": 8, "upper": 512, "log": True},
    "regularisation": {"type": "ordinal", "choices": _LEVELS},
    "kernel": {"type": "categorical", "choices": _KERNELS},
    "gamma": {"type": "float", "lower": 1e-3, "upper": 1e3, "log": True, "when": {"kernel": "rbf"}},
    "degree": {"type": "int", "lower": 2, "upper": 6, "when": {"kernel": "poly"}},
    "mix": {"type": "float", "lower": 0.0, "upper": 1.0, "when": {"degree": [4, 5]}},
}
_MINIMISER: Config = {
    "learning_rate": 10**-2.3,
    "momentum": 0.83,
    "depth": 7,
    "width": 96,
    "regularisation": "middle",
    "kernel": "poly",
    "degree": 4,
    "mix": 0.37,
}


class Mixed(Objective):
    """Floats, integers, an ordinal, a categorical and conditions; optimum 0."""

    cheap = True

    def __init__(self, *, space: Descriptions) -> None:
        """Build the space.

        Args:
            space: keys of parameters that replace the defaults. If the resulting space does not
                contain the minimiser, the optimum and the minimisers are unknown.

        Raises:
            ValueError: `space` names a parameter or a choice that the function does not know.
        """
        described = override(_SPACE, space)
        for name, known in (("kernel", _KERNELS), ("regularisation", _LEVELS)):
            choices = described[name].get("choices")
            if not isinstance(choices, list) or not set(choices) <= set(known):
                raise ValueError(f"space.{name}.choices: expected some of {known}, got {choices}")
        self.space = build_space(described)
        try:
            check(self.space, _MINIMISER)
        except ValueError:
            return
        self.optimum = 0.0
        self.minimisers = (_MINIMISER,)

    def evaluate(self, trial: Trial) -> Evaluation:
        start = perf_counter()
        check(self.space, trial.config)
        value = _value(trial.config)
        return Evaluation(value, perf_counter() - start)


def _value(config: dict[str, Any]) -> float:
    """Return the sum of the common terms and the branch's own; both are >= 0."""
    depth = config["depth"] - 7
    rate = math.log10(config["learning_rate"]) + 2.3 + 0.25 * depth  # lower if deeper
    ripple = 0.3 * (1 - math.cos(3 * math.pi * rate))
    common = (
        rate**2
        + ripple
        + 0.02 * depth**2
        + 4 * (config["momentum"] - 0.83) ** 2
        + 0.1 * math.log2(config["width"] / 96) ** 2
        + 0.15 * abs(_LEVELS.index(config["regularisation"]) - 2)
    )
    if config["kernel"] == "linear":
        return float(common + 0.5)
    if config["kernel"] == "rbf":
        return float(common + 0.1 + 0.3 * (math.log10(config["gamma"]) - 0.4 - 0.5 * rate) ** 2)
    mix = 2 * (config["mix"] - 0.37) ** 2 if "mix" in config else 0.3
    return float(common + 0.4 * (config["degree"] - 4) ** 2 + mix)
