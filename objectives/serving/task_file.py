"""Read the autotuner's task file completely, so that no key is ignored silently.

`task.py` describes the sections. Every key is either read, or listed in `UNREAD` with the reason,
or refused with a suggestion of a similar key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from objectives import expected
from objectives.serving.task_alternatives import FIELDS, Alternatives
from objectives.serving.task_sections import Sections, read_json
from objectives.trial import Value

RUNTIMES = ("sglang", "vllm")
BASES = {
    "minimize_latency": "e2e_p90_s",
    "maximize_throughput": "output_tokens_per_s",
    "minimize_ttft": "ttft_p50_s",
    "minimize_tpot": "tpot_p90_s",
}
UNREAD: Mapping[str, Mapping[str, str]] = {
    "": {
        "task_name": "for people",
        "description": "for people",
        "deployment_mode": "where a server runs is our launcher's",
        "runtime_image_tag": "the launcher's",
        "storage": "the launcher's",
        "clusterbasemodel_config": "of a Kubernetes cluster",
        "clusterservingruntime_config": "of a Kubernetes cluster",
    },
    "model": {"namespace": "of a Kubernetes cluster"},
    "optimization": {
        "strategy": "the optimizer is chosen on the command line",
        "max_iterations": "the budget's",
        "n_initial_random": "the optimizer's",
    },
    "benchmark": {
        "task": "always text-to-text",
        "model_name": "the server has one model",
        "model_tokenizer": "prompts are token ids",
        "max_time_per_iteration": "a load ends with its requests; timeout_per_iteration limits it",
    },
}
"""The keys that are deliberately not read, by section, with the reason."""
_READ = {
    "": [
        *("model", "base_runtime", "parameters", "parallel_config", "quant_config"),
        *("optimization", "benchmark", "slo"),
    ],
    "model": ["id_or_path", "name"],
    "optimization": ["objective", "timeout_per_iteration"],
    "benchmark": [
        *("traffic_scenarios", "num_concurrency", "max_requests_per_iteration"),
        "additional_params",
    ],
}
_QUANTITIES = {"latency": ("e2e", 90), "ttft": ("ttft", 50), "tpot": ("tpot", 50)}
_LIMIT_KEYS = ["threshold", "weight", "hard_fail", "fail_ratio"]
_ALIASES = {  # aliases of flags, by runtime
    "sglang": {
        "tp": "tp_size",
        "dp": "dp_size",
        "pp": "pp_size",
        "tensor_parallel_size": "tp_size",
        "data_parallel_size": "dp_size",
        "pipeline_parallel_size": "pp_size",
        "cuda_graph_max_bs_decode": "cuda_graph_max_bs",
    },
    "vllm": {
        "tp": "tensor_parallel_size",
        "dp": "data_parallel_size",
        "pp": "pipeline_parallel_size",
        "dcp": "decode_context_parallel_size",
        "max_cudagraph_capture_size": "cudagraph_max_size",
    },
}


@dataclass(frozen=True)
class Limit:
    """One line of the file's SLO: a metric's threshold in s, its weight and its hard limit."""

    metric: str
    threshold: float
    weight: float
    hard_fail: bool
    fail_ratio: float


@dataclass(frozen=True)
class Task:
    """The content of a task file.

    Attributes:
        path: path of the file.
        runtime: the engine, one of `RUNTIMES`.
        model: name or folder of the model.
        space: the space of its parameters, as `objectives.space.build_space` takes it.
        first: the first value of each parameter.
        alternatives: the parameters that stand for several flags.
        base: the metric that is the base of the score.
        timeout_s: time limit of the start-up and of the load.
        scenarios, concurrencies: the listed ones; a load has one of each.
        requests: number of requests of a load.
        limits: the lines of its SLO.
        steepness: the steepness of all limits.
    """

    path: Path
    runtime: str
    model: str
    space: dict[str, dict[str, Any]]
    first: dict[str, Value]
    alternatives: Alternatives
    base: str
    timeout_s: float
    scenarios: list[str]
    concurrencies: list[int]
    requests: int
    limits: list[Limit] = field(default_factory=list)
    steepness: float = 0.1


def read_task(path: Path) -> Task:
    """Read a task file.

    Raises:
        ValueError: the file cannot be read or its content is not valid. The message names the
            place.
    """
    file = Sections(path)
    content = file.keys(read_json(path), "", [*_READ[""], *UNREAD[""]])
    runtime = str(file.one_of(content, "", "base_runtime", RUNTIMES))
    model = _section(file, content, "model")
    optimization = _section(file, content, "optimization")
    benchmark = _section(file, content, "benchmark")
    _check_additional(file, benchmark.get("additional_params", {}))
    space, first, alternatives = _space(file, content, runtime)
    slo = {} if content.get("slo") in (None, {}) else file.mapping(content, "", "slo")
    objective = file.one_of(optimization, "optimization", "objective", BASES)
    return Task(
        path=path,
        runtime=runtime,
        model=_model(file, model),
        space=space,
        first=first,
        alternatives=alternatives,
        base=BASES[str(objective)],
        timeout_s=file.number(optimization, "optimization", "timeout_per_iteration", 600.0),
        scenarios=file.listed(benchmark, "benchmark", "traffic_scenarios", str),
        concurrencies=file.listed(benchmark, "benchmark", "num_concurrency", int),
        requests=file.whole(benchmark, "benchmark", "max_requests_per_iteration", 100),
        limits=_limits(file, slo),
        steepness=file.number(slo, "slo", "steepness", 0.1),
    )


def _section(file: Sections, content: Mapping[str, Any], name: str) -> dict[str, Any]:
    known = [*_READ[name], *UNREAD[name]]
    return file.keys(file.mapping(content, "", name), name, known)


def _model(file: Sections, model: Mapping[str, Any]) -> str:
    """Return the model; the key is called `name` in older files."""
    if len([key for key in _READ["model"] if key in model]) != 1:
        raise file.wrong("model", "id_or_path, or in an older file name", dict(model))
    found = model.get("id_or_path", model.get("name"))
    if not isinstance(found, str) or not found:
        raise file.wrong("model.id_or_path", "a name or a folder", found)
    return found


def _check_additional(file: Sections, given: Any) -> None:
    """Raise unless the additions to each request are the values that we send anyway."""
    where = "benchmark.additional_params"
    for key, value in file.keys(given, where, ["temperature", "ignore_eos"]).items():
        said = str(value).lower() if isinstance(value, bool | str) else value
        is_ours = said == "true" if key == "ignore_eos" else said in (0, "0", "0.0")
        if not is_ours or (key == "temperature" and isinstance(value, bool)):
            rule = "true" if key == "ignore_eos" else "0, as answers have fixed lengths"
            raise file.wrong(f"{where}.{key}", rule, value)


def _space(
    file: Sections, content: Mapping[str, Any], runtime: str
) -> tuple[dict[str, dict[str, Any]], dict[str, Value], Alternatives]:
    """Return the space (numbers in their order), the first value of each list, and alternatives."""
    alternatives = Alternatives(runtime)
    given: dict[str, tuple[str, list[Any]]] = {}
    for flag, values in file.mapping(content, "", "parameters").items():
        _add(file, given, _name(flag, runtime), f"parameters.{flag}", values)
    for section in ("parallel_config", "quant_config"):
        if content.get(section) in (None, {}):
            continue
        keys = [*FIELDS[runtime, section], "presets", "preset"]
        found = file.keys(file.mapping(content, "", section), section, keys)
        for key, values in found.items():
            listed = values if isinstance(values, list | dict) else [values]
            name = alternatives.parameter(section, key)
            _add(file, given, name, f"{section}.{key}", listed)
    lists = {name: values for name, (_, values) in given.items()}
    try:
        alternatives.check(lists)
    except ValueError as error:
        raise ValueError(f"{file.path}: {error}") from None
    space = {name: _description(values) for name, values in lists.items()}
    return space, {name: values[0] for name, values in lists.items()}, alternatives


def _add(
    file: Sections, given: dict[str, tuple[str, list[Any]]], name: str, where: str, values: Any
) -> None:
    """Add a parameter's values (a list, or `{"values": [...]}`); raise if it is given already."""
    if isinstance(values, dict):
        listed = file.keys(values, where, ["values", "type"])
        if listed.get("type", "choice") != "choice":
            raise file.wrong(f"{where}.type", "choice", listed["type"])
        values = listed.get("values")
    if not isinstance(values, list) or not values:
        raise file.wrong(where, "a list of values", values)
    for value in values:
        if not isinstance(value, bool | int | float | str):
            raise file.wrong(where, "true, false, numbers or text", value)
    if name in given:
        raise ValueError(
            f"{file.path}: {where}: expected {name} once, got it in {given[name][0]} too"
        )
    given[name] = (where, values)


