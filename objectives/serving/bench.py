"""One measurement of one configuration: start, warm up, load, measure, stop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from objectives.serving.engine import Demand, Engine
from objectives.serving.engines.server_metrics import ServerMetrics
from objectives.serving.grades import Failure, Invalid
from objectives.serving.host.host import CpuWatch
from objectives.serving.host.server import Server
from objectives.serving.load.arrivals import Plan
from objectives.serving.load.load_generator import Load, LoadGenerator
from objectives.serving.load.measures import measure, per_gpu
from objectives.serving.measuring import Measuring
from objectives.trial import Config

_HASTE = ("timed_out", "broke_off", "requests_failed")  # failures that a slow host alone can cause
_FAILED_SHARE = 0.5  # share of failed requests above which the configuration counts as failed
_WARMUP_ANSWER = 8  # tokens


@dataclass(frozen=True)
class Bench:
    """The procedure by which configurations are measured.

    Attributes:
        engine: the engine that serves the requests.
        generator: the load generator that sends the requests.
        limits: the limits of the service level objective (SLO), by metric.
        more: metrics to measure in addition to the standard ones and those with limits.
        settings: the number of requests, the time limits, and the conditions that invalidate a
            measurement.
    """

    engine: Engine
    generator: LoadGenerator
    limits: Mapping[str, float]
    more: Sequence[str]
    settings: Measuring

    def run(self, config: Config, plan: Plan) -> tuple[dict[str, float], dict[str, str]]:
        """Measure a configuration once; return its metrics and its requests, packed.

        Raises:
            Failure: the configuration failed. The exception holds the metrics measured until then.
            Invalid: the host or the client was at fault, so the measurement does not count.
        """
        watch = CpuWatch()
        metrics: dict[str, float] = {}
        items: dict[str, str] = {}
        try:
            self._run(config, plan, watch, metrics, items)
        except Failure as failure:
            failure.metrics, failure.items = metrics, items
            self._check_host(watch, metrics, failure.status in _HASTE)
            raise
        self._check_host(watch, metrics)
        return metrics, items

    def _run(
        self,
        config: Config,
        plan: Plan,
        watch: CpuWatch,
        metrics: dict[str, float],
        items: dict[str, str],
    ) -> None:
        """Fill `metrics` and `items` with everything that was measured before a failure, if any."""
        server = Server(
            self.engine,
            config,
            Demand(tokens=plan.largest, requests=len(plan)),
            port=self.settings.port,
            startup_timeout_s=self.settings.startup_timeout_s,
            memory_limit_bytes=self.settings.memory_limit_bytes,
            watch=watch,
        )
        metrics["gpus"] = float(self.engine.gpus(config))
        with server:
            metrics["startup_s"] = server.startup_s
            self._warm_up(server, plan)
            with ServerMetrics(self.engine, server.url) as own:
                load = self._send(server, plan, self.settings.seed)
            metrics |= {f"server_{name}": x for name, x in own.metrics().items()}
            metrics["memory_bytes"] = float(server.memory_bytes())
            ended, lost = server.ended(), server.lost()
            if ended is not None and lost is None:
                lost = server.fault()
        metrics["client_late_s"] = load.late_s
        if len(load.requests):
            metrics |= measure(load.requests, self.limits, self.more)
            metrics |= per_gpu(metrics)
            items |= load.requests.pack()
        done = int(load.requests.succeeded.sum())
        self._judge(load, ended, lost, done, len(plan))
        failed = metrics["failed_share"]
        if failed > _FAILED_SHARE:
            why = next(error for error in load.requests.errors if error)
            raise Failure("requests_failed", f"{failed:.0%} of {len(plan)}, the first: {why}")

    def _judge(self, load: Load, ended: str | None, lost: str | None, done: int, n: int) -> None:
        """Raise if the load did not run to its end."""
        if load.late_s > self.settings.max_late_s:
            most_s = self.settings.max_late_s
            raise Invalid(
                f"client: expected to be at most {most_s:g} s late, got {load.late_s:.3f}"
            )
        if lost is not None:
            raise Invalid(lost)
        progress = f"after {done} of {n} requests"
        if ended is not None:
            raise Failure("died", f"{progress} {ended}", done / n)
        if load.unsent:
            reason = f"{progress} the load was broken off at {self.settings.load_timeout_s:g} s"
            raise Failure("broke_off", reason, done / n)

    def _warm_up(self, server: Server, plan: Plan) -> None:
        """Send a few concurrent requests, with prompts that the load does not repeat."""
        n = min(self.settings.warmup_requests, len(plan))
        if n == 0:
            return
        answers = np.minimum(plan.answer_tokens[:n], _WARMUP_ANSWER)
        warmup = Plan(plan.prompt_tokens[:n], answers, None, n, 0)
        load = self._send(server, warmup, self.settings.seed + 1)
        ended = server.ended()
        lost = server.lost() or (server.fault() if ended is not None else None)
        self._judge(load, ended, lost, 0, len(plan))

    def _send(self, server: Server, plan: Plan, seed: int) -> Load:
        return self.generator.run(
            server.url,
            self.engine,
            plan,
            seed=seed,
            timeout_s=self.settings.load_timeout_s,
            ended=server.ended,
        )

    def _check_host(self, watch: CpuWatch, metrics: dict[str, float], strict: bool = True) -> None:
        """Record the CPU use of other processes; if `strict`, raise `Invalid` above the limit."""
        foreign = watch.foreign_cores()
        metrics["foreign_cpu_cores"] = foreign
        most = self.settings.max_foreign_cores
        if strict and most is not None and foreign > most:
            raise Invalid(
                f"CPU of other processes: expected at most {most:g} cores, got {foreign:.2f}"
            )
