"""The interface of a serving engine: its command line, its requests and its error messages.

An engine only describes a server. `server.py` starts the server that the engine describes.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from objectives.deployment import Deployment
from objectives.serving.kinds import Kind
from objectives.trial import Config

DEPLOYED_PORT = 8000
"""The port in the command line that `tuneoff best` prints."""


@dataclass(frozen=True)
class Carried:
    """A server on another machine, or in a container; the local process only relays to it.

    Attributes:
        end: a command that ends the server's remaining processes; it exits with status 0 when none
            is left.
        memory: a command that prints the server's peak memory in bytes.
        started: the text that is printed as soon as the other machine has been reached.
        ended: the text that is printed when the server has ended by itself.
        here: whether the server nevertheless uses this machine's GPUs, as a container does.
    """

    end: list[str]
    memory: list[str]
    started: str
    ended: str
    here: bool = False


@dataclass(frozen=True)
class Launch:
    """The command that starts a server.

    Attributes:
        command: the argument list; its process ends together with ours (`objectives.child`).
        environment: variables that are added to our environment.
        carried: set if the server runs elsewhere. The command then ends within seconds after its
            standard input is closed.
    """

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    carried: Carried | None = None


@dataclass(frozen=True)
class Demand:
    """The largest demands that a load makes on the server.

    Attributes:
        tokens: the length of the longest request, prompt and answer together.
        requests: the number of requests in the load.
    """

    tokens: int
    requests: int


class Engine(ABC):
    """One serving engine with its model.

    The constructor validates its settings. It raises `ValueError` or `ModuleNotFoundError` if
    something it needs is missing. Instances are pickled and sent to worker processes.

    Attributes:
        name: the name shown to users.
        parameters: the names of the parameters that a space may tune.
        kinds: the permitted values of each parameter; a parameter without a kind is not checked.
        host: the address on which the server listens.
        most_gpus: the largest number of GPUs that a configuration may use.
        uses_gpus: whether the server runs on GPUs at all.
        grace_s: the time in seconds that the server has to end by itself before it is killed.
        remote: whether the command starts the server on another machine. `port` has to be given
            then, and we cannot check whether it is free.
        health: the path that answers with status 200 as soon as requests are served.
        completions: the path of the endpoint for completions, as in OpenAI's API.
        gauges: the gauges read from /metrics during the load, each with our name for it.
        counters: the counters read from /metrics, each with our name; their growth over the load is
            recorded.
    """

    name: str
    parameters: Sequence[str]
    kinds: Mapping[str, Kind] = MappingProxyType({})
    host: str = "127.0.0.1"
    most_gpus: int = 1
    uses_gpus: bool = False
    grace_s: float = 2.0
    remote: bool = False
    health: str = "/health"
    completions: str = "/v1/completions"
    gauges: Mapping[str, str] = MappingProxyType({})
    counters: Mapping[str, str] = MappingProxyType({})

    @abstractmethod
    def launch(self, config: Config, port: int, demand: Demand) -> Launch:
        """Return the command that starts a server with this configuration on `port` of `host`."""

    @property
    @abstractmethod
    def tokens(self) -> tuple[int, int]:
        """The first and the last token id that prompts may contain; special tokens lie outside."""

    def deployment(self, demand: Demand) -> Deployment | None:
        """Return the command line that serves a configuration on `DEPLOYED_PORT`, or None.

        The command line starts the program directly, on the machine where it is installed.
        """
        return None

    def prepare(self) -> None:
        """Do slow work that is needed only once, such as downloading the model.

        Every process that evaluates calls this method before timing starts.
        """
        return None

    def body(self, prompt: Sequence[int], answer_tokens: int) -> dict[str, Any]:
        """Return the body of a streaming request for exactly `answer_tokens` tokens."""
        return {
            "prompt": list(prompt),
            "max_tokens": answer_tokens,
            "ignore_eos": True,
            "temperature": 0.0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    def gpus(self, config: Config) -> int:
        """Return the number of GPUs that a configuration uses; rates are compared per GPU."""
        return 1

    def refusal(self, config: Config, demand: Demand) -> str | None:
        """Return the reason why the engine is known to refuse a configuration, or None."""
        return None

    @abstractmethod
    def is_out_of_memory(self, output: str) -> bool:
        """Return whether a server's output shows that it ended because it ran out of memory."""

    def reason(self, output: str) -> str:
        """Return the lines of a server's output that say why it ended; "" means its last lines."""
        return ""

    def host_fault(self, output: str) -> str | None:
        """Return the fault of the host that a server's output reports, or None."""
        return None

    def is_port_taken(self, output: str) -> bool:
        """Return whether a server's output shows that another program already used its port."""
        return "address already in use" in output.lower()

    def fingerprint(self) -> Mapping[str, Any]:
        """Return what the metrics depend on besides the settings: model and version."""
        return {}

    def notice(self) -> str:
        """Return one line that describes the engine and the model."""
        return self.name
