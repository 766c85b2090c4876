"""The common base of vLLM and SGLang: a program with flags, on a machine with GPUs.

The program is installed in its own environment, separate from ours. A setting names its path.
"""

import json
import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from objectives import expected
from objectives.checkpoint import SMOLLM2, find
from objectives.deployment import Deployment, Entry, fill
from objectives.serving.engine import DEPLOYED_PORT, Demand, Engine, Launch
from objectives.serving.engines import host_faults
from objectives.serving.engines.checks import checked_environment, checked_flags, checked_tokens
from objectives.serving.engines.hf_folder import hf_folder
from objectives.serving.engines.hub import download, is_hub_name
from objectives.serving.host.launcher import Launcher
from objectives.serving.host.secrets import check_settings
from objectives.trial import Config, Value

DEVICES = ("cuda", "cpu")
_SLACK = 32  # tokens beyond the largest request, for drafts and the end-of-text token
_ERROR = re.compile(r".*?\b((?:[A-Za-z_.]*(?:Error|Exception)|error): .+)")
_CONSEQUENCE = ("see root cause above", "initialization failed")
_OUT_OF_MEMORY = (
    "out of memory",
    "outofmemoryerror",
    "memoryerror",
    "bad_alloc",
    "cannot allocate memory",
    "no available memory for the cache blocks",
    "larger than the available kv cache memory",
    "is less than desired",
    "not enough memory",
)


