"""Create the suite's optimizers from their YAML files, and ask them for trials."""

from experiments.running.provenance import CONF
from experiments.testing.conversation import (
    LENGTH,
    MIXED,
    SPACES,
    answers,
    converse,
    every_third_fails,
    floats,
)

__all__ = ["LENGTH", "MIXED", "SPACES", "answers", "converse", "every_third_fails", "floats"]

NAMES = sorted(path.stem for path in (CONF / "optimizer").glob("*.yaml"))
VARIANTS = ["soo variant=published", "bamsoo variant=published"]  # implemented by separate classes

COSTLY = ("smac_rf", "bamsoo variant=published")
"""Optimizers whose asks are below the limit of `Optimizer.slow`, but add up over long runs."""
