"""Read a server's own metrics during the load, from its Prometheus page, every 0.5 s.

A gauge (KV-cache usage, requests waiting) has returned to zero by the end of the load. It is
therefore sampled, and its mean and maximum are recorded. For a counter (preemptions, prefix-cache
hits), the growth over the load is recorded.
"""

import re
import statistics
import threading
import urllib.request
from collections import defaultdict
from http.client import HTTPException
from types import TracebackType

from objectives.serving.engine import Engine

_PERIOD_S = 0.5
_ANSWER_S = 2.0
_LINE = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)(?:\{.*\})? +(\S+)(?: +-?\d+)?")


def read(text: str) -> dict[str, list[float]]:
    """Return the samples of each name on a page in Prometheus' text format, ignoring labels.

    With data parallelism, one server has several engines, and each gives one sample.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for line in text.splitlines():
        sample = None if line.startswith("#") else _LINE.fullmatch(line.strip())
        if sample:
            found[sample[1]].append(float(sample[2]))
    return dict(found)


class ServerMetrics:
    """Reads a server's metrics inside the `with` block; metrics that cannot be read are left out.

    Args:
        engine: names the metrics in `gauges` and `counters`. If both are empty, nothing is read.
        url: the server's address.
    """

    def __init__(self, engine: Engine, url: str) -> None:
        self._engine, self._url = engine, f"{url}/metrics"
        self._gauges: dict[str, list[float]] = defaultdict(list)
        self._first: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "ServerMetrics":
        if self._engine.gauges or self._engine.counters:
            self._first = self._counters(self._page())
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        if self._thread.ident is not None:
            self._thread.join()
            self._last = self._counters(self._page())

    def metrics(self) -> dict[str, float]:
        """Return `<gauge>_mean` and `<gauge>_max`, and each counter's growth over the block."""
        found: dict[str, float] = {}
        for name, samples in self._gauges.items():
            found[f"{name}_mean"] = statistics.fmean(samples)
            found[f"{name}_max"] = max(samples)
        shared = [name for name in self._first if name in self._last]
        return found | {name: self._last[name] - self._first[name] for name in shared}

    def _watch(self) -> None:
        while not self._done.wait(_PERIOD_S):
            page = self._page()
            for theirs, ours in self._engine.gauges.items():
                if theirs in page:
                    self._gauges[ours].append(max(page[theirs]))

    def _counters(self, page: dict[str, list[float]]) -> dict[str, float]:
        known = self._engine.counters.items()
        return {ours: sum(page[theirs]) for theirs, ours in known if theirs in page}

    def _page(self) -> dict[str, list[float]]:
        try:
            with urllib.request.urlopen(self._url, timeout=_ANSWER_S) as answer:
                return read(answer.read().decode(errors="replace"))
        except (OSError, ValueError, HTTPException):
            return {}