class NodeEngine(Engine):
    """A server program with flags.

    Args:
        program: the words that start the server, such as [vllm, serve]. The first word is a path,
            or a name on the PATH of the machine where the server runs.
        model: `SmolLM2-135M-Instruct`, which is converted once on this machine, or a model as the
            program takes it: a folder on the server's machine, or a name.
        tokens: the first and the last token id that prompts are drawn from.
        device: cuda or cpu.
        gpus: the number of GPUs that we may use; a configuration that needs more is not launched.
        attention_heads: the model's number of attention heads. If null, it is read from the model's
            config.json if that file is on this machine; otherwise it is unknown.
        environment: environment variables that are added for the server.
        flags: further arguments, passed unchanged.
        launcher: the launcher, which determines where the server runs.

    Raises:
        ValueError: a setting is invalid, the machine cannot be reached, or the machine lacks the
            program or GPUs.
    """

    packages: Sequence[str]
    grace_s = 20.0

    def __init__(
        self,
        *,
        program: list[str],
        model: str,
        tokens: list[int],
        device: str,
        gpus: int,
        attention_heads: int | None,
        environment: Mapping[str, Value],
        flags: list[Value],
        launcher: Launcher,
    ) -> None:
        words = isinstance(program, list | tuple) and all(isinstance(x, str) and x for x in program)
        if not words or not program:
            raise ValueError(f"objective.engine.program: expected a list of words, got {program}")
        expected.one_of("objective.engine.device", device, DEVICES)
        expected.whole("objective.engine.gpus", gpus, 1)
        expected.text("objective.engine.model", model, "a name or a folder")
        self._tokens = checked_tokens(tokens)
        self._environment, self._flags = checked_environment(environment), checked_flags(flags)
        check_settings("objective.engine", environment, flags)
        self._named = list(program)
        self._device, self._gpus, self._launcher = device, gpus, launcher
        self.uses_gpus = device == "cuda"
        self.most_gpus = gpus if self.uses_gpus else 1
        self._prepared = False
        self._model = model
        self._digest = self._found_model()
        self._heads = attention_heads or self._read_heads()
        visible = self._environment.get("CUDA_VISIBLE_DEVICES")
        self._machine = launcher.probe(self.packages, program[0], visible)
        self._program = [*self._found_program(program), *program[1:]]

    def prepare(self) -> None:
        if not self._prepared and is_hub_name(self._model, self._launcher.is_local):
            download(
                self._launcher, self._machine["python"], self._model, self._environment, self.name
            )
        self._prepared = True

    @property
    def tokens(self) -> tuple[int, int]:
        return self._tokens

    @abstractmethod
    def words(self, model: str, port: int, demand: Demand) -> list[Entry]:
        """Return the arguments that follow the program on the command line, for `deployment`."""

    def command(self, config: Config, model: str, port: int, demand: Demand) -> list[str]:
        """Return the arguments that follow the program on a configuration's command line."""
        return fill(self.words(model, port, demand), config)

    def deployment(self, demand: Demand) -> Deployment:
        words = self.words(self._model, DEPLOYED_PORT, demand)
        return Deployment(self.name, [*self._named, *words, *self._flags], dict(self._environment))

    def body(self, prompt: Sequence[int], answer_tokens: int) -> dict[str, Any]:
        # Both engines may send several tokens in a chunk, so each chunk has to report its token
        # count.
        options = {"include_usage": True, "continuous_usage_stats": True}
        return {**super().body(prompt, answer_tokens), "stream_options": options}

    def launch(self, config: Config, port: int, demand: Demand) -> Launch:
        model = str(hf_folder()) if self._model == SMOLLM2 else self._model
        there = self._launcher.port_there(port)
        arguments = self.command(config, model, there, demand)
        command = [*self._program, *arguments, *self._flags]
        return self._launcher.launch(command, self._environment, (port, there))

    def longest(self, demand: Demand) -> int:
        """Return the number of tokens of the longest sequence that the server has to hold."""
        return demand.tokens + _SLACK

    def refusal(self, config: Config, demand: Demand) -> str | None:
        taken, parallel = self.gpus(config), self.tensor_parallel(config)
        if self._device == "cuda" and taken > self._gpus:
            return f"expected at most {self._gpus} GPUs, got {taken}"
        if self._heads is not None and self._heads % parallel:
            return (
                f"expected {self._heads} attention heads to be shared evenly, got {parallel} GPUs"
            )
        return None

    @abstractmethod
    def tensor_parallel(self, config: Config) -> int:
        """Return the number of GPUs over which each layer is split."""

    def is_out_of_memory(self, output: str) -> bool:
        return any(sign in output.lower() for sign in _OUT_OF_MEMORY)

    def host_fault(self, output: str) -> str | None:
        return host_faults.find(output)

    def reason(self, output: str) -> str:
        found = (match[1] for line in output.splitlines() if (match := _ERROR.fullmatch(line)))
        causes = [line for line in found if not any(x in line for x in _CONSEQUENCE)]
        return causes[0][:600] if causes else ""

    def fingerprint(self) -> Mapping[str, Any]:
        return {
            "engine": self.name,
            "version": self._machine["version"],
            "model_digest": self._digest,
            "machine": self._launcher.name,
            "gpus": self._machine["gpus"] if self._device == "cuda" else [],
        }

    def notice(self) -> str:
        version = self._machine["version"] or f"{self.name} of unknown version"
        place = f"{self._device} of {self._launcher.name}"
        return f"a real {self.name} server ({version}) with {Path(self._model).name} on {place}"

    def _found_model(self) -> str:
        """Return a digest of the model, or the model's name if the model is not on this machine."""
        if self._model == SMOLLM2:
            if not self._launcher.is_local:
                raise ValueError(
                    f"objective.engine.model: expected a folder on {self._launcher.name}, or a "
                    f"name that its program knows, got {SMOLLM2}, which is on this machine alone; "
                    "copy the folder that `python -m objectives.serving.engines.hf_folder` prints"
                )
            return find(SMOLLM2).digest
        path = Path(self._model).expanduser()
        if self._launcher.is_local and (path.is_absolute() or path.is_dir()):
            if not (path / "config.json").is_file():
                raise ValueError(
                    f"objective.engine.model: expected a folder with config.json, got {self._model}"
                )
            self._model = str(path.absolute())  # the server runs in another folder
        return self._model

    def _read_heads(self) -> int | None:
        if self._model == SMOLLM2:
            return 9
        path = Path(self._model) / "config.json"
        if not self._launcher.is_local or not path.is_file():
            return None
        try:
            heads = json.loads(path.read_text(encoding="utf-8"))["num_attention_heads"]
        except (ValueError, RecursionError, LookupError, TypeError):
            return None
        return heads if isinstance(heads, int) and heads > 0 else None

    def _found_program(self, program: list[str]) -> list[str]:
        where, found = self._launcher.name, self._machine["program"]
        name = Path(program[0]).name
        is_python = name.startswith("python")
        if found is None or (is_python and self._machine["version"] is None):
            what = f"{program[0]} without {self.packages[0]}" if found else f"no {program[0]}"
            raise ValueError(
                f"objective.engine.program: expected {self.name} on {where}, got {what}; install "
                "it in a separate environment and set "
                f"objective.engine.program=[PATH,{','.join(program[1:])}]"
            )
        n_gpus = len(self._machine["gpus"])
        if self._device == "cuda" and n_gpus < self._gpus:
            seen = self._machine["visible"]
            why = "" if seen is None else f" (CUDA_VISIBLE_DEVICES={seen})"
            raise ValueError(
                f"objective.engine.gpus: expected {self._gpus} GPUs on {where}, got {n_gpus}{why}; "
                "set objective.engine.gpus, objective.engine.launcher=ssh, or take "
                "objective=serving_vllm_cpu"
            )
        return [str(found)]
