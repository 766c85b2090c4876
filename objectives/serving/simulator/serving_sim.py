"""A simulated LLM server on a GPU node, with vLLM's parameters and measured kernel times.

The discrete-event simulator of `objectives/serving/simulator/` serves the load. Metrics, score and
grades are those of the real objectives. `objectives/serving/simulator/README.md` describes its
accuracy and its errors. Its numbers are not measurements of the GPU that it names.
"""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from objectives import expected
from objectives.objective import Objective
from objectives.override import with_pinned
from objectives.serving import constraints
from objectives.serving.grades import Failure, record
from objectives.serving.load import arrivals
from objectives.serving.load.fidelity import fidelities
from objectives.serving.load.measures import goal_of, measure, per_gpu
from objectives.serving.reference import default_items
from objectives.serving.score import build
from objectives.serving.simulator.cards import model_of, system_of
from objectives.serving.simulator.deployment import OVERHEADS, Deployment, Settings
from objectives.serving.simulator.kernels import CONSTANTS_FILE
from objectives.serving.simulator.launch import check_survives, start
from objectives.serving.simulator.memory import memory_bytes
from objectives.serving.simulator.node import serve_load
from objectives.serving.wanted import ByGoals, Limits, by_goals
from objectives.space import build_space, check, constants
from objectives.trial import Config, Evaluation, Trial, Value
from objectives.wanted import Names

TYPES: dict[str, type] = {
    **{field.name: type(field.default) for field in dataclasses.fields(Settings)},
    "speculative": str,
}
PARAMETERS = tuple(TYPES)
ENGINES = ("vllm", "sglang")
VALUE_SD = 10.0  # of the value, per unit of `noise`, where it is largest: near a limit of the SLO
_LONGEST_START_S = 600.0  # above the start-up time of every model and system


