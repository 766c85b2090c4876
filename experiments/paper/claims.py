"""A check of three numbers in the study's text against its own files: 23 %, 36 hours, 6^5."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.paper.numbers import Cell, Facts, Source, count, number
from experiments.paper.published import ALGORITHMS, Published, incumbent
from experiments.paper.study_tables import PRINTED

_BUDGET = 50


def facts(printed: Mapping[str, Any], study: Published) -> Facts | None:
    """Return the numbers as printed and as recomputed; None if the files contain no times."""
    timed = [point for point in study.evaluated() if point.minutes is not None]
    if not timed:
        return None
    source = study.source(timed)
    train, score = np.array([point.minutes for point in timed]).mean(axis=0).tolist()
    minutes = train + score
    values, parameters = printed["claims"]["grid"]
    grid = values**parameters
    return Facts(
        "claims",
        {
            "PrintedFromUpper": count(printed["claims"]["from_upper"], _printed("from_upper")),
            "PrintedHours": count(printed["claims"]["hours"], _printed("hours")),
            "GridValues": count(values, _printed("grid")),
            "GridParameters": count(parameters, _printed("grid")),
            "GridSize": Cell(grid, f"{grid:,}", _printed("grid")),
            "TrainMinutes": number(train, 1, source),
            "ScoreMinutes": number(score, 1, source),
            "FiftyHours": number(_BUDGET * minutes / 60, 1, source),
            "GridDays": number(grid * minutes / 60 / 24, 0, source),
            **_from_upper(printed, study),
        },
    )


def _printed(key: str) -> Source:
    return {"transcribed": PRINTED, "key": f"claims.{key}"}


def _from_upper(printed: Mapping[str, Any], study: Published) -> dict[str, Cell]:
    """Return by how many percent the MMLU is below that of the model card."""
    upper = printed["upper"]["mmlu"] / 100
    most = max(study.evaluated(), key=lambda point: point.mmlu)
    honest = {name: incumbent(study.evaluated(name)) for name in ALGORITHMS}
    least = min(honest.values(), key=lambda point: point.mmlu)
    above = printed["scores"]["hellaswag"]["BO-GP"] / printed["upper"]["hellaswag"] - 1
    card: Source = {"transcribed": PRINTED, "key": "upper.hellaswag"}
    return {
        "FromUpper": number(1 - most.mmlu / upper, 0, study.source([most]), 100),
        "FromUpperLeast": number(1 - least.mmlu / upper, 0, study.source([least]), 100),
        "AboveUpper": number(above, 0, card, 100),
    }
