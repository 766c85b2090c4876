"""Make every table and figure of the paper: `python -m experiments.paper data=CSV`.

`conf/paper.yaml` lists the settings. Writes tables/*.tex, figures/*.pdf and numbers.json into
`out`; the text, main.tex, is written by hand and includes them. An input that is absent leaves its
tables and figures as they are; one line says where it comes from, and the exit status is 2.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from experiments.paper import numbers, pictures
from experiments.paper.contents import Inputs, figures, gather, sections
from experiments.running import provenance
from experiments.running.command_line import prepare
from experiments.running.mistakes import answered


def make(settings: DictConfig) -> Inputs:
    """Make what the inputs give, and return them.

    Raises:
        ValueError, OSError, HydraException: something that the user can mend.
    """
    if settings.format not in ("pdf", "png"):
        raise ValueError(f"format: expected pdf or png, got {settings.format}")
    inputs = gather(settings)
    out = provenance.ROOT / Path(str(settings.out)).expanduser()
    made = sections(inputs)
    numbers.write(made, out)
    (out / "figures").mkdir(parents=True, exist_ok=True)
    with pictures.style():
        drawn = figures(inputs, made)
        for name, draw in drawn.items():
            pictures.save(draw(), out / "figures" / f"{name}.{settings.format}")
    print(f"{len(made)} tables and sets of numbers, {len(drawn)} figures: {out}")
    return inputs


def main(arguments: Sequence[str]) -> int:
    """Make and say what is missing; return the exit status."""
    given = prepare(list(arguments))

    def command() -> int:
        with initialize_config_dir(str(provenance.ROOT / "conf"), version_base=None):
            settings = compose("paper", given)
        missing = make(settings).missing
        for line in missing:
            print(line, file=sys.stderr)
        return 2 if missing else 0

    return answered(command, given, "paper")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
