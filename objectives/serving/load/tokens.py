"""Determine the times of the tokens in a stream of completions.

A token may have no text: special tokens are not rendered, and a token may hold a part of a
character. A chunk of the stream may also hold several tokens (speculative decoding, a stream
interval, a proxy that buffers). Tokens are therefore not counted by their text, but as follows:

- A chunk is a message whose `choices` are not empty. A message with only `usage` is not a chunk.
- If the server reports the number of tokens in each chunk, that number is used: `usage` that grows
with the chunks (vLLM's and SGLang's `continuous_usage_stats`), the chunk's `token_ids`, or its
`logprobs`.
- Otherwise, the tokens of the closing `usage` are divided evenly among the chunks, except a last
chunk that holds only a `finish_reason`. This last chunk is counted only if there are fewer other
chunks than tokens. If all chunks together are still fewer than the tokens, it is counted if the gap
before it is as long as the usual gap between chunks. llama.cpp's last chunk, which carries no
token, follows the chunk before it immediately.
- Without any `usage`, each chunk counts as one token, and the number of requested tokens replaces
the total.
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
        came_s: time at which it came.
        bare: whether it may hold only a `finish_reason`: it has one, and it has no text.
        has_text: whether it has any text.
        tokens: number of tokens that it reports to carry; None if it does not report any.
        total: number of tokens of the answer so far, if it reports this.
    """

    came_s: float
    bare: bool
    has_text: bool
    tokens: int | None
    total: int | None


@dataclass(frozen=True)
class Answer:
    """The content of a stream.

    Attributes:
        came_s: time at which each chunk with tokens came.
        counts: number of tokens in each of these chunks, at least 1.
        tokens: number of tokens of the answer, as the server counts them.
        error: the reason why the answer is incomplete; "" if it is complete.
    """

    came_s: list[float]
    counts: list[int]
    tokens: int
    error: str = ""


def read_answer(lines: Iterable[tuple[float, bytes]], wanted: int) -> Answer:
    """Read the lines of a stream of server-sent events.

    Args:
        lines: the lines, with the time at which each came.
        wanted: the number of requested tokens.

    Raises:
        ValueError: a line is not a message of a stream of completions.
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
    """Return the error that a message reports in one of the forms that servers use, or None."""
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
    """Return the number of tokens that a chunk lists, or None."""
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
    """Return the tokens of each chunk from the growth of `usage`; None if it does not grow."""
    totals = [chunk.total for chunk in chunks]
    if len(totals) > 1 and totals[-1] is None:
        totals[-1] = counted  # the last chunk may leave the total to the message with usage
    if len(totals) < 2 or any(total is None for total in totals):
        return None
    numbers = [0, *(total for total in totals if total is not None)]
    grown = [after - before for before, after in zip(numbers, numbers[1:], strict=False)]
    return grown if min(grown) >= 0 and numbers[-1] == counted and max(numbers[:-1]) > 0 else None


def _by_lists(chunks: list[Chunk], counted: int | None) -> list[int] | None:
    """Return the number of tokens that each chunk lists; None if these are not all tokens."""
    counts = [0 if chunk.tokens is None and chunk.bare else chunk.tokens for chunk in chunks]
    numbers = [n for n in counts if n is not None]
    whole = len(numbers) == len(chunks) > 0 and sum(numbers) > 0
    return (
        numbers
        if whole and sum(numbers) == (sum(numbers) if counted is None else counted)
        else None
    )


def _carrying(chunks: list[Chunk], tokens: int) -> list[Chunk]:
    """Return the chunks that carry a token, by the rules of the module's docstring."""
    if len(chunks) == tokens or not chunks:
        return chunks
    bare = chunks[-1].bare and (len(chunks) > tokens or _came_at_once(chunks))
    kept = chunks[:-1] if bare else chunks
    for chunk in list(kept):  # such as a chunk that only announces the answer
        if len(kept) > tokens and not chunk.has_text:
            kept = [other for other in kept if other is not chunk]
    return kept


def _came_at_once(chunks: list[Chunk]) -> bool:
    """Return whether the gap before the last chunk is shorter than half a usual gap."""
    gaps = [after.came_s - before.came_s for before, after in zip(chunks, chunks[1:], strict=False)]
    return len(gaps) < 2 or gaps[-1] < statistics.median(gaps[:-1]) / 2


def shared(tokens: int, chunks: int) -> list[int]:
    """Return the number of tokens of each chunk when the tokens are divided evenly."""
    ends = [math.ceil(tokens * i / chunks) for i in range(chunks + 1)] if chunks else [0]
    return [after - before for before, after in zip(ends, ends[1:], strict=False)]
