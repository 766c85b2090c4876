"""Compute the metrics of a load from its requests, in SI units.

    TTFT   time to first token: first token - arrival
    TPOT time per output token: (last token - first token) / (tokens - 1), per request ITL
    inter-token latency, per token: the gap between two chunks of a stream, shared among the
           tokens of the later one, over all tokens except those of each request's first chunk
    E2E    last token - arrival

A token counts whether or not it has text (`tokens.py`). ITL is computed per token. An engine that
sends the accepted tokens of a speculative step in one chunk (vLLM, SGLang) is therefore not
penalised: 4 chunks of 3 tokens, one every 0.3 s, have an ITL of 0.1 s. An engine that sends these
tokens one by one (llama.cpp) has the same mean, but its percentiles show the burst: several gaps
near 0 and one gap as long as the step. Percentiles of ITL are therefore not comparable between
values of `speculative` on llama.cpp, nor between llama.cpp and the other engines. TPOT is
comparable.

In an open loop, the arrival is the time at which the request was due, even if the client sent it
later. In a closed loop, it is the time at which the client sent the request. Metrics are named
`<quantity>_p<percentile>_s`. Percentiles interpolate linearly and cover the successful requests.
Rates are computed over the time from the first arrival to the last end; failed requests add neither
tokens nor requests to them. A request without a token has failed, and a request that lacks a
latency does not meet a limit on it. The exception is TPOT: an answer of one token has no TPOT and
meets every limit on it.
"""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from objectives.trial import Goal

QUANTITIES = ("ttft", "tpot", "itl", "e2e")
STANDARD = ("ttft_p50_s", "ttft_p90_s", "tpot_p90_s", "itl_p50_s", "e2e_p90_s")
"""Latencies that every load reports; an SLO may name other percentiles."""
RATES = ("output_tokens_per_s", "requests_per_s", "goodput_per_s")
OTHERS = ("failed_share", "memory_bytes", "startup_s")
PER_GPU = "_per_gpu"
"""Suffix of the name of a rate that is divided by the configuration's number of GPUs."""
MORE_IS_BETTER = RATES
_LATENCY = re.compile(rf"({'|'.join(QUANTITIES)})_p(\d{{1,2}}(?:\.\d+)?)_s")


@dataclass(frozen=True)
class Requests:
    """One row per request of a load, in the order of arrival; times in seconds after its start.

    Attributes:
        arrival_s: (n,) time at which the request was due (open loop) or sent (closed loop).
        first_s: (n,) time at which its first token came; NaN if none came.
        end_s: (n,) time at which its last token, or its error, came.
        prompt_tokens: (n,) tokens of the prompt.
        answer_tokens: (n,) tokens received.
        errors: n texts; "" for a successful request.
        gaps_s: (m,) gap before each token, of all successful requests (`gaps`).
    """

    arrival_s: NDArray[np.float64]
    first_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    prompt_tokens: NDArray[np.int64]
    answer_tokens: NDArray[np.int64]
    errors: tuple[str, ...]
    gaps_s: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.arrival_s)

    @property
    def succeeded(self) -> NDArray[np.bool_]:
        """Whether each request (n,) got its complete answer."""
        return np.array([error == "" for error in self.errors], dtype=bool)

    def latencies(self) -> dict[str, NDArray[np.float64]]:
        """Return TTFT, TPOT and E2E of each request (n,) in s; NaN for a missing one."""
        with np.errstate(invalid="ignore", divide="ignore"):
            more = self.answer_tokens - 1
            tpot = np.where(more > 0, (self.end_s - self.first_s) / more, np.nan)
        found = {
            "ttft": self.first_s - self.arrival_s,
            "tpot": tpot,
            "e2e": self.end_s - self.arrival_s,
        }
        return {name: np.where(self.succeeded, x, np.nan) for name, x in found.items()}

    def pack(self) -> dict[str, str]:
        """Return the rows as columns: little-endian float16 in base64 (log format 1).

        `failed` is 1 for a failed request; a missing `ttft_s` or `e2e_s` is NaN.
        """
        latencies = self.latencies()
        columns = {
            "arrival_s": self.arrival_s,
            "ttft_s": latencies["ttft"],
            "e2e_s": latencies["e2e"],
            "prompt_tokens": self.prompt_tokens,
            "answer_tokens": self.answer_tokens,
            "failed": ~self.succeeded,
        }
        return {name: _pack(np.asarray(x, dtype=float)) for name, x in columns.items()}


def _pack(column: NDArray[np.float64]) -> str:
    largest = float(np.finfo(np.float16).max)
    return base64.b64encode(np.clip(column, -largest, largest).astype("<f2").tobytes()).decode()


