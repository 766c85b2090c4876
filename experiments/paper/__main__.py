"""`tuneoff paper`: create every table and figure of the paper.

`conf/paper.yaml` lists the settings. The command writes tables/*.tex, figures/*.pdf and
numbers.json to the folder `out`. The text, main.tex, is written by hand and includes them. If an
input is missing, its tables and figures are left unchanged, one line says how to obtain it, and
the exit status is 2.
"""

import sys
from collections.abc import Sequence

from omegaconf import DictConfig

from experiments.paper import numbers, pictures
from experiments.paper.contents import Inputs, figures, gather, sections
from experiments.running.composing import ComposedCommand
from experiments.running.mistakes import complain
from experiments.running.readers import path
from experiments.running.whole_files import whole_files


def make(settings: DictConfig) -> Inputs:
    """Create the tables and figures that the inputs allow, and return the inputs.

    Raises:
        ValueError, OSError, HydraException: an input or a setting is invalid.
    """
    if settings.format not in ("pdf", "png"):
        raise ValueError(f"format: expected pdf or png, got {settings.format}")
    out = path("out", settings.out)
    inputs = gather(settings)
    made = sections(inputs)
    with whole_files(out) as new, pictures.style():
        numbers.write(made, new, numbers.read(out))
        (new / "figures").mkdir()
        drawn = figures(inputs, made)
        for name, draw in drawn.items():
            pictures.save(draw(), new / "figures" / f"{name}.{settings.format}")
    print(f"{len(made)} tables and sets of numbers, {len(drawn)} figures: {out}")
    return inputs


COMMAND = ComposedCommand(
    "paper",
    "Create every table and figure of the paper, in a checkout of the project.",
    [
        ("tuneoff paper data=llama_3_2_1b.csv", "into paper/"),
        ("tuneoff paper data=~/study out=look format=png", "into another folder, as a preview"),
    ],
    notes="If an input is missing, its tables are left unchanged; a line says how to obtain it.",
)


def main(arguments: Sequence[str]) -> int:
    """Create the paper's files and report missing inputs; return the exit status."""
    return COMMAND.answer(arguments, _paper)


def _paper(settings: DictConfig) -> int:
    missing = make(settings).missing
    for line in missing:
        complain(line)
    return 2 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
