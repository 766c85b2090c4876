"""A model on a node under an engine: the user's settings and the costs outside kernel tables."""

from dataclasses import dataclass

from objectives.serving.simulator.cards import SYSTEMS, Model, System

COMPILATIONS = ("eager", "piecewise", "full")


@dataclass(frozen=True)
class Overheads:
    """Times and sizes of an engine that are not in the kernel tables, and one correction to them.

    The launch times are those of a fast host; `Deployment.host_slowdown` multiplies them.

    Attributes:
        host_fixed, host_each: host seconds per step, and per sequence in a step.
        launch_eager, launch_compiled: host seconds to launch a layer's kernels without a graph.
        launch_pieces: host seconds to launch a layer's pieces of a graph and the attention between
            them.
        gap: seconds that the GPU idles at each attention between two pieces of a graph.
        skew: seconds that an all-reduce waits for the slowest rank; multiplied by log2 of the
            ranks.
        other_bytes: GPU memory besides the weights, the activations, the graphs and the cache.
        graph_fixed: whether a quantised GEMM takes its constant from the 16-bit GEMM, because the
            tables' constant includes launches that a graph does not need.
    """

    host_fixed: float
    host_each: float
    launch_eager: float
    launch_compiled: float
    launch_pieces: float
    gap: float
    skew: float
    other_bytes: float
    graph_fixed: bool


# `host_fixed`, `host_each`, `skew` and `graph_fixed` were chosen on the calibration half of the
# measured points (`validate.py`). The launch times of a layer are those of vLLM on a fast host: 285
# us eager, and at most 100 us compiled. A slow host took 2.4 times as long. vLLM's other memory is
# 0.08 GiB in 38 start-up logs. With 0.5 GB, Llama-2-70B also starts on four A100s, as measured. For
# the other engines, other_bytes is aiconfigurator's `other_mem`.
OVERHEADS = {
    "vllm": Overheads(1.0e-3, 15e-6, 285e-6, 100e-6, 60e-6, 30e-6, 5e-6, 0.5e9, False),
    "sglang": Overheads(1.0e-3, 15e-6, 285e-6, 100e-6, 60e-6, 30e-6, 3e-6, 3.5e9, False),
    "trtllm": Overheads(0.5e-3, 10e-6, 285e-6, 100e-6, 60e-6, 30e-6, 3e-6, 3.5e9, True),
}


@dataclass(frozen=True)
class Settings:
    """The settings of the engine, with vLLM's names and defaults."""

    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    data_parallel_size: int = 1
    gpu_memory_utilization: float = 0.9
    max_num_seqs: int = 256
    max_num_batched_tokens: int = 2048
    enable_chunked_prefill: bool = True
    max_num_partial_prefills: int = 1
    block_size: int = 16
    enable_prefix_caching: bool = True
    kv_cache_dtype: str = "auto"
    scheduling_policy: str = "fcfs"
    async_scheduling: bool = False
    compilation: str = "full"
    cudagraph_max_size: int = 512
    disable_custom_all_reduce: bool = False
    num_speculative_tokens: int = 0
    prompt_lookup_max: int = 4


@dataclass(frozen=True)
class Deployment:
    """A model in a number format, on a node, under an engine.

    Attributes:
        model: the model's shape.
        system: the node. Its memory and bandwidth may differ from those of the card whose kernels
            were measured.
        engine: the engine whose kernels and scheduler are simulated.
        dtype: number format of the weights.
        overheads: overheads of the engine.
        noise: standard deviation of log(step time), drawn at every step.
        host_slowdown: time in which the host launches a kernel, relative to a fast host.
        run_noise: standard deviation of log(speed), drawn once per run.
    """

    model: Model
    system: System
    engine: str
    dtype: str
    overheads: Overheads
    noise: float
    host_slowdown: float = 1.0
    run_noise: float = 0.0

    @property
    def bandwidth_share(self) -> float:
        """The card's memory bandwidth, relative to the card whose kernels were measured."""
        return self.system.bandwidth / SYSTEMS[self.system.name].bandwidth
