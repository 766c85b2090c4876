"""Recording of an optimizer's trials in another process with another hash seed."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from experiments.running.provenance import ROOT
from experiments.testing.conversation import MIXED, converse, every_third_fails
from experiments.testing.plug_ins import MakeOptimizer

_LIMIT_S = 900


def asked(make: MakeOptimizer) -> list[dict[str, Any]]:
    """Return the trials of an optimizer in one fixed sequence of asks, as plain values."""
    trials = converse(make(MIXED, seed=5, budget=13), every_third_fails(MIXED), n=2)
    return [trial.to_json() for trial in trials]


def asked_elsewhere(makers: Sequence[MakeOptimizer]) -> list[Any]:
    """Return the trials of several optimizers from one new process, or their errors as text."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    finished = subprocess.run(
        [sys.executable, "-m", __name__],
        input=pickle.dumps(sys.path) + pickle.dumps([pickle.dumps(make) for make in makers]),
        env={**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        timeout=_LIMIT_S,
        check=True,
    )
    trials: list[Any] = json.loads(finished.stdout.splitlines()[-1])
    return trials


def _answer(pickled: bytes) -> Any:
    try:
        return asked(pickle.loads(pickled))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.path[:] = pickle.load(sys.stdin.buffer)
    print(json.dumps([_answer(pickled) for pickled in pickle.load(sys.stdin.buffer)]))
