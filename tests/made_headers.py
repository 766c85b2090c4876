"""Complete, simple headers of logs, for tests that write logs by hand."""

from typing import Any

from experiments.running.events import read_event
from experiments.running.header import FORMAT, Header
from experiments.running.run_log import RunLog

PLAIN: dict[str, Any] = {
    "event": "header",
    "format": FORMAT,
    "identity": "0123456789abcdef",
    "names": {"optimizer": "a", "objective": "f"},
    "optimizer": {"class": "A"},
    "objective": {"class": "F"},
    "seed": 0,
    "budget": 5.0,
    "workers": 1,
    "optimizer_version": 1,
    "goals": {},
    "space": None,
    "forbidden": [],
    "fidelities": None,
    "resources": {"gpus": 0, "cores": 1, "whole_host": False},
    "default": None,
    "coco": None,
    "noise_sd": 0.0,
    "optimum": None,
    "notice": None,
    "fingerprint": {"version": 1},
    "code": {"version": "0.1.0"},
    "versions": {},
    "hardware": {"cores": 2},
    "time": 5.0,
    "own": False,
}


def header_event(**changes: Any) -> dict[str, Any]:
    """Return a complete header of the current format, with some keys changed."""
    unknown = changes.keys() - PLAIN.keys() - {"written", "first_format"}
    assert not unknown, unknown
    return {**PLAIN, **changes}


def goal(metric: str, minimise: bool) -> dict[str, Any]:
    """Return the value of the key `goals` for one metric."""
    return {metric: {"minimise": minimise, "unit": "", "reference": None, "optimum": None}}


def append(log: RunLog, event: dict[str, Any]) -> None:
    """Write a line of a log."""
    if event["event"] == "header":
        log.begin(Header.from_json(event))
    else:
        log.append(read_event(event))
