"""The procedures of `world.txt`, and the two rules of English that its steps need."""

import re
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).with_name("world.txt")


@dataclass(frozen=True)
class Step:
    """`variants[0]` is the correct step; the others, if any, have a wrong detail."""

    variants: tuple[str, ...]
    blank: str  # the step with "..." for its detail

    @property
    def right(self) -> str:
        return self.variants[0]


@dataclass(frozen=True)
class Procedure:
    domain: str
    label: str  # "Making flatbread"
    goal: str  # "make flatbread"
    place: str  # "in the kitchen"
    steps: tuple[Step, ...]


def read_world() -> list[Procedure]:
    """Parse `world.txt`; its head describes its format."""
    procedures: list[Procedure] = []
    domain = ""
    for line in _FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            domain = line.strip("[]")
        elif line.startswith("="):
            label, goal, place = line.removeprefix("= ").split(" : ")
            procedures.append(Procedure(domain, label, goal, place, ()))
        elif line and not line.startswith("#"):
            last = procedures[-1]
            steps = (*last.steps, _step(line))
            procedures[-1] = Procedure(last.domain, last.label, last.goal, last.place, steps)
    return procedures


def _step(line: str) -> Step:
    before, brace, rest = line.partition("{")
    if not brace:
        return Step((line,), line)
    details, _, after = rest.partition("}")
    return Step(tuple(before + d + after for d in details.split("|")), f"{before}...{after}")


def with_s(verb: str) -> str:
    """Return a verb in the third person."""
    if re.search(r"(s|sh|ch|x|z|o)$", verb):
        return verb + "es"
    return re.sub(r"([^aeiou])y$", r"\1ie", verb) + "s"


def sentence(text: str) -> str:
    """Return a text with a capital letter and a full stop."""
    return text[0].upper() + text[1:] + "."
