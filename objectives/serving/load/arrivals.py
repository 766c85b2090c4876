"""The requests of a load: the arrival time and the token counts of each request.

Closed loop: `concurrency` requests are in flight at any time; the next one is sent when one ends.
Open loop: requests arrive at times that do not depend on the server. The times are drawn from a
Poisson process or read from a recorded trace.

`traces.py` describes the formats of traces. The environment variable TUNEOFF_DATA names the data
folder. Its subfolder `serving/` holds the traces of `TRACES`, which are Azure's traces of 2023 as
microsoft/vidur processed them.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectives import expected
from objectives.serving.load.lengths import LARGEST, parse
from objectives.serving.load.traces import read_trace

MOST = 10_000_000  # requests of a load, which are held in memory; also the most tokens of a prefix
TRACES = ("azure_2023_conversation", "azure_2023_code")
_KEYS = {
    "closed": {"concurrency", "requests", "lengths", "shared_prefix"},
    "poisson": {"rate_per_s", "requests", "lengths", "shared_prefix"},
    "trace": {"trace", "requests", "time_scale", "token_scale", "shared_prefix"},
}


@dataclass(frozen=True)
class Plan:
    """The requests of one load, in the order of their arrival.

    Attributes:
        prompt_tokens: (n,) tokens of each prompt, the shared prefix included.
        answer_tokens: (n,) tokens requested for each answer.
        arrivals_s: (n,) arrival time in seconds after the first arrival; None in a closed loop.
        concurrency: requests in flight at any time in a closed loop; None in an open loop.
        shared_prefix: number of tokens at the beginning of every prompt that all prompts share. A
            shorter prompt consists of the beginning of the prefix.
    """

    prompt_tokens: NDArray[np.int64]
    answer_tokens: NDArray[np.int64]
    arrivals_s: NDArray[np.float64] | None
    concurrency: int | None
    shared_prefix: int

    def __len__(self) -> int:
        return len(self.prompt_tokens)

    def first(self, n: int) -> "Plan":
        """Return the first n requests: a load of lower fidelity."""
        arrivals = None if self.arrivals_s is None else self.arrivals_s[:n]
        prompts, answers = self.prompt_tokens[:n], self.answer_tokens[:n]
        return Plan(prompts, answers, arrivals, self.concurrency, self.shared_prefix)

    @property
    def largest(self) -> int:
        """The tokens of the longest request, prompt and answer together."""
        return int((self.prompt_tokens + self.answer_tokens).max())


def plan(load: Mapping[str, Any], seed: int) -> Plan:
    """Return the requests of a load, which the settings and the seed determine.

    Args:
        load: `arrivals` (closed, poisson or trace), `requests`, `shared_prefix`, and
            - closed: `concurrency` and `lengths` (the grammar of `lengths.py`);
            - poisson: `rate_per_s` and `lengths`;
            - trace: `trace` (a name in `TRACES` or a path), `time_scale` and `token_scale`,
              which multiply the trace's times and lengths.
            Keys that only other kinds of arrival need are permitted too.
        seed: seed of the lengths and of the Poisson arrivals.

    Raises:
        ValueError: a setting is missing, unknown or impossible, or the trace cannot be read.
    """
    kind = load.get("arrivals")
    kind = expected.one_of("objective.load.arrivals", kind, _KEYS)
    known = set().union(*_KEYS.values()) | {"arrivals"}
    for key in load:
        if key not in known:
            raise ValueError(f"objective.load: expected the keys {sorted(known)}, got {key}")
    for key in sorted(_KEYS[kind]):
        if load.get(key) is None:
            raise ValueError(f"objective.load.{key}: expected a value for {kind}, got none")
    n = _whole(load, "requests", 1)
    prefix = _whole(load, "shared_prefix", 0)
    if kind == "trace":
        return _traced(load, n, prefix)
    generator = np.random.default_rng(seed)
    tokens = parse(load["lengths"]).draw(n, generator)
    if kind == "closed":
        return Plan(tokens[:, 0], tokens[:, 1], None, _whole(load, "concurrency", 1), prefix)
    gaps = generator.exponential(1 / _positive(load, "rate_per_s"), n)
    arrivals = np.cumsum(gaps) - gaps[0]
    return Plan(tokens[:, 0], tokens[:, 1], arrivals, None, prefix)


def _traced(load: Mapping[str, Any], n: int, prefix: int) -> Plan:
    path = trace_path(str(load["trace"]))
    try:
        rows = read_trace(path)
    except OSError as error:
        raise ValueError(
            f"objective.load.trace: expected a file that can be read, got {path}: {error.strerror}"
        ) from None
    if len(rows) < n:
        raise ValueError(
            f"objective.load.requests: expected at most {len(rows)}, the rows of {path}, got {n}"
        )
    rows = rows[:n]
    with np.errstate(over="ignore"):
        arrivals = (rows[:, 0] - rows[0, 0]) * _positive(load, "time_scale")
        scaled = rows[:, 1:] * _positive(load, "token_scale")
    if not np.isfinite(arrivals).all():
        raise ValueError(
            f"objective.load.time_scale: expected one that keeps the arrivals of {path} finite, "
            f"got {load['time_scale']}"
        )
    if not (scaled <= LARGEST).all():
        raise ValueError(
            f"objective.load.token_scale: expected one that keeps the lengths of {path} below "
            f"{LARGEST}, got {load['token_scale']}"
        )
    tokens = np.rint(scaled).clip(1).astype(np.int64)
    return Plan(tokens[:, 0], tokens[:, 1], arrivals, None, prefix)


def trace_path(trace: str) -> Path:
    """Return the file of a trace: a path, or a trace of `TRACES` in the folder TUNEOFF_DATA.

    Raises:
        ValueError: the file does not exist.
    """
    if trace not in TRACES:
        path = Path(trace).expanduser()
    else:
        folder = os.environ.get("TUNEOFF_DATA")
        if not folder:
            raise ValueError(
                f"objective.load.trace: expected TUNEOFF_DATA to name the folder whose serving/ "
                f"holds {trace}.csv, got nothing; set it"
            )
        path = Path(folder).expanduser() / "serving" / f"{trace}.csv"
    if not path.is_file():
        raise ValueError(
            f"objective.load.trace: expected one of {list(TRACES)} or a file of a trace, got {path}"
        )
    return path


def _whole(load: Mapping[str, Any], key: str, lowest: int) -> int:
    return expected.whole(f"objective.load.{key}", load[key], lowest, MOST)


def _positive(load: Mapping[str, Any], key: str) -> float:
    return float(expected.number(f"objective.load.{key}", load[key], above=0))
