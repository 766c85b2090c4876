"""The published LoRA study as a closed form: `lora_published`.

N. Davouse and E-G. Talbi, *Bayesian and Partition-Based Optimization for Hyperparameter
Optimization of LLM Fine-Tuning* (OLA 2025), evaluated 203 configurations of the LoRA fine-tuning
of Llama-3.2-1B, each of which took 43 minutes on four A100s. This is a surface fitted to them, not
the fine-tuning itself; README.md in this folder says how accurate it is. The parameters are those
that `fit.py` prints.

The noise depends on its seed and the trial's id, as in the study's 35 repeated configurations:

- `repeat`: N(0, 0.0001^2) on HellaSwag, N(0, 0.0002^2) on MMLU.
- `divergence`: in addition, a run with a learning rate between 10^-2.7 and 10^-2.3 diverges with
  probability sigma((L + 0.35 log10 s - l2) / 0.1), to chance + N(0, 0.006^2) in both metrics.
"""

from collections.abc import Mapping
from time import perf_counter
from typing import Any

import numpy as np

from objectives import expected
from objectives.draws import draws
from objectives.lora_published.surface import Array, Surface, logistic
from objectives.objective import Objective
from objectives.override import with_pinned
from objectives.space import build_space, check
from objectives.trial import Config, Evaluation, Goal, Trial
from objectives.wanted import Bounds, Names, Wanted

HELLASWAG = Surface(
    ch=0.2566,
    b=0.4797,
    log10_s0=-0.0328,
    k=3.7143,
    c=0.1401,
    rho=0.4444,
    l1=-3.9693,
    w1=0.4239,
    l2=-2.5736,
    w2=0.02,
    kk=0.3586,
    g=-0.1082,
    lg=-2.5792,
)
MMLU = Surface(
    ch=0.2431,
    b=0.3781,
    log10_s0=-0.2996,
    k=1.9904,
    c=0.0,
    rho=0.1335,
    l1=-4.574,
    w1=0.4689,
    l2=-3.4831,
    w2=0.02,
    kk=1.3739,
    g=-0.0171,
    lg=-5.178,
)
MEASURED = {
    "hellaswag_acc": Goal(minimise=False, reference=HELLASWAG.ch),
    "mmlu_acc": Goal(minimise=False, reference=MMLU.ch),
}
"""The metrics that may be goals; the reference of the hypervolume is a model that guesses."""

_SURFACES = {"hellaswag_acc": HELLASWAG, "mmlu_acc": MMLU}
NOISES = ("none", "repeat", "divergence")
_TYPES = {
    "lora_rank": int,
    "lora_alpha": int,
    "lora_dropout": float,
    "learning_rate": float,
    "weight_decay": float,
}
_REPEAT_SD = {"hellaswag_acc": 1e-4, "mmlu_acc": 2e-4}
_DIVERGED_SD = 6e-3
_BAND = (-2.7, -2.3)  # range of log10 of the learning rate in which runs may diverge


