"""Write the shipped data set from `world.txt`: `python -m objectives.lora_ft.shipped.generate`.

The world consists of 40 everyday procedures of seven steps in eight domains, written by hand. A
step may contain a detail in braces: first the right text, then three wrong ones. Three files are
generated from it:

- `hellaswag_form.jsonl`: the context is a procedure up to some step, and the right ending is the
  step that follows. The field `kind` determines the wrong endings. `order`: two steps from other
  positions of the procedure and one step from its domain; the context has only the last two steps.
  `topic`: the steps at the same position in three other procedures. `detail`: the same step with
  its wrong details. About half of the texts are about a person (like ActivityNet), and half are
  instructions (like WikiHow).
- `alpaca_form.jsonl`: instructions with answers about the same procedures, in other words and with
  other people. Some are about the subjects below, with other numbers.
- `mmlu_test_form.jsonl`: six subjects, two about the procedures and four with small computations.

The random numbers come from Python's own generator with one seed, so the files can be reproduced
byte by byte. A test does so.
"""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from objectives.lora_ft.shipped.world import Procedure, read_world, sentence, with_s

SEED = 20251
HERE = Path(__file__).parent
TEST_PEOPLE = (("A woman", "she"), ("A man", "he"), ("A girl", "she"), ("An old man", "he"))
TRAIN_PEOPLE = (("My aunt", "she"), ("Our neighbour", "he"), ("Clara", "she"), ("Tom", "he"))
OPENERS = ("", "", " with a friend", " on a quiet morning", " after work", " for the first time")
# Verbs that follow "and"; the verbs that begin a step are known from the world.
MORE_VERBS = {"bring", "centre", "drop", "give", "keep", "lean", "light", "serve", "tip", "try"}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
UNITS = (
    ("metres", "centimetres", 100),
    ("kilograms", "grams", 1000),
    ("hours", "minutes", 60),
    ("litres", "millilitres", 1000),
    ("days", "hours", 24),
    ("dozen", "pieces", 12),
    ("weeks", "days", 7),
)
GROUPS = {
    "tools": ("hammer", "saw", "drill", "wrench", "chisel", "pliers"),
    "fruits": ("apple", "pear", "plum", "cherry", "mango", "peach"),
    "animals": ("horse", "goat", "otter", "badger", "rabbit", "donkey"),
    "clothes": ("shirt", "scarf", "glove", "jacket", "sock", "hat"),
    "vehicles": ("tram", "lorry", "ferry", "bicycle", "tractor", "bus"),
    "instruments": ("flute", "violin", "trumpet", "drum", "harp", "cello"),
}

Row = dict[str, object]


