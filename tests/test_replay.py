"""Replay: the published rules worked by hand, and the published sequences if available."""

import csv
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ConfigSpace import ConfigurationSpace

from experiments.replaying.replay import main
from objectives.space import build_space
from objectives.trial import Config, Evaluation, Trial
from optimizers.published_bamsoo import PublishedBaMSOO
from optimizers.published_soo import Node, PublishedSOO
from optimizers.soo import build
from processes import finish
from published_csv import CSV, needs_csv

COLUMNS = [
    "lora_rank",
    "lora_alpha",
    "lora_dropout",
    "log10_learning_rate",
    "log10_weight_decay",
    "hellaswag_acc",
]
PUBLISHED = ["optimizer=soo", "optimizer.variant=published"]
# The unpublished run of the same authors with ranks to 512, MIT: Kiwy3/BO_PBO_HPO_LLM,
# computation_experiments/results/soo.json of commit de7440c9, its first 14 evaluations.
RANK_512 = """257.0,32.5,0.25,-5.5,-3.0,0.5529774945230034
87.0,32.5,0.25,-5.5,-3.0,0.5477992431786497
427.0,32.5,0.25,-5.5,-3.0,0.5523800039832703
257.0,11.5,0.25,-5.5,-3.0,0.5525791674965146
257.0,53.5,0.25,-5.5,-3.0,0.5525791674965146
427.0,11.5,0.25,-5.5,-3.0,0.5534754033061143
427.0,53.5,0.25,-5.5,-3.0,0.5520812587134037
427.0,11.5,0.08333333333333333,-5.5,-3.0,0.5534754033061143
427.0,11.5,0.41666666666666663,-5.5,-3.0,0.5533758215494922
87.0,11.5,0.25,-5.5,-3.0,0.5520812587134037
87.0,53.5,0.25,-5.5,-3.0,0.5312686715793666
257.0,32.5,0.08333333333333333,-5.5,-3.0,0.5528779127663812
257.0,32.5,0.41666666666666663,-5.5,-3.0,0.5530770762796255
427.0,11.5,0.08333333333333333,-2.5,-3.0,0.2855008962358096"""


def space(**parameters: dict[str, Any]) -> ConfigurationSpace:
    return build_space(parameters)


def real(lower: float, upper: float, log: bool = False) -> dict[str, Any]:
    return {"type": "float", "lower": lower, "upper": upper, "log": log}


def asked(optimizer: PublishedSOO, n: int, score: Callable[[Config], float]) -> list[Config]:
    configs = []
    for _ in range(n):
        (trial,) = optimizer.ask(1)
        configs.append(trial.config)
        optimizer.tell(trial, Evaluation(score(trial.config), 0.0))
    return configs


def write(path: Path, text: str, columns: list[str] = COLUMNS) -> str:
    path.write_text(",".join(columns) + "\n" + text + "\n")
    return f"data={path}"


def said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """Return the exit status and the lines of a replay."""
    status = main(arguments)
    captured = capsys.readouterr()
    return status, (captured.out or captured.err).splitlines()


def test_integers_are_truncated_and_the_centre_comes_first() -> None:
    # [2, 64] has its middle at 33, its outer thirds at 2 + 62/6 = 12.33 and 2 + 5*62/6 = 53.67.
    optimizer = PublishedSOO(space(n={"type": "int", "lower": 2, "upper": 64}), seed=0, k=3)
    assert asked(optimizer, 3, lambda config: 0.0) == [{"n": 33}, {"n": 12}, {"n": 53}]


def test_the_equal_shares_of_the_suite_would_ask_another_integer() -> None:
    # Shares of [0.5, 64.5]: its middle, 32.5, is the border of 32 and 33 and rounds up.
    alpha = space(n={"type": "int", "lower": 1, "upper": 64})
    correct = build(alpha, seed=0, k=3, variant="v2", budget=9).ask(1)
    published = build(alpha, seed=0, k=3, variant="published", budget=9).ask(1)
    assert (correct[0].config, published[0].config) == ({"n": 33}, {"n": 32})


