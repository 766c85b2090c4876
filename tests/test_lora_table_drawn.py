"""The items of the LoRA tables' tasks: disjoint, of bounded length, and without common text."""

from typing import cast

import pytest

from objectives.lora_ft.data import Data, Instruction, Question, subset
from objectives.lora_ft.encoding import Encoder
from objectives.lora_ft.packing import Branching
from objectives.lora_table.drawn import DATA_SEED, MAX_LENGTH, draw
from objectives.lora_table.tasks import ALPACA, HELLASWAG


class _Words:
    """A stand-in for the encoder: each word is a token, known by its text."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}

    def _tokens(self, text: str) -> list[int]:
        return [self.ids.setdefault(word, len(self.ids)) for word in text.split()]

    def question(self, question: Question) -> Branching:
        return Branching(self._tokens(question.query), list(map(self._tokens, question.choices)))

    def instructions(self, items: list[Instruction], n: int) -> list[Branching]:
        pairs = [(self._tokens(item.instruction), self._tokens(item.output)) for item in items]
        return [Branching(prompt, [response]) for prompt, response in pairs[:n]]


def _question(number: int, context: str = "", length: int = 3) -> Question:
    words = " ".join(f"w{number}-{place}" for place in range(length))
    choices = tuple(f"end{number}-{letter} of it." for letter in "abcd")
    return Question(f"Topic: {context}{words}", choices, number % 4, "ActivityNet")


def _data(questions: list[Question]) -> Data:
    instructions = tuple(Instruction(f"do {i}", "", f"done {i}") for i in range(8000))
    return Data("folder", "0" * 64, instructions, tuple(questions), ())


def test_training_selection_and_test_items_are_disjoint_and_their_ending_is_the_right_one() -> None:
    questions = [_question(i) for i in range(800)]
    words = _Words()
    drawn = draw(HELLASWAG, _data(questions), cast(Encoder, words))
    sizes = [len(part) for part in (drawn.training, drawn.selection, drawn.test)]
    assert sizes == [324, 128, 128]
    contexts = [tuple(s.context) for s in [*drawn.training, *drawn.selection, *drawn.test]]
    assert len(set(contexts)) == 580
    assert all(len(s.branches) == 1 for s in drawn.training)
    for question, item, endings in zip(drawn.questions, drawn.test, drawn.endings, strict=True):
        right = words.question(question).branches[question.gold]
        assert item.branches == [right] and endings.branches[question.gold] == right
    asked_elsewhere = {
        tuple(words.question(q).context) for q in subset(questions, ALPACA.questions, DATA_SEED)
    }
    assert asked_elsewhere.isdisjoint(contexts)


def test_long_texts_and_texts_with_a_common_part_are_left_out() -> None:
    questions = [_question(i) for i in range(800)]
    long = [_question(i, length=MAX_LENGTH) for i in range(800, 900)]
    # The right ending of question i is the context of question 2000 + i.
    next_ones = [_question(2000 + i, f"{questions[i].choices[i % 4]} ") for i in range(800)]
    words = _Words()
    drawn = draw(HELLASWAG, _data([*questions, *long, *next_ones]), cast(Encoder, words))
    everything = [*drawn.training, *drawn.selection, *drawn.test]
    assert max(len(s.context) + len(s.branches[0]) for s in everything) <= MAX_LENGTH
    contexts = {tuple(s.context) for s in everything}
    both = [
        i
        for i in range(800)
        if {tuple(words.question(q).context) for q in (questions[i], next_ones[i])} <= contexts
    ]
    assert both == []


def test_too_few_questions_are_an_error_in_one_line() -> None:
    few = _data([_question(i) for i in range(300)])
    with pytest.raises(ValueError, match="expected 324 items to train on and 256 held out, got 0"):
        draw(HELLASWAG, few, cast(Encoder, _Words()))


def test_the_first_task_s_items_are_instructions_and_its_questions_64() -> None:
    drawn = draw(ALPACA, _data([_question(i) for i in range(100)]), cast(Encoder, _Words()))
    sizes = [len(part) for part in (drawn.training, drawn.selection, drawn.test)]
    assert sizes == [108, 128, 128] and len(drawn.questions) == len(drawn.endings) == 64