class Writer:
    """Generates rows from the world with one random stream, used in a fixed order."""

    def __init__(self, world: list[Procedure], seed: int) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.verbs = MORE_VERBS | {s.right.split()[0] for p in world for s in p.steps}

    def third_person(self, step: str) -> str:
        """Conjugate a step: its first word, and each verb after "and"."""
        words = step.split(" ")
        for i, word in enumerate(words):
            if i == 0 or (words[i - 1] == "and" and word in self.verbs):
                words[i] = with_s(word)
        return " ".join(words)

    def others(self, procedure: Procedure) -> list[Procedure]:
        return [p for p in self.world if p.domain == procedure.domain and p != procedure]

    def hellaswag(self) -> Iterator[Row]:
        for procedure in self.world:
            for at in range(1, 6):
                # Not the two steps of the context, because language models favour repetition.
                early = list(procedure.steps[: max(0, at - 2)])
                late = list(procedure.steps[at + 1 :])
                misplaced = self.random.sample(early + late, 2)
                other = self.random.choice(self.random.choice(self.others(procedure)).steps)
                wrong = [step.right for step in (*misplaced, other)]
                yield self.question(procedure, at, wrong, "order")
            for at in self.random.sample(range(1, 7), 4):
                others = self.random.sample(self.others(procedure), 3)
                yield self.question(procedure, at, [p.steps[at].right for p in others], "topic")
            detailed = [i for i in range(1, 7) if len(procedure.steps[i].variants) > 1]
            for at in detailed:
                wrong = list(procedure.steps[at].variants[1:])
                yield self.question(procedure, at, wrong, "detail")

    def question(self, procedure: Procedure, at: int, wrong: list[str], kind: str) -> Row:
        endings = [procedure.steps[at].right, *wrong]
        right = endings[0]
        self.random.shuffle(endings)
        first = max(0, at - 2) if kind == "order" else 0
        told = [step.right for step in procedure.steps[first:at]]
        if self.random.random() < 0.5:
            person, pronoun = self.random.choice(TEST_PEOPLE)
            context = self.tale(procedure, told, person, pronoun)
            row: Row = {
                "activity_label": procedure.label,
                "ctx_a": context,
                "ctx_b": pronoun,
                "endings": [self.third_person(ending) + "." for ending in endings],
            }
        else:
            row = {
                "activity_label": procedure.domain.capitalize(),
                "ctx_a": " ".join([f"How to {procedure.goal}.", *map(sentence, told)]),
                "ctx_b": "",
                "endings": [sentence(ending) for ending in endings],
            }
        return row | {
            "source_id": f"{procedure.domain}~{procedure.goal.replace(' ', '_')}",
            "kind": kind,
            "label": endings.index(right),
        }

    def tale(self, procedure: Procedure, told: list[str], person: str, pronoun: str) -> str:
        label = procedure.label[0].lower() + procedure.label[1:]
        first = f"{person} is {label} {procedure.place}{self.random.choice(OPENERS)}."
        return " ".join(
            [first] + [sentence(f"{pronoun} {self.third_person(step)}") for step in told]
        )

    def alpaca(self) -> Iterator[Row]:
        for p in self.world:
            steps = [step.right for step in p.steps]
            yield _answer(f"List the steps to {p.goal}.", "", _numbered(steps))
            for at in range(6):
                ask = self.random.choice(
                    (
                        "I want to {goal}. I have done this: {done}. What do I do next?",
                        "What comes right after this step when you {goal}? Step: {done}.",
                        "You {goal} and have just done this: {done}. Name the next step.",
                    )
                )
                asked = ask.format(goal=p.goal, done=steps[at])
                yield _answer(asked, "", sentence(steps[at + 1]))
            for at in self.random.sample(range(1, 7), 3):
                person, pronoun = self.random.choice(TRAIN_PEOPLE)
                tale = self.tale(p, steps[max(0, at - 2) : at], person, pronoun)
                ending = sentence(f"{pronoun} {self.third_person(steps[at])}")
                yield _answer("Continue the text with what happens next.", tale, ending)
            for step in self.random.sample([s for s in p.steps if len(s.variants) > 1], 3):
                asked = f"Fill the gap in this step, if you want to {p.goal}."
                yield _answer(asked, sentence(step.blank), sentence(step.right))
        for subject, make in self.subjects().items():
            for _ in range(20):
                question, choices = make()
                asked = f"Answer this question about {subject.replace('_', ' ')}."
                yield _answer(asked, question, f"{choices[0]}")

    def mmlu(self) -> Iterator[Row]:
        for subject, make in self.subjects().items():
            seen: set[str] = set()
            while len(seen) < 60:
                question, choices = make()
                if question in seen:
                    continue
                seen.add(question)
                right = choices[0]
                self.random.shuffle(choices)
                answer = choices.index(right)
                yield dict(question=question, subject=subject, choices=choices, answer=answer)

    def subjects(self) -> dict[str, Callable[[], tuple[str, list[str]]]]:
        """Return the functions that generate a question and its choices, the right one first."""
        return {
            "calendar": self.calendar,
            "details_of_procedures": self.details,
            "order_of_steps": self.order,
            "shopping_arithmetic": self.shopping,
            "unit_conversion": self.conversion,
            "word_groups": self.word_groups,
        }

    def calendar(self) -> tuple[str, list[str]]:
        today, ahead = self.random.randrange(7), self.random.randrange(2, 20)
        right = (today + ahead) % 7
        wrong = self.random.sample([i for i in range(7) if i != right], 3)
        question = f"Today is {DAYS[today]}. Which day is it in {ahead} days?"
        return question, [DAYS[i] for i in (right, *wrong)]

    def details(self) -> tuple[str, list[str]]:
        procedure = self.random.choice(self.world)
        step = self.random.choice([s for s in procedure.steps if len(s.variants) > 1])
        before, after = step.blank.split("...")
        choices = [v.removeprefix(before).removesuffix(after) for v in step.variants]
        return f"To {procedure.goal}, what fills the gap? {sentence(step.blank)}", choices

    def order(self) -> tuple[str, list[str]]:
        procedure = self.random.choice(self.world)
        at = self.random.randrange(6)
        steps = [step.right for step in procedure.steps]
        wrong = self.random.sample(steps[:at] + steps[at + 2 :], 3)
        question = f"You {procedure.goal}. Which step follows this one? {sentence(steps[at])}"
        return question, [sentence(step) for step in (steps[at + 1], *wrong)]

    def shopping(self) -> tuple[str, list[str]]:
        count, price = self.random.randrange(2, 10), self.random.randrange(2, 13)
        thing = self.random.choice(GROUPS["tools"] + GROUPS["fruits"] + GROUPS["clothes"])
        question = f"One {thing} costs {price} coins. How many coins do {count} of them cost?"
        return question, self.near(count * price)

    def conversion(self) -> tuple[str, list[str]]:
        large, small, factor = self.random.choice(UNITS)
        count = self.random.randrange(2, 16)
        right = count * factor
        wrong = [right + factor, right - factor, right * 10]
        return f"How many {small} are {count} {large}?", [str(n) for n in (right, *wrong)]

    def word_groups(self) -> tuple[str, list[str]]:
        name, other = self.random.sample(sorted(GROUPS), 2)
        odd = self.random.choice(GROUPS[other])
        rest = self.random.sample(GROUPS[name], 3)
        shown = sorted([odd, *rest])
        return f"Which word does not belong to the others: {', '.join(shown)}?", [odd, *rest]

    def near(self, right: int) -> list[str]:
        apart = self.random.sample([-4, -3, -2, -1, 1, 2, 3, 4, 10], 3)
        return [str(right), *(str(max(right + d, 0)) for d in apart)]


def _numbered(steps: list[str]) -> str:
    return "\n".join(f"{n}. {sentence(step)}" for n, step in enumerate(steps, start=1))


def _answer(instruction: str, given: str, output: str) -> Row:
    return {"instruction": instruction, "input": given, "output": output}


def files() -> dict[str, str]:
    """Return the contents of the three files by name."""
    writer = Writer(read_world(), SEED)
    rows = {
        "hellaswag_form.jsonl": writer.hellaswag(),
        "alpaca_form.jsonl": writer.alpaca(),
        "mmlu_test_form.jsonl": writer.mmlu(),
    }
    return {
        name: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made)
        for name, made in rows.items()
    }


if __name__ == "__main__":
    for name, text in files().items():
        (HERE / name).write_text(text, encoding="utf-8")
