"""A CSV file of evaluations as an objective, which has exactly the measured configurations.

One row is one evaluation. A parameter is inactive if its cell is empty. The space is given or
derived from the table. A column of numbers becomes an ordinal of its distinct values, in their
order. A column of true and false, in any spelling, becomes a categorical of booleans, and a column
of other text becomes a categorical. The derived space therefore contains the measured values and
all their combinations. A column that mixes numbers with other text is refused.

The look-up is exact or nearest. Nearest is the row at the least Euclidean distance in the unit
cube, if that distance is within the tolerance. Different choices have distance 1, and so has a
parameter that is inactive on one side only. If there is no row, the evaluation fails and names the
configuration that the table lacks.

A table without equal configurations is deterministic. With `replicates`, configurations may have
several rows: a trial gets one of the rows of its configuration, drawn by (seed, trial id), or their
mean.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from objectives import expected
from objectives.draws import draws
from objectives.objective import Objective
from objectives.space import UnitCube, check
from objectives.table import Column, Row, Table, column
from objectives.tabular_space import fit, space_of
from objectives.trial import Config, Evaluation, Goal, Trial

_ROOT = Path(__file__).parents[1]
_LARGEST = 1e150  # largest magnitude of a value; the squares of larger ones are infinite
_MOST_SECONDS = 1e12
_LOOKUPS = ("exact", "nearest")
_REPLICATES = ("refuse", "draw", "mean")


class Tabular(Objective):
    """Looks up measured evaluations; `conf/objective/tabular.yaml` describes the settings.

    Raises:
        ValueError: a setting or the table does not have the described form. The message names the
            column and the row.
        OSError: the table cannot be read.
    """

    cheap = True

    def __init__(
        self,
        *,
        data: str,
        where: Mapping[str, Any],
        parameters: Sequence[str] | Mapping[str, Any],
        value: Mapping[str, Any] | str,
        metrics: Sequence[str] | Mapping[str, Any],
        cost: str | None,
        space: Mapping[str, Mapping[str, Any]],
        lookup: str,
        tolerance: float,
        replicates: str,
        seed: int,
    ) -> None:
        expected.one_of("lookup", lookup, _LOOKUPS)
        expected.one_of("replicates", replicates, _REPLICATES)
        expected.number("tolerance", tolerance, least=0)
        self._tolerance = float(tolerance) if lookup == "nearest" else None
        self._replicates, self._seed = replicates, expected.whole("seed", seed, 0)
        if replicates == "draw":
            self.version = 2  # version 1 drew the same random numbers as an optimizer
        self._path = _found(data)
        self._digest = hashlib.sha256(self._path.read_bytes()).hexdigest()
        self._parameters = _columns("parameters", parameters)
        self._metrics = _columns("metrics", metrics)
        self._value, self._maximise = _value_column(value)
        self._cost = None if cost is None else column("cost", cost)
        self.simulates_cost = cost is not None
        self.goals = {_shown(self._metrics, self._value): Goal(minimise=not self._maximise)}
        table = Table(self._path, where, self._needed())
        self.space = space_of(table, self._parameters, space)
        self._cube = UnitCube(self.space)
        self._rows: dict[tuple[Any, ...], list[tuple[Row, Evaluation]]] = {}
        self._configs: list[Config] = []
        self._take(table)
        self._points = np.array([self._cube.point(config) for config in self._configs])
        self._declare()

    def evaluate(self, trial: Trial) -> Evaluation:
        """Look up a configuration.

        Raises:
            ValueError: the configuration is not in the space.
            RuntimeError: the table has neither the configuration nor a row within the tolerance.
        """
        check(self.space, trial.config)
        rows = self._rows.get(_key(trial.config))
        if rows is None and self._tolerance is not None:
            distances = self._distances(trial.config)
            nearest = int(distances.argmin())
            if distances[nearest] <= self._tolerance:
                rows = self._rows[_key(self._configs[nearest])]
        if rows is None:
            within = "" if self._tolerance is None else f" within {self._tolerance:g} of it"
            raise RuntimeError(
                f"{self._path}: expected a row of the configuration{within}, got none of "
                f"{trial.config}"
            )
        evaluations = [evaluation for _, evaluation in rows]
        if self._replicates == "draw" and len(evaluations) > 1:
            rng = draws(self._seed, trial.id)
            return evaluations[int(rng.integers(len(evaluations)))]
        return _mean(evaluations)

    def fingerprint(self) -> dict[str, Any]:
        return {"data_digest": self._digest}

    def notice(self) -> str:
        n_rows = sum(len(rows) for rows in self._rows.values())
        kind = "replicated" if n_rows > len(self._configs) else "deterministic"
        return f"data: {self._path.name} ({len(self._configs)} configurations, {kind})"

    def _needed(self) -> list[Column]:
        cost = [] if self._cost is None else [self._cost]
        return [*self._parameters.values(), *self._metrics.values(), self._value, *cost]

    def _take(self, table: Table) -> None:
        """Store every row, in order; raise if a configuration lies outside the space."""
        for row in table.rows:
            config = self._config(row)
            group = self._rows.setdefault(_key(config), [])
            evaluation = self._evaluation(row)
            if group and self._replicates == "refuse":
                first, known = group[0]
                same = known.value == evaluation.value
                raise ValueError(
                    f"{row.where}, column {self._value.name}: expected a configuration once, got "
                    f"row {first.number} again with {'the same' if same else 'another'} value "
                    f"{row.text(self._value)}; set replicates to draw or mean"
                )
            if not group:
                self._configs.append(config)
            group.append((row, evaluation))

    def _config(self, row: Row) -> Config:
        """Return the configuration of a row."""
        config: Config = {}
        for name, source in self._parameters.items():
            if row.text(source) == "" and source.name:
                continue  # inactive
            config[name] = fit(row, source, self.space, name)
        try:
            check(self.space, config)
        except ValueError as error:
            reason = str(error).split(": ", 2)[-1]
            raise ValueError(
                f"{row.where}: expected a point of the space, got {config}: {reason}"
            ) from None
        return config

    def _evaluation(self, row: Row) -> Evaluation:
        number = _within(row, self._value, -_LARGEST, "a value of at most 1e+150 in size")
        value = 1 - number if self._maximise == "one minus" else number
        value = -number if self._maximise is True else value
        rule = "a metric of at most 1e+150 in size"
        metrics = {
            name: _within(row, source, -_LARGEST, rule) for name, source in self._metrics.items()
        }
        if self.metric is not None and self.metric not in metrics:
            metrics[self.metric] = number
        rule = "a cost of at least 0 and at most 1e+12"
        cost = 0.0 if self._cost is None else _within(row, self._cost, 0.0, rule, _MOST_SECONDS)
        return Evaluation(value, cost, metrics)

    def _distances(self, config: Config) -> Any:
        """Return the distance (n,) in the unit cube of a configuration to every row's."""
        differences = np.abs(self._points - self._cube.point(config))
        for axis, name in enumerate(self._cube.names):
            if self._cube.categorical[axis]:
                differences[:, axis] = [c.get(name) != config.get(name) for c in self._configs]
            absent = [(name in c) != (name in config) for c in self._configs]
            differences[absent, axis] = 1.0
        return np.sqrt((differences**2).sum(axis=1))

    def _declare(self) -> None:
        """Set the noise, the optimum and its configurations."""
        groups = list(self._rows.values())
        values = [np.array([e.value for _, e in group], dtype=float) for group in groups]
        if self._replicates == "draw":
            self.noise_sd = max(float(each.std()) for each in values)
        means = [_mean([e for _, e in group]).value or 0.0 for group in groups]
        self.optimum = min(means)
        self.minimisers = tuple(
            config
            for config, mean in zip(self._configs, means, strict=True)
            if mean == self.optimum
        )


