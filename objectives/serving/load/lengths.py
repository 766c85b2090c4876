"""Lengths of prompts and answers, in the grammar of serving benchmarks.

    D(in,out)              every request has these lengths
    N(mean,sd)/(mean,sd)   normal, of the prompt and of the answer, independently
    U(low,high)/(low,high) uniform over the integers, both ends included

All lengths are in tokens. A normal length is rounded and clipped to three standard deviations
around its mean and to at least 1. The longest request is therefore known before the load, and the
server's context can be made long enough for it.
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NUMBER = r"\s*(\d+(?:\.\d+)?)\s*"
_PAIR = rf"\({_NUMBER},{_NUMBER}\)"
_FORMS = (re.compile(rf"\s*(D){_PAIR}\s*"), re.compile(rf"\s*([NU]){_PAIR}\s*/\s*{_PAIR}\s*"))
_RULE = "D(in,out), N(mean,sd)/(mean,sd) or U(low,high)/(low,high) in tokens"
_SPREAD = 3  # standard deviations
LARGEST = 1_000_000  # tokens, which exceeds every model's context


@dataclass(frozen=True)
class Length:
    """The distribution of one length: `kind` is D, N or U; `a` and `b` are its two numbers."""

    kind: str
    a: float
    b: float

    @property
    def largest(self) -> int:
        """The largest number of tokens that can be drawn."""
        if self.kind == "N":
            return max(int(np.floor(self.a + _SPREAD * self.b)), 1)
        return int(self.b)

    def draw(self, n: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Return lengths (n,) in tokens, at least 1."""
        if self.kind == "N":
            least = self.a - _SPREAD * self.b
            drawn = np.rint(np.maximum(generator.normal(self.a, self.b, n), least))
            return np.clip(drawn, 1, self.largest).astype(np.int64)
        return generator.integers(int(self.a), int(self.b), size=n, endpoint=True)


@dataclass(frozen=True)
class Lengths:
    """The distributions of the lengths of prompts and answers."""

    prompt: Length
    answer: Length

    @property
    def largest(self) -> tuple[int, int]:
        """The largest numbers of tokens of a prompt and of an answer."""
        return self.prompt.largest, self.answer.largest

    def draw(self, n: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Return the numbers of tokens of n prompts and answers (n, 2)."""
        return np.column_stack([self.prompt.draw(n, generator), self.answer.draw(n, generator)])


def parse(text: str) -> Lengths:
    """Read the grammar of the module's docstring.

    Raises:
        ValueError: the text does not follow the grammar, or a length is not possible.
    """
    found = next((match for form in _FORMS if (match := form.fullmatch(str(text)))), None)
    if found is None:
        raise ValueError(f"objective.load.lengths: expected {_RULE}, got {text}")
    kind, *numbers = found.groups()
    a, b, *others = (float(number) for number in numbers)
    if not max(a, b, *others) <= LARGEST:
        raise ValueError(f"objective.load.lengths: expected at most {LARGEST} tokens, got {text}")
    pairs = [(a, a), (b, b)] if kind == "D" else [(a, b), (others[0], others[1])]
    for low, high in pairs:
        if kind != "N" and not (low.is_integer() and high.is_integer() and 1 <= low <= high):
            raise ValueError(
                f"objective.load.lengths: expected whole numbers 1 <= low <= high, got {text}"
            )
        if kind == "N" and low < 1:
            raise ValueError(f"objective.load.lengths: expected means of at least 1, got {text}")
    lengths = Lengths(Length(kind, *pairs[0]), Length(kind, *pairs[1]))
    if max(lengths.largest) > LARGEST:
        raise ValueError(f"objective.load.lengths: expected at most {LARGEST} tokens, got {text}")
    return lengths
