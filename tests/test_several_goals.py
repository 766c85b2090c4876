"""Several goals and limits: the incumbents, the log, scalarisations, models, and statistics."""

import json
import math
from dataclasses import replace
from pathlib import Path

import moocore
import numpy as np
import pytest
from optuna import load_study
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from scipy.integrate import quad
from scipy.stats import norm

from experiments import command
from experiments.analysis.best import best, limited
from experiments.analysis.pasted import seen
from experiments.analysis.report import pareto
from experiments.analysis.results import load
from experiments.analysis.statistics.anytime import Quantity, compare_on
from experiments.analysis.statistics.fronts import curve, front, referred
from experiments.running.from_words import run_of
from experiments.running.incumbent import Incumbent
from experiments.running.run_log import read
from experiments.running.scalarised import Scalarised
from objectives.space import UnitCube, build_space
from objectives.trial import Evaluation, Goal, Limit, Trial
from optimizers.gaussian_process import GaussianProcess
from optimizers.goal_targets import ToldGoals, goal_targets
from optimizers.limited import Limited
from optimizers.parego import scalarised, weight_vectors
from optimizers.random_search import RandomSearch

GOALS = {"a": Goal(minimise=True, reference=4.0), "b": Goal(minimise=False, reference=-4.0)}
SPACE = build_space({"x": {"type": "float", "lower": 0, "upper": 1}})


def _both(a: float, b: float, **metrics: float) -> Evaluation:
    return Evaluation(None, 0.0, {"a": a, "b": b, **metrics})


def test_the_incumbents_are_those_that_no_other_dominates() -> None:
    best_of = Incumbent(GOALS)
    for id, (a, b) in enumerate([(3, -3), (1, -3.5), (3, -3), (2, -1), (0.5, -5)]):
        best_of.told(id, _both(a, b), 1.0)
    # (2, -1) dominates (3, -3); the twin of (3, -3) never entered; more of b is better.
    assert best_of.ids == [1, 3, 4]
    assert best_of.id == 1  # worst shares of the ranges: (0.5/1.5, 0.625), (1, 0), (0, 1)


