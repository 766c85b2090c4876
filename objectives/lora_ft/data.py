"""The data of LoRA fine-tuning: instructions for training, HellaSwag for tuning, MMLU for tests.

All data have one format on disk and one reader. A data folder holds three files of JSON lines,
plain or gzipped, which are recognised by the beginning of their names:

    alpaca*.jsonl[.gz]     instruction, input, output
    hellaswag*.jsonl[.gz]  activity_label, ctx_a, ctx_b, endings[4], source_id, label
    mmlu_test*.jsonl[.gz]  question, subject, choices[4], answer

One file of JSON lines with `instruction`, `output` and perhaps `input` is a source as well. It has
no questions, so only the held-out loss can be tuned.

`TUNEOFF_DATA` may name a data folder, the project ships one (`shipped/`, see its README), and data
from the Hugging Face hub are stored as one (`hub_data.py`). Every source therefore goes through the
same preprocessing. A question is the same whether the text on disk is raw or already clean.

Queries and choices are those of lm-evaluation-harness 0.4.13: `preprocess` and `_hellaswag` are
`lm_eval/tasks/hellaswag/utils.py`, `_mmlu` is `lm_eval/tasks/mmlu/default` with 0 shots and the
subject's description in front. The harness scores the log-likelihood of `" " + choice` after
`query`. **The scorer adds this space** (the harness's `target_delimiter`), so choices do not begin
with a space. The exception is a raw ending that begins with a marker: the harness leaves a space
there, and so does this module.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from objectives.cache import cache_folder
from objectives.lora_ft import hub_data
from objectives.lora_ft.row_files import Item, Row, find, items_of

SHIPPED = Path(__file__).parent / "shipped"
SOURCES = ("auto", "folder", "hub", "shipped")
HELLASWAG_STRATA = {"activitynet": "ActivityNet", "wikihow": "WikiHow"}


@dataclass(frozen=True)
class Instruction:
    """One training example in Alpaca's form; `input` is "" if the instruction needs none."""

    instruction: str
    input: str
    output: str


@dataclass(frozen=True)
class Question:
    """A multiple choice question, scored by `query + " " + choices[i]`; `gold` is the right index.

    `stratum` is ActivityNet or WikiHow for HellaSwag, the subject for MMLU, the domain for the
    shipped questions in HellaSwag's form.
    """

    query: str
    choices: tuple[str, ...]
    gold: int
    stratum: str


@dataclass(frozen=True)
class Data:
    """The content of one source; `source` is folder, hub or shipped.

    `digest` is the SHA-256 (hex) of the items in order, independent of the files that they were
    read from. Two sources with equal digests give equal results.
    """

    source: str
    digest: str
    instructions: tuple[Instruction, ...]
    hellaswag: tuple[Question, ...]
    mmlu: tuple[Question, ...]


def load(source: str) -> Data:
    """Load the data of a source: auto, folder, hub, shipped, or the path of a data folder.

    auto means the folder in the environment variable TUNEOFF_DATA if that is set, else the Hugging
    Face cache or hub, else the data that the project ships.

    Raises:
        ValueError: a folder, file or row cannot be used (the message names the line), the source is
            unknown, or it is "hub" and neither the hub nor its cache has the data.
    """
    named = os.environ.get("TUNEOFF_DATA")
    if source == "folder" and not named:
        raise ValueError(
            "objective.data: expected TUNEOFF_DATA to name a folder, got nothing; set it, or use "
            "objective.data=auto, hub or shipped"
        )
    if named and source in ("auto", "folder"):
        return read_folder(Path(named).expanduser(), "folder")
    if source in ("auto", "hub"):
        try:
            return read_folder(hub_data.folder(cache_folder()), "hub")
        except hub_data.Unavailable as reason:
            if source == "hub":
                raise ValueError(
                    "objective.data: expected the data from the Hugging Face hub or its cache, "
                    f"got {reason}; name a data folder in TUNEOFF_DATA, or use "
                    "objective.data=shipped"
                ) from None
    if source in ("auto", "shipped"):
        return read_folder(SHIPPED, "shipped")
    path = Path(source).expanduser()
    if path.is_file():
        return read_file(path)
    if os.sep not in source and not path.is_dir():
        raise ValueError(
            f"objective.data: expected one of {', '.join(SOURCES)} or the path of a data folder or "
            f"of a file of instructions, got {source!r}, which does not exist"
        )
    return read_folder(path, "folder")


def read_file(path: Path) -> Data:
    """Read one file of instructions as JSON lines; there are no questions then.

    A row needs `instruction` and `output`; it may have `input`.

    Raises:
        ValueError: the file is unreadable, a row is malformed, or there are fewer than two rows.
    """
    instructions = items_of(path, _own_instruction)
    if len(instructions) < 2:
        raise ValueError(
            f"{path}: expected at least two instructions, to train on and to hold out, got one"
        )
    content = hashlib.sha256(json.dumps([tuple(vars(i).values()) for i in instructions]).encode())
    return Data("file", content.hexdigest(), instructions, (), ())


