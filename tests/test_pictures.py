"""The figures: their content, and that they can be drawn from any run."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments.analysis import compare
from experiments.running import looks as looks_module
from experiments.running import provenance
from experiments.running.convergence import draw
from experiments.running.from_words import run_of
from experiments.running.looks import Look, looks
from experiments.running.panels import plain_text, view
from experiments.running.run_log import RunLog, read
from made_headers import append, goal, header_event

HEADER = header_event(
    identity="it",
    objective={},
    names={"optimizer": "soo", "objective": "it"},
    goals=goal("accuracy", minimise=False),
    notice="data: small",
    budget=4.0,
    time=0.0,
)


def _log(folder: Path, accuracies: list[float | None]) -> Path:
    with RunLog(folder) as log:
        append(log, HEADER)
        for id, accuracy in enumerate(accuracies):
            trials = [{"id": id, "config": {"x": id}, "fidelity": 1.0}]
            append(log, {"event": "ask", "n": 1, "trials": trials, "ask_s": 0.0, "tell_s": {}})
            failed = accuracy is None
            append(
                log,
                {
                    "event": "evaluation",
                    "id": id,
                    "value": None if accuracy is None else 1 - accuracy,
                    "cost": 1.0,
                    "time": 1.0 + id,
                    "metrics": {} if accuracy is None else {"accuracy": accuracy},
                    "error": "it broke" if failed else None,
                },
            )
    return folder


def test_the_best_is_always_in_view_and_a_collapse_is_not() -> None:
    low, high = view([2.01, 2.02, 22.0, 1.9, 2.0], best=1.9)
    assert low < 1.9
    assert 2.02 < high < 3


def test_the_best_is_in_view_where_more_is_better() -> None:
    low, high = view([0.5, 0.49, 0.0, 0.6, 0.5], best=0.6)
    assert high > 0.6
    assert 0.1 < low < 0.49


@pytest.mark.parametrize(
    "accuracies", [[], [0.5], [None, None], [0.5, 0.5, 0.5], [0.2, None, 0.7, 0.1]]
)
def test_any_run_can_be_drawn(accuracies: list[float | None], tmp_path: Path) -> None:
    folder = _log(tmp_path, accuracies)
    draw(read(folder / "log.jsonl"), tmp_path / "one.png")
    compare.draw(compare.comparable_runs([folder]) * 2, tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "two.png").read_bytes().startswith(b"\x89PNG")


def test_incumbents_are_shown_in_the_metrics_own_units(tmp_path: Path) -> None:
    (run,) = compare.comparable_runs([_log(tmp_path, [0.2, None, 0.7, 0.1])])
    assert compare.incumbents(run) == [(1.0, 0.2), (3.0, 0.7), (4.0, 0.7)]


def test_runs_on_different_data_are_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = _log(tmp_path / "one", [0.2]), _log(tmp_path / "other", [0.2])
    log = other / "log.jsonl"
    text = log.read_text().replace('"identity": "it"', '"identity": "other"')
    log.write_text(text.replace('"version": 1', '"version": 2'))
    assert compare.main([str(one), str(other), f"out={tmp_path / 'it.png'}"]) == 2
    assert "expected runs of one objective on the same data" in capsys.readouterr().err


def test_runs_of_different_objectives_are_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _log(tmp_path / "one", [0.2])
    log = _log(tmp_path / "other", [0.2]) / "log.jsonl"
    text = log.read_text().replace('"identity": "it"', '"identity": "other"')
    log.write_text(text.replace('"objective": {}', '"objective": {"shift": 1}'))
    assert compare.main([str(tmp_path), f"out={tmp_path / 'it.png'}"]) == 2
    assert "expected runs of one objective and one instance of it" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare.main([str(tmp_path / "no"), f"out={tmp_path / 'it.png'}"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"{tmp_path / 'no'}: expected a path that exists, got one that does not"
    ]


def test_the_table_counts_failures(tmp_path: Path) -> None:
    table = compare.table(compare.comparable_runs([_log(tmp_path, [0.2, None, 0.7])]))
    assert table.splitlines()[2] == "| soo | 0 | 3 | 1 | 3 | 0.3000 | 0.7000 |"


def test_an_optimizer_has_one_look_whatever_else_is_drawn() -> None:
    alone = looks(["gp_bo"])["gp_bo"]
    assert looks(["a", "lhs", "gp_bo", "z n=3"])["gp_bo"] == alone
    assert looks(["mine"])["mine"] == looks(["gp_bo", "mine"])["mine"]


def test_every_optimizer_of_ours_has_a_colour_of_its_own() -> None:
    names = [path.stem for path in (provenance.CONF / "optimizer").glob("*.yaml")]
    assert len({look.colour for look in looks(names).values()}) == len(names)


def test_lines_differ_without_their_colours() -> None:
    names = [path.stem for path in (provenance.CONF / "optimizer").glob("*.yaml")]
    known = looks(names).values()
    assert len({(look.dash, look.marker) for look in known}) == len(names)


def _stated() -> list[str]:
    text = (Path(looks_module.__file__).with_name("looks.csv")).read_text()
    return [line.split(",")[0] for line in text.splitlines()[1:]]


def test_all_stated_looks_differ_in_colour_and_also_without_it() -> None:
    names = _stated()
    known = looks(names).values()
    assert len(names) >= 34
    assert len({look.colour for look in known}) == len(names)
    assert len({(look.dash, look.marker) for look in known}) == len(names)


def test_every_stated_look_can_be_drawn() -> None:
    axes = Figure().subplots()
    for look in looks(_stated()).values():
        axes.plot([0, 1], [0, 1], **look.line)


def test_a_new_optimizer_changes_no_look() -> None:
    """The appearance of optimizers in the committed figures, which a new name must not change."""
    known = looks(["asha", "gp_bo", "soo", "gp_aa", "tpe"])
    assert known["asha"] == Look("#0072B2", "solid", "circle")
    assert known["gp_bo"] == Look("#E69F00", "dash", "triangle-down")
    assert known["soo"] == Look("#66A61E", "solid", "triangle-down")
    assert known["tpe"] == Look("#6699CC", "dash", "star")


def test_labels_of_one_name_differ_where_their_settings_do() -> None:
    labels = [f"gp_bo n={i}" for i in range(60)]
    known = looks(labels).values()
    assert len({(look.colour, look.dash) for look in known}) == len(labels)


def test_names_with_control_characters_are_drawn_as_escapes() -> None:
    assert plain_text("a\x1b[31m$x$") == r"a\x1b[31m\$x\$"


def test_a_run_of_several_goals_shows_them_against_each_other(tmp_path: Path) -> None:
    run = run_of("optimizer=random", "objective=branin_currin", "budget=8")
    with run.open(tmp_path) as log:
        run.execute(log)
        seen: list[Figure] = []
        save = Figure.savefig

        def saved(figure: Figure, *given: Any, **settings: Any) -> None:
            seen.append(figure)
            save(figure, *given, **settings)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Figure, "savefig", saved)
            draw(log.history, tmp_path / "convergence.png")
        (axes,) = seen[0].axes
        n_best = len(log.history.incumbents())
    assert axes.get_xlabel().startswith("f1") and axes.get_ylabel().startswith("f2")
    lines = {str(line.get_label()): len(np.ravel(line.get_xdata())) for line in axes.lines}
    assert lines["evaluation"] == 8 and lines["incumbents"] == n_best > 0
