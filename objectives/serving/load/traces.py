"""Read traces of requests: the arrival time and the token counts of each request.

The formats are recognised by the names of their columns, which may be in any order and among
others:

- CSV files with `arrived_at` (s), `num_prefill_tokens`, `num_decode_tokens`: the form of Azure's
  LLM inference traces of 2023 as microsoft/vidur processed them (CC BY);
- Azure's own files: `TIMESTAMP` (a date with a time), `ContextTokens`, `GeneratedTokens`;
- BurstGPT's files: `Timestamp` (s), `Request tokens`, `Response tokens`;
- JSON lines with `timestamp`, `input_length`, `output_length`, as guidellm and Mooncake write them.

Times are read as seconds or as dates. A trace in milliseconds, such as Mooncake's, needs
`time_scale: 0.001`. A byte order mark, quotes and empty lines are permitted.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectives.plain_files import opened, text_of
from objectives.serving.load.lengths import LARGEST
from objectives.table import Column, Row, Table

FORMS = (
    ("arrived_at", "num_prefill_tokens", "num_decode_tokens"),
    ("TIMESTAMP", "ContextTokens", "GeneratedTokens"),
    ("Timestamp", "Request tokens", "Response tokens"),
)
"""The columns of arrival, prompt and answer in each form of CSV file."""

LINES = ("timestamp", "input_length", "output_length")
"""The keys of arrival, prompt and answer in JSON lines."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATES_S = (5e8, 1e11)  # dates from 1985 on; no recording in seconds lasts fifteen years

Request = tuple[float, float, float]


def read_trace(path: Path) -> NDArray[np.float64]:
    """Read a trace (rows, 3): arrival in s, tokens of the prompt, tokens of the answer.

    Raises:
        ValueError: the file has none of the forms in the module's docstring. The message names the
            line.
    """
    requests: list[Request] = []
    for line, request, text in _lines(path) if _is_json(path) else _rows(path):
        arrival, *tokens = request
        earlier = requests[-1][0] if requests else -math.inf
        if not (math.isfinite(arrival) and earlier <= arrival):
            raise ValueError(f"{path}:{line}: expected arrivals that do not fall, got {text}")
        if requests and earlier < _DATES_S[0] <= arrival < _DATES_S[1]:
            raise ValueError(f"{path}:{line}: expected seconds or dates in all rows, got {text}")
        if not all(0 <= length <= LARGEST for length in tokens):
            raise ValueError(f"{path}:{line}: expected lengths of 0 to {LARGEST}, got {text}")
        requests.append(request)
    if not requests:
        raise ValueError(f"{path}: expected at least one request, got none")
    return np.array(requests)


def _is_json(path: Path) -> bool:
    """Return whether the first thing in a file is a JSON object or list."""
    with opened(path) as file:
        return file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"{", b"["))


def _rows(path: Path) -> Iterator[tuple[int, Request, str]]:
    """Yield the requests of a CSV file with their line numbers and texts."""
    table = Table(path, {}, [])
    header = table.header
    names = next((form for form in FORMS if set(form) <= set(header)), None)
    if names is None:
        forms = " or ".join(str(list(form)) for form in FORMS)
        raise ValueError(
            f"{path}:1: expected the columns {forms}, or JSON lines of {list(LINES)}, got {header}"
        )
    twice = [name for name in names if header.count(name) > 1]
    if twice:
        raise ValueError(f"{path}:1: expected one column {twice[0]}, got {header}")
    for row in table.rows:
        text = _shown(",".join(row.cells.values()))
        yield row.line, _request(f"{path}:{row.line}", _cells(row, names), text), text


def _cells(row: Row, names: tuple[str, str, str]) -> list[Any]:
    """Return the three cells, as numbers where possible."""
    columns = [Column(name) for name in names]
    return [row.number_in(c) if row.is_number(c) else row.text(c) for c in columns]


def _lines(path: Path) -> Iterator[tuple[int, Request, str]]:
    """Yield the requests of JSON lines with their line numbers and texts."""
    texts = text_of(path, "JSON lines").split("\n")
    for line, text in enumerate(texts, start=1):
        if not text.strip():
            continue
        where, shown = f"{path}:{line}", _shown(text)
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError(f"{where}: expected a JSON object, got {shown}") from None
        if not isinstance(found, Mapping) or not set(LINES) <= set(found):
            raise ValueError(f"{where}: expected an object with {list(LINES)}, got {shown}")
        yield line, _request(where, [found[key] for key in LINES], shown), shown


def _shown(text: str) -> str:
    """Return a request on one line for a message, shortened if necessary."""
    return " ".join(text.split())[:200]


def _request(where: str, found: list[Any], text: str) -> Request:
    """Return the arrival (a number or a date) and the lengths (numbers)."""
    readers: list[Callable[[Any], float]] = [_time, _number, _number]
    try:
        arrival, prompt, answer = (read(x) for read, x in zip(readers, found, strict=True))
    except (ValueError, OverflowError):
        raise ValueError(
            f"{where}: expected a time in s, or a date, and two numbers of tokens, got {text}"
        ) from None
    return arrival, prompt, answer


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    return float(value)


def _time(value: Any) -> float:
    """Return seconds: a number unchanged, or a date as seconds since 1970."""
    if not isinstance(value, str):
        return _number(value)
    date = datetime.fromisoformat(value.strip())
    known = date if date.tzinfo else date.replace(tzinfo=UTC)
    return (known - _EPOCH).total_seconds()
