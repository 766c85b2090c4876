"""The recommended configuration of a run, and its gain over the objective's default.

The evidence is the strongest that there is:

- New evaluations (`tuneoff confirm`) of the configuration: their mean, free of the luck by which
  the configuration was chosen. The interval of the gain is Welch's, by Student's t with the degrees
  of freedom of Welch and Satterthwaite, if the default was also evaluated again.
- Noise declared by the objective: the posterior mean of the configuration's value under the normal
  model of `incumbents.recommended`, and the posterior variance of the difference.
- Outcomes by item: the mean difference of the value, and Student's t interval over the items. It
  speaks of other items of the same kind.
- Otherwise the two values. Their difference is exact, because the objective declares no noise.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from experiments.analysis.results import Floats, Run
from experiments.analysis.statistics.incumbents import (
    Candidate,
    best_seen,
    candidates,
    confirmed,
    normal_model,
    recommended,
)
from objectives.items import unpack
from objectives.trial import Config

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """The knowledge about a configuration.

    Attributes:
        value: the estimate of its value, which is minimised.
        evidence: what the estimate is computed from, in words.
        evaluations: the number of evaluations behind it.
    """

    config: Config
    value: float
    evidence: str
    evaluations: int


@dataclass(frozen=True)
class Gain:
    """How much lower the value of the recommended configuration is than that of the default.

    Attributes:
        mean: the default's value minus that of the configuration; positive: an improvement.
        low, high: the ends of the 95 % interval; both are `mean` if the values are exact.
        evidence: what the interval is computed from, in words.
    """

    mean: float
    low: float
    high: float
    evidence: str

    @property
    def verdict(self) -> str:
        """The conclusion in words."""
        if self.low > 0:
            return "better than the default"
        return "worse than the default" if self.high < 0 else "not better than the default"


@dataclass(frozen=True)
class Recommendation:
    """The recommended configuration; `default` and `gain` are None if they are unknown."""

    best: Estimate
    default: Estimate | None
    gain: Gain | None


def recommendation(run: Run, again: Run | None = None) -> Recommendation | None:
    """Return the recommended configuration of a run with one goal; None without a success.

    Args:
        run: the run.
        again: its confirmation, as `tuneoff confirm` logs it.
    """
    if again is not None:
        found = confirmed([one for one in candidates(again) if one.config != run.header.default])
        if found is not None:
            return _from_new(run, again, found)
    if run.header.noise_sd > 0:
        return _from_model(run)
    seen = best_seen(run)
    if seen is None:
        return None
    best = Estimate(
        seen.config, seen.best, "a single evaluation of an objective that declares no noise", 1
    )
    place = run.default()
    if place is None:
        return Recommendation(best, None, None)
    value = float(run.values[place])
    default = Estimate(run.configs[place], value, best.evidence, 1)
    return Recommendation(best, default, _between(run, seen.place, place))


def _from_new(run: Run, again: Run, found: Candidate) -> Recommendation:
    """Return the estimates from new evaluations; for the default, also from the run itself."""
    best = Estimate(found.config, found.mean, "the mean of new evaluations", len(found.values))
    default = _of(candidates(again), run.header.default)
    evidence = "the mean of new evaluations"
    if default is None:
        default, evidence = _of(candidates(run), run.header.default), "the mean of its evaluations"
    if default is None:
        return Recommendation(best, None, None)
    n = len(default.values)
    gain = _welch(default.values, found.values, run.header.noise_sd)
    return Recommendation(best, Estimate(default.config, default.mean, evidence, n), gain)


def _from_model(run: Run) -> Recommendation | None:
    sd = run.header.noise_sd
    chosen = recommended(run, sd)
    if chosen is None:
        return None
    model = normal_model(run, sd)
    evidence = "the posterior mean under the noise that the objective declares"
    mean, variance = model[json.dumps(chosen.config, sort_keys=True)]
    best = Estimate(chosen.config, mean, evidence, len(chosen.values))
    default = _of(candidates(run), run.header.default)
    if default is None:
        return Recommendation(best, None, None)
    usual, more = model[json.dumps(default.config, sort_keys=True)]
    known = Estimate(default.config, usual, evidence, len(default.values))
    half = stats.norm.ppf((1 + CONFIDENCE) / 2) * float(np.sqrt(variance + more))
    if chosen.config == default.config:
        half = 0.0
    gain = usual - mean
    return Recommendation(best, known, Gain(gain, gain - half, gain + half, evidence))


def _of(known: Sequence[Candidate], config: Config | None) -> Candidate | None:
    return next((one for one in known if one.config == config and len(one.values)), None)


def _welch(default: Floats, best: Floats, noise_sd: float) -> Gain | None:
    """Return the difference of two means; None if nothing is known about the noise."""
    gain = float(default.mean() - best.mean())
    n = np.array([len(default), len(best)])
    if n.min() < 2:
        if noise_sd == 0 and n.max() > 1:
            return None
        if noise_sd == 0:
            return Gain(gain, gain, gain, "exact, as the objective declares no noise")
        half = stats.norm.ppf((1 + CONFIDENCE) / 2) * noise_sd * float(np.sqrt((1 / n).sum()))
        return Gain(gain, gain - half, gain + half, "the noise that the objective declares")
    parts = np.array([default.var(ddof=1), best.var(ddof=1)]) / n
    variance = float(parts.sum())
    if variance == 0:
        return Gain(gain, gain, gain, "new evaluations that do not differ")
    freedom = variance**2 / float((parts**2 / (n - 1)).sum())
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * float(np.sqrt(variance))
    return Gain(gain, gain - half, gain + half, "Welch's interval over evaluations")


def _between(run: Run, best: int, default: int) -> Gain:
    """Return the difference of two single evaluations, by their items if there are any."""
    gain = float(run.values[default]) - float(run.values[best])  # may overflow, to infinity
    metric = run.header.metric
    outcomes = (
        [] if metric is None else [_outcomes(run, place, metric) for place in (default, best)]
    )
    if metric is None or any(one is None for one in outcomes) or best == default:
        return Gain(gain, gain, gain, "exact, as the objective declares no noise")
    before, after = (one for one in outcomes if one is not None)
    if len(before) != len(after) or len(before) < 2:
        return Gain(gain, gain, gain, "exact, as the objective declares no noise")
    sign = 1.0 if run.header.goals[metric].minimise else -1.0
    d = sign * (before - after)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d)))
    return Gain(gain, gain - half, gain + half, f"paired over {len(d)} items")


def _outcomes(run: Run, place: int, metric: str) -> Floats | None:
    """Return the outcomes by item of an evaluation; None without any, or in another packing."""
    text = run.items[place].get(metric)
    if text is None:
        return None
    try:
        return unpack(text, float(run.metrics[metric][place]))
    except ValueError:
        return None
