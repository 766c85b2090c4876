"""Compare the TTFT, ITL and throughput that the two load generators measure on llama.cpp.

    python -m objectives.serving.load.compare_generators guidellm/bin/guidellm PATH/tokenizer.json

The server has the default configuration of `conf/objective/serving.yaml`, with as many threads as
there are cores. The load has 20 requests of D(124,32), two at a time. The generators alternate,
three times each, each time with a new server. This takes five minutes. A line with more than 0.15
foreign cores was disturbed by other programs.
"""

import sys

import numpy as np

from objectives.checkpoint import SMOLLM2
from objectives.serving.engine import Demand
from objectives.serving.engines.llamacpp import LlamaCpp
from objectives.serving.host.host import CpuWatch, cores
from objectives.serving.host.server import Server
from objectives.serving.load.arrivals import plan
from objectives.serving.load.client import Client
from objectives.serving.load.guidellm_load import GuideLlm
from objectives.serving.load.load_generator import LoadGenerator
from objectives.serving.load.measures import measure
from objectives.trial import Config

_LOAD = {
    "arrivals": "closed",
    "concurrency": 2,
    "requests": 20,
    "lengths": "D(124,32)",
    "shared_prefix": 64,
}
_RUNS = 3


def line(name: str, generator: LoadGenerator) -> str:
    """Send the load once and return the line of results."""
    engine = LlamaCpp(model=SMOLLM2, tokens=[1000, 48000])
    threads: Config = {"n_threads": cores(), "n_threads_batch": cores()}
    config: Config = {**threads, "n_parallel": 8, "n_batch": 2048, "n_ubatch": 512}
    load = plan(_LOAD, seed=0)
    demand = Demand(load.largest, len(load))
    watch = CpuWatch()
    with Server(
        engine, config, demand, port=0, startup_timeout_s=60, memory_limit_bytes=None
    ) as server:
        sent = generator.run(
            server.url, engine, load, seed=0, timeout_s=300, ended=server.ended
        ).requests
    metrics = measure(sent, {})
    itl_s = float(np.mean(sent.gaps_s)) if len(sent.gaps_s) else float("nan")
    return (
        f"{name:9} TTFT p50 {1000 * metrics['ttft_p50_s']:.0f} ms, p90 "
        f"{1000 * metrics['ttft_p90_s']:.0f} ms; ITL mean {1000 * itl_s:.1f} ms; "
        f"{metrics['output_tokens_per_s']:.1f} tokens/s; failed {metrics['failed_share']:.0%}; "
        f"foreign cores {watch.foreign_cores():.2f}"
    )


def main() -> None:
    command, tokenizer = sys.argv[1:]
    guidellm = GuideLlm(command=command, tokenizer=tokenizer)
    generators: dict[str, LoadGenerator] = {"client": Client(), "guidellm": guidellm}
    for _ in range(_RUNS):
        for name, generator in generators.items():
            print(line(name, generator), flush=True)


if __name__ == "__main__":
    main()
