"""The models and the GPUs that the simulator knows, as data.

The shapes are from each model's `config.json`, as aiconfigurator-core 0.12 ships them. The GPUs are
from its `systems/<name>.yaml` (memory, links) and from `kernel_constants.csv`.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from objectives import expected

GIB = 2**30


@dataclass(frozen=True)
class Model:
    """The shape of a dense transformer with grouped-query attention and a gated MLP."""

    name: str
    layers: int
    hidden: int
    heads: int
    key_heads: int
    head: int
    intermediate: int
    vocabulary: int

    @property
    def layer_weights(self) -> int:
        """The number of weights in a layer's four matrices."""
        attention = self.hidden * self.head * (2 * self.heads + 2 * self.key_heads)
        return attention + 3 * self.hidden * self.intermediate

    def weight_bytes(self, width: float) -> float:
        """Return the bytes of all weights: `width` per layer weight, two per embedding weight."""
        return width * self.layers * self.layer_weights + 2 * 2 * self.vocabulary * self.hidden


@dataclass(frozen=True)
class System:
    """A node of GPUs.

    Attributes:
        name: as in `kernel_constants.csv`.
        memory: bytes of one GPU.
        gpus: on the node.
        bandwidth: nominal bandwidth of one GPU's memory in bytes/s.
        dtypes: number formats of weights that it can compute with.
    """

    name: str
    memory: float
    gpus: int
    bandwidth: float
    dtypes: tuple[str, ...]


MODELS = {
    model.name: model
    for model in (
        Model("llama-3.1-8b", 32, 4096, 32, 8, 128, 14336, 128256),
        Model("llama-3.1-70b", 80, 8192, 64, 8, 128, 28672, 128256),
        Model("llama-3.1-405b", 126, 16384, 128, 8, 128, 53248, 128256),
        Model("qwen3-8b", 36, 4096, 32, 8, 128, 12288, 151936),
        Model("qwen3-32b", 64, 5120, 64, 8, 128, 25600, 151936),
    )
}
SYSTEMS = {
    system.name: system
    for system in (
        System("a100_sxm", 80 * GIB, 8, 2.039e12, ("bfloat16",)),
        System("h100_sxm", 80 * GIB, 8, 3.35e12, ("bfloat16", "fp8", "fp8_block")),
        System("h200_sxm", 141 * GIB, 8, 4.8e12, ("bfloat16", "fp8", "fp8_block")),
        System("b200_sxm", 180 * GIB, 8, 7.7e12, ("bfloat16", "fp8", "fp8_block", "nvfp4")),
        System("gb200", 185 * GIB, 4, 8.0e12, ("bfloat16", "fp8", "fp8_block", "nvfp4")),
    )
}
WIDTHS = {"bfloat16": 2.0, "fp8": 1.0, "fp8_block": 1.0, "nvfp4": 0.5}
"""The bytes of one weight."""


def model_of(given: str | Mapping[str, Any]) -> Model:
    """Return the model with a name in `MODELS`, or with given dimensions.

    Args:
        given: a name, or all fields of `Model` except the name, as `config.json` has them.

    Raises:
        ValueError: `given` is neither.
    """
    if isinstance(given, str):
        if given not in MODELS:
            raise ValueError(
                f"objective.model: expected one of {list(MODELS)} or its dimensions, got {given!r}"
            )
        return MODELS[given]
    names = [field.name for field in dataclasses.fields(Model) if field.name != "name"]
    if not isinstance(given, Mapping) or sorted(given) != sorted(names):
        got = sorted(given) if isinstance(given, Mapping) else given
        raise ValueError(f"objective.model: expected the dimensions {names}, got {got}")
    sizes = {name: expected.whole(f"objective.model.{name}", given[name], 1) for name in names}
    if given["heads"] % given["key_heads"]:
        raise ValueError(
            f"objective.model.key_heads: expected a divisor of heads={given['heads']}, "
            f"got {given['key_heads']}"
        )
    return Model("model", **sizes)


def system_of(
    name: str, memory_gib: float | None = None, bandwidth_tb_s: float | None = None
) -> System:
    """Return a system, with the memory and bandwidth of another card if these are given.

    For example, an A100 of 40 GB is `a100_sxm` with 40 GiB and 1.555 TB/s.

    Raises:
        ValueError: the system is unknown, or a number is not positive.
    """
    changed = SYSTEMS[expected.one_of("objective.system", name, SYSTEMS)]
    for key, number in (("memory_gib", memory_gib), ("bandwidth_tb_s", bandwidth_tb_s)):
        expected.null_or(expected.number, f"objective.{key}", number, above=0, below=1e6)
    if memory_gib is not None:
        changed = dataclasses.replace(changed, memory=memory_gib * GIB)
    if bandwidth_tb_s is not None:
        changed = dataclasses.replace(changed, bandwidth=bandwidth_tb_s * 1e12)
    return changed
