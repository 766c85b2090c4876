"""The report command: the page, its files, and its one-line errors."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browser import opened, root
from experiments.analysis.report import __main__ as report
from experiments.analysis.report.contents import Contents, contents
from experiments.analysis.report.page import Figures, write
from experiments.analysis.report.subject import read_subject
from experiments.analysis.report.table import Cell, Row, Table
from experiments.running.looks import looks
from made_headers import goal, header_event

EVIL = '</script><script>document.documentElement.dataset.errors="broken out"</script>'


def _log(folder: Path, optimizer: str, seed: int = 0, n: int = 30, **changes: Any) -> None:
    """Write the log of a run below a folder: small x are good, and y has no effect."""
    rng = np.random.default_rng([seed, len(optimizer)])
    about = {
        "identity": f"{optimizer}{seed}{changes}", "seed": seed, "budget": 30.0, "optimum": 0.0,
        "names": {"optimizer": optimizer, "objective": "f"}, "optimizer": {"class": optimizer},
        "versions": {"numpy": "2"}, "hardware": {"cpu": "a"}, "time": 0.0, **changes,
    }  # fmt: skip
    header = header_event(**about)
    lines = [header]
    for id in range(n):
        x, y = rng.random(2).tolist()
        config = {"x": x, "y": y, "text": EVIL}
        trial = {"id": id, "config": config, "fidelity": 1.0}
        lines.append({"event": "ask", "n": 1, "trials": [trial], "ask_s": 0.1, "tell_s": {}})
        error = f"{EVIL} <b>" if id % 5 == 4 else None
        answer = {"value": None if error else x, "error": error, "cost": 1.0, "time": id + 1.0}
        lines.append({"event": "evaluation", "id": id, "metrics": {"score": 1 - x}, **answer})
    if n == 30:
        lines.append({"event": "end", "budget": 30.0, "spent": 30.0, "tell_s": {}})
    place = folder / f"{len(list(folder.glob('*')))}"
    place.mkdir(parents=True)
    (place / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def _made(folder: Path, metric: str | None = None, direction: str | None = None) -> Contents:
    with ThreadPoolExecutor(1) as pool:
        return contents(read_subject([folder], metric, direction), pool)


def _wrong(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Return the line of a command that ends with status 2."""
    assert report.main([str(argument) for argument in arguments]) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.count("\n") == 1
    return error


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A report on three optimizers, one with a malicious name and malicious errors."""
    folder = tmp_path_factory.mktemp("report")
    for optimizer in ("a", "bb", EVIL):
        for seed in range(3):
            _log(folder / "runs", optimizer, seed)
            _log(folder / "runs", optimizer, seed, names={"optimizer": optimizer, "objective": "g"})
    found = read_subject([folder / "runs"], None, None)
    with ThreadPoolExecutor(1) as pool:
        figures = Figures(folder / "out" / "figures", looks(found.suite.optimizers), pool)
        yield write(contents(found, pool, known=figures.add), figures, folder / "out")[0]


def test_the_page_opens_without_a_script_error_and_draws_every_chart(
    page: Path, tmp_path: Path
) -> None:
    script = """
      const select = document.querySelector("select.one");
      const left = [...select.options].map((option) => option.value);
      (function next() {
        if (!document.body.dataset.ready) return setTimeout(next, 20);
        if (!left.length) return;
        select.value = left.shift();
        select.dispatchEvent(new Event("change"));
        next();
      })();
    """
    document = opened(page, tmp_path, script)
    assert "data-errors" not in root(document)
    n_charts = document.count('data-chart="') + 1  # and that of the trials
    assert n_charts > 1 and document.count('data-drawn="') == n_charts


def test_text_from_logs_is_shown_as_text_and_never_run(page: Path, tmp_path: Path) -> None:
    # The names are in a chip and a table, the errors in a table, and all of them in the charts'
    # data.
    script = """
      const end = "</scr" + "ipt>";
      const cell = document.querySelector("#failures td:last-child").textContent;
      document.documentElement.dataset.shown = String(
        [...document.querySelectorAll(".chip")].some((c) => c.textContent.includes(end))
        && cell.includes(end) && !document.querySelector("main b"));
    """
    found = root(opened(page, tmp_path, script))
    assert 'data-shown="true"' in found and "data-errors" not in found


def test_filters_hide_rows_and_lines_and_columns_sort_by_number(page: Path, tmp_path: Path) -> None:
    script = """
      document.querySelectorAll(".chip")[1].click();
      const select = document.getElementById("objective");
      select.value = "g"; select.dispatchEvent(new Event("change"));
      const rows = [...document.querySelectorAll("#convergence tbody tr")].filter((r) => !r.hidden);
      const heading = document.querySelectorAll("#convergence th")[3];
      heading.querySelector("button").click();
      const sorted = [...document.querySelectorAll("#convergence tbody tr")].map(
        (r) => Number(r.cells[3].dataset.number));
      const drawn = [...document.querySelectorAll("figure")].filter(
        (f) => !f.hidden && f.dataset.objective === "f").length;
      document.documentElement.dataset.result = [rows.length, drawn,
        sorted.every((x, i) => !i || sorted[i - 1] <= x)].join();
    """
    # Of 3 optimizers on 2 objectives, one optimizer and one objective are hidden: 2 rows are left.
    found = root(opened(page, tmp_path, script))
    assert 'data-result="2,0,true"' in found and "data-errors" not in found


def test_at_the_width_of_a_phone_nothing_but_tables_scrolls_sideways(
    page: Path, tmp_path: Path
) -> None:
    # A window of headless Chromium is at least 500 px wide, so a frame represents the phone.
    frame = tmp_path / "frame.html"
    frame.write_text(
        '<html><head></head><body data-ready="yes">'
        f'<iframe width="390" height="800" frameborder="0" src="{page.as_uri()}"></iframe>'
        "</body></html>"
    )
    script = """
      const inner = document.querySelector("iframe").contentDocument;
      if (!inner || !inner.body || !inner.body.dataset.ready) return setTimeout(wait, 20);
      const sheet = inner.documentElement;
      document.documentElement.dataset.fits = String(sheet.scrollWidth <= sheet.clientWidth);
    """
    assert 'data-fits="true"' in root(opened(frame, tmp_path, script))


def test_the_page_loads_nothing_from_anywhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    head = text[: text.index('<script type="application/json"')]
    assert "<link" not in head and "src=" not in head and "@import" not in head


def test_figures_and_tables_lie_beside_the_page(page: Path) -> None:
    figures = {path.suffix for path in (page.parent / "figures").iterdir()}
    assert figures == {".pdf", ".svg"}
    table = (page.parent / "tables" / "standings.tex").read_text()
    assert r"\toprule" in table and r"\bottomrule" in table


def test_two_optimizers_on_one_objective_with_one_seed_get_a_report_that_says_its_limits(
    tmp_path: Path,
) -> None:
    _log(tmp_path, "a")
    _log(tmp_path, "b")
    made = _made(tmp_path)
    assert any("one seed" in line for line in made.limits)
    assert any("no pair is distinguishable" in line for line in made.verdict)


def test_an_optimizer_alone_gets_a_report(tmp_path: Path) -> None:
    _log(tmp_path, "a")
    assert any("there is only one optimizer" in line for line in _made(tmp_path).limits)


def test_a_run_whose_evaluations_all_failed_gets_a_report(tmp_path: Path) -> None:
    _log(tmp_path, "a")
    _log(tmp_path, "b", n=1)
    text = next(path for path in tmp_path.rglob("log.jsonl") if '"b0' in path.read_text())
    text.write_text(text.read_text().replace('"error": null', '"error": "no"'))
    assert _made(tmp_path).sections


def test_an_unfinished_run_is_held_to_the_whole_budget_and_it_is_said(tmp_path: Path) -> None:
    _log(tmp_path, "a")
    _log(tmp_path, "b", n=12)
    made = _made(tmp_path)
    assert any("1 of 2 runs are unfinished, so their incumbents are" in note for note in made.notes)
    assert "common budget 30" in made.facts


def test_runs_made_with_different_packages_are_warned_of(tmp_path: Path) -> None:
    _log(tmp_path, "a")
    _log(tmp_path, "b", versions={"numpy": "1"})
    assert any("numpy: 1, 2" in note for note in _made(tmp_path).notes)


def test_accuracies_are_shown_in_their_own_sign_with_the_optimum(tmp_path: Path) -> None:
    # score = 1 - value, and the optimum of the value is 0: that of the score is 1.
    goals = {"score": {"minimise": False, "unit": "points", "reference": None, "optimum": 1.0}}
    for optimizer in ("a", "b"):
        _log(tmp_path, optimizer, goals=goals, optimum=0.0)
    chart = _made(tmp_path).sections[0].charts[0]
    assert chart.y.title == "score (points)" and "higher is better" in chart.caption
    line = [y for y in chart.series[0].y if y is not None]
    assert line == sorted(line)
    ((height, name),) = chart.lines
    assert height == pytest.approx(1.0) and name == "optimum"


def test_a_direction_that_nobody_declared_is_not_guessed(tmp_path: Path) -> None:
    # The score rises as the value falls in all evaluations of both.
    _log(tmp_path, "a", optimum=None)
    _log(tmp_path, "b", optimum=None)
    chart = _made(tmp_path).sections[0].charts[0]
    assert chart.y.title == "value (minimised)" and "lower is better" in chart.caption


@pytest.mark.parametrize(("minimise", "said"), [(False, "higher"), (True, "lower")])
def test_one_evaluation_is_shown_in_the_declared_direction(
    minimise: bool, said: str, tmp_path: Path
) -> None:
    for optimizer in ("a", "b"):
        _log(tmp_path, optimizer, n=1, goals=goal("score", minimise=minimise))
    assert f"{said} is better" in _made(tmp_path).sections[0].charts[0].caption


def test_the_default_has_a_line_where_it_was_evaluated(tmp_path: Path) -> None:
    # As `_log` draws the configurations of "a"; the second best of them is the default.
    drawn = np.random.default_rng([0, 1]).random((30, 2))
    successes = [i for i in range(30) if i % 5 != 4]
    x, y = sorted(drawn[successes].tolist())[1]
    config = {"x": x, "y": y, "text": EVIL}
    for optimizer in ("a", "bb"):
        _log(tmp_path, optimizer, optimum=None, default=config)
    chart = _made(tmp_path).sections[0].charts[0]
    ((height, name),) = chart.lines
    assert height == pytest.approx(x) and name == "default configuration"


def test_failures_are_marked_in_the_convergence_chart(tmp_path: Path) -> None:
    _log(tmp_path, "a")
    _log(tmp_path, "b")
    # Every fifth evaluation fails, from the fifth on.
    marked = [at for at, _ in _made(tmp_path).sections[0].charts[0].series[0].failures]
    assert marked == [5, 10, 15, 20, 25, 30]


def test_centred_and_shifted_versions_stand_side_by_side(tmp_path: Path) -> None:
    # The published optimum is at the first point of optimizer "c", so only "c" benefits from it.
    for seed in range(1, 6):
        for optimizer in ("a", "bb", "c"):
            for shift in ("none", seed):
                objective = {"class": "F", "shift": shift}
                n = 30
                _log(tmp_path, optimizer, seed, n, objective=objective)
    for path in tmp_path.rglob("log.jsonl"):
        text = path.read_text()
        if '"c' in text[:90] and '"shift": "none"' in text:
            path.write_text(text.replace('"value": 0.', '"value": 0.00000'))
    bias = next(s for s in _made(tmp_path).sections if s.title == "Centre bias")
    assert len(bias.charts) == 1 and [s.name for s in bias.charts[0].series] == [
        "optimum as published", "optimum moved",
    ]  # fmt: skip
    assert "c (" in bias.lines[0] and "a (" not in bias.lines[0]


def test_settings_that_follow_the_seed_are_one_task_beside_those_that_do_not(
    tmp_path: Path,
) -> None:
    for seed in (1, 2):
        for shift in ("none", seed):
            _log(tmp_path, "a", seed, objective={"class": "F", "shift": shift})
    names = {run.objective for run in read_subject([tmp_path], None, None).runs}
    assert names == {"f shift=none", "f shift=seed"}


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_tables_compile(page: Path, tmp_path: Path) -> None:
    marks = Row([Cell("≤ 1 µs ▾ – é < 中 \x07"), Cell("1", 1.0)])
    (tmp_path / "marks.tex").write_text(Table("t", ["name", "n"], [marks]).latex())
    tables = [tmp_path / "marks.tex", *sorted((page.parent / "tables").glob("*.tex"))]
    assert len(tables) > 3
    document = "\n".join(
        [
            r"\documentclass{article}\usepackage{booktabs}\usepackage[T1]{fontenc}",
            r"\begin{document}\tiny",
            *(rf"\input{{{table}}}\clearpage" for table in tables),
            r"\end{document}",
        ]
    )
    (tmp_path / "all.tex").write_text(document)
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]


def test_an_empty_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "below it, got none" in _wrong(capsys, tmp_path, f"out={tmp_path}/out")


def test_a_folder_that_is_not_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "expected a path that exists, got one that does not" in _wrong(
        capsys, tmp_path / "no", f"out={tmp_path}/out"
    )


def test_half_written_logs_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log.jsonl").write_text('{"event": "hea')
    assert "expected evaluations, got 0 runs" in _wrong(capsys, tmp_path, f"out={tmp_path}/out")


def test_another_format_of_the_log_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _log(tmp_path, "a")
    _log(tmp_path, "b", format=3)
    assert "format: expected 2, got 3" in _wrong(capsys, tmp_path, f"out={tmp_path}/out")


def test_mixed_fingerprints_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _log(tmp_path, "a")
    _log(tmp_path, "b", fingerprint={"version": 2})
    assert "expected runs of one fingerprint" in _wrong(capsys, tmp_path, f"out={tmp_path}/out")


def test_an_unknown_metric_is_refused_with_those_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _log(tmp_path, "a")
    said = _wrong(capsys, tmp_path, f"out={tmp_path}/out", "metric=scor")
    assert said == "metric: expected one of value, score, got scor\n"


def test_a_report_without_a_place_to_go_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        _wrong(capsys, tmp_path) == "out: expected out=VALUE, got none; see tuneoff report --help\n"
    )


def test_without_the_extra_the_command_says_which_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "find_spec", lambda module: None)
    assert "expected the extra 'report'" in _wrong(capsys, tmp_path, f"out={tmp_path}/out")
