"""Conversion of headers of earlier log formats to the current format.

Format 1 named classes by their modules, and it recorded neither the space, the goals nor the COCO
problem. The tables below derive the missing keys from the names and the plain settings in the
header. They cover only the objectives that existed then. Nothing that a log names is imported or
instantiated.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from experiments.running.header import FORMAT, Header
from experiments.running.identity import check_identity

Settings = Mapping[str, Any]
Space = dict[str, dict[str, Any]]

_HIGHER_IS_BETTER = re.compile(r"\w+_acc|\w+_acc_norm|\w+_p_right|\w+_per_s")
_LOWER_IS_BETTER = re.compile(
    r"heldout_loss|(ttft|tpot|itl|e2e)_p[\d.]+_s|failed_share|memory_bytes"
)
_UNITS = {
    "heldout_loss": "nats per token",
    "output_tokens_per_s": "tokens/s",
    "requests_per_s": "requests/s",
    "goodput_per_s": "requests/s",
    "memory_bytes": "bytes",
}
_OWN = ("gp_bo", "bamsoo")  # this suite's own optimizers before logs said so
_WHOLE_HOST = ("Serving", "LitGPTCommandLines")
_SERVING_SD = {"Serving": 0.09, "ServingSim": 10.0}  # ServingSim: per unit of its `noise` setting
_PUBLISHED_SD = {"none": 0.0, "repeat": 1e-4, "divergence": 0.11155}
_PUBLISHED_OPTIMUM = 0.520594982875087  # optimum of lora_published, version 1, in its own space


def header_of(event: dict[str, Any]) -> Header:
    """Return the header that an event of any format contains.

    Raises:
        ValueError: the event is not a header, or its identity does not match its settings.
    """
    try:
        header = Header.from_json(upgraded(event))
        check_identity(event)
    except (AttributeError, KeyError, TypeError) as error:
        reason = f"no key {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"header: expected the header of a log, got another ({reason})") from None
    return header


def upgraded(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return a header of format 1 in the current format, and any other header unchanged.

    Raises:
        ValueError, TypeError, AttributeError, KeyError: the event is not a header.
    """
    if header.get("format") != 1:
        return {"own": _is_own(header), **_moved(header), **header}
    settings = header["objective"]
    version = header["fingerprint"].get("version")
    optimum = header.get("optimum")
    if optimum is None:
        optimum = _optimum(settings, version)
    return {
        "notice": None,
        **header,
        "format": FORMAT,
        "first_format": 1,
        "optimizer": without_paths(header["optimizer"]),
        "objective": without_paths(settings),
        "optimizer_version": 1,
        "own": _is_own(header),
        **_moved(header),
        "goals": _goals(header["metric"], settings, optimum),
        "space": _space(settings, header["hardware"].get("cores")),
        "forbidden": [],
        "fidelities": None,
        "resources": {"gpus": 0, "cores": 1, "whole_host": _class(settings) in _WHOLE_HOST},
        "default": _default(settings, header["hardware"].get("cores")),
        "coco": _coco(settings),
        "noise_sd": _noise_sd(settings),
        "optimum": optimum,
    }


def _is_own(header: Mapping[str, Any]) -> bool:
    """Return whether a log that does not say so is one of an optimizer of this suite's own."""
    names, settings = header["names"], header["optimizer"]
    if not isinstance(names, Mapping) or not isinstance(settings, Mapping):
        return False  # the reader of the header says what is wrong with them
    return names.get("optimizer") in _OWN and settings.get("variant") != "published"


def _moved(header: Mapping[str, Any]) -> dict[str, bool]:
    """Return the key `moved` of a log that does not say whether the optimum was moved."""
    settings = header["objective"]
    if not isinstance(settings, Mapping) or "shift" not in settings:
        return {}
    return {"moved": settings["shift"] not in (None, "none")}


def without_paths(settings: Any) -> Any:
    """Return settings in which the key `class`, with a bare name, replaces each `_target_`."""
    if isinstance(settings, dict):
        named = {"class": _class(settings)} if "_target_" in settings else {}
        rest = {key: without_paths(x) for key, x in settings.items() if key != "_target_"}
        return {**named, **rest}
    return [without_paths(x) for x in settings] if isinstance(settings, list) else settings


def _class(settings: Settings) -> str:
    """Return the bare name of the class in `_target_`, or ""."""
    return str(settings.get("_target_", "")).rpartition(".")[2]


def _inner(settings: Settings) -> Settings | None:
    """Return the settings of the wrapped objective, or None if there is no wrapper."""
    inner = settings.get("inner")
    return inner if isinstance(inner, dict) else None


def _goals(metric: str | None, settings: Settings, optimum: float | None) -> dict[str, Any]:
    inner = _inner(settings)
    if inner is not None:
        return _goals(metric, inner, optimum)
    if metric is None:
        return {}
    natural = None
    if _class(settings) == "Tabular":
        value = settings.get("value")
        maximise = value.get("maximise", False) if isinstance(value, dict) else False
        minimise = not maximise
        if optimum is not None:
            natural = {"one minus": 1 - optimum, True: -optimum}.get(maximise, optimum)
    elif _HIGHER_IS_BETTER.fullmatch(metric):
        minimise = False
        natural = 1 - optimum if optimum is not None and not metric.endswith("_per_s") else None
    elif _LOWER_IS_BETTER.fullmatch(metric):
        minimise, natural = True, optimum if metric == "heldout_loss" else None
    else:
        return {}  # a metric of a third-party objective: its direction is unknown
    unit = _UNITS.get(metric, "s" if metric.endswith("_s") else "")
    return {metric: {"minimise": minimise, "unit": unit, "reference": None, "optimum": natural}}


