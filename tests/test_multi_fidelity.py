"""Facts from the papers of the multi-fidelity optimizers, worked by hand."""

from typing import Any

import numpy as np
import pytest

from experiments.running.from_words import run_of
from objectives.space import UnitCube, build_space
from objectives.trial import Config, Evaluation, Fidelities, Trial
from optimizers.asha import Asha
from optimizers.bohb import Bohb, Density
from optimizers.hyperband import Hyperband
from optimizers.optimizer import Optimizer
from optimizers.pbt import PopulationBasedTraining
from optimizers.random_search import RandomSearch
from optimizers.rungs import brackets, ladder

THIRDS = Fidelities((1 / 9, 1 / 3, 1.0))
FLOAT = build_space({"x": {"type": "float", "lower": 0.0, "upper": 1.0}})
SQUARE = build_space({name: {"type": "float", "lower": 0.0, "upper": 1.0} for name in "xy"})
BOHB: dict[str, Any] = {
    "eta": 3,
    "least": None,
    "sizes": "algorithm",
    "good_fraction": 0.15,
    "candidates": 64,
    "bandwidth_factor": 3.0,
    "random_fraction": 1 / 3,
}


def hyperband(**changes: Any) -> Hyperband:
    settings = {"eta": 3, "least": None, "sizes": "algorithm", "every_bracket": True, **changes}
    return Hyperband(FLOAT, seed=0, fidelities=THIRDS, **settings)


def asha(fidelities: Fidelities = THIRDS, eta: int = 3) -> Asha:
    return Asha(FLOAT, seed=0, fidelities=fidelities, eta=eta, least=None)


def good(value: float) -> Evaluation:
    return Evaluation(value, cost=1.0)


FAILED = Evaluation(None, cost=1.0, error="failed")


def powers(n: int) -> Fidelities:
    return Fidelities(tuple(3.0**-s for s in reversed(range(n))))


def test_brackets_have_the_sizes_of_the_paper() -> None:
    # R = 81, eta = 3: s_max = 4; n = ceil(5 * 3^s / (s + 1)).
    rungs = ladder(powers(5), 3, None)
    found = brackets(rungs, 3)
    assert [sizes[0].n for sizes in found] == [81, 34, 15, 8, 5]
    assert [size.n for size in found[1]] == [34, 11, 3, 1]
    # Every bracket without resuming: 405 + 363 + 351 + ... units of 1/81, 1,902 in all.
    units = sum(round(size.n * size.share * 81) for sizes in found for size in sizes)
    assert units == 1902
    printed = brackets(rungs, 3, printed=True)
    assert [sizes[0].n for sizes in printed] == [81, 27, 9, 6, 5]
    assert sum(round(one.n * one.share * 81) for sizes in printed for one in sizes) == 1701


def test_no_bracket_is_lost_to_a_logarithm() -> None:
    # log(243) / log(3) is 4.999... in floating point.
    assert len(ladder(powers(6), 3, None)) == 6


def test_rungs_are_the_powers_that_the_objective_offers() -> None:
    tenths = Fidelities(tuple(k / 10 for k in range(1, 11)))
    assert ladder(Fidelities((1 / 27, 1 / 9, 1 / 3, 1.0)), 3, 0.1) == (1 / 9, 1 / 3, 1.0)
    assert ladder(tenths, 10, None) == (0.1, 1.0)
    with pytest.raises(
        ValueError, match=r"optimizer.eta: expected a ratio that gives at least two"
    ):
        ladder(tenths, 3, None)


@pytest.mark.parametrize(
    ("fidelities", "eta", "least", "said"),
    [
        (None, 3, None, "objective: expected one that offers fidelities"),
        (THIRDS, 1, None, "optimizer.eta: expected an integer of at least 2, got 1"),
        (THIRDS, 2.5, None, "optimizer.eta: expected an integer"),
        (
            THIRDS,
            3,
            0.0,
            "optimizer.least: expected null or a finite number above 0 and at most 1, got 0.0",
        ),
        (THIRDS, 3, 0.5, "gives at least two"),
    ],
)
def test_settings_that_cannot_be_end_in_one_line(
    fidelities: Any, eta: Any, least: Any, said: str
) -> None:
    with pytest.raises(ValueError, match=said) as error:
        ladder(fidelities, eta, least)
    assert "\n" not in str(error.value)


