"""The models and the GPUs that the simulator knows, as data.

Shapes: `config.json` of each model, as aiconfigurator-core 0.12 ships them. GPUs: its
`systems/<name>.yaml` (memory, links) and `kernel_constants.csv`.
"""

from dataclasses import dataclass

GIB = 2**30


@dataclass(frozen=True)
class Model:
    """The shape of a dense transformer with grouped queries and a gated feed-forward part."""

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
        """Numbers in a layer's four matrices."""
        attention = self.hidden * self.head * (2 * self.heads + 2 * self.key_heads)
        return attention + 3 * self.hidden * self.intermediate

    def weight_bytes(self, width: float) -> float:
        """Return the bytes of all weights: layers of `width` bytes, embeddings of two."""
        return width * self.layers * self.layer_weights + 2 * 2 * self.vocabulary * self.hidden


@dataclass(frozen=True)
class System:
    """A node of GPUs.

    Attributes:
        name: as in `kernel_constants.csv`.
        memory: bytes of one GPU.
        gpus: on the node.
        bandwidth: bytes/s of one GPU's memory, as sold.
        dtypes: number formats of weights it computes in.
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
"""Bytes of a weight."""
