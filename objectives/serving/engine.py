"""What differs between serving engines: their command line, their requests, their excuses.

An engine describes and starts nothing itself: `server.py` starts what it describes.
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
    """What belongs to a server that runs elsewhere: its process here only carries it.

    Attributes:
        end: command that ends what is left of it there; exit status 0: nothing is.
        memory: command that prints the most memory it has had there, in bytes.
        started: text that is printed as soon as the other machine was reached.
        ended: text that is printed there when the server ended by itself.
        here: whether it is this machine nevertheless, whose GPUs it uses (a container).
    """

    end: list[str]
    memory: list[str]
    started: str
    ended: str
    here: bool = False


@dataclass(frozen=True)
class Launch:
    """How to start a server.

    Attributes:
        command: the argument list; it ends with our process (`objectives.child`).
        environment: variables added to ours.
        carried: where the server runs elsewhere; its command then ends, within seconds, when its
            standard input is closed.
    """

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    carried: Carried | None = None


@dataclass(frozen=True)
class Demand:
    """What a load asks of the server at most.

    Attributes:
        tokens: of a request, prompt and answer together.
        requests: in the load.
    """

    tokens: int
    requests: int


class Engine(ABC):
    """One serving engine with its model.

    The constructor validates, and raises `ValueError` or `ModuleNotFoundError` where what it
    needs is not there. An instance is pickled to worker processes.

    Attributes:
        name: for people.
        parameters: the names that a space may tune.
        kinds: what each of them may be; one without a kind is not checked.
        host: where the server listens.
        most_gpus: the most GPUs that a configuration may take.
        uses_gpus: whether the server runs on GPUs at all.
        grace_s: that the server has to end by itself, before it is killed.
        remote: whether its command starts it on another machine: `port` has to be given then, and
            whether it is free is not ours to see.
        health: path that answers 200 as soon as requests are served.
        completions: path of OpenAI's completions endpoint.
        gauges: what /metrics is asked for during the load, and our name for it.
        counters: likewise; what they grew by over the load.
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
        """Return how to start a server of this configuration on `port` of `host`."""

    @property
    @abstractmethod
    def tokens(self) -> tuple[int, int]:
        """The first and the last token id that a prompt may hold: ordinary ones only."""

    def deployment(self, demand: Demand) -> Deployment | None:
        """Return the command line that serves a configuration, on `DEPLOYED_PORT`; None if none.

        It starts the program itself, on the machine where the program is installed.
        """
        return None

    def prepare(self) -> None:
        """Do what takes long and has to be done once, before any clock runs: download the model.

        It is called in each process that evaluates, before the first server is started.
        """
        return None

    def body(self, prompt: Sequence[int], answer_tokens: int) -> dict[str, Any]:
        """Return the streaming request for an answer of exactly so many tokens."""
        return {
            "prompt": list(prompt),
            "max_tokens": answer_tokens,
            "ignore_eos": True,
            "temperature": 0.0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    def gpus(self, config: Config) -> int:
        """Return how many GPUs a configuration takes; rates are compared per GPU."""
        return 1

    def refusal(self, config: Config, demand: Demand) -> str | None:
        """Return why the engine is known to refuse a configuration, or None."""
        return None

    @abstractmethod
    def is_out_of_memory(self, output: str) -> bool:
        """Tell from what a server printed whether it ended for want of memory."""

    def reason(self, output: str) -> str:
        """Return the lines of what a server printed that say why it ended; "": the last ones."""
        return ""

    def host_fault(self, output: str) -> str | None:
        """Say from what a server printed which fault of the host ended it; None: none did."""
        return None

    def is_port_taken(self, output: str) -> bool:
        """Tell from what a server printed whether another program had its port."""
        return "address already in use" in output.lower()

    def fingerprint(self) -> Mapping[str, Any]:
        """Return what the metrics depend on beyond the settings: model and version."""
        return {}

    def notice(self) -> str:
        """Return one line on engine and model."""
        return self.name
