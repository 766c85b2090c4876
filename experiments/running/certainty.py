"""A sentence on how certain the difference between two evaluations of one run is.

If both evaluations logged the outcomes of the same items, they are compared item by item: binary
outcomes by the exact McNemar test, numbers by the mean of the paired differences with a 95 %
interval. Otherwise the difference is compared with the noise that the objective declares.
"""

import math

import numpy as np
from numpy.typing import NDArray

from experiments.running.headline import untrained_name
from experiments.running.history import History
from objectives.items import unpack


def certainty(history: History, best: int, other: int) -> str | None:
    """Return how certain the difference between two trials is; None if that is unknown.

    Args:
        history: the history of the run.
        best: the id of the incumbent.
        other: the id of the trial that it is compared with.
    """
    header = history.header
    assert header is not None
    if header.metric is not None:
        outcomes = [_outcomes(history, id, header.metric) for id in (best, other)]
        if outcomes[0] is not None and outcomes[1] is not None:
            said = _by_item(outcomes[0], outcomes[1])
            if said is not None:
                return said
    return _by_noise(history, best, other)


def certainty_of_training(history: History, best: int) -> str | None:
    """Return how certain the difference between a trial and its untrained model is.

    Args:
        history: the history of the run.
        best: the id of the incumbent. The objective may have logged the items of the untrained
            model with it; None is returned if it has not.
    """
    header = history.header
    assert header is not None
    if header.metric is None:
        return None
    trained = _outcomes(history, best, header.metric)
    untrained = _outcomes(history, best, untrained_name(header.metric))
    return None if trained is None or untrained is None else _by_item(trained, untrained)


def _by_noise(history: History, best: int, other: int) -> str | None:
    assert history.header is not None
    values = [history.evaluations[id].value for id in (best, other)]
    if values[0] is None or values[1] is None:
        return None
    sd = history.header.noise_sd
    if sd <= 0:
        return "the objective declares no noise: the same configuration gives the same number"
    times = abs(values[0] - values[1]) / (math.sqrt(2) * sd)
    said = f"the difference is {times:.2g} times the noise of a difference of two evaluations"
    if times < 2:
        said += ", so it may be due to chance"
    return said


def _outcomes(history: History, id: int, metric: str) -> NDArray[np.float64] | None:
    """Return the outcomes of a trial's items, shape (n,); None if it has no item outcomes."""
    evaluation = history.evaluations[id]
    mean, text = evaluation.metrics.get(metric), evaluation.items.get(metric)
    if mean is None or text is None:
        return None
    try:
        return unpack(text, mean)
    except ValueError:
        return None


def _by_item(best: NDArray[np.float64], other: NDArray[np.float64]) -> str | None:
    n = min(len(best), len(other))
    if n == 0 or best[n:].any() or other[n:].any():
        return None  # the evaluations used different items
    d = best[:n] - other[:n]
    if np.isin(d, (-1.0, 0.0, 1.0)).all():
        gained, lost = int((d > 0).sum()), int((d < 0).sum())
        p = mcnemar(gained, lost)
        verdict = "" if p < 0.05 else ", so it may be due to chance"
        return (
            f"of {n:,} items, {gained:,} went up and {lost:,} went down "
            f"(exact McNemar test: p = {p:.2g}{verdict})"
        )
    if n < 2:
        return None
    half = 1.96 * float(d.std(ddof=1)) / math.sqrt(n)
    verdict = "" if abs(float(d.mean())) > half else ", so it may be due to chance"
    return f"over {n:,} items the mean differs by {d.mean():.3g} ± {half:.2g} (95 %{verdict})"


def mcnemar(gained: int, lost: int) -> float:
    """Return the two-sided p-value of the exact McNemar test, a sign test on the changed items."""
    n, least = gained + lost, min(gained, lost)
    if gained == lost:
        return 1.0
    log_terms = [
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2)
        for k in range(least + 1)
    ]
    return min(1.0, 2 * math.fsum(map(math.exp, log_terms)))