def test_a_round_of_hyperband_promotes_the_best_of_each_rung() -> None:
    # s_max = 2: brackets of 9 > 3 > 1, of ceil(3 * 3 / 2) = 5 > 1, and of 3.
    optimizer = hyperband()
    trials: list[Trial] = []
    for _ in range(9 + 3 + 1 + 5 + 1 + 3):
        (trial,) = optimizer.ask()
        trials.append(trial)
        optimizer.tell(trial, good(float(trial.config["x"])))
    shares = [round(1 / trial.fidelity) for trial in trials]
    assert shares == [9] * 9 + [3] * 3 + [1] + [3] * 5 + [1] + [1] * 3
    best = sorted(trials[:9], key=lambda trial: float(trial.config["x"]))[:3]
    assert [trial.resumes for trial in trials[9:12]] == [trial.id for trial in best]
    assert trials[9].config == best[0].config
    assert trials[12].resumes == 9
    assert trials[18].resumes == min(trials[13:18], key=lambda one: float(one.config["x"])).id
    assert [trial.resumes for trial in trials[19:]] == [None] * 3


def test_a_bracket_that_waits_leaves_no_worker_idle() -> None:
    optimizer = hyperband()
    trials = optimizer.ask(12)
    # Nine of the first bracket; it waits, so the second begins.
    assert [round(1 / trial.fidelity) for trial in trials] == [9] * 9 + [3] * 3
    for trial in trials[:9]:
        optimizer.tell(trial, good(float(trial.config["x"])))
    assert [trial.resumes is not None for trial in optimizer.ask(4)] == [True] * 3 + [False]


def test_failures_are_never_promoted() -> None:
    optimizer = hyperband(every_bracket=False)
    trials = optimizer.ask(9)
    for trial in trials:
        optimizer.tell(trial, good(0.5) if trial.id == 4 else FAILED)
    promoted, following = optimizer.ask(2)
    assert promoted.resumes == 4  # one success of nine: the rung of three has one
    assert following.resumes is None
    stuck = hyperband(every_bracket=False)
    for trial in stuck.ask(9):
        stuck.tell(trial, FAILED)
    assert stuck.ask(1)[0].resumes is None  # the bracket is over, the next begins


def test_asha_promotes_by_hand() -> None:
    # eta = 2 on shares 1/4, 1/2, 1. Answers of the lowest rung: 5, 3 -> one of two is promotable.
    optimizer = asha(Fidelities((0.25, 0.5, 1.0)), eta=2)
    zero, one = optimizer.ask(2)
    optimizer.tell(zero, good(5.0))
    (two,) = optimizer.ask()
    assert (two.fidelity, two.resumes) == (0.25, None)  # floor(1 / 2) = 0 promotable
    optimizer.tell(one, good(3.0))
    (three,) = optimizer.ask()
    assert (three.fidelity, three.resumes) == (0.5, 1)
    optimizer.tell(two, good(1.0))
    (four,) = optimizer.ask()
    assert (four.fidelity, four.resumes) == (0.5, 2)  # floor(3 / 2) = 1: trial 2 is the best now
    optimizer.tell(three, good(2.5))
    optimizer.tell(four, good(2.0))
    (five,) = optimizer.ask()
    assert (five.fidelity, five.resumes) == (1.0, 4)  # the highest rung with a promotion is first


def test_asha_promotes_a_newcomer_that_enters_the_top() -> None:
    optimizer = asha(Fidelities((0.5, 1.0)), eta=2)
    first = optimizer.ask(2)
    for trial, value in zip(first, (5.0, 3.0), strict=True):
        optimizer.tell(trial, good(value))
    (promoted,) = optimizer.ask()
    assert promoted.resumes == 1
    newcomers = optimizer.ask(2)
    for trial, value in zip(newcomers, (1.0, 2.0), strict=True):
        optimizer.tell(trial, good(value))
    # Four answers, two promotable: 1.0 and 2.0. Trial 1 was promoted before them.
    assert [trial.resumes for trial in optimizer.ask(3)] == [
        newcomers[0].id,
        newcomers[1].id,
        None,
    ]


def test_asha_never_waits() -> None:
    trials = asha().ask(50)
    assert len(trials) == 50 and {trial.fidelity for trial in trials} == {1 / 9}


