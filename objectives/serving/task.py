"""The autotuner's task file as an objective; its JSON holds the space, the load and the SLO.

    model.id_or_path      the model
    base_runtime          sglang or vllm
    parameters            by flag without its dashes: a list of values, or {"values": [...]}
    parallel_config       tp, pp, dp, ... each a list, or presets   (`task_alternatives.py`)
    quant_config          gemm_dtype, kvcache_dtype, ... or presets (likewise)
    optimization          objective: minimize_latency, maximize_throughput, minimize_ttft,
                          minimize_tpot; timeout_per_iteration: s, limit of start-up and of load
    benchmark             traffic_scenarios, num_concurrency, max_requests_per_iteration
    slo                   latency, ttft, tpot: by percentile or without one, `threshold` in s,
                          `weight`, `hard_fail`, `fail_ratio`; and `steepness` for all

`task_file.UNREAD` lists the keys that are deliberately not read. Examples are the strategy and the
number of iterations, which the optimizer and the budget determine here. Every other key is refused,
and so is a flag that is given twice under two names.

There are six departures from the autotuner. First, an evaluation is one load, whereas the autotuner
measures every scenario at every concurrency. A setting chooses the load; the default is the first
scenario at the highest concurrency. Second, a latency is the 90th percentile, and a TTFT without a
percentile is the median, whereas the autotuner takes means. Third, a 99th percentile needs 200
requests, so its examples `docker_task_with_slo.json` and `docker_task_minimal_slo.json` need a
larger `max_requests_per_iteration`. Fourth, prompts are random, so a data set
(`benchmark.dataset_url`) is refused. Fifth, steepness is limited to 0.1 to 0.5. Sixth, the
reference is the first value of each list.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

from objectives.serving.engines.node_engine import NodeEngine
from objectives.serving.engines.sglang import Sglang
from objectives.serving.engines.vllm import Vllm
from objectives.serving.host.launcher import Launcher
from objectives.serving.load.load_generator import LoadGenerator
from objectives.serving.measuring import HostSettings
from objectives.serving.objective import Serving
from objectives.serving.task_file import Task, read_task
from objectives.serving.wanted import Limits
from objectives.trial import Config, Value
from objectives.wanted import Names

EXAMPLE = Path(__file__).with_name("example_task.json")
_ENGINES: Mapping[str, type[NodeEngine]] = {"sglang": Sglang, "vllm": Vllm}
_PROGRAMS = {"sglang": ["sglang", "serve"], "vllm": ["vllm", "serve"]}
_NEVER = 10.0  # violation above which a soft limit fails in `compat`, which needs a number


class ServingTask(Serving):
    """The objective that a task file describes.

    `conf/objective/serving_task.yaml` describes the settings.

    Raises:
        ValueError: the file cannot be read or does not have the form in the module's docstring, or
            a setting is invalid.
    """

    gpus_setting = "gpus"

    def __init__(
        self,
        *,
        task: str | None,
        scenario: str | None,
        concurrency: int | None,
        score: str,
        goals: Names,
        limits: Limits,
        gpu_cost: float,
        program: list[str] | None,
        model: str | None,
        tokens: list[int],
        device: str,
        gpus: int,
        attention_heads: int | None,
        environment: Mapping[str, Value],
        flags: list[Value],
        launcher: Launcher,
        generator: LoadGenerator,
        **measuring: Unpack[HostSettings],
    ) -> None:
        self._task = read_task(EXAMPLE if task is None else Path(task).expanduser())
        engine = _ENGINES[self._task.runtime](
            program=program or _PROGRAMS[self._task.runtime],
            model=model or self._task.model,
            tokens=tokens,
            device=device,
            gpus=gpus,
            attention_heads=attention_heads,
            environment=environment,
            flags=flags,
            launcher=launcher,
        )
        load = _load(self._task, scenario, concurrency)
        self._load_text = f"{load['lengths']} at concurrency {load['concurrency']}"
        self.extra_parameters = tuple(self._task.alternatives.names)
        super().__init__(
            engine=engine,
            generator=generator,
            space=self._task.space,
            constraints=[],
            default=self._task.first,
            load=load,
            slo=_slo(self._task, score),
            score=score,
            base=self._task.base,
            goals=goals,
            limits=limits,
            gpu_cost=gpu_cost,
            startup_timeout_s=self._task.timeout_s,
            load_timeout_s=self._task.timeout_s,
            **measuring,
        )

    def engine_config(self, config: Config) -> Config:
        return self._task.alternatives.flags(config)

    def notice(self) -> str:
        return f"{super().notice()}; the task of {self._task.path.name}, {self._load_text}"


def _load(task: Task, scenario: str | None, concurrency: int | None) -> dict[str, Any]:
    """Return the one load that is measured."""
    for name, listed, wish in (
        ("scenario", task.scenarios, scenario),
        ("concurrency", task.concurrencies, concurrency),
    ):
        if wish is not None and wish not in listed:
            raise ValueError(
                f"objective.{name}: expected one of {listed} of {task.path}, got {wish}"
            )
    return {
        "arrivals": "closed",
        "concurrency": concurrency or max(task.concurrencies),
        "requests": task.requests,
        "lengths": scenario or task.scenarios[0],
        "shared_prefix": 0,
    }


def _slo(task: Task, score: str) -> dict[str, dict[str, Any]]:
    """Return the limits of a file in the form of our SLO."""
    soft = _NEVER if score == "compat" else None
    return {
        limit.metric: {
            "limit": limit.threshold,
            "weight": limit.weight,
            "steepness": min(max(task.steepness, 0.1), 0.5),
            "fail_above": limit.fail_ratio if limit.hard_fail else soft,
        }
        for limit in task.limits
    }
