"""A connection to a Ray cluster: where workers fit, and whether a lost worker lost its node.

Only Ray's core is used. Without an address, a cluster of this machine alone is started, and it ends
with this process.
"""

import os
import re
import signal
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from objectives.objective import Resources

_FOUND_BY_RAY = "auto"  # the address for which Ray looks for a running cluster itself
_CONNECT_S = 5.0
_PING_S = 10.0
_HOST_PORT = re.compile(r"(?:ray://)?(?P<host>[^:/\s]+):(?P<port>\d+)")
_NODE_DIED = re.compile(r"node (?:has )?(?:died|is dead)|node was (?:lost|terminated)", re.I)


@dataclass(frozen=True)
class Place:
    """A node of the cluster.

    Attributes:
        id: Ray's name of the node.
        cpus: its processor cores.
        gpus: its GPUs.
    """

    id: str
    cpus: int
    gpus: int

    def holds(self, resources: Resources) -> int:
        """Return how many evaluations it holds at once."""
        if resources.gpus > self.gpus or resources.cores > self.cpus:
            return 0
        if resources.whole_host:
            return 1
        counts = [self.cpus // resources.cores] if resources.cores else []
        counts += [self.gpus // resources.gpus] if resources.gpus else []
        return min(counts, default=self.cpus)


class Cluster:
    """The cluster of one run or of one sweep."""

    def __init__(self, address: str | None, cpus: int | None = None) -> None:
        """Connect to a cluster, or start one.

        Args:
            address: `host:port` or `auto` of a running cluster; None starts a local one.
            cpus: the cores that a local cluster offers; None means those of the machine.

        Raises:
            ValueError: Ray is not installed, or no cluster answers at the address.
        """
        found = None if address is None else _checked(address)
        self._ray = _ray()
        self._gone: set[str] = set()  # lost nodes, which Ray lists as alive for some seconds more
        self._ours = not self._ray.is_initialized()  # a notebook may have connected already
        if self._ours:
            _connect(self._ray, found, cpus)

    def close(self) -> None:
        """Disconnect; a local cluster ends."""
        if self._ours:
            self._ray.shutdown()

    def places(self) -> list[Place]:
        """Return the living nodes."""
        return [
            Place(
                node["NodeID"],
                int(node["Resources"].get("CPU", 0)),
                int(node["Resources"].get("GPU", 0)),
            )
            for node in self._ray.nodes()
            if node["Alive"] and node["NodeID"] not in self._gone
        ]

    def capacity(self, resources: Resources) -> int:
        """Return how many workers with these resources fit into the cluster."""
        return sum(place.holds(resources) for place in self.places())

    def check(self, resources: Resources, n: int, where: str = "workers") -> None:
        """Raise `ValueError` unless this number of tasks with these resources fits.

        Args:
            resources: what one task needs.
            n: the number of tasks at once.
            where: the setting that this number comes from.
        """
        most = self.capacity(resources)
        if n <= most:
            return
        each = _shown(resources)
        sizes = [f"{place.cpus} CPUs and {place.gpus} GPUs" for place in self.places()]
        raise ValueError(
            f"{where}: expected at most {most}, as each of them needs {each} and the nodes of the "
            f"Ray cluster have {'; '.join(sizes) or 'nothing'}, got {n}"
        )

    def actor(
        self, kind: type, resources: Resources, used: Sequence[str], *given: Any
    ) -> tuple[Any, str | None] | None:
        """Start an actor with the resources of one task; return None if there is no room.

        Args:
            kind: its class, which must be importable on every node.
            resources: what one evaluation needs.
            used: the nodes that other actors have for themselves, if each needs a whole host.
            given: the arguments of its constructor.

        Returns:
            The actor, and the node that it has for itself; None if it shares its node.
        """
        node = None
        options: dict[str, Any] = {"num_cpus": resources.cores, "num_gpus": resources.gpus}
        if resources.whole_host:
            free = [p for p in self.places() if p.id not in used and p.holds(resources)]
            if not free:
                return None
            node, options = free[0].id, self._whole(free[0])
        return self._ray.remote(kind).options(max_restarts=0, **options).remote(*given), node

    def _whole(self, place: Place) -> dict[str, Any]:
        """Return the options of an actor that has a node for itself."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = NodeAffinitySchedulingStrategy(place.id, soft=False)
        return {"num_cpus": place.cpus, "num_gpus": place.gpus, "scheduling_strategy": there}

    def lost(self, node: str | None, error: BaseException) -> bool:
        """Return whether an actor died because its node did.

        Args:
            node: the id of the node; None if the actor never reported it.
            error: the exception with which Ray reports the death.
        """
        if node is None:
            return _NODE_DIED.search(str(error)) is not None
        known = node in [place.id for place in self.places()]
        if known and not _NODE_DIED.search(str(error)) and self._answers(node):
            return False
        self._gone.add(node)
        return True

    def _answers(self, node: str) -> bool:
        """Return whether a node still starts tasks; Ray notices a lost node after seconds."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = NodeAffinitySchedulingStrategy(node, soft=False)
        ping = self._ray.remote(_ping).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
        try:
            self._ray.get(ping.remote(), timeout=_PING_S)
        except Exception:  # Ray reports a lost node by several kinds of exceptions
            return False
        return True


def node_id() -> str:
    """Return the id of the node on which an actor runs."""
    found: str = _ray().get_runtime_context().get_node_id()
    return found


def go_to(folder: str) -> None:
    """Change to the driver's folder, where this node has it."""
    with suppress(OSError):
        os.chdir(Path(folder))


def _ping() -> None:
    """Do nothing."""


def _shown(resources: Resources) -> str:
    cores = f"{resources.cores} CPU{'s' if resources.cores != 1 else ''}"
    gpus = f" and {resources.gpus} GPU{'s' if resources.gpus != 1 else ''}"
    alone = " on a separate node" if resources.whole_host else ""
    return f"{cores}{gpus if resources.gpus else ''}{alone}"


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise ValueError(
            "executor: expected the package ray, got none; install it with: "
            "pip install 'tuneoff[ray]'"
        ) from None
    return ray


def _connect(ray: Any, address: str | None, cpus: int | None) -> None:
    """Connect, and keep the handler of SIGTERM, which Ray replaces by one that exits anywhere."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        _init(ray, address, cpus)
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _init(ray: Any, address: str | None, cpus: int | None) -> None:
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        ray.init("local", num_cpus=cpus, include_dashboard=False, **quiet)
        return
    try:
        ray.init(address, **quiet)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise ValueError(_unreachable(address, _first_line(error))) from None


def _checked(address: str) -> str:
    """Return the address, or raise where nothing listens; Ray itself would try for a minute."""
    found = _HOST_PORT.fullmatch(address)
    if address != _FOUND_BY_RAY and found is None:
        raise ValueError(f"executor.address: expected auto or host:port, got {address!r}")
    if found is not None:
        try:
            socket.create_connection((found["host"], int(found["port"])), _CONNECT_S).close()
        except (OSError, OverflowError) as error:
            raise ValueError(_unreachable(address, str(error))) from None
    return address


def _unreachable(address: str, reason: str) -> str:
    return (
        f"executor.address: expected a running Ray cluster, got no answer at {address} ({reason}); "
        f"start one with: ray start --head"
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
