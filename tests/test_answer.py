"""The answer in short: ranking, groups, sentence; and what reports say of mixed objectives."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.analysis.report import forests, parameters
from experiments.analysis.report.contents import contents
from experiments.analysis.report.subject import subject_of
from experiments.analysis.results import Run, Runs, label, load
from experiments.analysis.statistics.answer import answer, groups, sentence
from experiments.analysis.statistics.anytime import compare_on
from experiments.analysis.statistics.verdict import sentences, verdict
from experiments.running.from_words import run_of
from made_runs import made_run
from objectives.space import UnitCube, build_space


def _told(*pairs: str) -> set[frozenset[str]]:
    return {frozenset(pair) for pair in pairs}


def test_groups_are_the_maximal_sets_without_a_distinguishable_pair() -> None:
    assert groups("abc", _told()) == [["a", "b", "c"]]
    assert groups("abc", _told("ac")) == [["a", "b"], ["b", "c"]]
    assert groups("abc", _told("ab", "ac", "bc")) == [["a"], ["b"], ["c"]]
    # Not contiguous: a and d are alike, and so are b and c, but nothing else is.
    assert groups("abcd", _told("ab", "ac", "bd", "cd")) == [["a", "d"], ["b", "c"]]


def _suite(ends: dict[str, list[float]]) -> list[Run]:
    """Return runs of one evaluation; optimizer -> its value on each task and seed."""
    return [
        made_run([value], optimizer, seed, objective=f"f{task}")
        for optimizer, values in ends.items()
        for task, value in enumerate(values)
        for seed in range(2)
    ]


def test_the_answer_ranks_groups_and_says_it_in_one_sentence() -> None:
    # On 12 tasks a < b always, p = 2 / 2^12; c alternates around b, and is behind a always.
    runs = _suite({"a": [0.0] * 12, "b": [2.0] * 12, "c": [1.0, 3.0] * 6})
    found = answer(compare_on(runs), verdict(compare_on(runs)))
    assert found is not None
    assert found.ranks == {"a": 1.0, "b": 2.5, "c": 2.5}
    assert found.groups == [["a"], ["b", "c"]]
    assert found.better == {"a": ["b", "c"], "b": [], "c": []}
    assert [found.letters(name) for name in "abc"] == ["a", "b", "b"]
    assert sentence(found) == (
        "a has the best mean rank (1.00, where 1 is best and 3 is worst), and it is better than "
        "all others."
    )


def test_the_best_mean_rank_may_belong_to_the_worse_of_two() -> None:
    # a is ahead in 16 of 30 seeds by little, and b in 14 by much: the ranks of the sizes of these
    # 14 differences sum to 17 + ... + 30 = 329 of 465, for which p = 0.045.
    ahead = [-1.0 - 0.01 * i for i in range(16)]
    behind = [10.0 + i for i in range(14)]
    runs = [made_run([100.0 + seed], "b", seed) for seed in range(30)]
    runs += [made_run([100.0 + seed + d], "a", seed) for seed, d in enumerate([*ahead, *behind])]
    suite = compare_on(runs)
    found = answer(suite, verdict(suite))
    assert found is not None and found.better == {"a": [], "b": ["a"]}
    assert found.ranks["a"] < found.ranks["b"]
    assert sentence(found).endswith("but b is better than a by the paired test.")


def test_too_little_data_is_said_in_the_answer() -> None:
    suite = compare_on(_suite({"a": [0.0], "b": [1.0]}))
    found = answer(suite, verdict(suite))
    assert found is not None and not found.tested and found.groups == []
    assert sentence(found).endswith("but no test with this amount of data can tell it from chance.")


def test_one_optimizer_has_no_answer() -> None:
    suite = compare_on(_suite({"a": [0.0]}))
    assert answer(suite, verdict(suite)) is None


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Runs of an objective of one goal and of one of several."""
    folder = tmp_path_factory.mktemp("mixed")
    for optimizer in ("random", "lhs"):
        for objective in ("branin", "zdt1"):
            run = run_of(f"optimizer={optimizer}", f"objective={objective}", "budget=6")
            with run.open(folder / optimizer / objective) as log:
                run.execute(log)
    return load(folder)