def read_folder(path: Path, source: str) -> Data:
    """Read a folder in the form that the module docstring describes.

    Raises:
        ValueError: the folder or a file is missing or unreadable, or a row is malformed.
    """
    instructions = _read(path, "alpaca", _instruction)
    hellaswag = _read(path, "hellaswag", _hellaswag)
    mmlu = _read(path, "mmlu_test", _mmlu)
    content = hashlib.sha256()
    for items in (instructions, hellaswag, mmlu):
        content.update(json.dumps([tuple(vars(item).values()) for item in items]).encode())
    return Data(source, content.hexdigest(), instructions, hellaswag, mmlu)


def subset(questions: Sequence[Question], n: int | None, seed: int) -> tuple[Question, ...]:
    """Draw n questions without replacement, stratified in proportion, in their original order.

    A stratum gets n times its share of the questions, rounded by the largest remainder (equal
    remainders in random order). The draw is a function of the questions, n and seed. All questions
    are returned if n is None or not below their number.

    Raises:
        ValueError: n is not positive.
    """
    if n is not None and n < 1:
        raise ValueError(f"subset: expected a positive number of questions, got {n}")
    if n is None or n >= len(questions):
        return tuple(questions)
    rng = np.random.default_rng(seed)
    strata: dict[str, list[int]] = {}
    for index, question in enumerate(questions):
        strata.setdefault(question.stratum, []).append(index)
    members = [strata[name] for name in sorted(strata)]
    # Quota n * size / total = whole + remainder / total, in integers: no rounding error.
    whole, remainder = zip(*(divmod(n * len(m), len(questions)) for m in members), strict=True)
    tie_break = rng.permutation(len(members))
    by_remainder = sorted(range(len(members)), key=lambda i: (-remainder[i], tie_break[i]))
    rounded_up = set(by_remainder[: n - sum(whole)])
    drawn: list[int] = []
    for i, indices in enumerate(members):
        drawn += rng.choice(indices, whole[i] + (i in rounded_up), replace=False).tolist()
    return tuple(questions[index] for index in sorted(drawn))


def preprocess(text: str) -> str:
    """Clean WikiHow's markup as lm-evaluation-harness does (`lm_eval/tasks/hellaswag/utils.py`)."""
    text = text.strip()
    text = text.replace(" [title]", ". ")
    text = re.sub(r"\[.*?\]", "", text)
    return text.replace("  ", " ")


def _own_instruction(row: Row) -> Instruction:
    return _instruction({"input": "", **row})


def _instruction(row: Row) -> Instruction:
    return Instruction(_text(row, "instruction"), _text(row, "input"), _text(row, "output"))


def _hellaswag(row: Row) -> Question:
    context = _text(row, "ctx_a") + " " + _text(row, "ctx_b").capitalize()
    origin = _text(row, "source_id").partition("~")[0]
    return Question(
        query=preprocess(_text(row, "activity_label") + ": " + context),
        choices=tuple(preprocess(ending) for ending in _choices(row, "endings")),
        gold=_gold(row, "label"),
        stratum=HELLASWAG_STRATA.get(origin, origin),
    )


def _mmlu(row: Row) -> Question:
    subject = _text(row, "subject")
    answers = _choices(row, "choices")
    listed = "".join(f"{letter}. {text}\n" for letter, text in zip("ABCD", answers, strict=True))
    return Question(
        query=(
            "The following are multiple choice questions (with answers) about "
            f"{subject.replace('_', ' ')}.\n\n{_text(row, 'question').strip()}\n{listed}Answer:"
        ),
        choices=("A", "B", "C", "D"),
        gold=_gold(row, "answer"),
        stratum=subject,
    )


def _text(row: Row, field: str) -> str:
    value = row.get(field)
    if not isinstance(value, str):
        raise ValueError(f"expected a text as {field!r}, got {_shown(row, field)}")
    return value


def _choices(row: Row, field: str) -> list[str]:
    value = row.get(field)
    if not isinstance(value, list) or len(value) != 4 or not all(isinstance(t, str) for t in value):
        raise ValueError(f"expected four texts as {field!r}, got {_shown(row, field)}")
    return value


def _gold(row: Row, field: str) -> int:
    value = row.get(field)
    # The hub's HellaSwag writes its labels as text.
    if str(value) not in ("0", "1", "2", "3") or not isinstance(value, int | str):
        raise ValueError(f"expected 0, 1, 2 or 3 as {field!r}, got {_shown(row, field)}")
    return int(value)


def _shown(row: Row, field: str) -> str:
    return repr(row[field])[:80] if field in row else "no such field"


def _read(folder: Path, name: str, parse: Callable[[Row], Item]) -> tuple[Item, ...]:
    return items_of(find(folder, name), parse)
