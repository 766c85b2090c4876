"""The optimizers of the suite, made from their YAMLs, and how the conformance suite asks them."""

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
VARIANTS = ["soo variant=published", "bamsoo variant=published"]  # classes of their own
