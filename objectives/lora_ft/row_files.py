"""The files of a data folder: JSON lines, plain or gzipped, found by the beginning of a name."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from objectives.plain_files import opened

Row = dict[str, object]
Item = TypeVar("Item")


def items_of(path: Path, parse: Callable[[Row], Item]) -> tuple[Item, ...]:
    """Read the rows of a file, each parsed by `parse`, whose errors get the line in front.

    Raises:
        ValueError: the file is unreadable or empty, or a row is malformed.
    """
    items = []
    for number, line in enumerate(_lines(path), start=1):
        try:
            row = json.loads(line)
            if "\\ud" in line.lower():  # no tokenizer takes half of a surrogate pair
                json.dumps(row, ensure_ascii=False).encode()
            if not isinstance(row, dict):
                raise ValueError(f"expected a JSON object, got {line[:80]!r}")
            items.append(parse(row))
        except (json.JSONDecodeError, RecursionError, UnicodeEncodeError) as error:
            raise _unusable(f"{path} line {number}", f"JSON in Unicode, got {error}") from None
        except ValueError as error:
            raise _unusable(f"{path} line {number}", str(error).removeprefix("expected ")) from None
    if not items:
        raise _unusable(str(path), "at least one row, got none")
    return tuple(items)


def find(folder: Path, name: str) -> Path:
    """Return the one file of a folder whose name begins with `name`.

    Raises:
        ValueError: the folder cannot be read, or it does not hold exactly one such file.
    """
    try:
        found = sorted(
            path for end in (".jsonl", ".jsonl.gz") for path in folder.glob(f"{name}*{end}")
        )
        reachable = folder.is_dir()
    except OSError as error:
        raise _unusable(str(folder), f"a readable folder, got {error.strerror}") from None
    if not reachable:
        raise _unusable(str(folder), "a data folder, got no folder of that name")
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise _unusable(f"{folder}/{name}*.jsonl[.gz]", f"exactly one such file, got {names}")
    return found[0]


def _lines(path: Path) -> Iterable[str]:
    try:
        with opened(path) as file:
            content = file.read()
        whole = gzip.decompress(content) if path.suffix == ".gz" else content
        text = whole.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise _unusable(str(path), f"readable JSON lines in UTF-8, got {error}") from None
    return text.removesuffix("\n").split("\n") if text else []


def _unusable(where: str, rule: str) -> ValueError:
    return ValueError(
        f"{where}: expected {rule}; repair it, point TUNEOFF_DATA at another folder, or use "
        "objective.data=shipped"
    )