def _name(flag: str, runtime: str) -> str:
    name = flag.lstrip("-").replace("-", "_")
    return _ALIASES[runtime].get(name, name)


def _description(values: list[Any]) -> dict[str, Any]:
    numbers = all(map(expected.is_number, values))
    choices: list[Any] = []
    for value in values:  # 1 and true compare as equal but differ
        if not any(value is other or repr(value) == repr(other) for other in choices):
            choices.append(value)
    kind = "ordinal" if numbers else "categorical"
    return {"type": kind, "choices": sorted(choices) if numbers else choices}


def _limits(file: Sections, slo: Mapping[str, Any]) -> list[Limit]:
    found = []
    for key, given in file.keys(dict(slo), "slo", [*_QUANTITIES, "steepness"]).items():
        if key == "steepness":
            continue
        quantity, usual = _QUANTITIES[key]
        where = f"slo.{key}"
        lines = file.keys(given, where, [*_LIMIT_KEYS, "p50", "p90", "p95", "p99"])
        if not lines:
            raise file.wrong(where, "a threshold", given)
        if not any(name in lines for name in _LIMIT_KEYS):
            for percentile, line in lines.items():
                place = f"{where}.{percentile}"
                found.append(_limit(file, f"{quantity}_{percentile}_s", place, line))
        else:
            found.append(_limit(file, f"{quantity}_p{usual}_s", where, lines))
    return found


def _limit(file: Sections, metric: str, where: str, given: Any) -> Limit:
    line = file.keys(given, where, _LIMIT_KEYS)
    return Limit(
        metric=metric,
        threshold=file.number(line, where, "threshold", None),
        weight=file.number(line, where, "weight", 1.0),
        hard_fail=file.switch(line, where, "hard_fail"),
        fail_ratio=file.number(line, where, "fail_ratio", 0.5),
    )
