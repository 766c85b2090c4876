"""Long-lived actors on a Ray cluster that do tasks one after the other.

A task is given only to an actor that has started, so that an actor for which the cluster has no
more room holds nothing up. The actors of a lost node are replaced as long as others have room.
"""

import os
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

from experiments.running import interrupts
from experiments.running.executors.ray_cluster import Cluster
from objectives.objective import Resources


@dataclass(frozen=True)
class Ending:
    """A task has ended.

    Attributes:
        task: the task.
        how: `done`; `lost` with the node of its actor; `died` with the process of its actor.
        result: the return value of a task that is done.
        reason: how the process ended.
    """

    task: Any
    how: Literal["done", "lost", "died"]
    result: Any = None
    reason: str = ""


class Crew:
    """At most `n` actors of one class, each started when it is first needed.

    The class has the methods `node()`, which returns the id of its node, and `do(task)`.
    """

    def __init__(
        self, cluster: Cluster, n: int, resources: Resources, kind: type, *given: Any
    ) -> None:
        """Create a crew without actors.

        Args:
            cluster: the cluster.
            n: the largest number of actors.
            resources: what one task needs.
            kind: the class of the actors, which must be importable on every node.
            given: the arguments of its constructor; the current folder is added.
        """
        self._cluster, self._n, self._resources = cluster, n, resources
        self._kind, self._given = kind, (*given, os.getcwd())
        self._actors: list[_Actor] = []
        self._queue: deque[Any] = deque()

    @property
    def busy(self) -> int:
        """The number of tasks that have not ended."""
        return len(self._queue) + sum(actor.ref is not None for actor in self._actors)

    def submit(self, task: Any) -> None:
        """Add a task to the queue."""
        self._queue.append(task)
        self._dispatch()

    def _dispatch(self) -> None:
        for actor in self._actors:
            if self._queue and actor.node is not None and actor.ref is None:
                actor.begin(self._queue.popleft())
        starting = sum(actor.node is None for actor in self._actors)
        while starting < len(self._queue) and len(self._actors) < self._n:
            used = [actor.own_node for actor in self._actors if actor.own_node is not None]
            made = self._cluster.actor(self._kind, self._resources, used, *self._given)
            if made is None:
                return
            self._actors.append(_Actor(*made))
            starting += 1

    def wait(self, timeout_s: float) -> list[Ending]:
        """Return the tasks that have ended; wait at most `timeout_s` for the first of them.

        Raises:
            OSError: all nodes on which a task fits are lost.
            RuntimeError: an actor could not be created, or a task raised an exception.
        """
        import ray

        self._dispatch()
        awaited = {actor.awaited: actor for actor in self._actors if actor.awaited is not None}
        if not awaited:
            with interrupts.released():
                time.sleep(timeout_s)
            return []
        with interrupts.released():
            ray.wait(list(awaited), timeout=timeout_s)
        ready, _ = ray.wait(list(awaited), num_returns=len(awaited), timeout=0)
        endings = [self._collected(awaited[ref]) for ref in ready]
        self._dispatch()
        return [ending for ending in endings if ending is not None]

    def _collected(self, actor: "_Actor") -> Ending | None:
        """Return the end of an actor's task; None if the actor has just started, or died idle."""
        import ray

        task = actor.task
        try:
            result = ray.get(actor.awaited)
        except ray.exceptions.RayActorError as error:
            self._actors.remove(actor)
            return self._died(actor, error)
        except ray.exceptions.RayTaskError as error:
            raise RuntimeError(f"worker: {error}") from None
        if actor.node is None:
            actor.node = result
            return None
        actor.end()
        return Ending(task, "done", result)

    def _died(self, actor: "_Actor", error: BaseException) -> Ending | None:
        reason = " ".join(str(error).split())[:300]
        if self._cluster.lost(actor.node, error):
            room = self._cluster.capacity(self._resources)
            if room == 0:
                raise OSError("executor: expected a node on which a task fits, got none left")
            self._n = min(self._n, room)
            return None if actor.node is None else Ending(actor.task, "lost", reason=reason)
        if actor.node is None:
            raise RuntimeError(f"worker: expected an actor that starts, got: {reason}")
        return Ending(actor.task, "died", reason=reason)

    def late(self, limit_s: float) -> list[Any]:
        """Return the tasks that have been in progress for longer than `limit_s`."""
        limit = time.monotonic() - limit_s
        return [
            actor.task for actor in self._actors if actor.since is not None and actor.since < limit
        ]

    def kill(self, task: Any) -> None:
        """Kill the actor that does a task."""
        for actor in [actor for actor in self._actors if actor.task is task]:
            actor.kill()
            self._actors.remove(actor)

    def close(self) -> None:
        """Kill all actors."""
        for actor in self._actors:
            actor.kill()
        self._actors.clear()
        self._queue.clear()


class _Actor:
    """The state of one actor.

    Attributes:
        node: the id of its node; None before it has started.
        own_node: the id of the node that it has for itself, if any.
        task: the task in progress.
        ref: Ray's reference to the result of that task.
        since: when the task began.
    """

    def __init__(self, made: Any, own_node: str | None) -> None:
        self._made, self.own_node = made, own_node
        self._started = made.node.remote()
        self.node: str | None = None
        self.task: Any = None
        self.ref: Any = None
        self.since: float | None = None

    @property
    def awaited(self) -> Any:
        """Ray's reference to what the actor returns next; None if it is idle."""
        return self._started if self.node is None else self.ref

    def begin(self, task: Any) -> None:
        self.task, self.ref, self.since = task, self._made.do.remote(task), time.monotonic()

    def end(self) -> None:
        self.task = self.ref = self.since = None

    def kill(self) -> None:
        import ray

        ray.kill(self._made)
