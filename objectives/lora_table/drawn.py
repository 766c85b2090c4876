"""Draw a task's items: those to train on, those held out, and the multiple-choice questions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from objectives.lora_ft.data import Data, Question, subset
from objectives.lora_ft.encoding import Encoder
from objectives.lora_ft.packing import Branching
from objectives.lora_ft.workbench import split
from objectives.lora_table.tasks import ALPACA, HELLASWAG, Task

DATA_SEED = 1337  # of the split into training and held-out items, and of the questions
MAX_LENGTH = 128  # tokens of prompt and response
_BEGINNING = 60  # characters; texts about the same video often begin alike


@dataclass(frozen=True)
class Drawn:
    """A task's items, tokenised.

    Attributes:
        training, selection, test: sequences with one response each; disjoint.
        questions: multiple-choice questions.
        endings: the same questions, tokenised with all their choices.
    """

    training: list[Branching]
    selection: list[Branching]
    test: list[Branching]
    questions: tuple[Question, ...]
    endings: list[Branching]


def draw(task: Task, data: Data, encoder: Encoder) -> Drawn:
    """Draw the items of a task.

    Raises:
        ValueError: the data have too few items.
    """
    drawn = _DRAWS[task.name](task, data, encoder)
    n_heldout = len(drawn.selection) + len(drawn.test)
    wanted = task.selection["1"] + task.test
    if len(drawn.training) < task.items or n_heldout < wanted:
        raise ValueError(
            f"objective.data: expected {task.items} items to train on and {wanted} held out, got "
            f"{len(drawn.training)} and {n_heldout}"
        )
    return drawn


def _instructions(task: Task, data: Data, encoder: Encoder) -> Drawn:
    """Draw instructions, and HellaSwag's questions."""
    training, heldout = split(data.instructions, DATA_SEED)
    n_selection = task.selection["1"]
    others = encoder.instructions(heldout, n_selection + task.test)
    questions = subset(data.hellaswag, task.questions, DATA_SEED)
    return Drawn(
        training=encoder.instructions(training, task.items),
        selection=others[:n_selection],
        test=others[n_selection:],
        questions=questions,
        endings=[encoder.question(question) for question in questions],
    )


def _endings(task: Task, data: Data, encoder: Encoder) -> Drawn:
    """Draw HellaSwag's contexts, whose right ending is the response.

    The questions by which the other task is scored are left out. So are texts of more than
    `MAX_LENGTH` tokens, and texts that share a part with one drawn earlier: HellaSwag has several
    questions about one video, and the right ending of one is often the context of another.
    """
    n_heldout = task.selection["1"] + task.test
    known = set(subset(data.hellaswag, ALPACA.questions, DATA_SEED))
    candidates = [question for question in data.hellaswag if question not in known]
    order = np.random.default_rng(DATA_SEED).permutation(len(candidates)).tolist()
    found: list[tuple[Question, Branching]] = []
    for question in _apart([candidates[i] for i in order]):
        endings = encoder.question(question)
        if len(_continued(question, endings)) <= MAX_LENGTH:
            found.append((question, endings))
        if len(found) == n_heldout + task.items:
            break
    single = [Branching(e.context, [e.branches[q.gold]]) for q, e in found]
    test = found[task.selection["1"] : n_heldout][: task.questions]
    return Drawn(
        training=single[n_heldout:],
        selection=single[: task.selection["1"]],
        test=single[task.selection["1"] : n_heldout],
        questions=tuple(question for question, _ in test),
        endings=[endings for _, endings in test],
    )


def _continued(question: Question, endings: Branching) -> list[int]:
    return [*endings.context, *endings.branches[question.gold]]


def _apart(questions: Sequence[Question]) -> Iterator[Question]:
    """Yield the questions that share no text with one that was yielded before."""
    kept: list[tuple[str, str]] = []
    for question in questions:
        context = question.query.partition(": ")[2].lower()
        ending = question.choices[question.gold].lower().rstrip(". ")
        shared = any(
            context[:_BEGINNING] == other[:_BEGINNING] or ending in other or its_ending in context
            for other, its_ending in kept
        )
        if not shared:
            kept.append((context, ending))
            yield question


_DRAWS = {ALPACA.name: _instructions, HELLASWAG.name: _endings}
