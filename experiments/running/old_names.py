"""Where the classes that earlier logs name live now.

A log of format 1 names its optimizer and objective by a class path (`_target_`). Files have moved
since; this table maps the old module names to the new ones.
"""

import re
from typing import Any

_FUNCTIONS = {"bbob", "box", "mixed", "synthetic"}
_WRAPPERS = {"failing", "noisy", "slow", "wrapper"}
_SERVING = {
    **dict.fromkeys(
        ("arrivals", "client", "guidellm_load", "lengths", "load_generator", "measures"), "load"
    ),
    **dict.fromkeys(("llamacpp", "llamacpp_server", "node_engine", "sglang", "vllm"), "engines"),
    **dict.fromkeys(("launcher", "server"), "host"),
}


def renamed(settings: Any) -> Any:
    """Return plain settings with every `_target_` at today's place."""
    if isinstance(settings, dict):
        return {
            key: _module(value) if key == "_target_" and isinstance(value, str) else renamed(value)
            for key, value in settings.items()
        }
    if isinstance(settings, list):
        return [renamed(value) for value in settings]
    return settings


def _module(target: str) -> str:
    if target.startswith("objectives.serving_sim."):
        return target.replace("objectives.", "objectives.serving.simulator.", 1)
    found = re.fullmatch(r"objectives\.(serving\.)?(\w+)\.(\w+)", target)
    if not found:
        return target
    serving, module, name = found.groups()
    if serving:
        folder = _SERVING.get(module)
        return target if folder is None else f"objectives.serving.{folder}.{module}.{name}"
    for folder, modules in (("functions", _FUNCTIONS), ("wrappers", _WRAPPERS)):
        if module in modules:
            return f"objectives.{folder}.{module}.{name}"
    return target
