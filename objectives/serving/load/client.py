"""Our load generator, with asyncio, one connection per request, and a time for each piece.

The client may share a machine with the server: with `D(124,32)` at 1.5 requests/s, it uses about
0.01 cores. It parses the received bytes after the load (or, beyond `_HELD_BYTES`, at the end of
each request), so that parsing delays no piece. The client measures how late it sends requests and
how late its event loop runs.
"""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from objectives.serving.engine import Engine
from objectives.serving.load.arrivals import Plan
from objectives.serving.load.exchange import Pieces, post, read, tail
from objectives.serving.load.load_generator import Load, LoadGenerator, prompts
from objectives.serving.load.measures import Requests, gaps
from objectives.serving.load.tokens import read_answer

_TICK_S = 0.05
_DEATH_S = 2.0  # time in which a server's end has to show after its connections broke
_ERROR_LENGTH = 200  # characters
_DONE = re.compile(rb"\[DONE\]\s*(0\s*)?$")  # how a complete stream ends, chunked or not
_TAIL = 32  # bytes at the end that contain it
_HELD_BYTES = 256 << 20  # of answers that are not parsed yet: about 600,000 chunks


@dataclass
class _Row:
    """One request, with times in seconds on the client's clock.

    Attributes:
        pieces: the pieces that were received and are not parsed yet.
    """

    prompt_tokens: int
    wanted: int
    arrival_s: float
    pieces: Pieces = field(default_factory=list)
    first_s: float = np.nan
    end_s: float = np.nan
    answer_tokens: int = 0
    error: str = ""
    gaps_s: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))


class Client(LoadGenerator):
    """Sends every request from this process."""

    def run(
        self,
        url: str,
        engine: Engine,
        plan: Plan,
        *,
        seed: int,
        timeout_s: float,
        ended: Callable[[], str | None],
    ) -> Load:
        return asyncio.run(_Run(url, engine, plan, seed, ended).load(timeout_s))


class _Run:
    """The state of one load."""

    def __init__(
        self, url: str, engine: Engine, plan: Plan, seed: int, ended: Callable[[], str | None]
    ) -> None:
        self._url, self._plan, self._ended = url + engine.completions, plan, ended
        self._contents = [
            json.dumps(engine.body(prompt, answer)).encode()
            for prompt, answer in zip(
                prompts(plan, engine.tokens, seed), plan.answer_tokens.tolist(), strict=True
            )
        ]
        self._rows: list[_Row] = []
        self._held_bytes = 0
        self._late_s = 0.0

    async def load(self, timeout_s: float) -> Load:
        """Send all requests; stop at the time limit or when the server has ended."""
        started = time.perf_counter()
        ticking = asyncio.create_task(self._tick())
        sending = asyncio.create_task(self._send_all(started))
        watching = asyncio.create_task(self._watch())
        try:
            await asyncio.wait(
                [sending, watching], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            if sending.done():
                sending.result()
            if any(row.error for row in self._rows):
                await self._give_time_to_die()
        finally:
            for task in (sending, watching, ticking):
                task.cancel()
            await asyncio.gather(sending, watching, ticking, return_exceptions=True)
        return self._result(started)

    async def _send_all(self, started: float) -> None:
        """Send each request when it is due (open loop), or when another has ended (closed)."""
        if self._plan.arrivals_s is not None:
            due = [started + arrival for arrival in self._plan.arrivals_s.tolist()]
            await asyncio.gather(*(self._send_at(i, at) for i, at in enumerate(due)))
            return
        assert self._plan.concurrency is not None
        waiting = iter(range(len(self._plan)))
        slots = range(self._plan.concurrency)
        await asyncio.gather(*(self._send_each(waiting) for _ in slots))

    async def _send_at(self, i: int, due: float) -> None:
        await asyncio.sleep(max(due - time.perf_counter(), 0.0))
        self._late_s = max(self._late_s, time.perf_counter() - due)
        await self._request(i, due)

    async def _send_each(self, waiting: Iterator[int]) -> None:
        for i in waiting:
            await self._request(i, time.perf_counter())

    async def _request(self, i: int, arrival: float) -> None:
        row = _Row(int(self._plan.prompt_tokens[i]), int(self._plan.answer_tokens[i]), arrival)
        try:
            row.pieces = await post(self._url, self._contents[i])
        except OSError as error:
            row.error = f"{type(error).__name__}: {error}"
        row.end_s = time.perf_counter()
        self._held_bytes += sum(len(data) for _, data in row.pieces)
        if self._held_bytes > _HELD_BYTES or not _DONE.search(tail(row.pieces, _TAIL)):
            self._held_bytes -= sum(len(data) for _, data in row.pieces)
            _read(row)
        self._rows.append(row)

    async def _watch(self) -> None:
        """Return when the server has ended."""
        while self._ended() is None:
            await asyncio.sleep(2 * _TICK_S)

    async def _tick(self) -> None:
        """Measure how late the event loop runs, until cancelled."""
        while True:
            due = time.perf_counter() + _TICK_S
            await asyncio.sleep(_TICK_S)
            self._late_s = max(self._late_s, time.perf_counter() - due)

    async def _give_time_to_die(self) -> None:
        until = time.perf_counter() + _DEATH_S
        while self._ended() is None and time.perf_counter() < until:
            await asyncio.sleep(_TICK_S / 5)

    def _result(self, started: float) -> Load:
        for row in self._rows:
            _read(row)
        rows = sorted(self._rows, key=lambda row: row.arrival_s)
        good = [row.gaps_s for row in rows if not row.error]
        requests = Requests(
            arrival_s=np.array([row.arrival_s - started for row in rows]),
            first_s=np.array([row.first_s - started for row in rows]),
            end_s=np.array([row.end_s - started for row in rows]),
            prompt_tokens=np.array([row.prompt_tokens for row in rows], dtype=np.int64),
            answer_tokens=np.array([row.answer_tokens for row in rows], dtype=np.int64),
            errors=tuple(" ".join(row.error.split()) for row in rows),
            gaps_s=np.concatenate([*good, np.empty(0)]),
        )
        return Load(requests, len(self._plan) - len(rows), self._late_s)


def _read(row: _Row) -> None:
    """Parse the answer to a request, unless it was parsed before."""
    if row.error or (row.answer_tokens and not row.pieces):
        return
    pieces, row.pieces = row.pieces, []
    try:
        response = read(pieces)
        if response.status != 200:
            row.error = f"status {response.status}: {response.text[:_ERROR_LENGTH]}"
            return
        answer = read_answer(response.lines, row.wanted)
    except ValueError as error:
        row.error = f"{type(error).__name__}: {error}"
        return
    row.error, row.answer_tokens = answer.error, answer.tokens
    if answer.came_s:
        row.first_s, row.gaps_s = answer.came_s[0], gaps(answer.came_s, answer.counts)
    if not row.error and row.answer_tokens != row.wanted:
        row.error = f"incomplete: {row.answer_tokens} of {row.wanted} tokens"
    elif not row.error:
        row.end_s = answer.came_s[-1]
