"""Which configuration to report: the best seen, the recommended, the confirmed.

- Best seen: the incumbent, by its own evaluation. Under noise it is the luckiest as well.
- Recommended, from the run's own log: the least posterior mean of a configuration's value under a
  normal prior for all of them (empirical Bayes), so that one that was evaluated again and again is
  believed more. Without noise, or where none was evaluated twice, it is the best seen.
- Confirmed: the least mean over new evaluations of the top few, under seeds that no run has seen,
  paid from a budget of their own (`experiments.sweeping.confirm`).

A configuration that failed in any of its evaluations comes after all that never did.
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
    """A configuration of a run, by its full evaluations.

    Attributes:
        values: of the successes, (n_successes,).
        n_failed: evaluations of it that failed.
        place: of its best evaluation in the run, by which ties are broken.
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
        """Of the mean; NaN below two values."""
        n = len(self.values)
        return float(self.values.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan


def candidates(run: Run) -> list[Candidate]:
    """Return the configurations that had a full evaluation, the best seen first."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, config in enumerate(run.configs):
        if run.fidelities[place] == 1.0:
            places[_key(config)].append(place)
    good = ~run.failed & ~np.isnan(run.values)
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
    """Return what the log recommends; None without a success.

    Posterior mean of a configuration with m values of mean y: (t y + s mu / m) / (t + s / m),
    with s the variance of the noise, mu the mean over configurations, and t the variance of
    their means less that of the noise in them.

    Args:
        run: its log.
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
    """Return at most n candidates to confirm: the recommended, then the best seen in order."""
    first = recommended(run, noise_sd)
    if first is None:
        return []
    others = [one for one in candidates(run) if len(one.values) and one.place != first.place]
    return [first, *others][:n]


def confirmed(again: Sequence[Candidate]) -> Candidate | None:
    """Return the confirmed one among newly evaluated candidates; None without a success."""
    found = [one for one in again if len(one.values)]
    return min(found, key=lambda one: (one.n_failed > 0, one.mean, one.place), default=None)
