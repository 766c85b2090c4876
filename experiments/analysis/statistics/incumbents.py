"""Which configuration to report: the best seen, the recommended, or the confirmed one.

- Best seen: the incumbent, by its own evaluation. Under noise its value is optimistically biased.
- Recommended, from the run's log alone: the configuration with the least posterior mean under a
  common normal prior (empirical Bayes), so repeated evaluations of a configuration reduce the
  shrinkage. Without noise, or if no configuration was evaluated twice, it is the best seen.
- Confirmed: the configuration with the least mean over new evaluations of the top few, with seeds
  that no run has used, paid from a separate budget (`experiments.sweeping.confirm`).

A configuration that failed, or broke a limit, in any of its evaluations ranks after all that never
did.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.analysis.results import Floats, Run
from objectives.trial import Config


@dataclass(frozen=True)
class Candidate:
    """A configuration of a run with its full evaluations.

    Attributes:
        values: the values of its successful evaluations, (n_successes,).
        n_failed: the number of its failed evaluations.
        place: the index of its best evaluation in the run, which breaks ties.
    """

    config: Config
    values: Floats
    n_failed: int
    place: int

    @property
    def best(self) -> float:
        """Its least value; infinite without a success."""
        return float(self.values.min(initial=np.inf))

    @property
    def mean(self) -> float:
        """The mean of its values; infinite without a success."""
        return float(self.values.mean()) if len(self.values) else np.inf

    @property
    def standard_error(self) -> float:
        """The standard error of the mean; NaN with fewer than two values."""
        n = len(self.values)
        return float(self.values.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan


def candidates(run: Run) -> list[Candidate]:
    """Return the configurations that have a full evaluation, the best seen first."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, config in enumerate(run.configs):
        if run.fidelities[place] == 1.0:
            places[_key(config)].append(place)
    good = ~run.failed & ~np.isnan(run.values) & run.kept
    found = []
    for own in places.values():
        succeeded = [place for place in own if good[place]]
        values = run.values[succeeded]
        first = succeeded[int(np.argmin(values))] if succeeded else own[0]
        found.append(Candidate(run.configs[first], values, len(own) - len(succeeded), first))
    return sorted(found, key=lambda one: (one.best, one.place))


def best_seen(run: Run) -> Candidate | None:
    """Return the incumbent; None without a success."""
    first = next(iter(candidates(run)), None)
    return None if first is None or np.isinf(first.best) else first


def recommended(run: Run, noise_sd: float) -> Candidate | None:
    """Return the configuration with the least posterior mean; None without a success.

    The posterior mean of a configuration with m values of mean y is
    (t y + s mu / m) / (t + s / m), where s is the variance of the noise, mu the mean over
    configurations, and t the variance of their means less the variance of the noise in them.

    Args:
        run: the run, with its evaluations.
        noise_sd: standard deviation of the value over evaluations of one configuration.
    """
    succeeded = [one for one in candidates(run) if len(one.values)]
    if not succeeded:
        return None
    model = normal_model(run, noise_sd)
    keys = [(one.n_failed > 0, model[_key(one.config)][0], one.place) for one in succeeded]
    return succeeded[min(range(len(keys)), key=keys.__getitem__)]


def normal_model(run: Run, noise_sd: float) -> dict[str, tuple[float, float]]:
    """Return the posterior mean and variance of each configuration's value, by its JSON.

    The model is that of `recommended`; the variance is t s / (m t + s).
    """
    succeeded = [one for one in candidates(run) if len(one.values)]
    if not succeeded:
        return {}
    means = np.array([one.mean for one in succeeded])
    noise = noise_sd**2 / np.array([len(one.values) for one in succeeded])
    spread = max(float(means.var() - noise.mean()), 1e-12)
    posterior = (spread * means + noise * means.mean()) / (spread + noise)
    variance = spread * noise / (spread + noise)
    rows = zip(succeeded, posterior.tolist(), variance.tolist(), strict=True)
    return {_key(one.config): (mean, var) for one, mean, var in rows}


def _key(config: Config) -> str:
    return json.dumps(config, sort_keys=True)


def top(run: Run, noise_sd: float, n: int) -> list[Candidate]:
    """Return at most n candidates to confirm: the recommended one, then the best seen in order."""
    first = recommended(run, noise_sd)
    if first is None:
        return []
    others = [one for one in candidates(run) if len(one.values) and one.place != first.place]
    return [first, *others][:n]


def confirmed(again: Sequence[Candidate]) -> Candidate | None:
    """Return the best of the newly evaluated candidates; None without a success."""
    found = [one for one in again if len(one.values)]
    return min(found, key=lambda one: (one.n_failed > 0, one.mean, one.place), default=None)
