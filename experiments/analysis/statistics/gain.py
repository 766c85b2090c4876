"""The recommended configuration of a run, and its gain over the objective's default.

The evidence is the strongest that there is:

- New evaluations (`tuneoff confirm`) of the configuration: their mean, free of the luck by which
  the configuration was chosen. If the objective measured its default in each round, the interval of
  the gain is Student's t interval of the differences by round. If the default was only evaluated
  again, it is Welch's, by Student's t with the degrees of freedom of Welch and Satterthwaite.
- Noise: the posterior mean of the configuration's value under the normal model of
  `incumbents.recommended`, and the posterior variance of the difference. The noise is what the
  objective declares, or what its measurements of the default show if that is more (`Noise`).
- Outcomes by item: the mean difference of the value, and Student's t interval over the items. It
  speaks of other items of the same kind.
- Otherwise the two values. Their difference is exact, because the objective declares no noise.

The default's value is known from trials of the default, from measurements that the objective makes
before the first trial (`objectives.items.DEFAULT`), or from both.
"""

import json
from dataclasses import dataclass, replace

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
from experiments.analysis.statistics.own_default import (
    NOTHING,
    Noise,
    by_round,
    evaluated,
    measured,
    noise_of,
)
from objectives.items import unpack
from objectives.trial import Config

CONFIDENCE = 0.95
_EXACT = "exact, as the objective declares no noise"


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
    seen = best_seen(run)
    if seen is None:
        return None
    noise = noise_of(run.header.noise_sd, measured(run, seen.place))
    if noise.sd > 0:
        return _from_model(run, noise)
    best = Estimate(
        seen.config, seen.best, "a single evaluation of an objective that declares no noise", 1
    )
    place = run.default()
    if place is not None:
        value = float(run.values[place])
        default = Estimate(run.configs[place], value, best.evidence, 1)
        return Recommendation(best, default, _between(run, seen.place, place))
    known = measured(run, seen.place)
    if not len(known):
        return Recommendation(best, None, None)
    default = _default(run, known, NOTHING)
    gain = default.value - seen.best
    return Recommendation(best, default, Gain(gain, gain, gain, _EXACT))


def _from_new(run: Run, again: Run, found: Candidate) -> Recommendation:
    """Return the estimates from new evaluations; for the default, also from the run itself."""
    best = Estimate(found.config, found.mean, "the mean of new evaluations", len(found.values))
    rounds = by_round(again, found.config)
    if rounds is not None:
        known = np.concatenate([measured(again, i) for i in _places(again, found.config)])
        noise = noise_of(run.header.noise_sd, known)
        return Recommendation(best, _default(run, known, NOTHING), _paired(*rounds, noise))
    usual = run.header.default
    values, evidence = evaluated(again, usual), "the mean of new evaluations"
    if not len(values):
        values, evidence = evaluated(run, usual), "the mean of its evaluations"
    if not len(values) or usual is None:
        return Recommendation(best, None, None)
    gain = _welch(values, found.values, run.header.noise_sd)
    default = Estimate(usual, float(values.mean()), evidence, len(values))
    return Recommendation(best, default, gain)


def _paired(values: Floats, defaults: Floats, noise: Noise) -> Gain:
    """Return the mean difference over the rounds of a confirmation, with Student's t interval."""
    d = defaults - values
    gain, n = float(d.mean()), len(d)
    if n < 2:
        if noise.sd == 0:
            return Gain(gain, gain, gain, _EXACT)
        half = noise.half(2 * noise.sd**2, CONFIDENCE)
        return Gain(gain, gain - half, gain + half, noise.source)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * d.std(ddof=1) / np.sqrt(n))
    return Gain(gain, gain - half, gain + half, f"paired over {n} rounds of new evaluations")


def _from_model(run: Run, noise: Noise) -> Recommendation | None:
    chosen = recommended(run, noise.sd)
    if chosen is None:
        return None
    model = normal_model(run, noise.sd)
    mean, variance = model[_key(chosen.config)]
    evidence = f"the posterior mean under {noise.source}"
    best = Estimate(chosen.config, mean, evidence, len(chosen.values))
    own, trials = measured(run, chosen.place), evaluated(run, run.header.default)
    if len(own):
        default = _default(run, own, trials)
        more = noise.sd**2 / default.evaluations
    elif len(trials) and run.header.default is not None:
        usual, more = model[_key(run.header.default)]
        default = Estimate(run.header.default, usual, evidence, len(trials))
    else:
        return Recommendation(best, None, None)
    half = noise.half(variance + more, CONFIDENCE)
    gain = default.value - mean
    if chosen.config == default.config:  # the gain of a configuration over itself
        default, gain, half = replace(default, value=mean), 0.0, 0.0
    return Recommendation(best, default, Gain(gain, gain - half, gain + half, evidence))


def _default(run: Run, own: Floats, trials: Floats) -> Estimate:
    """Return the mean of the objective's own measurements of the default and of its trials."""
    assert run.header.default is not None  # only a default is measured
    values = np.concatenate([own, trials])
    evidence = "the mean of the measurements that the objective makes of its default"
    return Estimate(run.header.default, float(values.mean()), evidence, len(values))


def _places(run: Run, config: Config) -> list[int]:
    return [i for i, one in enumerate(run.configs) if one == config]


def _key(config: Config) -> str:
    return json.dumps(config, sort_keys=True)


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
        return Gain(gain, gain, gain, _EXACT)
    before, after = (one for one in outcomes if one is not None)
    if len(before) != len(after) or len(before) < 2:
        return Gain(gain, gain, gain, _EXACT)
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
