"""A language model as the optimizer, which proposes the next trial from space and history.

As in LLAMBO (Liu et al., ICLR 2024), the history is in the prompt, and a proposal is text. Here a
proposal is one JSON object that follows the schema of the space. Any endpoint with OpenAI's API for
chat completions can be used. With a `partner`, the model shares the trials with another optimizer,
as Centaur shares them with CMA-ES (arXiv 2603.24647): the model proposes the share `share` of them,
evenly spread, and both are told all evaluations.

The answer is checked. Values outside their range are clipped, numbers that are written as text are
converted, choices are matched case-insensitively, missing values are taken from the best
configuration so far, and unknown names are dropped. A proposal changed in this way is *repaired*. A
*random* allowed configuration replaces an answer without a JSON object, a forbidden combination, or
a configuration that was asked before. `counts` has the number of each.

Every answer is written to `llm_answers.jsonl` in the run's folder, and is on the disk before the
trial is asked. A resumed run takes its answers from this file and does not call the endpoint, as
long as the prompts are the same. A replay works in the same way, even without the endpoint. Without
a folder (in tests), the answers are only in memory.

Departures from LLAMBO: the model does not sample several candidates and is not used as a surrogate.
Failed evaluations are shown as failures. The prompt describes neither the function nor the meaning
of the parameters, apart from their names.
"""

import json
import math
from typing import Any, Protocol

import numpy as np
from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    Constant,
    OrdinalHyperparameter,
    UniformIntegerHyperparameter,
)

from objectives import expected
from objectives.space import UnitCube
from objectives.trial import Config, Evaluation, Trial
from optimizers.llm_endpoint import Answers, Endpoint
from optimizers.llm_proposal import REPAIRED, proposal
from optimizers.optimizer import Optimizer
from optimizers.random_search import draw

RANDOM = "random"
_SYSTEM = (
    "You tune the parameters of a black-box function. Its value is minimised. "
    "Answer with one JSON object that holds a value for each parameter, and with nothing else."
)


class MakePartner(Protocol):
    """Creates the optimizer that shares the trials."""

    def __call__(self, *, space: ConfigurationSpace, seed: int) -> Optimizer:
        """Return a fresh optimizer of a space."""


