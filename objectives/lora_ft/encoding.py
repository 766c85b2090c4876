"""Tokenise text: instructions in Alpaca's prompt style, questions as lm_eval does.

A beginning-of-sequence token appears only if the tokenizer itself adds one (SmolLM2's does not). In
contrast, LitGPT's script puts `<|im_start|>` before SmolLM2's prompts because of the folder's name.
"""

from collections.abc import Sequence
from pathlib import Path

from litgpt.prompts import Alpaca
from litgpt.tokenizer import Tokenizer

from objectives.lora_ft.data import Instruction, Question
from objectives.lora_ft.packing import Branching


class Encoder:
    """The tokenizer of a LitGPT checkpoint folder.

    Args:
        folder: the folder with `tokenizer.json`.
        max_length: longest question with its choice, in tokens.
        max_train_length: longest prompt with its response, in tokens.
        mask_prompt: whether only the response is a target, or every token after the first.
    """

    def __init__(
        self, folder: Path, max_length: int, max_train_length: int, mask_prompt: bool
    ) -> None:
        tokenizer = Tokenizer(folder)
        self._tokenizer = tokenizer.processor
        self._end = tokenizer.eos_id
        self._max_length = max_length
        self._max_train_length = max_train_length
        self._mask_prompt = mask_prompt
        self._style = Alpaca()

    def instruction(self, item: Instruction) -> Branching | None:
        """Encode prompt and response, truncated to the maximal length; None without response."""
        text = self._style.apply(item.instruction, input=item.input)
        prompt: list[int] = self._tokenizer.encode(text).ids
        response: list[int] = self._tokenizer.encode(item.output, add_special_tokens=False).ids
        response = [*response, self._end][: max(self._max_train_length - len(prompt), 0)]
        if not response:
            return None
        if self._mask_prompt:
            return Branching(prompt, [response])
        return Branching(prompt[:1], [prompt[1:] + response])

    def instructions(self, items: Sequence[Instruction], n: int) -> list[Branching]:
        """Encode the first n items whose response survives the truncation, or all of them."""
        encoded: list[Branching] = []
        for item in items:
            if len(encoded) == n:
                break
            if (sequence := self.instruction(item)) is not None:
                encoded.append(sequence)
        return encoded

    def question(self, question: Question) -> Branching:
        """Encode a question as the harness does (`TemplateLM._encode_pair`).

        White space at the query's end moves to the choices. The query and each query + " " + choice
        are then encoded separately. A choice's tokens are those after the first n, where n is the
        number of the query's tokens. If the sequence is too long, the query is truncated from the
        left.

        Raises:
            ValueError: the query is empty, or a choice adds no token.
        """
        query = question.query.rstrip()
        context: list[int] = self._tokenizer.encode(query).ids
        wholes = [
            self._tokenizer.encode(f"{question.query} {text}").ids for text in question.choices
        ]
        branches = [whole[len(context) :] for whole in wholes]
        if not context or not all(branches):
            raise ValueError(
                f"question: expected a query and choices of a token or more, got {question}"
            )
        room = self._max_length + 1 - max(len(branch) for branch in branches)
        return Branching(context[-max(room, 1) :], branches)
