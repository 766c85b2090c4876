"""The serving objective with a simulated server: a real process and real HTTP, but no model."""

import sys
from pathlib import Path
from typing import Any

from objectives import child
from objectives.serving.engine import Demand, Engine, Launch
from objectives.serving.load.client import Client
from objectives.serving.objective import Serving
from objectives.trial import Config, Trial

SERVER = Path(__file__).with_name("stand_in_server.py")
BEHAVIOURS = [
    "serves",
    "refuses",
    "allocates",
    "hangs",
    "dies",
    "stalls",
    "fails_most",
    "short",
    "finds_port_taken",
]


class StandIn(Engine):
    """Describes the simulated server and records the ports of its launches."""

    name = "stand-in"
    parameters = ("behaviour", "size", "half")
    tokens = (10, 20)

    def __init__(self) -> None:
        self.ports: list[int] = []

    def launch(self, config: Config, port: int, demand: Demand) -> Launch:
        self.ports.append(port)
        command = [sys.executable, str(SERVER), str(config["behaviour"]), str(port)]
        return Launch(child.guarded(command))

    def is_out_of_memory(self, output: str) -> bool:
        return "MemoryError" in output


def settings(**changes: Any) -> dict[str, Any]:
    """Return the settings of a load of ten requests that takes a tenth of a second."""
    slo = {"limit": 5.0, "weight": 1.0, "steepness": 0.3, "fail_above": None}
    return {
        "engine": StandIn(),
        "generator": Client(),
        "space": {
            "behaviour": {"type": "categorical", "choices": BEHAVIOURS},
            "size": {"type": "int", "lower": 1, "upper": 16},
            "half": {"type": "int", "lower": 1, "upper": 16},
        },
        "constraints": [],
        "default": {"behaviour": "serves", "size": 8, "half": 1},
        "load": {
            "arrivals": "closed",
            "concurrency": 2,
            "requests": 10,
            "lengths": "D(8,4)",
            "shared_prefix": 2,
        },
        "slo": {"ttft_p90_s": slo},
        "score": "goodput",
        "base": "output_tokens_per_s",
        "goals": None,
        "limits": None,
        "gpu_cost": 1.0,
        "reference_runs": 1,
        "repeats": 2,
        "warmup_requests": 1,
        "port": 0,
        "startup_timeout_s": 20,
        "load_timeout_s": 20,
        "memory_limit_gib": None,
        "max_foreign_cores": None,
        "max_late_s": 5.0,  # the machine may be busy during tests
        "seed": 0,
        **changes,
    }


def serving(**changes: Any) -> Serving:
    """Return the objective with some settings changed, without pauses before repetitions."""
    return impatient(Serving(**settings(**changes)))


def impatient(objective: Serving) -> Serving:
    """Return an objective without pauses, whose default is known unless the score needs it."""
    objective.pauses_s = (0.0, 0.0)
    if not objective._score.needs_reference:
        objective._reference = {}
    return objective


def trial(behaviour: str, **parameters: int) -> Trial:
    """Return a trial that makes the server show a behaviour."""
    return Trial(0, {"behaviour": behaviour, "size": 8, "half": 1, **parameters})
