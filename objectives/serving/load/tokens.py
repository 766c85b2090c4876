"""From a stream of completions to the times of its tokens.

A token may have no text: special tokens are not rendered, and a token may hold a part of a
character. And a chunk of the stream may hold several tokens (speculative decoding, a stream
interval, a proxy that collects). So tokens are counted as follows, never by their text:

- A chunk is a message whose `choices` are not empty; the message of `usage` alone is none.
- How many tokens each chunk carries is what the server says: `usage` that grows with the chunks
  (vLLM's and SGLang's `continuous_usage_stats`), the chunk's `token_ids`, or its `logprobs`.
- Else the tokens of the closing `usage` are shared evenly among the chunks, without one that holds
  nothing but a `finish_reason`. Such a last chunk carries a token only where the numbers ask for
  it: where there would else be fewer chunks than tokens. If there are fewer chunks than tokens
  anyway, it carries one if it came as late after the chunk before it as chunks do; llama.cpp's,
  which carries none, comes at once.
- Without any `usage`, a chunk is a token, and the tokens that were asked for take its place.
"""

import json
import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from objectives import expected
from objectives.serving.load.lengths import LARGEST

_ERROR_LENGTH = 200  # characters
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Chunk:
    """One message of a stream.

    Attributes:
        came_s: when it came.
        bare: whether it may hold nothing but a `finish_reason`: one stands there, and no text.
        has_text: whether any text stands there.
        tokens: how many it carries, where it says so itself; None: it does not.
        total: tokens of the answer up to here, where it says so.
    """

    came_s: float
    bare: bool
    has_text: bool
    tokens: int | None
    total: int | None


@dataclass(frozen=True)
class Answer:
    """What a stream held.

    Attributes:
        came_s: when each chunk that carries tokens came.
        counts: how many tokens each of those carries, at least 1.
        tokens: of the answer, as the server counts them.
        error: why the answer is not whole; "" if it is.
    """

    came_s: list[float]
    counts: list[int]
    tokens: int
    error: str = ""


def read_answer(lines: Iterable[tuple[float, bytes]], wanted: int) -> Answer:
    """Read the lines of a stream of server-sent events.

    Args:
        lines: with the time at which each came.
        wanted: the tokens that were asked for.

    Raises:
        ValueError: a line holds something else than a message of a stream of completions.
    """
    chunks: list[Chunk] = []
    counted: int | None = None
    event, other = b"", b""
    for came_s, line in lines:
        name, _, content = line.removeprefix(_BYTE_ORDER_MARK).partition(b":")
        content = content.strip()
        if name == b"error":
            return _failed(content.decode(errors="replace"))
        if name == b"event" or not line:
            event = content
        elif name != b"data":
            other = other or line
        elif content == b"[DONE]":
            return _answer(chunks, counted, wanted)
        else:
            message = _message(content)
            reason = _error_in(event, message)
            if reason is not None:
                return _failed(reason)
            counted = _total(message, counted)
            choices = _list("choices", message.get("choices"))
            if choices:
                chunks.append(_chunk(came_s, message, choices))
    said = f": {other.decode(errors='replace')}" if other and not chunks else ""
    return _failed(f"the stream ended before it was done{said}")


def _failed(reason: str) -> Answer:
    return Answer([], [], 0, reason[:_ERROR_LENGTH])


def _error_in(event: bytes, message: dict[str, Any]) -> str | None:
    """Return the error that a message reports, in one of the forms that servers use, or None."""
    if message.get("error") is not None:
        return str(message["error"])
    if event == b"error" or message.get("object") == "error":
        return str(message.get("message") or message)
    return None


def _message(content: bytes) -> dict[str, Any]:
    try:
        message = json.loads(content)
    except RecursionError:
        raise ValueError(f"expected JSON in the stream, got {content[:80]!r}") from None
    return _mapping("the stream", message)


def _mapping(where: str, value: Any) -> dict[str, Any]:
    """Return an object of a message; an empty one for null."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"expected an object in {where}, got {value!r:.80}")
    return value


def _list(where: str, value: Any) -> list[Any]:
    """Return a list of a message; an empty one for null."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"expected a list in {where}, got {value!r:.80}")
    return value


