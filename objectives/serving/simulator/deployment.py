"""A model on a node under an engine, what its user sets, and what no kernel table holds."""

from dataclasses import dataclass

from objectives.serving.simulator.cards import SYSTEMS, Model, System

COMPILATIONS = ("eager", "piecewise", "full")


@dataclass(frozen=True)
class Overheads:
    """Times and sizes of an engine that no kernel table holds, and one that it holds too much of.

    Launches are those of a fast host; `Deployment.host_slowdown` multiplies them.

    Attributes:
        host_fixed, host_each: seconds of the host in a step, and per sequence in it.
        launch_eager, launch_compiled: host seconds for a layer whose kernels no graph replays.
        launch_pieces: host seconds for a layer's pieces of a graph and the attention between them.
        gap: seconds that the GPU idles at each attention between two pieces of a graph.
        skew: seconds that an all-reduce waits for the slowest rank, times log2 of the ranks.
        other_bytes: memory of a GPU outside the weights, the activations, the graphs and the cache.
        graph_fixed: whether a quantised GEMM's constant is that of 16 bits: the tables'
            includes launches that a graph does not pay.
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
# measured points (`validate.py`). A layer's launches are what vLLM needs on a fast host: 285 us
# eager, and at most 100 us compiled; a slow host took 2.4 times as long. vLLM's other memory is
# .08 GiB in 38 start-up logs; half a gigabyte also starts Llama-2-70B on four A100s, as measured.
# For the other engines it is aiconfigurator's `other_mem`.
OVERHEADS = {
    "vllm": Overheads(1.0e-3, 15e-6, 285e-6, 100e-6, 60e-6, 30e-6, 5e-6, 0.5e9, False),
    "sglang": Overheads(1.0e-3, 15e-6, 285e-6, 100e-6, 60e-6, 30e-6, 3e-6, 3.5e9, False),
    "trtllm": Overheads(0.5e-3, 10e-6, 285e-6, 100e-6, 60e-6, 30e-6, 3e-6, 3.5e9, True),
}


@dataclass(frozen=True)
class Settings:
    """What a user of the engine sets; the names, and the defaults, are vLLM's."""

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
        model: its shape.
        system: its node; memory and bandwidth may be another card's than the kernels' were.
        engine: whose kernels and scheduler.
        dtype: of the weights.
        overheads: of the engine.
        noise: standard deviation of log(step time), drawn at every step.
        host_slowdown: how many times as long the host takes to launch a kernel as a fast one.
        run_noise: standard deviation of log(speed), drawn once a run.
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
        """The memory bandwidth of the card, as a share of the one whose kernels were measured."""
        return self.system.bandwidth / SYSTEMS[self.system.name].bandwidth