def gaps(came_s: Sequence[float], counts: Sequence[int]) -> NDArray[np.float64]:
    """Return the gap in s before each token of an answer (m,), without the first chunk's tokens.

    Args:
        came_s: time at which each chunk came.
        counts: number of tokens in each chunk; each token has an equal share of the chunk's gap.
    """
    tokens = np.asarray(counts[1:], dtype=np.int64)
    return np.repeat(np.diff(came_s) / np.maximum(tokens, 1), tokens)


def percentile_of(metric: str) -> tuple[str, float] | None:
    """Return the quantity and the percentile in a latency's name, or None for other names."""
    found = _LATENCY.fullmatch(metric)
    return (found[1], float(found[2])) if found else None


def goal_of(metric: str) -> dict[str, Goal]:
    """Return the goal of a metric that a load measures."""
    more = metric.removesuffix(PER_GPU) in MORE_IS_BETTER
    return {metric: Goal(minimise=not more, unit=_unit(metric))}


def _unit(metric: str) -> str:
    rate = metric.removesuffix(PER_GPU)
    if rate in RATES:
        unit = "tokens/s" if rate == "output_tokens_per_s" else "requests/s"
        return unit if rate == metric else f"{unit}/GPU"
    if metric.endswith("_bytes"):
        return "bytes"
    return "s" if metric.endswith("_s") else ""


def per_gpu(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the rates divided by the GPUs of the configuration, one where it has none."""
    gpus = metrics.get("gpus") or 1.0
    return {f"{rate}{PER_GPU}": metrics[rate] / gpus for rate in RATES}


def check_metric(where: str, metric: str, n_requests: int) -> None:
    """Raise ValueError unless a load of this many requests measures the metric.

    Above the 90th, a percentile p needs 2 / (1 - p/100) requests: p95 40, p99 200.
    """
    found = percentile_of(metric)
    if found is None:
        if metric not in (*RATES, *OTHERS):
            known = [*STANDARD, *RATES, *OTHERS]
            raise ValueError(
                f"{where}: expected a metric that is measured ({', '.join(known)}, or another "
                f"percentile of {', '.join(QUANTITIES)}), got {metric}"
            )
        return
    least = requests_needed(metric)
    if n_requests < least:
        raise ValueError(
            f"{where}: expected at least {least} requests for {metric}, got {n_requests}; take "
            f"{found[0]}_p90_s, or more requests"
        )


def requests_needed(metric: str, shortened: bool = False) -> int:
    """Return the number of requests that a load needs to measure a metric.

    Above the 90th, a percentile p needs 2 / (1 - p/100) requests. Up to the 90th, a whole load may
    have any number of requests, because its author chose the number. A shortened load needs 1 / (1
    - p/100): 10 for the 90th.
    """
    found = percentile_of(metric)
    if found is None:
        return 1
    share = 1 - found[1] / 100
    if found[1] > 90:
        return round(2 / share)
    return round(1 / share) if shortened else 1


def measure(
    requests: Requests,
    limits: Mapping[str, float],
    more: Iterable[str] = (),
) -> dict[str, float]:
    """Return the metrics of a load, by the names of the module's docstring.

    Args:
        requests: at least one row.
        limits: the limits of the SLO, by metric. Goodput counts the requests that meet the SLO. A
            request meets it if its own TTFT, TPOT and E2E are within the limits on these
            quantities, whichever percentiles the limits name.
        more: latencies beyond `STANDARD` to report.

    Latencies are absent if no request succeeded.
    """
    succeeded = requests.succeeded
    latencies = requests.latencies()
    metrics: dict[str, float] = {}
    for name in dict.fromkeys((*STANDARD, *more, *limits)):
        found = percentile_of(name)
        if found is None:
            continue
        quantity, percentile = found
        sample = requests.gaps_s if quantity == "itl" else latencies[quantity]
        sample = sample[np.isfinite(sample)]
        if len(sample):
            metrics[name] = float(np.percentile(sample, percentile))
    duration = float(np.max(requests.end_s) - np.min(requests.arrival_s))
    own = {**latencies, "tpot": np.where(requests.answer_tokens == 1, 0.0, latencies["tpot"])}
    met = succeeded & meets(own, limits)
    counted = {
        "output_tokens_per_s": float(requests.answer_tokens[succeeded].sum()),
        "requests_per_s": float(succeeded.sum()),
        "goodput_per_s": float(met.sum()),
    }
    metrics |= {name: count / duration if duration > 0 else 0.0 for name, count in counted.items()}
    metrics["failed_share"] = float(1 - succeeded.mean())
    metrics["load_s"] = duration
    return metrics


def meets(
    latencies: Mapping[str, NDArray[np.float64]], limits: Mapping[str, float]
) -> NDArray[np.bool_]:
    """Return for each request (n,) whether its latencies are within the limits; NaN is not."""
    met = np.ones(len(latencies["ttft"]), dtype=bool)
    for name, limit in limits.items():
        found = percentile_of(name)
        if found is not None and found[0] in latencies:
            met &= latencies[found[0]] <= limit
    return met
