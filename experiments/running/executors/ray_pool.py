"""The runs of a sweep on a Ray cluster: a pool whose workers are actors.

A run whose node is lost is given to another worker, at most three times; it resumes from its log,
so all nodes must share the disk that holds the sweep's folder.
"""

import traceback
from collections import Counter, deque
from typing import Any

from experiments.running import interrupts
from experiments.running.executors.pool import Done, Progress, Work
from experiments.running.executors.ray_cluster import Cluster, go_to, node_id
from experiments.running.executors.ray_crew import Crew, Ending
from objectives.objective import Resources

_TRIES = 3
_POLL_S = 1.0


class RayPool:
    """At most `n` actors, each started when it is first needed."""

    def __init__(
        self,
        work: Work,
        n: int,
        resources: Resources,
        address: str | None = None,
        cpus: int | None = None,
    ) -> None:
        """Connect to the cluster.

        Args:
            work: the function that the workers call for each task; importable on every
                node.
            n: the largest number of workers.
            resources: what one task needs.
            address: `host:port` or `auto` of a running cluster; None starts a local one.
            cpus: the cores that a local cluster offers; None means those of the machine.

        Raises:
            ValueError: no cluster answers, or it is too small.
        """
        self._n = n
        self._cluster = Cluster(address, cpus)
        try:
            self._cluster.check(resources, n, "runs")
            self._crew = Crew(self._cluster, n, resources, _Worker, work)
        except BaseException:
            self._cluster.close()
            raise
        self._messages: deque[Done | Progress] = deque()
        self._lost: Counter[int] = Counter()

    @property
    def free(self) -> int:
        return self._n - self.busy

    @property
    def busy(self) -> int:
        return self._crew.busy + sum(isinstance(message, Done) for message in self._messages)

    def submit(self, task: Any) -> None:
        self._crew.submit(task)

    def next(self, timeout_s: float | None = None) -> Done | Progress | None:
        if not self._messages:
            for ending in self._crew.wait(_POLL_S if timeout_s is None else timeout_s):
                self._take(ending)
        return self._messages.popleft() if self._messages else None

    def _take(self, ending: Ending) -> None:
        """Turn the end of a task into messages, or give the task to another worker."""
        task = ending.task
        if ending.how == "done":
            reports, *result = ending.result
            self._messages += [Progress(task, report) for report in reports]
            self._messages.append(Done(task, *result))
            return
        self._lost[id(task)] += ending.how == "lost"
        if ending.how == "lost" and self._lost[id(task)] < _TRIES:
            self._crew.submit(task)
            return
        died = "the loss of its node" if ending.how == "lost" else f"its actor ({ending.reason})"
        self._messages.append(Done(task, died=died))

    def close(self) -> None:
        self._crew.close()
        self._cluster.close()


class _Worker:
    """The actor: does tasks."""

    def __init__(self, work: Work, folder: str) -> None:
        go_to(folder)
        self._work = work

    def node(self) -> str:
        return node_id()

    def do(self, task: Any) -> tuple[Any, ...]:
        """Return the reports of a task, its result, its error on one line, and the traceback."""
        reports: list[Any] = []
        try:
            with interrupts.held():
                return reports, self._work(task, reports.append)
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            return reports, None, reason, traceback.format_exc()
