"""Tune a real LLM server: one process per configuration, real streaming requests over HTTP.

The `engine` (`engine.py`) determines what is served and by which program. Load, measurement, score
and grades are the same for all engines: `arrivals.py`, `bench.py`, `score.py`, `grades.py`.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Unpack

from objectives import expected
from objectives.deployment import Deployment
from objectives.objective import HostFault, Objective, Outlook, Resources
from objectives.parameters import pinned
from objectives.serving import constraints
from objectives.serving.bench import Bench
from objectives.serving.engine import Demand, Engine
from objectives.serving.grades import Failure, Invalid, SetUpError, record
from objectives.serving.host.host import cores, hardware, is_free
from objectives.serving.kinds import check_config, check_space
from objectives.serving.load import arrivals
from objectives.serving.load.fidelity import check_answers, fidelities, shortened
from objectives.serving.load.load_generator import LoadGenerator
from objectives.serving.measuring import Measuring, MeasuringSettings
from objectives.serving.reference import default_items, reference
from objectives.serving.score import build, goals_of
from objectives.serving.wanted import ByGoals, Limits, by_goals
from objectives.space import add_rules, build_space, check, constants
from objectives.trial import Config, Evaluation, Trial, Value
from objectives.wanted import Names

_CORES = re.compile(r"(?:(\d+) ?\* ?)?cores")


class Serving(Objective):
    """One server per evaluation, which has the host to itself.

    `conf/objective/serving.yaml` describes the settings. The value of a failed configuration is the
    score's ceiling plus its grade, and its items hold `status` and `stage`. At a lower fidelity,
    the load is shorter: it has that share of the requests, at the same rate or concurrency. The
    start of the server is not shortened.

    Attributes:
        extra_parameters: names of parameters that a space may tune in addition to the engine's own;
            `engine_config` translates them.
        pauses_s: pauses before the repetitions of an invalid evaluation.

    Raises:
        ValueError: a setting is invalid.
        ModuleNotFoundError: a package that the engine needs is not installed.
    """

    needs_default = True
    gpus_setting = "engine.gpus"
    extra_parameters: Sequence[str] = ()
    pauses_s: Sequence[float] = (2.0, 8.0)
    # Standard deviation of log(e2e_p90_s / reference), from five runs of the default and two runs
    # of each of five others on two quiet virtual cores, at one request per second. At 1.5 requests
    # per second, which is near the capacity, it is 0.5.
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
        goals: Names,
        limits: Limits,
        gpu_cost: float,
        **measuring: Unpack[MeasuringSettings],
    ) -> None:
        self._engine = engine
        settings = Measuring(**measuring)
        if engine.remote:
            expected.whole("objective.port", settings.port, 1)
        self._plan = arrivals.plan(load, settings.seed)
        self._load = {**load, "generator": type(generator).__name__}
        scored = build(score, base, slo, len(self._plan), gpu_cost)
        longest_s = max(settings.startup_timeout_s, settings.load_timeout_s)
        self._score = by_goals(goals, limits, scored, base, len(self._plan), longest_s)
        self._metrics = self._score.metrics
        check_answers(self._plan, self._metrics)
        bounds = {limit.metric: limit.limit for limit in self._score.slo}
        self._bench = Bench(engine, generator, bounds, self._metrics, settings)
        self._set_space(space, constraints, default)
        self.goals = goals_of(self._score, engine.most_gpus, gpu_cost)
        if isinstance(self._score, ByGoals):
            self.goals, self.limits = self._score.wanted.goals, self._score.wanted.limits
        self.fidelities = fidelities(self._plan, self._metrics)
        self.resources = Resources(
            gpus=engine.most_gpus if engine.uses_gpus else 0, cores=cores(), whole_host=True
        )
        self._reference: dict[str, float] | None = None
        self._of_default: dict[str, str] = {}
        self._set_up: SetUpError | None = None
        add_rules(self.space, self._is_launched)

    def engine_config(self, config: Config) -> Config:
        """Return a configuration in terms of the engine's own parameters."""
        return config

    def _set_space(
        self,
        space: Mapping[str, Mapping[str, Any]],
        texts: Sequence[str],
        default: Mapping[str, Value],
    ) -> None:
        """Set the space, its constraints and the default; raise if one of them is invalid."""
        known = [*self._engine.parameters, *self.extra_parameters]
        for name in space:
            if name not in known:
                meant = expected.did_you_mean(name, known)
                raise ValueError(
                    f"objective.space: expected parameters of {self._engine.name} "
                    f"({', '.join(known)}), got {name}{meant}"
                )
        described = {
            name: {key: _counted(value) for key, value in description.items()}
            if isinstance(description, Mapping)
            else pinned(_counted(description))
            for name, description in space.items()
        }
        check_space(self._engine.kinds, described)
        self.space = build_space(described)
        self._constraints = constraints.read(list(texts), self.space)
        self.default: Config = {name: _counted(value) for name, value in default.items()}
        fixed = constants(self.space)
        self.default |= {name: fixed[name] for name in self.default if name in fixed}
        check_config(self._engine.kinds, "objective.default", self.default)
        try:
            check(self.space, self.default)
        except ValueError as error:
            raise ValueError(f"objective.default: {error}") from None
        why = self._why_infeasible(self.default, self._plan)
        if why is not None:
            raise ValueError(f"objective.default: {why}; the default has to be feasible")

    def evaluate(self, trial: Trial) -> Evaluation:
        check(self.space, trial.config)
        plan = shortened(self._plan, trial.fidelity, self._metrics)
        why = self._why_infeasible(trial.config, plan)
        if why is not None:
            return self._failed(Failure("infeasible", f"{why}; not launched"), 0.0)
        related = self._measured_default()
        started = time.perf_counter()
        try:
            metrics, items = self._valid_run(trial.config, plan)
            if self._score.metric in related:
                metrics[f"reference_{self._score.metric}"] = related[self._score.metric]
            try:
                self._score.check(metrics)
            except Failure as failure:
                failure.metrics, failure.items = metrics, items
                raise
            value = self._score.value(metrics, related)
        except Failure as failure:
            failure.items |= self._of_default
            return self._failed(failure, time.perf_counter() - started)
        except Invalid as invalid:
            raise HostFault(record(invalid).error) from None
        items = {**items, **self._of_default}
        return Evaluation(value, time.perf_counter() - started, metrics, items=items)

    def outlook(self) -> Outlook:
        """Return the duration of the load, to which the start of the server is added."""
        arrivals_s, port = self._plan.arrivals_s, self._bench.settings.port
        seconds = None if arrivals_s is None else float(arrivals_s[-1])
        if port == 0 or is_free(self._engine.host, port):
            return Outlook(seconds)
        taken = f"objective.port: expected a free port of this machine, got {port}, which is taken"
        return Outlook(seconds, faults=[taken])

    def fingerprint(self) -> dict[str, Any]:
        return {**self._engine.fingerprint(), "hardware": hardware()}

    def notice(self) -> str:
        return self._engine.notice()

    def deployment(self) -> Deployment | None:
        demand = Demand(self._plan.largest, len(self._plan))
        found = self._engine.deployment(demand)
        return None if found is None else replace(found, stands_for=self._stands_for())

    def _stands_for(self) -> list[dict[str, Config]]:
        """Return the engine's own parameters that the values of the extra parameters stand for."""
        names = [name for name in self.space if name in self.extra_parameters]
        choices = [_values(self.space[name]) for name in names]
        configs = [dict(zip(names, values, strict=True)) for values in product(*choices)]
        return [{"config": one, "flags": self.engine_config(one)} for one in configs if one]

    def _is_launched(self, config: Config) -> bool:
        """Return whether a configuration is not known to be refused under the whole load."""
        demand = Demand(self._plan.largest, len(self._plan))
        return self._engine.refusal(self.engine_config(config), demand) is None

    def _why_infeasible(self, config: Config, plan: arrivals.Plan) -> str | None:
        """Return why a configuration is known to be infeasible, or None."""
        broken = [rule.text for rule in self._constraints if not rule.holds(config)]
        if broken:
            return f"expected {broken[0]}, got {config}"
        demand = Demand(plan.largest, len(plan))
        return self._engine.refusal(self.engine_config(config), demand)

    def _failed(self, failure: Failure, cost: float) -> Evaluation:
        said = record(failure)
        value = self._score.ceiling + failure.grade
        items = {**failure.items, **said.items}
        return Evaluation(value, cost, failure.metrics, error=said.error, items=items)

    def _valid_run(
        self, config: Config, plan: arrivals.Plan
    ) -> tuple[dict[str, float], dict[str, str]]:
        """Measure a configuration; repeat after a pause if the host was at fault."""
        repeats = self._bench.settings.repeats
        for repeat in range(repeats + 1):
            try:
                metrics, items = self._bench.run(self.engine_config(config), plan)
            except Invalid:
                if repeat == repeats:
                    raise
                time.sleep(self.pauses_s[repeat])
            else:
                return {**metrics, "repeats": float(repeat)}, items
        raise AssertionError("the last repeat returns or raises")

    def _measured_default(self) -> dict[str, float]:
        """Return the default configuration's metrics, which are measured first.

        Raises:
            SetUpError: the default fails, so the set-up is wrong and no trial is at fault.
            HostFault: the host was at fault in every attempt.
        """
        if self._set_up is not None:
            raise self._set_up  # measuring it again would take equally long
        if self._reference is None:
            try:
                self._engine.prepare()
                found = reference(
                    self._depends_on(),
                    self._default_runs,
                    lambda: self._valid_run(self.default, self._plan)[0],
                )
            except Failure as failure:
                self._set_up = SetUpError(
                    f"objective.default: expected a configuration that serves the load, got: "
                    f"{record(failure).error}; correct the set-up or choose another default"
                )
                raise self._set_up from None
            except Invalid as invalid:
                raise HostFault(f"the default: {record(invalid).error}") from None
            self._reference = found.medians
            self._of_default = default_items(self._score, found.runs, found.medians)
        return self._reference

    @property
    def _default_runs(self) -> int:
        """The number of measurements of the default: one if the score is not relative to it."""
        return self._bench.settings.reference_runs if self._score.needs_reference else 1

    def _depends_on(self) -> dict[str, Any]:
        """Return all that the default's metrics depend on, which is the key of the cache."""
        settings = self._bench.settings
        return {
            **self.fingerprint(),
            "load": self._load,
            "warmup_requests": settings.warmup_requests,
            "memory_limit_gib": settings.memory_limit_gib,
            "max_foreign_cores": settings.max_foreign_cores,  # strict runs need a quiet one
            "seed": settings.seed,
            "limits": dict(self._bench.limits),
            "metric": self._score.metric,
            "default": self.default,
            "runs": self._default_runs,
        }


def _values(parameter: Any) -> list[Value]:
    """Return the values of a categorical or ordinal parameter."""
    listed = getattr(parameter, "choices", None) or getattr(parameter, "sequence", None)
    values = [parameter.value] if listed is None else list(listed)
    return [value.item() if hasattr(value, "item") else value for value in values]


def _counted(value: Any) -> Any:
    """Return `cores` and `2 * cores` as numbers for this machine, any other value unchanged."""
    found = _CORES.fullmatch(value.strip()) if isinstance(value, str) else None
    return int(found[1] or 1) * cores() if found else value
