"""The contents of the paper: every table and figure, and the inputs that it needs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hydra.utils import instantiate
from matplotlib.figure import Figure
from omegaconf import DictConfig

from experiments.analysis import results
from experiments.paper import (
    answer,
    claims,
    comparison,
    comparison_tables,
    drawn,
    importance,
    landscape,
    landscape_figures,
    lora_table,
    lora_table_figures,
    lora_table_file,
    published,
    study_figures,
    study_tables,
    surface,
)
from experiments.paper.numbers import Section, Table
from experiments.running import readers
from objectives.objective import Objective


@dataclass
class Inputs:
    """The inputs of the paper.

    Attributes:
        missing: a line for each missing input, which says how to obtain it.
    """

    printed: dict[str, Any]
    objective: Objective
    study: published.Published | None = None
    held_out: dict[str, published.Floats] = field(default_factory=dict)
    held_out_name: str = ""
    samples: list[comparison.Sample] = field(default_factory=list)
    samples_name: str = ""
    cells: drawn.Drawn | None = None
    trained: lora_table_file.LoraTable | None = None
    evidence: list[answer.Evidence] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def gather(settings: DictConfig) -> Inputs:
    """Read the CSV file and the committed results, and note the missing ones.

    Raises:
        ValueError, OSError, HydraException: an existing input cannot be used.
    """
    objective: Objective = instantiate(settings.objective, _convert_="all")
    text = Path(study_tables.PRINTED).read_text(encoding="utf-8")
    inputs = Inputs(yaml.safe_load(text), objective)
    try:
        path = published.find(settings.data or None)
    except ValueError as error:
        inputs.missing.append(str(error))
    else:
        inputs.study = published.read(path, objective.space)
    held_out = _committed(settings, "held_out", inputs)
    if held_out and inputs.study:
        inputs.held_out = surface.read_held_out(held_out, inputs.study)
        inputs.held_out_name = str(settings.held_out)
    runs = _committed(settings, "comparison", inputs)
    if runs:
        name = inputs.samples_name = str(settings.comparison)
        inputs.samples = comparison.samples(results.load([runs]), objective, name)
    cells = _committed(settings, "drawn", inputs)
    if cells:
        inputs.cells = drawn.read(cells, str(settings.drawn))
    trained = _committed(settings, "lora_table", inputs)
    untrained = _committed(settings, "untrained", inputs)
    if trained and untrained:
        inputs.trained = lora_table_file.read(trained, str(settings.lora_table), untrained)
    inputs.evidence, inputs.absent = answer.gather(settings.answer, Path())
    return inputs


_MAKE = {
    "held_out": "python -m objectives.lora_published.fit data=CSV out={path}",
    "comparison": "tuneoff sweep experiment=paper_surrogate runs=2, then "
    "tuneoff pack results/paper_surrogate",
    "drawn": "TUNEOFF_DATA=... python -m objectives.lora_ft.drawn_adapters out={path}",
    "lora_table": "make lora-table, then python -m objectives.lora_table.compile",
    "untrained": "python -m objectives.lora_table.untrained",
}


def _committed(settings: DictConfig, key: str, inputs: Inputs) -> Path | None:
    """Return the path of committed results; if they are missing, note that and return None."""
    path = readers.path(key, settings[key])
    if path.exists():
        return path
    command = _MAKE[key].format(path=settings[key])
    inputs.missing.append(f"{key}: expected results, got no file {path}; run: {command}")
    return None


def sections(inputs: Inputs) -> list[Section]:
    """Return all tables and all numbers of the text that the inputs allow."""
    space = inputs.objective.space
    printed = inputs.printed
    made: list[Section] = [study_tables.space(printed, space), study_tables.upper(printed)]
    study = inputs.study
    if study:
        made += [
            study_tables.box_facts(printed, study),
            study_tables.scores(printed, study),
            study_tables.differences(study),
            study_tables.verdict(study),
            study_tables.correlations(study),
            landscape.collapse(study),
            landscape.landscape_facts(study),
            landscape.duplicates(study),
            importance.table(study, space),
        ]
        told = claims.facts(printed, study)
        made += [told] if told else []
    if study and inputs.held_out:
        made.append(surface.table(study, inputs.objective, inputs.held_out, inputs.held_out_name))
    if inputs.samples:
        made += comparison_tables.sections(inputs.samples, inputs.samples_name)
    if inputs.cells:
        made += drawn.sections(inputs.cells)
    if inputs.trained:
        made += lora_table.sections(inputs.trained)
    if inputs.evidence:
        made += answer.sections(inputs.evidence, inputs.absent)
    return made


def figures(inputs: Inputs, made: list[Section]) -> dict[str, Callable[[], Figure]]:
    """Return the functions that draw the figures that the inputs allow, by file name."""
    study, objective = inputs.study, inputs.objective
    tables = {section.name: section for section in made if isinstance(section, Table)}
    found: dict[str, Callable[[], Figure]] = {}
    if study:
        known = study
        found |= {
            "figure2_lhs": lambda: study_figures.sampling(known),
            "figure3_bo": lambda: study_figures.over_time(known, "BO-GP"),
            "figure4_soo": lambda: study_figures.over_time(known, "SOO"),
            "figure5_bamsoo": lambda: study_figures.bamsoo(known),
            "figure6_compared": lambda: study_figures.compared(known),
            "collapse": lambda: landscape_figures.collapse(known),
            "cliff": lambda: landscape_figures.cliff(known),
            "duplicates": lambda: landscape_figures.duplicates(known),
            "importance": lambda: importance.draw(tables["importance"]),
        }
        if inputs.held_out:
            found["surface"] = lambda: surface.draw(known, objective, inputs.held_out)
        if inputs.cells:
            cells = inputs.cells
            found["drawn"] = lambda: drawn.draw(cells, known)
    if inputs.samples:
        found["comparison"] = lambda: comparison_tables.anytime(inputs.samples)
    if inputs.evidence:
        found["answer"] = lambda: answer.draw(inputs.evidence)
    if inputs.trained:
        trained = inputs.trained
        found |= {
            "lora_table_landscape": lambda: lora_table_figures.landscape(trained),
            "lora_table_learning": lambda: lora_table_figures.learning(trained),
            "lora_table_bias": lambda: lora_table_figures.bias(trained),
        }
    return found