def test_a_lower_learning_rate_counts_as_the_same_and_is_never_run() -> None:
    # Centre 10^-5.5 = 3.16e-6; children 10^-8.5 (differs by 3.2e-6 < 1e-4) and 10^-2.5 = 3.2e-3.
    optimizer = PublishedSOO(space(rate=real(1e-10, 1e-1, log=True)), seed=0, k=3)
    first, second = asked(optimizer, 2, lambda config: 0.0)
    assert first["rate"] == pytest.approx(10**-5.5)
    assert second["rate"] == pytest.approx(10**-2.5)
    low, middle = optimizer.nodes[1:3]
    assert (low.state, middle.state) == ("inherited", "inherited")
    assert low.config["rate"] == pytest.approx(10**-8.5) and low.score == 0.0


def test_the_widest_side_is_split_the_first_on_ties() -> None:
    optimizer = PublishedSOO(space(a=real(0, 1), b=real(0, 30)), seed=0, k=3)
    configs = asked(optimizer, 5, lambda config: abs(float(config["a"]) - 5 / 6))
    # Both sides are whole: a first. Then the best leaf, a = 5/6, whose b is the wider side.
    assert [tuple(round(float(x), 3) for x in c.values()) for c in configs] == [
        (0.5, 15.0),
        (0.167, 15.0),
        (0.833, 15.0),
        (0.833, 5.0),
        (0.833, 25.0),
    ]


def test_a_leaf_as_good_as_the_best_of_the_sweep_is_not_expanded() -> None:
    # All scores equal: each sweep expands only the shallowest open leaf, the oldest of its depth.
    optimizer = PublishedSOO(space(x=real(0, 1)), seed=0, k=3)
    found = [float(config["x"]) for config in asked(optimizer, 7, lambda config: 0.0)]
    # Root; 1/6, 5/6; the oldest leaf of depth 1 is [0, 1/3]: 1/18, 5/18; then the middle: 7/18, ...
    assert np.array(found) * 18 == pytest.approx([9, 3, 15, 1, 5, 7, 11])


def test_a_leaf_made_in_a_sweep_waits_for_the_depth_that_the_tree_had() -> None:
    optimizer = PublishedSOO(space(x=real(0, 1)), seed=0, k=3)
    asked(optimizer, 3, lambda config: float(config["x"]))
    optimizer.ask(1)
    # Children of the root are of depth 1 and better than it, but the sweep began with depth 0.
    assert optimizer.sweep == 1


def test_a_child_of_an_approximated_node_is_bounded_anew_and_of_an_evaluated_one_inherits() -> None:
    optimizer = PublishedBaMSOO(space(x=real(0, 1)), seed=0, k=3)
    calls: list[float] = []

    def bounds(node: Node) -> tuple[float, float]:
        calls.append(round(float(node.config["x"]) * 18, 6))
        return (5.0, 6.0) if float(node.config["x"]) < 0.4 else (-math.inf, math.inf)

    optimizer.bounds = bounds
    found = [round(float(c["x"]) * 18, 6) for c in asked(optimizer, 4, lambda config: 1.0)]
    # 1/6 is approximated, 1/2 inherits, 5/6 is evaluated. All are at most 1 but 1/6, at 6: the next
    # sweep takes 1/2, whose left child 7/18 is approximated and whose right child is evaluated.
    assert found[:3] == [9, 15, 11]
    assert calls[:4] == [3, 15, 7, 11]
    states = {round(float(n.config["x"]) * 18): n.state for n in optimizer.nodes[:4]}
    assert states == {9: "inherited", 3: "approximated", 15: "evaluated"}


def test_a_node_whose_bound_only_reaches_the_best_is_evaluated() -> None:
    optimizer = PublishedBaMSOO(space(x=real(0, 1)), seed=0, k=3)
    optimizer.bounds = lambda node: (1.0, 9.0)  # UCB = f+ = 1
    assert [round(float(c["x"]), 3) for c in asked(optimizer, 2, lambda c: 1.0)] == [0.5, 0.167]