def test_a_density_integrates_to_one_and_is_a_mean_of_kernels() -> None:
    points = np.array([[0.1], [0.5]])
    density = Density(points, np.array([0]))
    # Scott: 1.06 * sd * n^(-1/5) = 1.06 * 0.2 * 2^-0.2.
    assert density.bandwidth[0] == pytest.approx(1.06 * 0.2 * 2**-0.2)
    grid = (np.arange(2000) + 0.5) / 2000
    assert density(grid[:, None]).mean() == pytest.approx(1.0, abs=1e-4)
    choices = Density(np.array([[1 / 6], [1 / 6], [0.5]]), np.array([3]))
    h = choices.bandwidth[0]
    at = np.array([[1 / 6], [0.5], [5 / 6]])
    expected = [(2 * (1 - h) + h / 2) / 3, (2 * h / 2 + 1 - h) / 3, h / 2]
    assert choices(at).tolist() == pytest.approx(expected)
    assert sum(expected) == pytest.approx(1.0)


def test_draws_from_a_density_stay_in_the_cube_and_near_its_points() -> None:
    density = Density(np.array([[0.02], [0.03]]), np.array([0]))
    drawn = density.draw(np.random.default_rng(0), 500, 3.0)
    assert drawn.min() >= 0 and drawn.max() <= 1
    assert np.median(drawn) < 0.1


def test_bohb_models_the_highest_share_with_enough_answers() -> None:
    optimizer = Bohb(SQUARE, seed=0, fidelities=THIRDS, **{**BOHB, "random_fraction": 0.0})
    rng = np.random.default_rng(1)
    for id in range(5):  # d + 3 = 5 answers at a ninth, best near (0.2, 0.2)
        config: Config = {"x": float(rng.random()), "y": float(rng.random())}
        optimizer.tell(Trial(id, config, 1 / 9), good(float(config["x"]) + float(config["y"])))
    assert optimizer._densities() is not None
    for id in range(5, 10):  # and at a third, best near (0.9, 0.9)
        config = {"x": float(rng.random()), "y": float(rng.random())}
        optimizer.tell(Trial(id, config, 1 / 3), good(-float(config["x"]) - float(config["y"])))
    densities = optimizer._densities()
    assert densities is not None
    low, high = np.array([[0.1, 0.1]]), np.array([[0.9, 0.9]])
    ratios = [float(densities[0](at)[0] / densities[1](at)[0]) for at in (low, high)]
    assert ratios[1] > ratios[0]


def best_full(optimizer: Optimizer, budget: float, seed: int) -> float:
    """Return the best value of a full evaluation of a shifted sphere with biased low fidelities."""
    rng = np.random.default_rng(seed)
    optimum, bias = rng.uniform(0.15, 0.85, 4), rng.uniform(-0.2, 0.2, 4)
    cube, spent, best = UnitCube(optimizer.space), 0.0, np.inf
    shares: dict[int, float] = {}
    while spent < budget:
        (trial,) = optimizer.ask()
        before = 0.0 if trial.resumes is None else shares[trial.resumes]
        shares[trial.id] = trial.fidelity
        spent += trial.fidelity - before
        centre = optimum + bias * (1 - trial.fidelity)
        value = float(sum((cube.point(trial.config) - centre) ** 2))
        optimizer.tell(trial, good(value))
        if trial.fidelity == 1.0:
            best = min(best, value)
    return best


@pytest.mark.parametrize("name", ["hyperband", "sha", "asha", "bohb"])
def test_shares_that_rank_well_beat_random_search(name: str) -> None:
    space = build_space({f"x{i}": {"type": "float", "lower": 0.0, "upper": 1.0} for i in range(4)})
    n_wins = 0
    for seed in range(10):
        plain: dict[str, Any] = {"seed": seed, "fidelities": THIRDS, "eta": 3, "least": None}
        many = {**plain, "sizes": "algorithm"}
        made: dict[str, Optimizer] = {
            "hyperband": Hyperband(space, **many, every_bracket=True),
            "sha": Hyperband(space, **many, every_bracket=False),
            "asha": Asha(space, **plain),
            "bohb": Bohb(space, **{**plain, **BOHB}),
        }
        ours = best_full(made[name], 40.0, seed)
        theirs = np.median(
            [best_full(RandomSearch(space, seed=100 * seed + k), 40.0, seed) for k in range(15)]
        )
        n_wins += ours < theirs
    assert n_wins >= 8