class ServingSim(Objective):
    """The simulated node; `conf/objective/serving_sim.yaml` describes the settings.

    The value of a failure is its grade, which is above the score's ceiling. Its items hold `status`
    and `stage`. The cost is the simulated time of the start and of the load in seconds.

    Raises:
        ValueError: a setting is invalid.
    """

    cheap = True
    simulates_cost = True
    version = 2

    def __init__(
        self,
        *,
        model: str | Mapping[str, Any],
        system: str,
        memory_gib: float | None,
        bandwidth_tb_s: float | None,
        host_slowdown: float,
        engine: str,
        dtype: str,
        max_model_len: int,
        space: Mapping[str, Mapping[str, Any]],
        constraints: Sequence[str],
        default: Mapping[str, Value],
        load: Mapping[str, Any],
        slo: Mapping[str, Mapping[str, Any]],
        score: str,
        base: str,
        goals: Names,
        limits: Limits,
        load_timeout_s: float,
        noise: float,
        run_noise: float,
        seed: int,
    ) -> None:
        node = system_of(system, memory_gib, bandwidth_tb_s)
        expected.one_of("objective.engine", engine, ENGINES)
        expected.one_of("objective.dtype", dtype, node.dtypes)
        expected.number("objective.noise", noise, least=0, most=1)
        expected.number("objective.run_noise", run_noise, least=0, most=1)
        expected.number("objective.host_slowdown", host_slowdown, least=0.1, most=100)
        expected.number("objective.load_timeout_s", load_timeout_s, least=1e-3, most=1e9)
        self._seed = expected.whole("objective.seed", seed, 0)
        self._deployment = Deployment(
            model=model_of(model),
            system=node,
            engine=engine,
            dtype=dtype,
            overheads=OVERHEADS[engine],
            noise=float(noise),
            host_slowdown=float(host_slowdown),
            run_noise=float(run_noise),
        )
        self._set_space(space, constraints)
        self._plan = arrivals.plan(load, self._seed)
        self._longest = expected.whole("objective.max_model_len", max_model_len, self._plan.largest)
        self._limit_s = float(load_timeout_s)
        longest_s = max(self._limit_s, _LONGEST_START_S)
        scored = build(score, base, slo, len(self._plan))
        self._score = by_goals(goals, limits, scored, base, len(self._plan), longest_s)
        self.goals = goal_of(self._score.metric) if score != "slo" or not slo else {}
        if isinstance(self._score, ByGoals):
            self.goals, self.limits = self._score.wanted.goals, self._score.wanted.limits
        self.fidelities = fidelities(self._plan, self._score.metrics)
        self.noise_sd = VALUE_SD * max(noise, run_noise)
        fixed = constants(self.space)
        self.default: Config = {name: fixed.get(name, value) for name, value in default.items()}
        self._check_default()
        self._reference: dict[str, float] | None = None

    def _set_space(self, space: Mapping[str, Mapping[str, Any]], texts: Sequence[str]) -> None:
        for name in space:
            if name not in PARAMETERS:
                raise ValueError(
                    f"objective.space: expected parameters of {list(PARAMETERS)}, got {name}"
                )
        self.space = build_space(with_pinned(space), types=TYPES)
        self._constraints = constraints.read(list(texts), self.space)

    def _check_default(self) -> None:
        """Raise ValueError unless the default configuration starts."""
        try:
            check(self.space, self.default)
            self._refuse(self.default)
            start(self._deployment, _settings(self.default), self._longest)
        except (ValueError, Failure) as error:
            raise ValueError(
                f"objective.default: expected a configuration that starts, got: {error}"
            ) from None

    def evaluate(self, trial: Trial) -> Evaluation:
        check(self.space, trial.config)
        plan = self._plan.first(max(round(trial.fidelity * len(self._plan)), 1))
        metrics: dict[str, float] = {}
        try:
            value = self._value(trial, plan, metrics)
        except Failure as failure:
            said = record(failure)
            metrics |= failure.metrics
            graded = self._score.ceiling + failure.grade
            return Evaluation(graded, _cost(metrics), metrics, error=said.error, items=said.items)
        return Evaluation(value, _cost(metrics), metrics, items=self._of_default())

    def _of_default(self) -> dict[str, str]:
        """Return the value of the default without noise as items; nothing if it is not needed."""
        if self._reference is None:
            return {}
        return default_items(self._score, [self._reference], self._reference)

    def _value(self, trial: Trial, plan: arrivals.Plan, metrics: dict[str, float]) -> float | None:
        """Simulate a trial, fill `metrics`, and return the value."""
        related = self._simulated_reference() if self._score.needs_reference else {}
        self._run(trial.config, plan, self._deployment, trial.id, metrics)
        self._score.check(metrics)
        return self._score.value(metrics, related)

    def fingerprint(self) -> dict[str, Any]:
        return {"kernel_constants": hashlib.sha256(CONSTANTS_FILE.read_bytes()).hexdigest()[:16]}

    def notice(self) -> str:
        deployment = self._deployment
        return (
            f"simulated: {deployment.model.name} on {deployment.system.name} under "
            f"{deployment.engine}, from measured kernels; not a measurement"
        )

    def _refuse(self, config: Config) -> None:
        broken = [rule.text for rule in self._constraints if not rule.holds(config)]
        if broken:
            raise Failure("infeasible", f"expected {broken[0]}, got {config}; not launched")

    def _run(
        self,
        config: Config,
        plan: arrivals.Plan,
        deployment: Deployment,
        noise_id: int,
        metrics: dict[str, float],
    ) -> None:
        """Simulate one configuration; fill `metrics` until it ends or fails."""
        self._refuse(config)
        settings = _settings(config)
        metrics["startup_s"] = start(deployment, settings, self._longest)
        gpus = settings.tensor_parallel_size * settings.pipeline_parallel_size
        metrics["gpus"] = float(gpus * settings.data_parallel_size)
        metrics["memory_bytes"] = metrics["gpus"] * memory_bytes(deployment, settings)
        served = serve_load(deployment, settings, plan, self._limit_s, (self._seed, noise_id))
        limits = {limit.metric: limit.limit for limit in self._score.slo}
        metrics |= measure(served.requests, limits, self._score.metrics)
        metrics |= per_gpu(metrics)
        metrics["preemptions"] = float(served.preempted)
        check_survives(deployment, settings, served.largest_step)
        if served.ended < len(plan):
            raise Failure(
                "broke_off",
                f"{served.ended} of {len(plan)} requests in {self._limit_s:g} s",
                served.ended / len(plan),
            )

    def _simulated_reference(self) -> dict[str, float]:
        """Return the default configuration's metrics without noise."""
        if self._reference is None:
            metrics: dict[str, float] = {}
            quiet = dataclasses.replace(self._deployment, noise=0.0, run_noise=0.0)
            try:
                self._run(self.default, self._plan, quiet, 0, metrics)
            except Failure as failure:
                raise ValueError(
                    f"objective.default: expected a configuration that serves the load, got: "
                    f"{failure.reason}"
                ) from None
            self._reference = metrics
        return self._reference


def _settings(config: Config) -> Settings:
    """Return the engine's settings, with vLLM's defaults for missing parameters."""
    given: dict[str, Any] = {name: value for name, value in config.items() if name != "speculative"}
    if config.get("speculative") == "none":
        given["num_speculative_tokens"] = 0
    return Settings(**given)


def _cost(metrics: Mapping[str, float]) -> float:
    return metrics.get("startup_s", 0.0) + metrics.get("load_s", 0.0)
