"""Serving engines with flags on a simulated machine: substitute programs, GPUs, ssh and srun."""

import os
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from objectives.serving.objective import Serving
from stand_in import impatient, settings

CONF = Path(__file__).parents[1] / "conf"
BIN = Path(__file__).with_name("stand_in_bin")


def search_path() -> str:
    """Return a PATH on which the stand-ins come first."""
    return f"{BIN}{os.pathsep}{os.environ['PATH']}"


def build(name: str, *overrides: str) -> Serving:
    """Return an objective of conf/ with some settings changed."""
    with initialize_config_dir(str(CONF), version_base=None):
        words = ["~optimizer", f"objective={name}", *overrides]
        composed = compose("config", overrides=words)
    built: Serving = instantiate(composed.objective, _convert_="all")
    return built


def stand_in_engine(kind: Any, launcher: Any, behaviour: str, **changes: Any) -> Any:
    """Return an engine whose program is the stand-in."""
    return kind(
        **{
            "program": [str(BIN / "engine"), "serve"],
            "model": "a-model",
            "tokens": [10, 20],
            "device": "cuda",
            "gpus": 8,
            "attention_heads": 32,
            "environment": {"STAND_IN": behaviour, "STAND_IN_TOKEN_S": 0.02},
            "flags": [],
            "launcher": launcher,
            **changes,
        }
    )


def serving(engine: Any, space: dict[str, Any], default: dict[str, Any], **changes: Any) -> Serving:
    """Return an objective of that engine on a small load."""
    return impatient(
        Serving(**{**settings(), "engine": engine, "space": space, "default": default, **changes})
    )
