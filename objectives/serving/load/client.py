"""The load generator of our own: asyncio, one connection a request, tokens timed as they come.

Small enough for a machine that the server shares: with `D(124,32)` at 1.5 requests/s it takes
about a fiftieth of a core. It measures its own lateness, of its sends and of its event loop.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import aiohttp
import numpy as np

from objectives.serving.engine import Engine
from objectives.serving.load.arrivals import Plan
from objectives.serving.load.load_generator import Load, LoadGenerator, prompts
from objectives.serving.load.measures import Requests

_TICK_S = 0.05
_DEATH_S = 0.5  # that a server's end may take to show after its connections broke
_ERROR_LENGTH = 200  # characters
_LINE_BYTES = 1 << 20  # the longest line of an answer


@dataclass
class _Row:
    """One request: times in seconds on the client's clock."""

    prompt_tokens: int
    arrival_s: float
    first_s: float = np.nan
    end_s: float = np.nan
    answer_tokens: int = 0
    error: str = ""
    tokens_s: list[float] = field(default_factory=list)


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
        self._url, self._engine, self._plan, self._ended = url, engine, plan, ended
        self._bodies = [
            engine.body(prompt, answer)
            for prompt, answer in zip(
                prompts(plan, engine.tokens, seed), plan.answer_tokens.tolist(), strict=True
            )
        ]
        self._rows: list[_Row] = []
        self._late_s = 0.0

    async def load(self, timeout_s: float) -> Load:
        """Send all requests; stop at the time-out or when the server has ended."""
        no_limit = aiohttp.ClientTimeout(total=None)
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with aiohttp.ClientSession(
            timeout=no_limit, connector=connector, read_bufsize=_LINE_BYTES
        ) as session:
            started = time.perf_counter()
            ticking = asyncio.create_task(self._tick())
            sending = asyncio.create_task(self._send_all(session, started))
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

    async def _send_all(self, session: aiohttp.ClientSession, started: float) -> None:
        """Send each request when it is due (open loop), or when another has ended (closed)."""
        if self._plan.arrivals_s is not None:
            due = [started + arrival for arrival in self._plan.arrivals_s.tolist()]
            await asyncio.gather(*(self._send_at(session, i, at) for i, at in enumerate(due)))
            return
        assert self._plan.concurrency is not None
        waiting = iter(range(len(self._plan)))
        slots = range(self._plan.concurrency)
        await asyncio.gather(*(self._send_each(session, waiting) for _ in slots))

    async def _send_at(self, session: aiohttp.ClientSession, i: int, due: float) -> None:
        await asyncio.sleep(max(due - time.perf_counter(), 0.0))
        self._late_s = max(self._late_s, time.perf_counter() - due)
        await self._request(session, i, due)

    async def _send_each(self, session: aiohttp.ClientSession, waiting: Iterator[int]) -> None:
        for i in waiting:
            await self._request(session, i, time.perf_counter())

    async def _request(self, session: aiohttp.ClientSession, i: int, arrival: float) -> None:
        row = _Row(len(self._bodies[i]["prompt"]), arrival)
        wanted = int(self._plan.answer_tokens[i])
        try:
            async with session.post(
                self._url + self._engine.completions, json=self._bodies[i]
            ) as response:
                if response.status != 200:
                    row.error = (
                        f"status {response.status}: {(await response.text())[:_ERROR_LENGTH]}"
                    )
                else:
                    await _receive(response, row)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            row.error = f"{type(error).__name__}: {error}"
        row.end_s = row.tokens_s[-1] if row.tokens_s and not row.error else time.perf_counter()
        if not row.error and row.answer_tokens != wanted:
            row.error = f"incomplete: {row.answer_tokens} of {wanted} tokens"
        self._rows.append(row)

    async def _watch(self) -> None:
        """Return when the server has ended."""
        while self._ended() is None:
            await asyncio.sleep(2 * _TICK_S)

    async def _tick(self) -> None:
        """Measure by how much the event loop is late, until it is cancelled."""
        while True:
            due = time.perf_counter() + _TICK_S
            await asyncio.sleep(_TICK_S)
            self._late_s = max(self._late_s, time.perf_counter() - due)

    async def _give_time_to_die(self) -> None:
        until = time.perf_counter() + _DEATH_S
        while self._ended() is None and time.perf_counter() < until:
            await asyncio.sleep(_TICK_S / 5)

    def _result(self, started: float) -> Load:
        rows = sorted(self._rows, key=lambda row: row.arrival_s)
        good = [np.diff(row.tokens_s) for row in rows if not row.error]
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


async def _receive(response: aiohttp.ClientResponse, row: _Row) -> None:
    """Read a stream of server-sent events into a row, to its end."""
    counted = None
    async for line in response.content:
        now = time.perf_counter()
        field_name, _, content = line.strip().partition(b":")
        if field_name == b"error":
            row.error = content.decode(errors="replace")[:_ERROR_LENGTH]
            return
        if field_name != b"data":
            continue
        if content.strip() == b"[DONE]":
            break
        message = json.loads(content)
        if "error" in message:
            row.error = str(message["error"])[:_ERROR_LENGTH]
            return
        if any(choice.get("text") for choice in message.get("choices", ())):
            row.tokens_s.append(now)
        counted = (message.get("usage") or {}).get("completion_tokens", counted)
    else:
        row.error = "the stream ended before it was done"
    row.answer_tokens = len(row.tokens_s) if counted is None else int(counted)
    if row.tokens_s:
        row.first_s = row.tokens_s[0]
