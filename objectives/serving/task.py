"""The autotuner's task file as an objective: its JSON says what is tuned, loaded and promised.

    model.id_or_path      the model
    base_runtime          sglang or vllm
    parameters            by flag without its dashes: a list of values, or {"values": [...]}
    optimization          objective: minimize_latency, maximize_throughput, minimize_ttft,
                          minimize_tpot; timeout_per_iteration: s, of start-up and of load
    benchmark             traffic_scenarios, num_concurrency, max_requests_per_iteration
    slo                   latency, ttft, tpot: by percentile or without one, `threshold` in s,
                          `weight`, `hard_fail`, `fail_ratio`; and `steepness` for all

The strategy and the number of iterations are the optimizer's and the budget's, and are not read.
Departures from the autotuner: an evaluation is one load, where it measures every scenario at every
concurrency (a setting chooses; else the first scenario at the highest concurrency); a latency is
the 90th percentile and a TTFT without percentile the median, where it takes means; steepness is
kept within 0.1 to 0.5; the reference is the first value of each list.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from objectives.serving.engines.node_engine import NodeEngine
from objectives.serving.engines.sglang import Sglang
from objectives.serving.engines.vllm import Vllm
from objectives.serving.host.launcher import Launcher
from objectives.serving.load.load_generator import LoadGenerator
from objectives.serving.objective import Serving
from objectives.trial import Value

EXAMPLE = Path(__file__).with_name("example_task.json")
_ENGINES: Mapping[str, type[NodeEngine]] = {"sglang": Sglang, "vllm": Vllm}
_PROGRAMS = {"sglang": ["sglang", "serve"], "vllm": ["vllm", "serve"]}
_BASES = {
    "minimize_latency": "e2e_p90_s",
    "maximize_throughput": "output_tokens_per_s",
    "minimize_ttft": "ttft_p50_s",
    "minimize_tpot": "tpot_p90_s",
}
_QUANTITIES = {"latency": ("e2e", 90), "ttft": ("ttft", 50), "tpot": ("tpot", 50)}
_ALIASES = {  # of flags, by runtime
    "sglang": {"tensor_parallel_size": "tp_size", "data_parallel_size": "dp_size"},
    "vllm": {},
}
_NEVER = 10.0  # the violation above which a soft limit fails in `compat`, which needs a number


class ServingTask(Serving):
    """The objective that a task file describes.

    `conf/objective/serving_task.yaml` describes the settings.

    Raises:
        ValueError: the file cannot be read or does not hold what the module's docstring says, or a
            setting cannot be.
    """

    def __init__(
        self,
        *,
        task: str | None,
        scenario: str | None,
        concurrency: int | None,
        score: str,
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
        reference_runs: int,
        repeats: int,
        warmup_requests: int,
        port: int,
        memory_limit_gib: float | None,
        max_foreign_cores: float | None,
        max_late_s: float,
        seed: int,
    ) -> None:
        self._path = EXAMPLE if task is None else Path(task).expanduser()
        content = _read(self._path)
        runtime = _choice(self._path, content, "base_runtime", list(_ENGINES))
        engine = _ENGINES[runtime](
            program=program or _PROGRAMS[runtime],
            model=model or str(_part(self._path, content, "model").get("id_or_path", "")),
            tokens=tokens,
            device=device,
            gpus=gpus,
            attention_heads=attention_heads,
            environment=environment,
            flags=flags,
            launcher=launcher,
        )
        optimization = _part(self._path, content, "optimization")
        base = _BASES[_choice(self._path, optimization, "objective", list(_BASES))]
        timeout_s = optimization.get("timeout_per_iteration", 600)
        space, first = _space(self._path, _part(self._path, content, "parameters"), runtime)
        load = _load(self._path, _part(self._path, content, "benchmark"), scenario, concurrency)
        self._load_text = f"{load['lengths']} at concurrency {load['concurrency']}"
        super().__init__(
            engine=engine,
            generator=generator,
            space=space,
            constraints=[],
            default=first,
            load=load,
            slo=_slo(self._path, content.get("slo") or {}, score),
            score=score,
            base=base,
            reference_runs=reference_runs,
            repeats=repeats,
            warmup_requests=warmup_requests,
            port=port,
            startup_timeout_s=timeout_s,
            load_timeout_s=timeout_s,
            memory_limit_gib=memory_limit_gib,
            max_foreign_cores=max_foreign_cores,
            max_late_s=max_late_s,
            seed=seed,
        )

    def notice(self) -> str:
        return f"{super().notice()}; the task of {self._path.name}, {self._load_text}"


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"task: expected a JSON file, got {path}: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"task: expected JSON, got {path}: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected an object, got {type(content).__name__}")
    return content


def _part(path: Path, content: Mapping[str, Any], key: str) -> dict[str, Any]:
    part = content.get(key)
    if not isinstance(part, dict) or not part:
        raise ValueError(f"{path}: {key}: expected an object with keys, got {part!r}")
    return part


def _choice(path: Path, content: Mapping[str, Any], key: str, known: list[str]) -> str:
    value = content.get(key)
    if value not in known:
        raise ValueError(f"{path}: {key}: expected one of {known}, got {value!r}")
    return str(value)


def _space(
    path: Path, parameters: Mapping[str, Any], runtime: str
) -> tuple[dict[str, dict[str, Any]], dict[str, Value]]:
    """Return the space of a file (numbers in their order), and the first value of each list."""
    space, first = {}, {}
    for flag, given in parameters.items():
        name = flag.lstrip("-").replace("-", "_")
        name = _ALIASES[runtime].get(name, name)
        values = given.get("values") if isinstance(given, dict) else given
        if not isinstance(values, list) or not values:
            raise ValueError(f"{path}: parameters.{flag}: expected a list of values, got {given!r}")
        numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in values)
        kind = "ordinal" if numbers else "categorical"
        choices = sorted(set(values)) if numbers else list(dict.fromkeys(values))
        space[name], first[name] = {"type": kind, "choices": choices}, values[0]
    return space, first


def _load(
    path: Path, benchmark: Mapping[str, Any], scenario: str | None, concurrency: int | None
) -> dict[str, Any]:
    """Return the one load that is measured."""
    chosen = {}
    for key, wish in (("traffic_scenarios", scenario), ("num_concurrency", concurrency)):
        listed = benchmark.get(key)
        if not isinstance(listed, list) or not listed:
            raise ValueError(f"{path}: benchmark.{key}: expected a list, got {listed!r}")
        if wish is not None and wish not in listed:
            raise ValueError(f"objective: expected one of {key} {listed} of {path}, got {wish}")
        first = listed[0] if key == "traffic_scenarios" else max(listed)
        chosen[key] = first if wish is None else wish
    return {
        "arrivals": "closed",
        "concurrency": chosen["num_concurrency"],
        "requests": benchmark.get("max_requests_per_iteration", 100),
        "lengths": chosen["traffic_scenarios"],
        "shared_prefix": 0,
    }


def _slo(path: Path, slo: Mapping[str, Any], score: str) -> dict[str, dict[str, Any]]:
    """Return the limits of a file in our form."""
    limits = {}
    steepness = min(max(float(slo.get("steepness", 0.1)), 0.1), 0.5)
    for key, given in slo.items():
        if key == "steepness":
            continue
        if key not in _QUANTITIES or not isinstance(given, dict):
            known = [*_QUANTITIES, "steepness"]
            raise ValueError(f"{path}: slo: expected the keys {known}, got {key}")
        quantity, usual = _QUANTITIES[key]
        by_percentile = {f"p{usual}": given} if "threshold" in given else given
        for percentile, limit in by_percentile.items():
            metric = f"{quantity}_{percentile}_s"
            if not isinstance(limit, dict) or "threshold" not in limit:
                raise ValueError(
                    f"{path}: slo.{key}.{percentile}: expected a threshold, got {limit}"
                )
            soft = _NEVER if score == "compat" else None
            limits[metric] = {
                "limit": limit["threshold"],
                "weight": limit.get("weight", 1.0),
                "steepness": steepness,
                "fail_above": limit.get("fail_ratio", 0.5) if limit.get("hard_fail") else soft,
            }
    return limits