def test_the_bounds_widen_with_all_nodes_of_the_tree() -> None:
    optimizer = PublishedBaMSOO(space(x=real(0, 1)), seed=0, k=3)
    asked(optimizer, 6, lambda config: float(config["x"]) ** 2)
    node = optimizer.nodes[-1]
    narrow = np.diff(optimizer.own_bounds(node))[0]
    n = len(optimizer.nodes)
    optimizer.nodes += optimizer.nodes  # twice as many nodes with the same data
    wide = np.diff(optimizer.own_bounds(node))[0]
    # B_N = sqrt(2 ln(pi^2 N^2 / 6)) with eta = 1.
    factors = [math.sqrt(2 * math.log(math.pi**2 * size**2 / 6)) for size in (n, 2 * n)]
    assert wide / narrow == pytest.approx(factors[1] / factors[0], rel=1e-6)


def test_it_finishes_where_nothing_new_can_come() -> None:
    # 1 and 2 alone: the centre 1.5 is 1, the right child 2 - 1/6 is 1 as well: all are the same.
    optimizer = PublishedSOO(space(n={"type": "int", "lower": 1, "upper": 2}), seed=0, k=3)
    (trial,) = optimizer.ask(1)
    optimizer.tell(trial, Evaluation(0.0, 0.0))
    assert optimizer.ask(1) == [] == optimizer.ask(5)


def test_an_unpublished_run_matches_in_its_own_space_without_unneeded_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "run.csv", RANK_512)
    status, lines = said([data, *PUBLISHED, "objective.space.lora_rank.upper=512"], capsys)
    assert (status, lines[-1]) == (0, "matched 14 of 14")


def test_the_first_step_that_differs_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A better score at step 2 makes the next sweep expand rank 87, not 257: step 4 differs.
    data = write(tmp_path / "run.csv", RANK_512.replace("0.5477992431786497", "0.5999"))
    status, lines = said([data, *PUBLISHED, "objective.space.lora_rank.upper=512"], capsys)
    assert status == 0
    assert lines[-2].startswith("first step that differs: 4: recorded: evaluated at lora_rank=257")
    assert "asked: evaluated at lora_rank=87" in lines[-2]
    assert lines[-1] == "matched 3 of 14"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("427.0,32.5", "600.0,32.5", "row 3 (line 4), column lora_rank: expected a number in"),
        ("427.0,32.5", "x,32.5", "row 3 (line 4), column lora_rank: expected a finite number"),
        ("0.5523800039832703", "", "row 3 (line 4), column hellaswag_acc: expected a finite"),
        ("87.0,32.5", "257.0,32.5", "got row 1 again with a contradicting score 0.547799"),
        (
            "87.0,32.5,0.25,-5.5,-3.0,0.5477992431786497",
            "257.0,32.5,0.25,-5.5,-3.0,0.5529774945230034",
            "row 2 (line 3), column hellaswag_acc: expected a configuration once, got row 1 "
            "again with the same score",
        ),
        ("87.0,32.5,", "87.0,", "row 2 (line 3): expected 6 cells, got 5"),
    ],
)
def test_a_bad_cell_is_named_by_row_and_column(
    old: str, new: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert RANK_512.count(old) >= 1
    data = write(tmp_path / "run.csv", RANK_512.replace(old, new, 1))
    status, lines = said([data, *PUBLISHED, "objective.space.lora_rank.upper=512"], capsys)
    assert status == 2 and len(lines) == 1
    assert message in lines[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "data: expected the path of a CSV file"),
        (["data=/nowhere.csv"], "/nowhere.csv: expected a path that exists"),
        (["data={csv}", "gp=own"], "gp: expected recorded, as PublishedSOO computes no bounds"),
        (["data={csv}", "gp=both"], "gp: expected one of recorded, own, got 'both'"),
        (["data={csv}", "score=accuracy"], "expected a column accuracy"),
        (["data={csv}", "points=0"], "points: expected an integer of at least 1"),
        (["data={csv}", "optimizer.varaint=x"], "did you mean variant?"),
        (["data={csv}", "optimizer=nosuch"], "optimizer: expected one of"),
        (["data={csv}", "objective=branin"], "expected a column x1 or log10_x1"),
    ],
)
def test_wrong_usage_ends_in_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "run.csv", RANK_512)
    wide = [] if "objective=branin" in arguments else ["objective.space.lora_rank.upper=512"]
    given = [argument.format(csv=tmp_path / "run.csv") for argument in arguments]
    chosen = [] if any("optimizer=" in a for a in given) else PUBLISHED
    status, lines = said([*chosen, *wide, *given], capsys)
    assert status == 2 and len(lines) == 1
    assert message in lines[0]