class LanguageModel(Optimizer):
    """Asks an OpenAI-compatible endpoint for one configuration at a time.

    Args:
        url: the address of the endpoint, up to and including `/v1`; None is an error at the first
            ask.
        model: the name of the model that is requested from the endpoint.
        n_random: the number of random configurations before the first call.
        history: the number of evaluations in the prompt. Half of them are the best ones, the others
            are the latest.
        temperature: the temperature of the sampling, >= 0.
        max_tokens: the largest number of tokens of an answer.
        timeout_s: the time limit of one call.
        structured: whether the endpoint is asked to enforce the schema of the space.
        share: the share of the trials that the model proposes, in (0, 1].
        partner: a function that creates the optimizer that proposes the other trials; needed if
            `share` is below 1.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        url: str | None,
        model: str,
        n_random: int,
        history: int,
        temperature: float,
        max_tokens: int,
        timeout_s: float,
        structured: bool,
        share: float,
        partner: MakePartner | None = None,
    ) -> None:
        super().__init__(space, seed=seed)
        _check(n_random, history, share, partner)
        self._endpoint = Endpoint(url, model, temperature, max_tokens, timeout_s)
        self._answers = Answers()
        self._n_random, self._history, self._share = n_random, history, share
        self._partner = None if partner is None or share == 1 else partner(space=space, seed=seed)
        self._cube = UnitCube(space)
        self._schema = schema(space, self._cube)
        self._enforced = enforced(space, self._schema) if structured else None
        self._told: list[tuple[Config, Evaluation]] = []
        self._pending: dict[int, Config] = {}
        self._known: set[str] = set()
        self.counts = {"proposed": 0, REPAIRED: 0, RANDOM: 0}

    def ask(self, n: int = 1) -> list[Trial]:
        trials: list[Trial] = []
        while len(trials) < n:
            id = self._n_trials
            if self._partner is not None and not self._is_own(id):
                self._partner.skip(id - 1)
                asked = self._partner.ask(1)
                if not asked:
                    break
                trial = asked[0]
                self.skip(trial.id)
            else:
                trial = self._trial(self._next(id))
            self._pending[trial.id] = trial.config
            self._known.add(_key(trial.config))
            trials.append(trial)
        return trials

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        self._pending.pop(trial.id, None)
        self._known.add(_key(trial.config))
        self._told.append((trial.config, evaluation))
        if self._partner is not None:
            self._partner.tell(trial, evaluation)

    def refuse(self, trial: Trial) -> None:
        self._pending.pop(trial.id, None)
        if self._partner is not None:
            self._partner.refuse(trial)

    def close(self) -> None:
        if self._partner is not None:
            self._partner.close()

    def _is_own(self, id: int) -> bool:
        """Return whether the model proposes this trial; its trials are evenly spread."""
        return math.floor((id + 1) * self._share) > math.floor(id * self._share)

    def _next(self, id: int) -> Config:
        rng = np.random.default_rng([self.seed, id])
        if id < self._n_random:
            return draw(self._cube, rng)
        prompt = self._prompt()
        text = self._answers.find(self.folder, id, prompt)
        if text is None:
            seed = int(rng.integers(2**31))
            text = self._endpoint.complete(_SYSTEM, prompt, seed, self._enforced)
        config, fate = proposal(text, self.space, self._cube, self._best())
        if config is None or not self._cube.allows(config) or _key(config) in self._known:
            config, fate = draw(self._cube, rng), RANDOM
        self.counts[fate] += 1
        self._answers.keep(self.folder, id, prompt, text, fate)
        return config

    def _best(self) -> Config | None:
        successes = [(e.value, config) for config, e in self._told if _succeeded(e)]
        return min(successes, key=lambda pair: pair[0] or 0.0)[1] if successes else None

    def _prompt(self) -> str:
        """Return the space, the history and the task as text."""
        lines = ["Parameters:", json.dumps(self._schema), "", "Evaluations so far:"]
        for config, evaluation in self._shown():
            value = f"{evaluation.value:.6g}" if _succeeded(evaluation) else "failed"
            lines.append(f"{json.dumps(config)} -> {value}")
        lines += ["none"] if not self._told else []
        if self._pending:
            lines += ["", "Being evaluated now:", *map(json.dumps, self._pending.values())]
        lines += ["", "Propose a new configuration with a lower value, as one JSON object."]
        return "\n".join(lines)

    def _shown(self) -> list[tuple[Config, Evaluation]]:
        """Return the evaluations of the prompt, the best one last."""
        places = range(len(self._told))
        ranked = sorted(places, key=lambda i: _rank(self._told[i][1]))
        best = ranked[: self._history // 2]
        latest = [i for i in places if i not in best][-(self._history - len(best)) :]
        chosen = sorted({*best, *latest}, key=lambda i: _rank(self._told[i][1]), reverse=True)
        return [self._told[i] for i in chosen]


def schema(space: ConfigurationSpace, cube: UnitCube) -> dict[str, Any]:
    """Return the JSON schema of a configuration, without its conditions and forbidden clauses."""
    properties: dict[str, Any] = {}
    for name in cube.names:
        parameter: Any = space[name]
        if isinstance(parameter, Constant):
            properties[name] = {"const": parameter.value}
        elif isinstance(parameter, CategoricalHyperparameter):
            properties[name] = {"enum": list(parameter.choices)}
        elif isinstance(parameter, OrdinalHyperparameter):
            properties[name] = {"enum": list(parameter.sequence)}
        else:
            is_integer = isinstance(parameter, UniformIntegerHyperparameter)
            bounds = {"minimum": parameter.lower, "maximum": parameter.upper}
            scale = {"scale": "logarithmic"} if parameter.log else {}
            properties[name] = {"type": "integer" if is_integer else "number", **bounds, **scale}
    return properties


def enforced(space: ConfigurationSpace, properties: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object with these properties; conditional ones may be absent."""
    known = {"type", "minimum", "maximum", "enum", "const"}
    return {
        "type": "object",
        "properties": {
            name: {key: value for key, value in keys.items() if key in known}
            for name, keys in properties.items()
        },
        "required": [name for name in properties if not space.parents_of[name]],
        "additionalProperties": False,
    }


def _succeeded(evaluation: Evaluation) -> bool:
    return evaluation.error is None and evaluation.value is not None


def _rank(evaluation: Evaluation) -> float:
    return float(evaluation.value or 0.0) if _succeeded(evaluation) else math.inf


def _key(config: Config) -> str:
    return json.dumps(config, sort_keys=True)


def _check(n_random: int, history: int, share: float, partner: MakePartner | None) -> None:
    for name, count in (("n_random", n_random), ("history", history)):
        expected.whole(f"llm.{name}", count, 1)
    expected.number("llm.share", share, above=0, most=1)
    if share < 1 and partner is None:
        raise ValueError("llm.partner: expected an optimizer where llm.share is below 1, got none")
