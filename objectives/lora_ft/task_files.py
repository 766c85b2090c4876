"""The data in the forms that LitGPT and lm_eval read without a network.

    train.json, val.json                    instructions, for LitGPT's JSON data module
    Rowan/hellaswag/{train,validation}.jsonl, cais/mmlu/<subject>/{dev,test}.jsonl
                                            questions, found by lm_eval's stock tasks in the folder
                                            where it is started, before it would ask the hub

The questions' texts are those of `data.py`, already clean; lm_eval's own cleaning leaves them as
they are. lm_eval wants few-shot examples to exist, although it uses none here.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from objectives.lora_ft.data import Instruction, Question

N_SUBJECTS = 57  # of MMLU; lm_eval's `mmlu` needs a question of each
_LETTERS = "ABCD"
_Row = dict[str, object]


def instructions(
    folder: Path, training: Sequence[Instruction], held: Sequence[Instruction]
) -> None:
    """Write what to train on and what to validate on."""
    for name, items in (("train", training), ("val", held)):
        (folder / f"{name}.json").write_text(json.dumps([vars(item) for item in items]))


def hellaswag(folder: Path, questions: Sequence[Question]) -> None:
    """Write the questions of lm_eval's `hellaswag`."""
    rows: list[_Row] = []
    for question in questions:
        label, _, context = question.query.partition(": ")
        rows.append(
            {
                "activity_label": label,
                "ctx_a": context,
                "ctx_b": "",
                "endings": list(question.choices),
                "label": str(question.gold),
            }
        )
    place = folder / "Rowan" / "hellaswag"
    place.mkdir(parents=True)
    for split in ("train", "validation"):
        _write(place / f"{split}.jsonl", rows)


def mmlu(folder: Path, questions: Sequence[Question]) -> None:
    """Write the questions of lm_eval's `mmlu`, a configuration for each subject."""
    subjects: dict[str, list[_Row]] = defaultdict(list)
    for question in questions:
        subjects[question.stratum].append(_mmlu_row(question))
    place = folder / "cais" / "mmlu"
    lines = ["---", "configs:"]
    for subject, rows in sorted(subjects.items()):
        (place / subject).mkdir(parents=True)
        lines += [f"- config_name: {subject}", "  data_files:"]
        for split in ("dev", "test"):
            _write(place / subject / f"{split}.jsonl", rows)
            lines += [f"  - split: {split}", f"    path: {subject}/{split}.jsonl"]
    (place / "README.md").write_text("\n".join([*lines, "---", ""]))


def _mmlu_row(question: Question) -> _Row:
    """Take the query apart again: "<description>\n\n<question>\nA. <choice>\n...Answer:".

    Wherever it is cut, the parts make the same query.
    """
    rest = question.query.partition("\n\n")[2].removesuffix("\nAnswer:")
    choices: list[str] = []
    for letter in reversed(_LETTERS):
        rest, _, choice = rest.rpartition(f"\n{letter}. ")
        choices.insert(0, choice)
    row: _Row = {"question": rest, "subject": question.stratum, "choices": choices}
    return {**row, "answer": question.gold}


def _write(path: Path, rows: Sequence[_Row]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
