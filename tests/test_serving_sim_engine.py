"""The simulated engine, on cases worked out by hand."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from objectives.serving.load.arrivals import Plan
from objectives.serving.simulator.cards import MODELS, SYSTEMS, model_of, system_of
from objectives.serving.simulator.deployment import OVERHEADS, Deployment, Settings
from objectives.serving.simulator.engine import largest_captured, step_costs
from objectives.serving.simulator.kernels import all_reduce_s, constants, gemm_s
from objectives.serving.simulator.memory import captured_sizes, graph_bytes, kv_blocks
from objectives.serving.simulator.node import Served, serve_load
from objectives.serving.simulator.steps import padded, step_s

A100 = Deployment(
    MODELS["llama-3.1-8b"], SYSTEMS["a100_sxm"], "vllm", "bfloat16", OVERHEADS["vllm"], 0.0
)
NO_HOST = replace(A100, overheads=replace(OVERHEADS["vllm"], host_fixed=0.0, host_each=0.0))


def load(
    prompts: list[int], answers: list[int], arrivals: list[float] | None = None, prefix: int = 0
) -> Plan:
    times = np.zeros(len(prompts)) if arrivals is None else np.array(arrivals)
    return Plan(np.array(prompts), np.array(answers), times, None, prefix)


def served(settings: Settings, plan: Plan, deployment: Deployment = A100) -> Served:
    return serve_load(deployment, settings, plan, 1e6, (0,))


def ttft(found: Served) -> np.ndarray:
    return found.requests.latencies()["ttft"]


def test_a_gemm_is_the_norm_of_its_computing_and_its_moving() -> None:
    # 2 * 3 * 4 * 5 / 12 = 10 s of computing; (2 (3*5 + 5*4) + 2*3*4) / 9.4 = 94 / 9.4 = 10 s of
    # moving; with q = 2 their norm is 10 sqrt(2), and a constant of 1.
    found = gemm_s(3.0, 4.0, 5.0, 2.0, 12.0, 9.4, 1.0, 2.0)
    assert found == pytest.approx(10 * math.sqrt(2) + 1)


def test_an_all_reduce_moves_twice_all_but_one_share() -> None:
    assert all_reduce_s(400.0, 4.0, 1.0, 100.0) == pytest.approx(1 + 2 * 3 / 4 * 4)


def test_a_kernel_that_was_not_measured_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="got a100_sxm vllm gemm fp8"):
        constants("a100_sxm", "vllm", "gemm", "fp8")


@pytest.mark.parametrize(
    ("tensor", "milliseconds"),
    [(1, (11.19, 13.08, 19.76)), (2, (6.64, 7.65, 11.19)), (4, (4.26, 4.82, 6.78))],
)
def test_a_decode_step_is_within_a_tenth_of_aiconfigurators(
    tensor: int, milliseconds: tuple[float, ...]
) -> None:
    # Its estimates for Llama-3.1-8B on A100s at 1, 16 and 64 sequences of about 1,000 tokens, where
    # no rank waits for another.
    at_once = replace(NO_HOST, overheads=replace(NO_HOST.overheads, skew=0.0))
    costs = step_costs(at_once, Settings(tensor_parallel_size=tensor))
    for sequences, expected in zip((1, 16, 64), milliseconds, strict=True):
        work = np.array([sequences, sequences, 1000.0 * sequences, 0, 0, sequences])
        assert 1e3 * step_s(work, costs)[1] == pytest.approx(expected, rel=0.1)


def test_the_kv_cache_takes_what_the_formula_leaves() -> None:
    # Weights: 32 layers of 4096 * 128 * (64 + 16) + 3 * 4096 * 14336 = 218,103,808 numbers and two
    # embeddings of 128,256 * 4096, two bytes each: 16.060 GB. Activations: 2048 * 2 * (3 * 4096
    # + 3 * 14336) + 8 * 128,256 * 256 = 0.489 GB. Graphs: 3 + 32 + 16 sizes * 3 MiB * 2 =
    # 0.321 GB. Other memory of vLLM: 0.5 GB. A block of 16 tokens: 2 * 8 * 128 * 2 bytes * 32
    # layers * 16 = 2 MiB.
    left = 0.9 * 80 * 2**30 - 16.060e9 - 0.489e9 - 0.321e9 - 0.5e9
    assert captured_sizes(Settings()) == 51
    assert kv_blocks(A100, Settings()) == pytest.approx(left / 2**21, abs=5)


def test_a_request_alone_takes_its_prompts_step_and_one_step_a_token() -> None:
    settings = Settings()
    costs = step_costs(A100, settings)
    first = step_s(np.array([100.0, 0, 0, 100.0**2, 100.0, 1]), costs)[1]
    second = step_s(np.array([1.0, 1, 100.0, 0, 0, 1]), costs)[1]
    found = served(settings, load([100], [2]))
    assert found.steps == 2
    assert found.requests.end_s[0] == pytest.approx(first + second)
    assert found.requests.gaps_s.tolist() == pytest.approx([second])


def test_a_long_prompt_is_computed_in_chunks_of_the_budget() -> None:
    # 5,000 tokens at 2,048 a step: three steps, and the first token comes with the third.
    assert served(Settings(max_num_batched_tokens=2048), load([5000], [1])).steps == 3


def test_without_chunks_a_prompt_stalls_the_decodes() -> None:
    plan = load([100, 8000], [50, 1], [0.0, 0.1])
    chunked = served(Settings(max_num_batched_tokens=512), plan)
    whole = served(Settings(max_num_batched_tokens=8192, enable_chunked_prefill=False), plan)
    assert whole.requests.gaps_s.max() > 5 * chunked.requests.gaps_s.max()


def test_two_partial_prefills_share_the_budget() -> None:
    # One after the other, the short prompt waits for the long one's 16 steps; sharing, it is done
    # in the first.
    plan = load([8192, 200], [1, 1])
    alone = served(Settings(max_num_batched_tokens=512), plan)
    shared = served(Settings(max_num_batched_tokens=512, max_num_partial_prefills=2), plan)
    assert ttft(shared)[1] < 0.2 * ttft(alone)[1]


def test_a_request_beyond_the_sequence_limit_waits_for_another_to_end() -> None:
    found = served(Settings(max_num_seqs=1), load([10, 10], [20, 20]))
    assert found.requests.first_s[1] > found.requests.end_s[0]


def test_memory_that_runs_out_preempts_the_youngest_and_all_are_answered() -> None:
    # 0.3 of 80 GiB leaves about 50,000 tokens of cache; 30 requests grow to 3,000 each.
    tight = Settings(gpu_memory_utilization=0.3)
    plan = load([1000] * 30, [2000] * 30)
    blocks = kv_blocks(A100, tight)
    assert 1000 * 30 < blocks * 16 < 3000 * 30
    found = served(tight, plan)
    assert found.preempted > 0 and found.ended == 30
    assert served(Settings(), plan).preempted == 0


def test_a_cached_prefix_is_not_computed_again() -> None:
    # 2,000 of 2,016 tokens are shared; the second request comes when the first is long done.
    plan = load([2016, 2016], [2, 2], [0.0, 10.0], prefix=2000)
    cold, warm = ttft(served(Settings(), plan))
    assert warm < 0.3 * cold
    without = ttft(served(Settings(enable_prefix_caching=False), plan))
    assert without[1] == pytest.approx(without[0])


def test_the_shortest_prompt_goes_first_by_priority() -> None:
    plan = load([100, 4000, 50], [5, 5, 5])
    first_come = served(Settings(max_num_seqs=1), plan)
    priority = served(Settings(max_num_seqs=1, scheduling_policy="priority"), plan)
    assert np.argsort(first_come.requests.end_s).tolist() == [0, 1, 2]
    assert np.argsort(priority.requests.end_s).tolist() == [2, 0, 1]


def test_replicas_take_the_requests_in_turn() -> None:
    # Two requests on two replicas behave like two single requests.
    pair = served(Settings(data_parallel_size=2), load([500, 500], [10, 10]))
    alone = served(Settings(), load([500], [10]))
    assert pair.requests.end_s.tolist() == pytest.approx([alone.requests.end_s[0]] * 2)


def test_a_pipeline_serves_two_batches_at_once() -> None:
    # Alone, a request goes through all layers either way; requests that come while a batch is in
    # the second stage use the first one, so that eight apart end sooner than on one GPU.
    alone = [served(Settings(pipeline_parallel_size=p), load([500], [50])) for p in (1, 2)]
    ends = [found.requests.end_s[0] for found in alone]
    assert ends[1] == pytest.approx(ends[0], rel=0.15)
    apart = load([4000] * 8, [1] * 8, [0.01 * i for i in range(8)])
    many = [served(Settings(pipeline_parallel_size=p), apart) for p in (1, 2)]
    assert many[1].requests.end_s.max() < 0.7 * many[0].requests.end_s.max()


def test_tensor_parallelism_is_faster_but_not_as_many_times() -> None:
    ends = [
        served(Settings(tensor_parallel_size=t), load([500], [50])).requests.end_s[0]
        for t in (1, 8)
    ]
    assert ends[0] / 8 < ends[1] < ends[0] / 2


def test_asynchronous_scheduling_hides_the_host() -> None:
    # A step of one sequence is far longer on the GPU than the host's 1 ms + 15 us, so that the
    # whole of it is saved in each of the 51 steps.
    plan = load([100], [51])
    ends = [served(Settings(async_scheduling=one), plan).requests.end_s[0] for one in (False, True)]
    assert ends[0] - ends[1] == pytest.approx(51 * (1e-3 + 15e-6))


def test_eager_steps_wait_for_the_host_to_launch_their_kernels() -> None:
    # 32 layers of 285 us: 9.1 ms, longer than what eight GPUs need.
    split = Settings(tensor_parallel_size=8, async_scheduling=True)
    plan = load([100], [20])
    graph = served(split, plan).requests.gaps_s.max()
    eager = served(replace(split, compilation="eager"), plan).requests.gaps_s.min()
    assert graph < 6e-3 < 9.1e-3 < eager


def test_speculation_saves_steps_and_sends_every_token() -> None:
    plan = load([100] * 20, [100] * 20)
    drafting = served(Settings(num_speculative_tokens=4), plan)
    assert drafting.steps < served(Settings(), plan).steps
    assert drafting.requests.answer_tokens.tolist() == [100] * 20
    assert len(drafting.requests.gaps_s) == 20 * 99


def test_a_closed_loop_keeps_its_requests_under_way() -> None:
    found = served(Settings(), Plan(np.full(12, 50), np.full(12, 10), None, 4, 0))
    arrivals, ends = found.requests.arrival_s, found.requests.end_s
    assert (arrivals[:4] == 0).all()
    # Each later request is sent when one ends.
    assert np.isin(arrivals[4:], ends).all()


def test_a_load_that_takes_too_long_is_broken_off() -> None:
    found = serve_load(A100, Settings(max_num_seqs=1), load([10] * 10, [100] * 10), 3.0, (0,))
    # 100 steps of 12 ms: two requests in 3 s.
    assert found.ended == 2
    assert found.requests.errors.count("") == 2


def test_a_step_replays_the_next_size_that_vllm_captures() -> None:
    sizes = [padded(float(tokens)) for tokens in (1, 2, 3, 5, 8, 9, 256, 257)]
    assert sizes == [1, 2, 4, 8, 8, 16, 256, 272]
    assert [largest_captured(limit) for limit in (0, 1, 3, 5, 8, 20, 256, 300)] == [
        *(0, 1, 2, 4, 8, 16, 256, 288)
    ]
    costs = step_costs(NO_HOST, Settings())
    five, eight = (np.array([n, n, 4000.0, 0, 0, n]) for n in (5.0, 8.0))
    # The five sequences compute what eight do, less three in the attention and the output layer.
    assert step_s(five, costs)[1] == pytest.approx(step_s(eight, costs)[1], rel=1e-3)


def test_no_graph_of_a_whole_step_is_larger_than_the_sequences() -> None:
    # With five sequences at most, vLLM captures whole steps of 1, 2 and 4: five pad to 8, which
    # is replayed in pieces.
    work = np.array([5.0, 5, 4000.0, 0, 0, 5])
    few = step_s(work, step_costs(NO_HOST, Settings(max_num_seqs=5)))[1]
    pieces = step_s(work, step_costs(NO_HOST, Settings(compilation="piecewise")))[1]
    assert few == pytest.approx(pieces)
    assert few > step_s(work, step_costs(NO_HOST, Settings(max_num_seqs=8)))[1]


def test_eager_mode_pieces_and_whole_graphs_differ_as_measured() -> None:
    # Qwen2-1.5B on an A100 of 40 GB with a slow host: eager was 4.6 times as long as graphs. Whole
    # graphs gave 18 to 24 % more than graphs in pieces.
    shape = {"layers": 28, "hidden": 1536, "heads": 12, "key_heads": 2}
    model = model_of({**shape, "head": 128, "intermediate": 8960, "vocabulary": 151936})
    card = system_of("a100_sxm", memory_gib=40, bandwidth_tb_s=1.555)
    slow = Deployment(model, card, "vllm", "bfloat16", OVERHEADS["vllm"], 0.0, host_slowdown=2.4)
    plan = load([50], [100])
    eager, pieces, full = (
        served(Settings(compilation=word), plan, slow).requests.end_s[0]
        for word in ("eager", "piecewise", "full")
    )
    assert 4.0 < eager / full < 5.0
    assert 1.1 < pieces / full < 1.3


def test_tensor_parallelism_pays_for_every_all_reduce() -> None:
    # 32 layers with two all-reduces each wait 5 us for the other of two ranks: 320 us a step.
    settings = Settings(tensor_parallel_size=2)
    at_once = replace(NO_HOST, overheads=replace(NO_HOST.overheads, skew=0.0))
    work = np.array([1.0, 1, 1000.0, 0, 0, 1])
    waiting, fast = (step_s(work, step_costs(one, settings))[1] for one in (NO_HOST, at_once))
    assert waiting - fast == pytest.approx(320e-6)


def test_llama_2_70b_fits_on_four_a100s_of_40_gb_as_measured() -> None:
    shape = {"layers": 80, "hidden": 8192, "heads": 64, "key_heads": 8}
    model = model_of({**shape, "head": 128, "intermediate": 28672, "vocabulary": 32000})
    card = system_of("a100_sxm", memory_gib=40, bandwidth_tb_s=1.555)
    node = Deployment(model, card, "vllm", "bfloat16", OVERHEADS["vllm"], 0.0)
    # Measured up to two sequences of 2,048 + 2,048 tokens: 256 blocks of 16 each.
    assert kv_blocks(node, Settings(tensor_parallel_size=4, max_num_seqs=32)) >= 256
    # Start-up logs of vLLM: 0.12 to 0.45 GiB for the graphs.
    assert 0.12 < graph_bytes(A100, Settings()) / 2**30 < 0.45


def test_a_run_has_a_pace_of_its_own() -> None:
    noisy = replace(A100, run_noise=0.02)
    plan = load([100], [200])
    ends = [
        serve_load(noisy, Settings(), plan, 1e6, (seed,)).requests.end_s[0] for seed in range(40)
    ]
    assert np.std(np.log(ends)) == pytest.approx(0.02, rel=0.3)
    again = serve_load(noisy, Settings(), plan, 1e6, (0,)).requests.end_s[0]
    assert again == ends[0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("gpt-5", "objective.model: expected one of"),
        ({"layers": 2}, "expected the dimensions"),
        (7, "expected the dimensions"),
        (
            {
                **{"layers": 2, "hidden": 8, "heads": 3, "key_heads": 2, "head": 2},
                **{"intermediate": 8, "vocabulary": 9},
            },
            "key_heads: expected a divisor of heads=3, got 2",
        ),
        (
            {
                **{"layers": 2.5, "hidden": 8, "heads": 2, "key_heads": 2, "head": 2},
                **{"intermediate": 8, "vocabulary": 9},
            },
            "layers: expected an integer of at least 1, got 2.5",
        ),
    ],
)
def test_a_model_that_is_not_known_is_refused(given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        model_of(given)


def test_a_card_of_other_memory_is_checked() -> None:
    wrong: list[Any] = [0, -1.0, True, float("nan"), "80"]
    for given in wrong:
        with pytest.raises(
            ValueError, match="memory_gib: expected null or a finite number above 0"
        ):
            system_of("a100_sxm", memory_gib=given)