def _optimum(settings: Settings, version: Any) -> float | None:
    """Return the optimum of a problem whose log does not record it, if it is known."""
    inner = _inner(settings)
    if inner is not None and _class(settings) in ("Noisy", "Slow"):
        return _optimum(inner, version)
    published = _class(settings) == "LoraPublished" and settings.get("space") == _PUBLISHED_SPACE
    return _PUBLISHED_OPTIMUM if published and version == 1 else None


def _coco(settings: Settings) -> list[Any] | None:
    inner = _inner(settings)
    if inner is not None and _class(settings) == "Failing":
        return _coco(inner)  # failures use up evaluations but leave the problem unchanged
    moved = settings.get("shift") not in (None, "none") or settings.get("space")
    if _class(settings) != "Bbob" or moved:
        return None
    return ["bbob", settings["function"], settings["instance"]]


def _noise_sd(settings: Settings) -> float:
    inner, name = _inner(settings), _class(settings)
    if inner is not None:
        own = float(settings.get("sd", 0.0)) if name == "Noisy" else 0.0
        return math.hypot(_noise_sd(inner), own)
    if name == "LoraPublished":
        return _PUBLISHED_SD.get(str(settings.get("noise")), 0.0)
    return _SERVING_SD.get(name, 0.0) * float(settings.get("noise", 1.0))


def _default(settings: Settings, cores: int | None) -> dict[str, Any] | None:
    default = settings.get("default")
    if not isinstance(default, dict) or not default:
        return None
    found = {name: _counted(value, cores) for name, value in default.items()}
    return None if None in found.values() else found


def _space(settings: Settings, cores: int | None) -> Space | None:
    """Return the space that the settings describe, or None if they do not describe it."""
    inner = _inner(settings)
    if inner is not None:
        return _space(inner, cores)
    given = settings.get("space")
    given = given if isinstance(given, dict) else {}
    known = _FUNCTIONS.get(_class(settings))
    if known is not None:
        return {name: {**keys, **given.get(name, {})} for name, keys in known(settings).items()}
    found = {}
    for name, keys in given.items():
        if not isinstance(keys, dict) or "type" not in keys:
            return None
        found[name] = {key: _counted(value, cores) for key, value in keys.items()}
        if None in found[name].values():
            return None
    if _class(settings) == "Tabular" and set(found) != set(settings.get("parameters", ())):
        return None  # the rest was derived from the table
    return found or None


def _counted(value: Any, cores: int | None) -> Any:
    """Return `cores` and `2*cores` as numbers, or None if the log does not record the cores."""
    found = (
        re.fullmatch(r"(?:(\d+) ?\* ?)?cores", value.strip()) if isinstance(value, str) else None
    )
    if found is None:
        return value
    return None if cores is None else int(found[1] or 1) * cores


def _float(lower: float, upper: float, log: bool = False) -> dict[str, Any]:
    scale = {"log": True} if log else {}
    return {"type": "float", "lower": lower, "upper": upper, **scale}


def _int(lower: int, upper: int, log: bool = False) -> dict[str, Any]:
    return {**_float(lower, upper, log), "type": "int"}


def _box(lower: float, upper: float, dim: int | None = None) -> Callable[[Settings], Space]:
    """Return the space of a function on a cube; if `dim` is None, `dimension` is a setting."""

    def space(settings: Settings) -> Space:
        n = settings["dimension"] if dim is None else dim
        return {f"x{axis}": _float(lower, upper) for axis in range(1, n + 1)}

    return space


_PUBLISHED_SPACE: Space = {
    "lora_rank": _int(2, 64),
    "lora_alpha": _int(1, 64),
    "lora_dropout": _float(0.0, 0.5),
    "learning_rate": _float(1e-10, 1e-1, log=True),
    "weight_decay": _float(1e-5, 1e-1, log=True),
}
_MIXED: Space = {
    "learning_rate": _float(1e-5, 1.0, log=True),
    "momentum": _float(0.0, 1.0),
    "depth": _int(1, 12),
    "width": _int(8, 512, log=True),
    "regularisation": {"type": "ordinal", "choices": ["none", "low", "middle", "high"]},
    "kernel": {"type": "categorical", "choices": ["linear", "rbf", "poly"]},
    "gamma": {**_float(1e-3, 1e3, log=True), "when": {"kernel": "rbf"}},
    "degree": {**_int(2, 6), "when": {"kernel": "poly"}},
    "mix": {**_float(0.0, 1.0), "when": {"degree": [4, 5]}},
}
_FUNCTIONS: dict[str, Callable[[Settings], Space]] = {
    "Branin": lambda _: {"x1": _float(-5.0, 10.0), "x2": _float(0.0, 15.0)},
    "Rosenbrock": _box(-5.0, 10.0),
    "Ackley": _box(-32.768, 32.768),
    "Levy": _box(-10.0, 10.0),
    "Hartmann3": _box(0.0, 1.0, 3),
    "Hartmann6": _box(0.0, 1.0, 6),
    "Shekel": _box(0.0, 10.0, 4),
    "Bbob": _box(-5.0, 5.0),
    "Mixed": lambda _: _MIXED,
}