def _total(message: dict[str, Any], otherwise: int | None) -> int | None:
    found = _mapping("usage", message.get("usage")).get("completion_tokens")
    if found is None:
        return otherwise
    if not expected.is_whole(found, 0, LARGEST):
        raise ValueError(f"expected a number of tokens in usage, got {found!r:.80}")
    return found


def _chunk(came_s: float, message: dict[str, Any], choices: list[Any]) -> Chunk:
    found = [_mapping("choices", choice) for choice in choices]
    text = any(choice.get("text") for choice in found)
    finished = any(choice.get("finish_reason") is not None for choice in found)
    return Chunk(
        came_s,
        bare=finished and not text,
        has_text=text,
        tokens=_own_tokens(found),
        total=_total(message, None),
    )


def _own_tokens(choices: list[dict[str, Any]]) -> int | None:
    """Return how many tokens a chunk lists itself; None where it lists none."""
    listed: list[list[Any]] = []
    for choice in choices:
        logprobs = _mapping("logprobs", choice.get("logprobs"))
        ids = choice.get("token_ids")
        own = ids if ids is not None else logprobs.get("tokens")
        if own is None:
            return None
        listed.append(_list("token_ids", own))
    return sum(map(len, listed))


def _answer(chunks: list[Chunk], counted: int | None, wanted: int) -> Answer:
    carried = _by_totals(chunks, counted) or _by_lists(chunks, counted)
    if carried is None:
        chunks = _carrying(chunks, wanted if counted is None else counted)
        counts = shared(len(chunks) if counted is None else counted, len(chunks))
    else:
        counts = carried
    came_s = [chunk.came_s for chunk, n in zip(chunks, counts, strict=True) if n > 0]
    counts = [n for n in counts if n > 0]
    if not counts:
        said = "" if not counted else f"; usage says {counted}"
        return _failed(f"expected tokens, got none in {len(chunks)} chunks{said}")
    return Answer(came_s, counts, sum(counts) if counted is None else counted)


def _by_totals(chunks: list[Chunk], counted: int | None) -> list[int] | None:
    """Return the tokens of each chunk by the growth of `usage`; None where it does not grow."""
    totals = [chunk.total for chunk in chunks]
    if len(totals) > 1 and totals[-1] is None:
        totals[-1] = counted  # the last may leave it to the message of usage
    if len(totals) < 2 or any(total is None for total in totals):
        return None
    numbers = [0, *(total for total in totals if total is not None)]
    grown = [after - before for before, after in zip(numbers, numbers[1:], strict=False)]
    return grown if min(grown) >= 0 and numbers[-1] == counted and max(numbers[:-1]) > 0 else None


def _by_lists(chunks: list[Chunk], counted: int | None) -> list[int] | None:
    """Return the tokens that each chunk lists; None where they are not all."""
    counts = [0 if chunk.tokens is None and chunk.bare else chunk.tokens for chunk in chunks]
    numbers = [n for n in counts if n is not None]
    whole = len(numbers) == len(chunks) > 0 and sum(numbers) > 0
    return (
        numbers
        if whole and sum(numbers) == (sum(numbers) if counted is None else counted)
        else None
    )


def _carrying(chunks: list[Chunk], tokens: int) -> list[Chunk]:
    """Return the chunks that carry a token, as the module's docstring has it."""
    if len(chunks) == tokens or not chunks:
        return chunks
    bare = chunks[-1].bare and (len(chunks) > tokens or _came_at_once(chunks))
    kept = chunks[:-1] if bare else chunks
    for chunk in list(kept):  # such as one that only announces the answer
        if len(kept) > tokens and not chunk.has_text:
            kept = [other for other in kept if other is not chunk]
    return kept


def _came_at_once(chunks: list[Chunk]) -> bool:
    """Tell whether the last chunk came sooner after the one before it than half a usual gap."""
    gaps = [after.came_s - before.came_s for before, after in zip(chunks, chunks[1:], strict=False)]
    return len(gaps) < 2 or gaps[-1] < statistics.median(gaps[:-1]) / 2


def shared(tokens: int, chunks: int) -> list[int]:
    """Return how many of some tokens each of some chunks carries when they are shared evenly."""
    ends = [math.ceil(tokens * i / chunks) for i in range(chunks + 1)] if chunks else [0]
    return [after - before for before, after in zip(ends, ends[1:], strict=False)]
