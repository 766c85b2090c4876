"""Calls of an OpenAI-compatible endpoint, and the file that stores their answers."""

import hashlib
import json
import os
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

from objectives import expected

FILE = "llm_answers.jsonl"
"""One line per answer: the trial's id, the prompt and its digest, the answer, and its outcome."""

_KEY = "OPENAI_API_KEY"  # the environment variable with the endpoint's key, if it needs one


class Endpoint:
    """An endpoint for chat completions.

    Args:
        url: the address, up to and including `/v1`; None means that there is no endpoint.
        model: the name of the model.
        temperature: the temperature of the sampling.
        max_tokens: the largest number of tokens of an answer.
        timeout_s: the time limit of one call.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(
        self, url: str | None, model: str, temperature: float, max_tokens: int, timeout_s: float
    ) -> None:
        if url is not None and not str(url).startswith(("http://", "https://")):
            raise ValueError(f"llm.url: expected an address that begins with http, got {url!r}")
        self._url = url
        self._model = expected.text("llm.model", model, "the name of a model")
        self._temperature = expected.number("llm.temperature", temperature, least=0)
        self._max_tokens = expected.whole("llm.max_tokens", max_tokens, 1)
        self._timeout_s = expected.number("llm.timeout_s", timeout_s, least=0)

    def complete(
        self, system: str, prompt: str, seed: int, schema: dict[str, Any] | None = None
    ) -> str:
        """Return the text of one answer.

        Args:
            system: the description of the model's role.
            prompt: the user's message.
            seed: the seed of the sampling, for endpoints that support it.
            schema: the JSON schema that the endpoint is asked to enforce, or None.

        Raises:
            ValueError: there is no endpoint.
            ConnectionError: the endpoint does not answer, or its answer has another form than
                OpenAI's.
        """
        if self._url is None:
            raise ValueError(
                "llm.url: expected the address of an OpenAI-compatible endpoint such as "
                "http://127.0.0.1:8080/v1, got none; set optimizer.url or TUNEOFF_LLM_URL"
            )
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": prompt},
            ],
            "temperature": self._temperature,
            "max_tokens": self._max_tokens,
            "seed": seed,
        }
        if schema is not None:
            named = {"name": "configuration", "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        headers = {"Content-Type": "application/json"}
        if os.environ.get(_KEY):
            headers["Authorization"] = f"Bearer {os.environ[_KEY]}"
        request = urllib.request.Request(
            f"{self._url.rstrip('/')}/chat/completions", json.dumps(body).encode(), headers
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as answer:
                return _text(json.load(answer))
        except (OSError, ValueError, HTTPException, RecursionError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ConnectionError(
                f"llm.url: expected an answer from {self._url}, got: {reason}; start the server "
                f"and repeat the command, which resumes the run"
            ) from None


def _text(answer: Any) -> str:
    """Return the text of the first choice.

    Raises:
        ValueError: the answer is not a chat completion.
    """
    try:
        return str(answer["choices"][0]["message"]["content"] or "")
    except (KeyError, IndexError, TypeError):
        raise ValueError(f"no chat completion: {str(answer)[:200]}") from None


class Answers:
    """The answers of a run, in memory and in a file of the run's folder."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, str], str] | None = None

    def find(self, folder: Path | None, id: int, prompt: str) -> str | None:
        """Return the answer to the prompt of a trial, or None if there is none yet."""
        return self._load(folder).get((id, _digest(prompt)))

    def keep(self, folder: Path | None, id: int, prompt: str, text: str, fate: str) -> None:
        """Store an answer unless it is known; write it to the disk if there is a folder."""
        known, key = self._load(folder), (id, _digest(prompt))
        if key in known:
            return
        known[key] = text
        if folder is None:
            return
        line = {"id": id, "digest": key[1], "fate": fate, "answer": text, "prompt": prompt}
        with (folder / FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _load(self, folder: Path | None) -> dict[tuple[int, str], str]:
        if self._known is None:
            path = None if folder is None else folder / FILE
            self._known = _read(path) if path is not None and path.exists() else {}
        return self._known


def _read(path: Path) -> dict[tuple[int, str], str]:
    """Return the answers of a file; an incomplete last line is removed.

    Raises:
        ValueError: another line is damaged.
    """
    text = path.read_text(encoding="utf-8")
    whole, _, rest = text.rpartition("\n")
    if rest:
        path.write_text(whole + "\n" if whole else "", encoding="utf-8")
    known: dict[tuple[int, str], str] = {}
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            event = json.loads(line)
            known[int(event["id"]), str(event["digest"])] = str(event["answer"])
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"{path}: expected an answer in line {number}, got {line[:80]!r}; remove the file "
                f"to ask the model again"
            ) from None
    return known


def _digest(prompt: str) -> str:
    return hashlib.sha256(prompt.encode()).hexdigest()[:16]
