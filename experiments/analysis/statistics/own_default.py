"""What a run knows about the value of its objective's default configuration.

It knows the trials of the default, and the measurements of it that the objective makes before the
first trial, to which its values may be relative. Each evaluation records those measurements
(`objectives.items.DEFAULT`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from experiments.analysis.results import Floats, Run
from experiments.analysis.statistics.incumbents import Candidate, candidates
from objectives.items import DEFAULT, unpack_exact
from objectives.trial import Config

NOTHING: Floats = np.empty(0)


def measured(run: Run, place: int) -> Floats:
    """Return the values of the default that an evaluation records, (n,); (0,) without any."""
    text = run.items[place].get(DEFAULT)
    if text is None or run.header.default is None:
        return NOTHING
    try:
        return unpack_exact(text)
    except ValueError:
        return NOTHING  # a pack of other people may hold anything


def evaluated(run: Run, default: Config | None) -> Floats:
    """Return the values of a run's successful full trials of the default, (n,)."""
    found = _of(candidates(run), default)
    return NOTHING if found is None else found.values


def by_round(again: Run, config: Config) -> tuple[Floats, Floats] | None:
    """Return the values of a confirmed configuration and of the default in each round.

    Args:
        again: a confirmation, in which each round has another seed.
        config: one of its configurations.

    Returns:
        The configuration's values and the means of the default's measurements in the same
        evaluations, (n,) each; None if an evaluation does not record any.
    """
    good = ~again.failed & ~np.isnan(again.values) & again.kept & (again.fidelities == 1.0)
    places = [i for i in np.flatnonzero(good).tolist() if again.configs[i] == config]
    defaults = [measured(again, place) for place in places]
    if not places or any(len(one) == 0 for one in defaults):
        return None
    return again.values[places], np.array([float(one.mean()) for one in defaults])


@dataclass(frozen=True)
class Noise:
    """The noise of one evaluation.

    Attributes:
        sd: its standard deviation.
        freedom: the degrees of freedom of its estimate; infinite if the objective declares it.
    """

    sd: float
    freedom: float = np.inf

    def half(self, variance: float, confidence: float) -> float:
        """Return half the width of an interval of a quantity with this variance."""
        share = (1 + confidence) / 2
        quantile = (
            stats.norm.ppf(share) if np.isinf(self.freedom) else stats.t.ppf(share, self.freedom)
        )
        return float(quantile * np.sqrt(variance))

    @property
    def source(self) -> str:
        """What the noise is known from, in words."""
        if np.isinf(self.freedom):
            return "the noise that the objective declares"
        return f"the noise that {self.freedom + 1:.0f} measurements of the default show"


def noise_of(declared: float, default: Floats) -> Noise:
    """Return the noise that an objective declares, or that of its default if that is larger.

    Args:
        declared: the standard deviation that the objective declares; 0 means none.
        default: the values of repeated measurements of the default, (n,).
    """
    if len(default) > 1 and float(default.std(ddof=1)) > declared:
        return Noise(float(default.std(ddof=1)), len(default) - 1.0)
    return Noise(declared)


def _of(known: Sequence[Candidate], config: Config | None) -> Candidate | None:
    return next((one for one in known if one.config == config and len(one.values)), None)