def _found(data: object) -> Path:
    """Return the path of the table: the given path, or else the path below the project's folder."""
    path = expected.path("data", data, "the path of a CSV file")
    path = _ROOT / path if not path.exists() and (_ROOT / path).exists() else path
    if path.exists() and not path.is_file() and not path.is_dir():  # a pipe would block
        raise ValueError(f"data: expected a regular file, got {path}, a pipe or a device")
    return path


def _within(row: Row, source: Column, least: float, rule: str, most: float | None = None) -> float:
    """Return the number in a cell; raise, naming the row, if it lies outside the bounds."""
    number = row.number_in(source)
    if not least <= number <= (_LARGEST if most is None else most):
        raise ValueError(
            f"{row.where}, column {source.name}: expected {rule}, got {row.text(source)}"
        )
    return number


def _columns(where: str, described: object) -> dict[str, Column]:
    """Return the column of each name; in a plain list, names and columns are equal."""
    if isinstance(described, (list, tuple)):
        described = {str(name): name for name in described}
    if not isinstance(described, Mapping) or (where == "parameters" and not described):
        raise ValueError(f"{where}: expected names with their columns, got {described!r}")
    return {str(name): column(f"{where}.{name}", source) for name, source in described.items()}


def _value_column(described: object) -> tuple[Column, bool | str]:
    """Return the column of the value and the function that converts it to a number to minimise."""
    if isinstance(described, str):
        described = {"column": described}
    if not isinstance(described, Mapping) or set(described) - {"column", "maximise"}:
        raise ValueError(f"value: expected the keys column and maximise, got {described!r}")
    maximise = described.get("maximise", False)
    if not isinstance(maximise, bool) and maximise != "one minus":  # 1 equals true, but is not
        raise ValueError(f"value.maximise: expected true, false or 'one minus', got {maximise!r}")
    return column("value", described.get("column")), maximise


def _shown(metrics: Mapping[str, Column], value: Column) -> str:
    """Return the metric that the value represents.

    Raises:
        ValueError: a metric with the name of the value's column has another column.
    """
    other = metrics.get(value.name, value)
    if other != value:
        raise ValueError(
            f"metrics.{value.name}: expected the column {value.name}, as the value has this name, "
            f"got {other.name}{' with log10' if other.log10 else ''}"
        )
    return next((name for name, source in metrics.items() if source == value), value.name)


def _key(config: Config) -> tuple[Any, ...]:
    """Return a key that equal configurations share; floats are rounded to twelve digits."""
    return tuple(
        (name, f"{value:.12g}" if isinstance(value, float) else value)
        for name, value in sorted(config.items())
    )


def _mean(evaluations: Sequence[Evaluation]) -> Evaluation:
    """Return the mean of value, cost and metrics, or a single evaluation unchanged."""
    if len(evaluations) == 1:
        return evaluations[0]
    n = len(evaluations)
    names = evaluations[0].metrics
    return Evaluation(
        math.fsum(e.value or 0.0 for e in evaluations) / n,
        math.fsum(e.cost for e in evaluations) / n,
        {name: math.fsum(e.metrics[name] for e in evaluations) / n for name in names},
    )