def test_axes_and_words_name_the_hypervolume_beside_an_objective_of_one_goal(mixed: Runs) -> None:
    with ThreadPoolExecutor(1) as pool:
        made = contents(subject_of(mixed), pool)
    convergence = next(section for section in made.sections if section.title == "Convergence")
    titles = {chart.objective: chart.y.title for chart in convergence.charts}
    assert titles["zdt1"] == "hypervolume up to the declared reference"
    assert titles["branin"].startswith("value above the optimum")
    assert any("compared by the value minimised and hypervolume" in fact for fact in made.facts)
    several = next(line for line in made.verdict if "zdt1" in line and "branin" not in line)
    assert "(hypervolume after 6 evaluations)" in several
    lines = next(section for section in made.sections if section.title == "Parameters").lines
    assert any("zdt1" in line and "several goals" in line for line in lines)


def test_a_verdict_on_one_goal_and_several_says_what_each_is(mixed: Runs) -> None:
    suite = compare_on(mixed)
    said = sentences(suite, verdict(suite))
    assert said[0].startswith("Across 2 tasks (value or hypervolume after 6 evaluations)")


def _conditional(n: int) -> tuple[list[Run], UnitCube]:
    """Return a run in which only the choice of `kind` matters, and each choice has two children."""
    rng = np.random.default_rng(0)
    axis: dict[str, Any] = {"type": "float", "lower": 0, "upper": 1}
    space = build_space(
        {
            "kind": {"type": "categorical", "choices": ["p", "q"]},
            "y": axis,
            **{f"{kind}{i}": {**axis, "when": {"kind": kind}} for kind in "pq" for i in (0, 1)},
        }
    )
    run = made_run(rng.random(n).tolist())
    kinds = rng.choice(["p", "q"], n).tolist()
    values = np.array([float(kind == "q") for kind in kinds]) + 0.2 * rng.random(n)
    children = rng.random((n, 2))
    for i, (config, kind) in enumerate(zip(run.configs, kinds, strict=True)):
        config.clear()
        config |= {"kind": kind, "y": float(rng.random())}
        config |= {f"{kind}{k}": float(children[i, k]) for k in (0, 1)}
        if kind == "p":
            values[i] += 0.5 * children[i, 0]  # the child that matters
    return [replace(run, values=values)], UnitCube(space)


def test_children_do_not_absorb_the_importance_of_their_parent() -> None:
    runs, cube = _conditional(300)
    assert forests.conditional(runs, cube) == ["p0", "p1", "q0", "q1"]
    given = forests.sample(runs, cube)
    assert given is not None and given.names == ["kind", "y"]
    found = forests.measure(given)
    assert found.fanova["kind"] > 0.7 > 0.2 > found.fanova["y"]


def test_children_are_measured_where_they_are_active() -> None:
    runs, cube = _conditional(300)
    assert forests.families(runs, cube) == [["p0", "p1"], ["q0", "q1"]]
    given = forests.sample(runs, cube, ["p0", "p1"])
    assert given is not None and given.names == ["p0", "p1"]
    found = forests.measure(given)
    assert found.fanova["p0"] > 0.5 > found.fanova["p1"]
    (task,) = compare_on(label(runs)).tasks
    chart = parameters.importance_chart(task, found, ["p0", "p1"])
    assert "Only evaluations in which p0 and p1 are active." in chart.caption
    whole = parameters.importance_chart(task, found, left_out=["p0", "p1"])
    assert "Conditional parameters (p0 and p1) are left out" in whole.caption


def test_a_space_with_conditional_parameters_alone_has_no_importance_and_says_why() -> None:
    runs, _ = _conditional(300)
    for config in runs[0].configs:
        config.pop("y")
    axis: dict[str, Any] = {"type": "float", "lower": 0, "upper": 1}
    children = {f"{kind}{i}": {**axis, "when": {"kind": kind}} for kind in "pq" for i in (0, 1)}
    space: dict[str, Any] = {"kind": {"type": "categorical", "choices": ["p", "q"]}, **children}
    cube = UnitCube(build_space(space))
    assert forests.sample(runs, cube) is None
    line = parameters.unmeasured_line(runs, forests.conditional(runs, cube))
    assert "p0, p1, q0 and q1 exist in a part of the space only" in line


def test_a_log_written_by_hand_is_read_by_its_folder_alone(tmp_path: Path) -> None:
    run = run_of("optimizer=random", "objective=branin", "budget=2")
    with run.open(tmp_path) as log:
        run.execute(log)
    assert (
        [len(each.ids) for each in load(str(tmp_path))]
        == [2]
        == [len(each.ids) for each in load([str(tmp_path)])]
    )
