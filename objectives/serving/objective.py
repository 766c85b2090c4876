"""Tuning a real LLM server: one process per configuration, real streaming requests over HTTP.

What is served, and by which engine, is the `engine`'s matter (`engine.py`); how it is loaded,
measured, scored and graded is the same for all: `arrivals.py`, `bench.py`, `score.py`,
`grades.py`.
"""

import re
import time
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from objectives.objective import Objective, Resources
from objectives.serving import constraints
from objectives.serving.bench import Bench
from objectives.serving.engine import Demand, Engine
from objectives.serving.grades import Failure, Invalid, record
from objectives.serving.host.host import cores, hardware
from objectives.serving.load import arrivals
from objectives.serving.load.load_generator import LoadGenerator
from objectives.serving.load.measures import goal_of
from objectives.serving.reference import reference
from objectives.serving.score import build
from objectives.space import build_space, check
from objectives.trial import Config, Evaluation, Trial, Value

MOST_REPEATS = 2  # of an invalid evaluation
_CORES = re.compile(r"(?:(\d+) ?\* ?)?cores")


class Serving(Objective):
    """One server per evaluation, alone on its host.

    `conf/objective/serving.yaml` describes the settings. The evaluation of a configuration that
    failed has its grade above the score's ceiling as its value; `status` and `stage` are in its
    items. One that was invalid each time (other processes' CPU, a port taken, a late client) has
    no value.

    Raises:
        ValueError: a setting cannot be.
        ModuleNotFoundError: what the engine needs is not installed.
    """

    resources = Resources(whole_host=True)
    # Of log(e2e_p90_s / reference): five runs of the default and two of five others on two quiet,
    # virtual cores, one request a second. At 1.5, near what they can serve, it is .5.
    noise_sd = 0.09

    def __init__(
        self,
        *,
        engine: Engine,
        generator: LoadGenerator,
        space: Mapping[str, Mapping[str, Any]],
        constraints: Sequence[str],
        default: Mapping[str, Value],
        load: Mapping[str, Any],
        slo: Mapping[str, Mapping[str, Any]],
        score: str,
        base: str,
        reference_runs: int,
        repeats: int,
        warmup_requests: int,
        port: int,
        startup_timeout_s: float,
        load_timeout_s: float,
        memory_limit_gib: float | None,
        max_foreign_cores: float | None,
        max_late_s: float,
        seed: int,
    ) -> None:
        self._engine = engine
        self._set_space(space, constraints, default)
        _whole("reference_runs", reference_runs, 1)
        if _whole("repeats", repeats, 0) > MOST_REPEATS:
            raise ValueError(f"objective.repeats: expected at most {MOST_REPEATS}, got {repeats}")
        _whole("warmup_requests", warmup_requests, 0)
        if _whole("port", port, int(engine.remote)) > 65535:
            raise ValueError(f"objective.port: expected at most 65535, got {port}")
        _whole("seed", seed, 0)
        self._plan = arrivals.plan(load, seed)
        self._score = build(score, base, slo, len(self._plan))
        self.goals = {} if score in ("slo", "compat") else goal_of(self._score.metric)
        self._reference_runs, self._repeats = reference_runs, repeats
        limit_gib = (
            None if memory_limit_gib is None else _positive("memory_limit_gib", memory_limit_gib)
        )
        self._bench = Bench(
            engine=engine,
            generator=generator,
            limits={limit.metric: limit.limit for limit in self._score.slo},
            more=self._score.metric,
            warmup_requests=warmup_requests,
            port=port,
            startup_timeout_s=_positive("startup_timeout_s", startup_timeout_s),
            load_timeout_s=_positive("load_timeout_s", load_timeout_s),
            memory_limit_bytes=None if limit_gib is None else int(limit_gib * 2**30),
            max_foreign_cores=max_foreign_cores
            if max_foreign_cores is None
            else _positive("max_foreign_cores", max_foreign_cores),
            max_late_s=_positive("max_late_s", max_late_s),
            seed=seed,
        )
        self._settings = {
            "load": dict(load),
            "generator": type(generator).__name__,
            "warmup_requests": warmup_requests,
            "memory_limit_gib": memory_limit_gib,
            "max_foreign_cores": max_foreign_cores,  # one measured in noise serves no strict run
            "seed": seed,
        }
        self._reference: dict[str, float] | None = None

    def _set_space(
        self,
        space: Mapping[str, Mapping[str, Any]],
        texts: Sequence[str],
        default: Mapping[str, Value],
    ) -> None:
        known = self._engine.parameters
        for name in space:
            if name not in known:
                close = get_close_matches(name, known, n=1)
                meant = f"; did you mean {close[0]}?" if close else ""
                raise ValueError(
                    f"objective.space: expected parameters of {self._engine.name} "
                    f"({', '.join(known)}), got {name}{meant}"
                )
        described = {
            name: {key: _counted(value) for key, value in description.items()}
            if isinstance(description, Mapping)
            else description
            for name, description in space.items()
        }
        self.space = build_space(described)
        self._constraints = constraints.read(list(texts), self.space)
        self.default: Config = {name: _counted(value) for name, value in default.items()}
        try:
            check(self.space, self.default)
        except ValueError as error:
            raise ValueError(f"objective.default: {error}") from None

    def evaluate(self, trial: Trial) -> Evaluation:
        check(self.space, trial.config)
        broken = [rule.text for rule in self._constraints if not rule.holds(trial.config)]
        if broken:
            reason = f"expected {broken[0]}, got {trial.config}; not launched"
            return self._failed(Failure("infeasible", reason), 0.0)
        plan = self._plan.first(max(round(trial.fidelity * len(self._plan)), 1))
        refusal = self._engine.refusal(trial.config, Demand(plan.largest, len(plan)))
        if refusal is not None:
            return self._failed(Failure("infeasible", f"{refusal}; not launched"), 0.0)
        started = time.perf_counter()
        try:
            related = self._measured_reference() if self._score.needs_reference else {}
            started = time.perf_counter()
            metrics, items = self._valid_run(trial.config, plan)
            metrics |= {
                f"reference_{name}": related[name]
                for name in (self._score.metric,)
                if name in related
            }
            try:
                self._score.check(metrics)
            except Failure as failure:
                failure.metrics, failure.items = metrics, items
                raise
            value = self._score.value(metrics, related)
        except Failure as failure:
            return self._failed(failure, time.perf_counter() - started)
        except Invalid as invalid:
            said = record(invalid)
            cost = time.perf_counter() - started
            return Evaluation(None, cost, error=said.error, items=said.items)
        return Evaluation(value, time.perf_counter() - started, metrics, items=items)

    def fingerprint(self) -> dict[str, Any]:
        return {**self._engine.fingerprint(), "hardware": hardware()}

    def notice(self) -> str:
        return self._engine.notice()

    def _failed(self, failure: Failure, cost: float) -> Evaluation:
        said = record(failure)
        value = self._score.ceiling + failure.grade
        items = {**failure.items, **said.items}
        return Evaluation(value, cost, failure.metrics, error=said.error, items=items)

    def _valid_run(
        self, config: Config, plan: arrivals.Plan
    ) -> tuple[dict[str, float], dict[str, str]]:
        """Measure a configuration; again where the host was at fault, at most `repeats` times."""
        for repeat in range(self._repeats + 1):
            try:
                metrics, items = self._bench.run(config, plan)
            except Invalid:
                if repeat == self._repeats:
                    raise
            else:
                return {**metrics, "repeats": float(repeat)}, items
        raise AssertionError("the last repeat returns or raises")

    def _measured_reference(self) -> dict[str, float]:
        if self._reference is None:
            depends_on = {
                **self.fingerprint(),
                **self._settings,
                "limits": dict(self._bench.limits),
                "metric": self._score.metric,
                "default": self.default,
                "runs": self._reference_runs,
            }
            self._reference = reference(
                depends_on,
                self._reference_runs,
                lambda: self._valid_run(self.default, self._plan)[0],
            )
        return self._reference


def _counted(value: Any) -> Any:
    """Return `cores` and `2 * cores` as numbers of this machine, all else as it is."""
    found = _CORES.fullmatch(value.strip()) if isinstance(value, str) else None
    return int(found[1] or 1) * cores() if found else value


def _whole(name: str, value: int, lowest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise ValueError(f"objective.{name}: expected a whole number >= {lowest}, got {value!r}")
    return value


def _positive(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12:
        raise ValueError(f"objective.{name}: expected a positive number, got {value!r}")
    return float(value)