def test_a_pipe_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "study.csv")
    words = [f"data={tmp_path / 'study.csv'}", "optimizer=soo", "objective=branin"]
    status, lines = said(words, capsys)
    assert status == 2 and "expected a regular file" in lines[0]


def test_an_unknown_algorithm_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "\n".join(f"{line},SOO" for line in RANK_512.splitlines())
    data = write(tmp_path / "run.csv", rows, [*COLUMNS, "algorithm"])
    status, lines = said([data, "algorithm=LHS", "objective.space.lora_rank.upper=512"], capsys)
    assert status == 2 and "expected one of ['SOO']" in lines[0]


def test_proposals_are_ranked_in_the_acquisition(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "run.csv", RANK_512)
    arguments = [data, "optimizer=gp_bo", "objective.space.lora_rank.upper=512", "points=200"]
    status, lines = said(arguments, capsys)
    assert status == 0 and len(lines) == 13  # all but the first two, and the summary
    assert lines[-1].startswith("percentiles of 12 proposals among 200 points: median")
    assert said(arguments, capsys) == (0, lines)


def test_the_published_variant_runs_like_any_other(tmp_path: Path) -> None:
    done = finish(*PUBLISHED, "objective=lora_published", "budget=50", f"out={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    assert "50 evaluations, 0 failed" in done.stdout


@needs_csv
@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        (["algorithm=SOO", *PUBLISHED], "matched 51 of 51"),
        (
            ["algorithm=BaMSOO", "optimizer=bamsoo", "optimizer.variant=published"],
            "matched 68 of 68",
        ),
        (["algorithm=LHS", "optimizer=lhs"], "matched 0 of 50"),  # the recorded run was not seeded
    ],
)
def test_the_published_sequences(
    arguments: list[str], last: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, lines = said([f"data={CSV}", *arguments], capsys)
    assert (status, lines[-1]) == (0, last)


@pytest.mark.long
@needs_csv
def test_bamsoo_decides_as_published_by_its_own_model(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["algorithm=BaMSOO", "optimizer=bamsoo", "optimizer.variant=published", "gp=own"]
    status, lines = said([f"data={CSV}", *chosen], capsys)
    assert status == 0 and len(lines) == 68
    words = lines[-1].split()
    assert lines[-1].startswith("decisions 67 of 67, bounds within ")
    assert float(words[-1]) <= 0.002
    assert sum("recorded UCB" in line for line in lines) == 16


@needs_csv
def test_published_soo_stopped_between_two_sweeps() -> None:
    assert CSV is not None
    with CSV.open() as file:
        scores = [
            float(r["hellaswag_acc"]) for r in csv.DictReader(file) if r["algorithm"] == "SOO"
        ]
    whole = space(
        lora_rank={"type": "int", "lower": 2, "upper": 64},
        lora_alpha={"type": "int", "lower": 1, "upper": 64},
        lora_dropout=real(0.0, 0.5),
        learning_rate=real(1e-10, 1e-1, log=True),
        weight_decay=real(1e-5, 1e-1, log=True),
    )
    optimizer = PublishedSOO(whole, seed=0, k=3)
    for score in scores:
        (trial,) = optimizer.ask(1)
        optimizer.tell(Trial(trial.id, trial.config), Evaluation(1 - score, 0.0))
        sweep_of_last = optimizer.sweep
    optimizer.ask(1)
    # The 50th evaluation was in the last sweep too, which was finished: 51 in all.
    assert optimizer.sweep == sweep_of_last + 1


@needs_csv
def test_the_published_proposals_are_rated(capsys: pytest.CaptureFixture[str]) -> None:
    given = [f"data={CSV}", "algorithm=BO-GP", "optimizer=gp_bo", "points=500"]
    status, lines = said(given, capsys)
    assert status == 0 and len(lines) == 41  # 50 less 10 of the design, and the summary
    assert "percentiles of 40 proposals" in lines[-1]