def test_a_breach_is_no_incumbent_and_a_higher_fidelity_replaces_the_set() -> None:
    best_of = Incumbent(GOALS, {"c": Limit(1.0)})
    assert not best_of.told(0, _both(0, 0, c=2.0), 1.0)
    assert best_of.told(1, _both(1, 1, c=1.0), 0.5)
    assert best_of.told(2, _both(3, -3, c=0.0), 1.0) and best_of.ids == [2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return runs of two optimizers on a problem with limits, finished and in the log."""
    made = tmp_path_factory.mktemp("runs")
    for name in ("random", "nsga2"):
        words = [f"optimizer={name}", "objective=c2_dtlz2", "objective.dim=3", "budget=40"]
        run = run_of(*words)
        with run.open(made / name) as log:
            run.execute(log)
    return made


def test_a_log_holds_goals_limits_and_front_and_is_read_back(folder: Path) -> None:
    history = read(folder / "random" / "log.jsonl")
    assert history.header is not None
    assert history.header.limits == {"slack": Limit(0.0, at_most=False)}
    assert len(history.header.front) > 20 and history.header.hypervolume is not None
    assert all(e.value is None and e.error is None for e in history.evaluations.values())
    (run, _) = sorted(load([folder]), key=lambda one: one.optimizer != "random")
    assert sorted(run.ids[front(run)].tolist()) == sorted(history.incumbents())
    assert run.incumbent() == history.incumbent()


def test_a_success_without_a_goal_is_damage(folder: Path, tmp_path: Path) -> None:
    lines = (folder / "random" / "log.jsonl").read_text().splitlines()
    place = next(i for i, line in enumerate(lines) if json.loads(line)["event"] == "evaluation")
    event = json.loads(lines[place])
    del event["metrics"]["f1"]
    damaged = tmp_path / "log.jsonl"
    damaged.write_text("\n".join([*lines[:place], json.dumps(event), *lines[place + 1 :], ""]))
    with pytest.raises(ValueError, match="evaluation.metrics.f1: expected a number"):
        read(damaged)


def test_hypervolume_and_igd_plus_by_hand(folder: Path) -> None:
    run = load([folder])[0]
    header = replace(
        run.header,
        goals={"a": Goal(minimise=True, reference=4.0), "b": Goal(minimise=False, reference=-4.0)},
        limits={},
        front=[[0.0, 0.0]],
    )
    metrics = {"a": np.array([9.0, 1.0, 2.0, 3.0]), "b": np.array([-9.0, -3.0, -1.0, -2.0])}
    ones = np.ones(4)
    own = replace(
        run, header=header, metrics=metrics, ids=np.arange(4), fidelities=ones, prices=ones,
        values=np.full(4, np.nan), errors=[None] * 4,
    )  # fmt: skip
    grid = np.arange(1.0, 5.0)
    # Up to (4, 4) in (a, -b): nothing; (1, 3) has 3 x 1; (2, 1) adds 2 x 3 - 2 x 1; (3, 2) nothing.
    assert curve(own, grid, None).tolist() == [0.0, -3.0, -7.0, -7.0]
    # From the front's only point (0, 0): sqrt(1 + 9), then sqrt(4 + 1).
    assert curve(own, grid[1:3], "igd_plus") == pytest.approx([math.sqrt(10), math.sqrt(5)])
    assert curve(own, grid, "b").tolist() == [9.0, 3.0, 1.0, 1.0]
    lost = replace(own, errors=["failed"] * 4)
    assert np.isinf(curve(lost, grid, None)).all()


def test_the_known_front_is_drawn_in_its_separate_parts(folder: Path) -> None:
    run = load([folder])[0]
    front_of = [[x, 1 - x] for x in (0.8, 0.1, 0.2, 0.9, 0.0, 1.0)]
    (line,) = pareto._known(replace(run, header=replace(run.header, front=front_of)))
    assert line.x == [0.0, 0.1, 0.2, None, 0.8, 0.9, 1.0] and line.y[3] is None


def test_best_prints_the_front_or_the_best_within_bounds(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["best", str(folder), "format=json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [len(one["front"]) for one in shown] == [len(front(run)) for run in load([folder])]
    run = load([folder])[0]
    told = best(limited(run, {"f1": 1.05}))
    kept = run.kept & (run.metrics["f1"] <= 1.05)
    assert told["config"] is None or told["value"] == run.metrics["f2"][kept].min()
    assert command.main(["best", str(folder), "limits={f9: 1}"]) == 2


def test_every_configuration_of_a_front_can_be_pasted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = load([folder / "random"])[0]
    for format in ("flags", "env"):
        assert command.main(["best", str(folder / "random"), f"format={format}"]) == 0
        blocks = capsys.readouterr().out.strip().split("\n\n")
        assert len(blocks) == len(front(run))
        for place, block in zip(front(run), blocks, strict=True):
            about, *pasted = block.splitlines()
            assert f"trial {run.ids[place]}: f1 {float(run.metrics['f1'][place])!r}, f2" in about
            assert repr(run.configs[place]["x1"]) in "".join(pasted)


def test_limits_that_leave_one_goal_claim_nothing_about_noise(folder: Path) -> None:
    (run,) = load([folder / "random"])
    bound = float(np.median(run.metrics["f1"][front(run)]))
    reduced = limited(run, {"f1": bound})
    place = reduced.incumbent()
    assert place is not None and run.metrics["f1"][place] <= bound
    assert seen(reduced)["recommended"]["value"] == run.metrics["f2"][place]
    assert "noise of f2 is not declared" in seen(reduced)["verdict"]
    assert seen(limited(run, {"f1": -1.0})) == {}


def test_igd_plus_leaves_out_objectives_whose_front_is_not_known(folder: Path) -> None:
    (run,) = load([folder / "random"])
    unknown = replace(run, objective="other", header=replace(run.header, front=[]))
    suite = compare_on([run, unknown], Quantity("igd_plus"))
    assert [task.name for task in suite.tasks] == [run.objective]
    assert suite.notes == ["IGD+ needs a known front, so it leaves out other"]
    with pytest.raises(ValueError, match=r"expected an objective with a known front, got other; "):
        compare_on([unknown], Quantity("igd_plus"))


def test_references_may_be_given_to_the_comparison(folder: Path) -> None:
    (run,) = load([folder / "random"])
    (far,) = referred([run], {"f1": 2.0, "f2": 2.1})
    last = np.array([40.0])
    own = np.array([[run.metrics[name][place] for name in ("f1", "f2")] for place in front(run)])
    assert curve(far, last, None) == pytest.approx(-moocore.hypervolume(own, ref=[2.0, 2.1]))
    assert far.header.hypervolume is None and referred([run], {"f1": 1.1}) == [run]
    assert command.main(["verdict", str(folder), "references={f1: 2, f2: 2}"]) == 0
    assert command.main(["verdict", str(folder), "references={f9: 2}"]) == 2


def test_a_verdict_compares_several_goals_by_hypervolume(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["verdict", str(folder)]) == 0
    assert "hypervolume after 40 evaluations" in capsys.readouterr().out


def test_an_optimizer_of_one_value_is_refused_in_one_line(tmp_path: Path) -> None:
    words = ["objective=zdt1", "budget=5"]
    with pytest.raises(ValueError, match=r"takes the goals f1, f2, or a scalarisation") as raised:
        run_of("optimizer=gp_bo", *words).open(tmp_path / "a")
    assert "\n" not in str(raised.value)
    run = run_of("optimizer=gp_bo", "scalarise=weights", *words)
    with run.open(tmp_path / "b") as log:
        run.execute(log)
    assert run.header.optimizer["scalarise"] == "weights"
    assert run_of("optimizer=random", *words).header.optimizer.keys() == {"class"}


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("weights", lambda w, g: (w * g).sum()),
        ("tchebycheff", lambda w, g: (w * g).max() + 0.05 * (w * g).sum()),
        ("hypervolume", lambda w, g: -((1 - g) / w).min()),
    ],
)
def test_scalarisations_by_their_formulas(method: str, expected: object) -> None:
    goals = {
        "a": Goal(minimise=True, reference=4.0, optimum=0.0),
        "b": Goal(minimise=False, reference=-4.0, optimum=0.0),
    }
    made = Scalarised(RandomSearch(SPACE, seed=3), goals=goals, limits={}, method=method)
    g = np.array([0.25, 0.5])  # a = 1 and b = -2
    assert callable(expected)
    assert made.scalar(np.array([1.0, 2.0])) == pytest.approx(expected(made.weights, g))
    norm_of = np.linalg.norm(made.weights) if method == "hypervolume" else made.weights.sum()
    assert norm_of == pytest.approx(1.0)


def test_a_breach_is_told_as_worse_than_all_that_is_feasible() -> None:
    told: list[float | None] = []

    class Listening(RandomSearch):
        def tell(self, trial: Trial, evaluation: Evaluation) -> None:
            told.append(evaluation.value)

    limits = {"c": Limit(2.0)}
    made = Scalarised(Listening(SPACE, seed=0), goals={}, limits=limits, method="weights")
    for id, (value, c) in enumerate([(5.0, 1.0), (-9.0, 4.0), (1.0, 2.0)]):
        made.tell(Trial(id, {"x": 0.5}), Evaluation(value, 0.0, {"c": c}))
    assert told == [5.0, 6.0, 1.0]  # 5 and an excess of 2, relative to 2
    told.clear()
    made = Scalarised(Listening(SPACE, seed=0), goals={}, limits=limits, method="weights")
    for id, (value, c) in enumerate([(50.0, 3.0), (40.0, 4.0), (60.0, 1.0), (-9.0, 4.0)]):
        made.tell(Trial(id, {"x": 0.5}), Evaluation(value, 0.0, {"c": c}))
    # Before the first feasible one, the worst so far is 50. A sum of excesses alone, 0.5 and 1,
    # would look far better than everything feasible.
    assert told == [50.5, 51.0, 60.0, 61.0]


def test_failures_have_the_worst_number_of_each_goal_and_stay_graded() -> None:
    failed = [Evaluation(p, 0.0, error="failed") for p in (None, 10.0, 30.0, 20.0)]
    found = goal_targets([_both(1, -2), _both(3, -1), *failed], GOALS)
    # Signed goals: (1, 2) and (3, 1); ranges 2 and 1; grades 0, 0, 1 and 1/2.
    assert found[2:].tolist() == [[3, 2], [3, 2], [5, 3], [4, 2.5]]


def test_failures_told_one_by_one_stay_graded_in_each_goal() -> None:
    told = ToldGoals(GOALS, {})
    failed = [Evaluation(p, 0.0, error="failed") for p in (None, 10.0, 30.0, 20.0)]
    assert told.learn(failed[2])[0] is None  # there is no number yet that it could exceed
    both = [told.learn(_both(1, -2))[0], told.learn(_both(3, -1))[0]]
    assert both == [[1, 2], [3, 1]]
    # The worst is (3, 2), the ranges 2 and 1. Of the penalties 30, 10, 30 and 20 so far.
    assert told.learn(failed[0])[0] == [3, 2]
    assert [told.learn(one)[0] for one in failed[1:]] == [[3, 2], [5, 3], [4, 2.5]]


def test_a_scalarised_failure_is_worse_than_every_success_so_far() -> None:
    told: list[float | None] = []

    class Listening(RandomSearch):
        def tell(self, trial: Trial, evaluation: Evaluation) -> None:
            told.append(evaluation.value)

    made = Scalarised(Listening(SPACE, seed=0), goals=GOALS, limits={}, method="weights")
    failed = [Evaluation(p, 0.0, error="failed") for p in (0.5, 2.0, None)]
    for id, evaluation in enumerate([_both(1, -1), _both(90, -70), *failed]):
        made.tell(Trial(id, {"x": 0.5}), evaluation)
    first, worst = told[:2]
    assert first is not None and worst is not None and worst > first and worst > 2
    assert told[2:] == [worst + 0.5, worst + 2.0, None]


def test_paregos_weights_are_knowles() -> None:
    two, three = weight_vectors(2), weight_vectors(3)
    assert len(two) == 11 and len(three) == 15  # C(11, 1) for s = 10, C(6, 2) for s = 4
    assert two.sum(axis=1) == pytest.approx(np.ones(11))
    assert sorted(two[:, 0].tolist()) == pytest.approx([i / 10 for i in range(11)])
    f = scalarised(np.array([[0.2, 0.8]]), np.array([0.3, 0.7]))
    assert f.tolist() == pytest.approx([0.56 + 0.05 * (0.06 + 0.56)])


def test_the_acquisition_with_a_limit_is_the_product_by_quadrature_and_its_slope_is_right() -> None:
    cube = UnitCube(SPACE)
    u = np.linspace(0.05, 0.95, 7)[:, None]
    objective, limit = GaussianProcess(cube, warps=(None,)), GaussianProcess(cube, warps=(None,))
    objective.fit(u, np.sin(6 * u[:, 0]), refit=True)
    limit.fit(u, u[:, 0] - 0.4, refit=True)
    at = np.array([[0.33]])
    x = objective.features.of(at)
    mean, variance = (float(part[0]) for part in objective.at(x))
    sd = math.sqrt(variance)
    best = mean - 0.5 * sd
    worth = Limited("log_ei", objective, best, 4.0, [(limit, limit.level(0.0))])
    ei, _ = quad(lambda y: (best - y) * norm.pdf(y, mean, sd), mean - 12 * sd, best)
    c, c_variance = (float(part[0]) for part in limit.at(x))
    kept = norm.cdf((limit.level(0.0) - c) / math.sqrt(c_variance))
    assert worth.at(x)[0] == pytest.approx(math.log(ei * kept), rel=1e-4)
    h = 1e-5
    higher, lower = (worth.at(objective.features.of(at + d))[0] for d in (h, -h))
    assert worth.slopes(x)[1][0, 0] == pytest.approx((higher - lower) / (2 * h), rel=1e-4)


def test_crowding_prefers_the_ends_of_the_front(tmp_path: Path) -> None:
    run = run_of("optimizer=nsga2", "objective=zdt1", "objective.dim=2", "budget=150")
    with run.open(tmp_path) as log:
        run.execute(log)
    first = [e.metrics for e in list(log.history.evaluations.values())[:10]]
    last = [log.history.evaluations[id].metrics for id in log.history.incumbents()]
    spread = [max(m["f1"] for m in each) - min(m["f1"] for m in each) for each in (first, last)]
    assert len(last) > 10 and spread[1] > 0.6 and min(m["f2"] for m in last) < 0.5


def test_gp_bo_keeps_a_limit_that_random_search_breaks() -> None:
    words = ["objective=branin_currin", "objective.goals=[f1]", "objective.limits={f2: 4}"]
    found = {}
    for name in ("gp_bo", "random"):
        run = run_of(f"optimizer={name}", *words, "budget=30")
        optimizer = run.make_optimizer()
        values = []
        for _ in range(30):
            (trial,) = optimizer.ask(1)
            evaluation = run.objective.evaluate(trial)
            optimizer.tell(trial, evaluation)
            if evaluation.metrics["f2"] <= 4:
                values.append(evaluation.metrics["f1"])
        found[name] = min(values, default=math.inf)
    assert found["gp_bo"] < 3.3 < found["random"]  # the front has f1 = 2.97 at f2 = 4


def test_optuna_receives_every_goal_with_its_direction_and_the_limits(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "goals.journal"
    assert command.main(["export", str(folder), "format=optuna", f"out={out}"]) == 0
    storage = JournalStorage(JournalFileBackend(str(out)))
    (study, *_) = (load_study(study_name=name, storage=storage) for name in _names(storage))
    name = study.user_attrs["names"]["optimizer"]
    run = next(one for one in load([folder]) if one.optimizer == name)
    assert [direction.name for direction in study.directions] == ["MINIMIZE", "MINIMIZE"]
    assert study.metric_names == ["f1", "f2"]
    assert study.trials[3].values == [run.metrics["f1"][3], run.metrics["f2"][3]]
    assert study.trials[3].constraints == {"slack": -run.metrics["slack"][3]}
    best_of = {tuple(trial.values) for trial in study.best_trials}  # twins are all among them
    assert best_of == {(run.metrics["f1"][i], run.metrics["f2"][i]) for i in front(run)}
    assert command.main(["export", str(folder), "format=ioh", f"out={tmp_path / 'ioh'}"]) == 2


def _names(storage: JournalStorage) -> list[str]:
    return [study.study_name for study in storage.get_all_studies()]
