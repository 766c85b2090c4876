"""One HTTP request and its streamed answer, at little cost per piece of the stream.

While the answer arrives, each piece from the network is only stored with its time. The answer is
parsed when it is complete. An HTTP library that decodes and splits each piece and wakes a reader
for it costs three to four times as much (`tests/benchmarks/serving_client.py`). If the client is
late, the fastest configurations cannot be measured.

The connection is closed after the answer, so that each request includes the time to connect, as the
requests of different users do.
"""

import asyncio
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

_HEXADECIMAL = re.compile(rb"[0-9a-fA-F]{1,15}")
_END = b"\r\n0\r\n\r\n"  # the end of a chunked answer, even if the connection stays open


Pieces = list[tuple[float, bytes]]
"""The received pieces in order: the time in s on the client's clock, and the bytes."""


@dataclass(frozen=True)
class Response:
    """A complete answer.

    Attributes:
        status: the HTTP status.
        lines: each line of the body without its line break, and the time at which its last byte
            came (s on the client's clock).
    """

    status: int
    lines: list[tuple[float, bytes]]

    @property
    def text(self) -> str:
        """The body as one line of text."""
        return " ".join(line.decode(errors="replace") for _, line in self.lines if line)


async def post(url: str, content: bytes) -> Pieces:
    """Send JSON to a URL; return the pieces of the complete answer, which `read` parses.

    Raises:
        OSError: the connection could not be established, or it broke.
    """
    parts = urlsplit(url)
    head = (
        f"POST {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nAccept: text/event-stream\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    request = head.encode() + content
    transport, exchange = await loop.create_connection(
        lambda: _Exchange(request, loop.create_future()), str(parts.hostname), parts.port or 80
    )
    try:
        await exchange.complete
    finally:
        transport.abort()
    return exchange.pieces


class _Exchange(asyncio.Protocol):
    """Stores received pieces with their times; `complete` is done after the last piece."""

    def __init__(self, request: bytes, complete: "asyncio.Future[None]") -> None:
        self._request = request
        self.complete = complete
        self.pieces: Pieces = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.pieces.append((time.perf_counter(), data))
        if data.endswith(b"\r\n\r\n") and self._ends():
            self._finish(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._finish(error)

    def _ends(self) -> bool:
        """Return whether the pieces end as a chunked answer does."""
        return tail(self.pieces, len(_END)) == _END

    def _finish(self, error: Exception | None) -> None:
        if self.complete.done():
            return
        if error is None:
            self.complete.set_result(None)
        else:
            self.complete.set_exception(error)


def tail(pieces: Pieces, length: int) -> bytes:
    """Return the last received bytes, up to a number."""
    found = b""
    for _, data in reversed(pieces):
        found = data + found
        if len(found) >= length:
            break
    return found[-length:]


def read(pieces: Pieces) -> Response:
    """Parse the answer from its pieces of (time, bytes).

    Raises:
        ValueError: the pieces are not an HTTP answer.
    """
    raw = b"".join(data for _, data in pieces)
    head, separator, _ = raw.partition(b"\r\n\r\n")
    words = head.split(b"\r\n")[0].split()
    if (
        not separator
        or len(words) < 2
        or not words[0].startswith(b"HTTP/")
        or not words[1].isdigit()
    ):
        said = "nothing" if not raw else repr(raw[:80])
        raise ValueError(f"expected an answer in HTTP, got {said}")
    fields = [line.partition(b":") for line in head.lower().split(b"\r\n")[1:]]
    chunked = any(n == b"transfer-encoding" and b"chunked" in value for n, _, value in fields)
    start = len(head) + len(separator)
    frames = list(_frames(raw, start)) if chunked else [(start, len(raw))]
    return Response(int(words[1]), list(_lines(raw, frames, pieces)))


def _frames(raw: bytes, start: int) -> Iterator[tuple[int, int]]:
    """Yield the start and the end (exclusive) of the content of each chunk of a chunked body."""
    while (end := raw.find(b"\r\n", start)) >= 0:
        words = raw[start:end].partition(b";")[0].strip() or b"0"
        if not _HEXADECIMAL.fullmatch(words):
            raise ValueError(f"expected the size of a chunk in HTTP, got {words[:80]!r}")
        size = int(words, 16)
        if size == 0:
            return
        first = end + 2
        yield first, min(first + size, len(raw))
        start = first + size + 2


def _lines(
    raw: bytes, frames: list[tuple[int, int]], pieces: Pieces
) -> Iterator[tuple[float, bytes]]:
    """Yield each line of the frames' content, with the time at which its last byte came."""
    arrived = iter(pieces)
    came_s, here = 0.0, 0  # the time of the piece that ends at position `here`
    begun: list[bytes] = []
    for first, last in frames:
        while first < last:
            end = raw.find(b"\n", first, last)
            stop = last if end < 0 else end + 1
            begun.append(raw[first:stop])
            while here < stop:
                came_s, data = next(arrived)
                here += len(data)
            if end >= 0:
                yield came_s, b"".join(begun).strip()
                begun.clear()
            first = stop
    if begun:
        yield came_s, b"".join(begun).strip()
