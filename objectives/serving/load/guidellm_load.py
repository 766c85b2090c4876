"""The load generator guidellm (0.8.1), which runs as a separate process.

guidellm pins an older `click` than this project's constraints, so it is installed in another
virtual environment: `python -m venv guidellm && guidellm/bin/pip install guidellm==0.8.1`.

There are four differences from `client.py`. Prompts are text, made of words of one token each, so
that their lengths are exact. An open loop is a Poisson process at the plan's mean rate, with times
that guidellm draws. guidellm records only the first and the last token of a request, so every gap
between tokens is their mean. Each load takes half a minute longer, in which guidellm starts.
"""

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from objectives import child
from objectives.serving.engine import Engine
from objectives.serving.grades import Invalid
from objectives.serving.load.arrivals import Plan
from objectives.serving.load.load_generator import Load, LoadGenerator
from objectives.serving.load.measures import Requests

_START_S = 120.0  # time that guidellm may take in addition to the load
_POLL_S = 0.1
_WORD = re.compile(r"Ġ[a-z]{2,}")  # a token of a space and a word, as byte-level BPE writes it


class GuideLlm(LoadGenerator):
    """Sends the load by guidellm's command line.

    Args:
        command: guidellm's program, as a path or as a name on the PATH.
        tokenizer: the path of the model's `tokenizer.json`.

    Raises:
        ValueError: the program or the tokenizer does not exist.
    """

    def __init__(self, *, command: str, tokenizer: str) -> None:
        found = shutil.which(str(Path(command).expanduser()))
        if found is None:
            raise ValueError(
                f"objective.generator.command: expected guidellm's program, got {command}; install "
                "guidellm==0.8.1 in an environment of its own"
            )
        path = Path(tokenizer).expanduser()
        if not path.is_file():
            raise ValueError(
                f"objective.generator.tokenizer: expected a tokenizer.json, got {tokenizer}"
            )
        self._command = found
        vocabulary: dict[str, int] = json.loads(path.read_text())["model"]["vocab"]
        self._words = sorted(word[1:] for word in vocabulary if _WORD.fullmatch(word))

    def run(
        self,
        url: str,
        engine: Engine,
        plan: Plan,
        *,
        seed: int,
        timeout_s: float,
        ended: Callable[[], str | None],
    ) -> Load:
        with tempfile.TemporaryDirectory(prefix="tuneoff-guidellm-") as name:
            folder = Path(name)
            (folder / "data.json").write_text(self._data(plan, seed))
            spec = _spec(url, engine, plan, folder, timeout_s)
            (folder / "spec.json").write_text(json.dumps({"spec": spec}))
            process = child.start(
                child.guarded([self._command, "run", "-c", "spec.json", "--disable-console"]),
                folder=folder,
                output=folder / "output.txt",
                environment={**os.environ, "HF_HUB_OFFLINE": "1"},
            )
            try:
                until = time.monotonic() + timeout_s + _START_S
                while process.poll() is None and time.monotonic() < until and ended() is None:
                    time.sleep(_POLL_S)
                if ended() is not None:
                    return Load(_rows([], plan), len(plan), 0.0)
                if process.poll() != 0:
                    raise Invalid(f"guidellm: {child.tail(folder / 'output.txt')}")
            finally:
                child.end(process)
            report = json.loads((folder / "report.json").read_text())
        return _load(report["benchmarks"][0]["requests"], plan)

    def _data(self, plan: Plan, seed: int) -> str:
        """Return one line of JSON per request, with its text and the tokens of its answer."""
        prefix = np.random.default_rng(seed).choice(self._words, plan.shared_prefix).tolist()
        lines = []
        for i, (n, answer) in enumerate(
            zip(plan.prompt_tokens.tolist(), plan.answer_tokens.tolist(), strict=True)
        ):
            words = [*prefix, *np.random.default_rng((seed, i)).choice(self._words, n)][:n]
            text = "".join(f" {word}" for word in words)
            lines.append(json.dumps({"prompt": text, "output_tokens_count": answer}))
        return "\n".join(lines)


def _spec(url: str, engine: Engine, plan: Plan, folder: Path, timeout_s: float) -> dict[str, Any]:
    if plan.arrivals_s is None:
        profile: dict[str, Any] = {"kind": "concurrent", "streams": [plan.concurrency]}
    else:
        rate = max(len(plan) - 1, 1) / max(float(plan.arrivals_s[-1]), 1e-3)
        profile = {"kind": "poisson", "rate": [rate]}
    backend = {
        "kind": "openai_http",
        "target": url,
        "model": engine.name,
        "request_format": "/v1/completions",
        "validate_backend": False,
        "http2": False,
    }
    return {
        "backend": backend,
        "profile": profile,
        "constraints": [
            {"kind": "max_requests", "count": len(plan)},
            {"kind": "max_duration", "seconds": timeout_s},
        ],
        "data": [{"kind": "json_file", "path": str(folder / "data.json")}],
        "outputs": [{"kind": "json", "path": str(folder / "report.json")}],
    }


def _load(requests: dict[str, list[dict[str, Any]]], plan: Plan) -> Load:
    ended = [*requests["successful"], *requests["errored"]]
    rows = _rows(ended, plan)
    late_s = 0.0
    if plan.arrivals_s is not None:
        delays = [_times(row)["request_start"] - _times(row)["targeted_start"] for row in ended]
        late_s = max(delays, default=0.0)
    return Load(rows, len(plan) - len(ended), late_s)


def _times(row: dict[str, Any]) -> dict[str, float]:
    """Return guidellm's times of a request, in seconds since 1970; a missing time is NaN."""
    timings = row["info"]["timings"]
    return {key: np.nan if x is None else float(x) for key, x in timings.items()}


def _rows(ended: list[dict[str, Any]], plan: Plan) -> Requests:
    arrival = "request_start" if plan.arrivals_s is None else "targeted_start"
    ended = sorted(ended, key=lambda row: _times(row)[arrival])
    times = [_times(row) for row in ended]
    started = min((row[arrival] for row in times), default=0.0)

    def column(key: str) -> Any:
        return np.array([row[key] for row in times], dtype=float) - started

    def tokens(side: str) -> Any:
        counts = [(row[f"{side}_metrics"] or {}).get("text_tokens") or 0 for row in ended]
        return np.array(counts, dtype=np.int64)

    answers = tokens("output")
    first, last = column("first_token_iteration"), column("last_token_iteration")
    empty = np.isnan(first) | (answers == 0)
    errors = tuple(
        str(row["info"].get("error") or ("expected tokens, got none" if none else ""))
        for row, none in zip(ended, empty, strict=True)
    )
    good = [i for i, error in enumerate(errors) if not error and answers[i] > 1]
    gaps = [np.full(answers[i] - 1, (last[i] - first[i]) / (answers[i] - 1)) for i in good]
    return Requests(
        arrival_s=column(arrival),
        first_s=first,
        end_s=np.where(np.isnan(last), column("request_end"), last),
        prompt_tokens=tokens("input"),
        answer_tokens=answers,
        errors=errors,
        gaps_s=np.concatenate([*gaps, np.empty(0)]),
    )
