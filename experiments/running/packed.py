"""Read packed runs, as `experiments.analysis.pack` writes them, within limits of size.

A pack is compressed, so a small file may expand beyond the memory. It is therefore read line by
line, and the size of a line and of the whole content is limited.
"""

import lzma
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from experiments.running.json_lines import opened, parsed

PACK = "runs.jsonl.xz"
PACK_FORMAT = 1

MOST_LINE_BYTES = 1 << 26
MOST_RATIO = 200
"""Packs that tuneoff writes expand to between 5 and 12 times the size of their file."""

LEAST_TOTAL_BYTES = 1 << 26  # allowed for any pack, however small its file is

_MEMORY_BYTES = 1 << 28  # for the decompressor; the strongest setting needs a quarter of it
_CHUNK_BYTES = 1 << 16


def unpacked(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the number and the content of each line after the first, which states the format.

    Raises:
        ValueError: the file is not a pack, is damaged, or is larger than any pack that tuneoff
            writes.
        OSError: it cannot be read.
    """
    n_runs, number = None, 1
    for number, line in enumerate(_lines(path), start=1):
        try:
            content = parsed(line)
        except ValueError as error:
            raise _damaged(path, f"line {number}: {error}") from None
        if number > 1:
            yield number, content
            continue
        if not isinstance(content, dict) or content.get("pack_format") != PACK_FORMAT:
            raise _damaged(path, f"it does not begin as one of format {PACK_FORMAT}")
        n_runs = content.get("runs", "any number of")
    if n_runs is None:
        raise _damaged(path, "it is empty")
    if isinstance(n_runs, int) and n_runs != number - 1:
        raise _damaged(path, f"it says that it holds {n_runs} runs, and it holds {number - 1}")


def _damaged(path: Path, reason: str) -> ValueError:
    return ValueError(
        f"{path}: expected a folder of runs, or a file of packed runs, got another or damaged "
        f"file ({reason})"
    )


def _lines(path: Path) -> Iterator[bytes]:
    with opened(path) as file:
        most = max(LEAST_TOTAL_BYTES, MOST_RATIO * os.fstat(file.fileno()).st_size)
        rest = b""
        for chunk in _decompressed(path, file, most):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
            if len(rest) > MOST_LINE_BYTES:
                raise _damaged(path, f"a line is longer than {MOST_LINE_BYTES >> 20} MiB")
        if rest:
            yield rest


def _decompressed(path: Path, file: BinaryIO, most: int) -> Iterator[bytes]:
    decompressor, total = lzma.LZMADecompressor(lzma.FORMAT_XZ, _MEMORY_BYTES), 0
    while not decompressor.eof:
        data = file.read(_CHUNK_BYTES) if decompressor.needs_input else b""
        if decompressor.needs_input and not data:
            raise _damaged(path, "it ends too early")
        try:
            chunk = decompressor.decompress(data, 16 * _CHUNK_BYTES)
        except lzma.LZMAError as error:
            raise _damaged(path, str(error)) from None
        total += len(chunk)
        if total > most:
            raise _damaged(path, f"it holds more than {most >> 20} MiB, too much for its size")
        yield chunk
    if decompressor.unused_data or file.read(1):
        raise _damaged(path, "there is more after its end")