class LoraPublished(Objective):
    """The fitted response surface of the published study; value = 1 - hellaswag_acc."""

    cheap = True

    def __init__(
        self,
        *,
        space: Mapping[str, Mapping[str, Any]],
        goals: Names,
        limits: Bounds,
        noise: str,
        seed: int,
    ) -> None:
        """Build the space and find the surface's optimum in it.

        Args:
            space: descriptions of the five parameters.
            goals: metrics among `MEASURED`; None means that 1 - hellaswag_acc is minimised.
            limits: the bounds by metric.
            noise: one of `NOISES`, as the module's docstring describes them.
            seed: the seed of the noise.

        Raises:
            ValueError: a setting does not have the described form.
        """
        space = with_pinned(space)
        self.space = build_space(space, types=_TYPES)
        expected.parameters("objective.space", self.space, list(_TYPES))
        self._bounds = {name: _bounds(name, space[name]) for name in _SURFACE_PARAMETERS}
        self._axes = {name: _axis(space[name]) for name in space}
        expected.one_of("noise", noise, NOISES)
        self._noise = noise
        if noise != "none":
            self.version = 2  # version 1 drew the same random numbers as an optimizer
        self._seed = expected.whole("seed", seed, 0)
        self.optimum: float | None
        self.minimisers: tuple[Config, ...]
        lowest, minimiser = self._plateau(space)
        self.optimum, self.minimisers = lowest, (minimiser,)
        self.goals = {"hellaswag_acc": Goal(minimise=False, optimum=1 - lowest)}
        self._wanted: Wanted | None = None
        if goals is not None or limits is not None:
            self._wanted = Wanted.of(goals, limits, MEASURED, ["hellaswag_acc"])
            self.goals, self.limits = self._wanted.goals, self._wanted.limits
            self.optimum, self.minimisers = None, ()
        metric = next(iter(self.goals))
        # A two-point distribution on b and chance has a deviation of at most half their distance.
        half = (_SURFACES[metric].b - _SURFACES[metric].ch) / 2
        self.noise_sd = {"none": 0.0, "repeat": _REPEAT_SD[metric], "divergence": half}[noise]

    def evaluate(self, trial: Trial) -> Evaluation:
        start = perf_counter()
        if not self._plainly_inside(trial.config):
            check(self.space, trial.config)
        metrics = self._metrics(trial)
        scored = 1 - metrics["hellaswag_acc"]
        value = scored if self._wanted is None else self._wanted.value(metrics)
        return Evaluation(value, perf_counter() - start, metrics)

    def _plainly_inside(self, config: Config) -> bool:
        """Return whether a configuration is certainly in the space; `check` takes much longer."""
        if config.keys() != self._axes.keys():
            return False
        for name, (kind, low, high) in self._axes.items():
            value = config[name]
            if type(value) is not kind or not isinstance(value, (int, float)):
                return False
            if not low <= value <= high:
                return False
        return True

    def test(self, trial: Trial) -> dict[str, float]:
        """Return MMLU at the configuration, which the study never optimised."""
        check(self.space, trial.config)
        if "mmlu_acc" in self.goals:
            return {}
        return {"mmlu_acc": self._metrics(trial)["mmlu_acc"]}

    def notice(self) -> str:
        return (
            "a surface fitted to the 203 evaluations of Davouse and Talbi (2025), whose adapters "
            "did not start at zero; a regret below 0.002 is not meaningful"
        )

    def _metrics(self, trial: Trial) -> dict[str, float]:
        scale, log10_rate = _operative(trial.config)
        metrics = {
            name: float(surface.accuracy(scale, log10_rate)) for name, surface in _SURFACES.items()
        }
        if self._noise == "none":
            return metrics
        rng = draws(self._seed, trial.id)
        coin, normal = rng.random(), rng.standard_normal(2).tolist()
        diverged = self._noise == "divergence" and coin < diverging(scale, log10_rate)
        return {
            name: _SURFACES[name].ch + _DIVERGED_SD * draw
            if diverged
            else metrics[name] + _REPEAT_SD[name] * draw
            for name, draw in zip(metrics, normal, strict=True)
        }

    def _plateau(self, space: Mapping[str, Mapping[str, Any]]) -> tuple[float, Config]:
        """Return the surface's least value and its configuration.

        The accuracy falls with alpha / rank everywhere (k, c and kk are not negative), so only the
        learning rate must be searched: on a grid, refined three times around its best point.
        """
        scale = self._bounds["lora_alpha"][0] / self._bounds["lora_rank"][1]
        low, high = np.log10(self._bounds["learning_rate"])
        grid = np.linspace(low, high, 2001)
        for _ in range(3):
            best = int(np.argmax(HELLASWAG.accuracy(np.array(scale), grid)))
            low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
            grid = np.linspace(low, high, 2001)
        rates = _values(space["learning_rate"])
        if rates:
            grid = np.log10(rates)
        best = int(np.argmax(HELLASWAG.accuracy(np.array(scale), grid)))
        lowest, highest = self._bounds["learning_rate"]
        minimiser: Config = {
            name: _any_value(space[name]) for name in ("lora_dropout", "weight_decay")
        }
        minimiser["lora_rank"] = int(self._bounds["lora_rank"][1])
        minimiser["lora_alpha"] = int(self._bounds["lora_alpha"][0])
        rate = rates[best] if rates else float(min(max(10 ** grid[best], lowest), highest))
        minimiser["learning_rate"] = rate
        minimiser = {name: minimiser[name] for name in space}
        accuracy = HELLASWAG.accuracy(*_operative(minimiser))
        return 1 - float(accuracy), minimiser


_SURFACE_PARAMETERS = ("lora_rank", "lora_alpha", "learning_rate")


def diverging(scale: Array, log10_rate: Array) -> float:
    """Return the probability that a run diverges."""
    if not _BAND[0] <= log10_rate <= _BAND[1]:
        return 0.0
    return float(logistic((log10_rate + 0.35 * np.log10(scale) - HELLASWAG.l2) / 0.1))


def _operative(config: Config) -> tuple[Any, Any]:
    """Return alpha / rank and log10 of the learning rate of a configuration, as scalars."""
    rank, alpha, rate = (float(config[name]) for name in _SURFACE_PARAMETERS)
    return np.float64(alpha / rank), np.log10(rate)


def _bounds(name: str, description: Mapping[str, Any]) -> tuple[float, float]:
    """Return the bounds of a parameter whose logarithm the surface uses."""
    values = _values(description) or [description["lower"], description["upper"]]
    if min(values) <= 0:
        raise ValueError(
            f"objective.space.{name}: expected positive values, whose logarithm the surface uses, "
            f"got {min(values)}"
        )
    return float(min(values)), float(max(values))


def _values(description: Mapping[str, Any]) -> list[Any]:
    """Return the values of a parameter that has no bounds; empty if it has."""
    if "value" in description:
        return [description["value"]]
    return list(description.get("choices", []))


def _axis(description: Mapping[str, Any]) -> tuple[type, float, float]:
    """Return the type and bounds of a numeric parameter; the type is None if it has choices."""
    kinds = {"float": float, "int": int}
    lower, upper = description.get("lower"), description.get("upper")
    plain = lower != upper and "when" not in description
    kind = kinds.get(description["type"]) if plain else None
    return (
        (kind, lower, upper)
        if kind and lower is not None and upper is not None
        else (type(None), 0.0, 0.0)
    )


def _any_value(description: Mapping[str, Any]) -> Any:
    """Return any value of a parameter on which the surface does not depend."""
    for key in ("value", "lower"):
        if key in description:
            return description[key]
    return description["choices"][0]