def test_population_based_training_solves_its_toy() -> None:
    # Jaderberg et al., section 4.5: maximise 1.2 - t0^2 - t1^2 by ascent on
    # 1.2 - h0 t0^2 - h1 t1^2. A population of two with h = (1, 0) and (0, 1) cannot do it alone;
    # copying lets it.
    grid = Fidelities(tuple(k / 20 for k in range(1, 21)), changeable=("h0", "h1"))
    space = build_space(
        {name: {"type": "float", "lower": 0.0, "upper": 1.0} for name in ("h0", "h1")}
    )
    found = []
    for seed in range(5):
        optimizer = PopulationBasedTraining(
            space, seed=seed, fidelities=grid, population=10, quantile=0.2, resample=0.25
        )
        left: dict[int, np.ndarray] = {}
        values = []
        for _ in range(20):
            for trial in optimizer.ask(10):
                theta = left.get(-1 if trial.resumes is None else trial.resumes)
                theta = np.array([0.9, 0.9]) if theta is None else theta.copy()
                h = np.array([trial.config["h0"], trial.config["h1"]], dtype=float)
                for _ in range(10):
                    theta = theta - 0.02 * 2 * h * theta
                left[trial.id] = theta
                values.append(1.2 - float(sum(theta**2)))
                optimizer.tell(trial, good(-values[-1]))
        found.append(max(values))
    assert min(found) > 1.15


def test_the_worst_continue_from_the_best_with_only_what_may_change() -> None:
    grid = Fidelities((0.5, 1.0), changeable=("x",))
    optimizer = PopulationBasedTraining(
        SQUARE, seed=0, fidelities=grid, population=5, quantile=0.2, resample=0.0
    )
    first = optimizer.ask(5)
    assert optimizer.ask(1) == []  # a generation waits for its members
    for trial in first:
        optimizer.tell(trial, good(float(trial.id)))
    second = optimizer.ask(5)
    assert [trial.resumes for trial in second] == [0, 1, 2, 3, 0]
    assert [trial.config for trial in second[:4]] == [trial.config for trial in first[:4]]
    assert second[4].config["y"] == first[0].config["y"]
    factor = float(second[4].config["x"]) / float(first[0].config["x"])
    assert (
        factor == pytest.approx(0.8) or factor == pytest.approx(1.2) or second[4].config["x"] == 1
    )
    assert {trial.fidelity for trial in second} == {1.0}


def test_a_population_that_fails_as_a_whole_begins_anew() -> None:
    grid = Fidelities((0.5, 1.0), changeable=("x",))
    optimizer = PopulationBasedTraining(
        SQUARE, seed=0, fidelities=grid, population=3, quantile=0.2, resample=0.5
    )
    for trial in optimizer.ask(3):
        optimizer.tell(trial, FAILED)
    assert [(trial.fidelity, trial.resumes) for trial in optimizer.ask(3)] == [(0.5, None)] * 3


@pytest.mark.parametrize("changes", [{"population": 1}, {"quantile": 0.6}, {"resample": 2.0}])
def test_settings_of_a_population_that_cannot_be_are_refused(changes: dict[str, Any]) -> None:
    settings: dict[str, Any] = {"population": 10, "quantile": 0.2, "resample": 0.25, **changes}
    with pytest.raises(ValueError, match=f"optimizer.{next(iter(changes))}: expected"):
        PopulationBasedTraining(SQUARE, seed=0, fidelities=THIRDS, **settings)
    with pytest.raises(ValueError, match="expected one that offers fidelities"):
        PopulationBasedTraining(SQUARE, seed=0, fidelities=None, **settings)


def test_an_objective_that_cannot_continue_is_asked_anew() -> None:
    anew = Fidelities((1 / 9, 1 / 3, 1.0), resumable=False)
    plain: dict[str, Any] = {"seed": 0, "fidelities": anew}
    halving: dict[str, Any] = {**plain, "eta": 3, "least": None}
    for optimizer in (
        Asha(FLOAT, **halving),
        Hyperband(FLOAT, **halving, sizes="algorithm", every_bracket=True),
        PopulationBasedTraining(FLOAT, **plain, population=3, quantile=0.2, resample=0.2),
    ):
        shares = set()
        for _ in range(14):
            (trial,) = optimizer.ask()
            shares.add(trial.fidelity)
            assert trial.resumes is None
            optimizer.tell(trial, good(float(trial.config["x"])))
        assert len(shares) > 1  # some were promoted


def test_a_multi_fidelity_optimizer_on_full_evaluations_names_other_objectives() -> None:
    with pytest.raises(ValueError, match="offers fidelities") as error:
        run_of("optimizer=asha", "objective=branin").make_optimizer()
    assert "; objectives with fidelities: " in str(error.value)
    assert "mf_branin" in str(error.value) and "\n" not in str(error.value)
