"""The report's page as a reader uses it: accessible, by keyboard, filtered, and printed."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from driven import READY, chromium, driven
from experiments.analysis.report.contents import contents
from experiments.analysis.report.page import Figures, write
from experiments.analysis.report.subject import Subject
from experiments.analysis.results import Run
from experiments.analysis.statistics.anytime import compare_on
from experiments.analysis.statistics.ranks import rank_table
from experiments.running.looks import looks
from made_runs import made_run
from objectives.trial import Goal, Limit

OPTIMIZERS = ("a", "b", "c")
SEEDS = range(6)


def _runs(n_tasks: int = 12) -> list[Run]:
    """Return runs in which "a" is best and "c" worst, with chance, and some failures."""
    rng = np.random.default_rng(0)
    return [
        made_run(
            (rng.random(12) + offset).tolist(),
            optimizer,
            seed,
            objective=f"f{task}",
            failed=[3] if optimizer == "c" else [],
        )
        for task in range(n_tasks)
        for offset, optimizer in enumerate(OPTIMIZERS)
        for seed in SEEDS
    ]


class _Undrawn(ThreadPoolExecutor):
    """Draws no figure, which takes long and which these tests do not look at."""

    def submit(self, *task: Any, **options: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        done.set_result(None)
        return done


def _written(runs: Sequence[Run], folder: Path) -> Path:
    subject = Subject(list(runs), compare_on(runs))
    with ThreadPoolExecutor(1) as pool, _Undrawn(1) as undrawn:
        figures = Figures(folder / "figures", looks(subject.suite.optimizers), undrawn)
        return write(contents(subject, pool, known=figures.add), figures, folder)[0]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A report on three optimizers and twelve objectives; only the page, no figures."""
    yield _written(_runs(), tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests, each of which has a page of its own."""
    with chromium() as started:
        yield started


def _texts(page: Page, selector: str) -> list[str]:
    return page.locator(selector).all_inner_texts()


def _column(page: Page, table: str, column: int) -> list[str]:
    return _texts(page, f'table[data-table="{table}"] tbody td:nth-child({column})')


def _checked(page: Page) -> None:
    """Check the page; a few rows of each table stand for all of them, which would take long."""
    page.evaluate("for (const name of Object.keys(tables)) room[name] = 5; renderTables()")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_an_accessibility_checker_finds_nothing(browser: Browser, page: Path) -> None:
    with driven(browser, page) as opened:
        opened.locator(".chip").nth(1).click()  # also with one optimizer left out
        _checked(opened)


def test_a_narrow_dark_page_is_accessible_and_does_not_scroll_sideways(
    browser: Browser, page: Path
) -> None:
    with driven(browser, page, "dark", width=390) as opened:
        _checked(opened)
        root = "document.documentElement"
        assert opened.evaluate(f"{root}.scrollWidth <= {root}.clientWidth")


def test_every_control_is_reached_and_used_by_keyboard(browser: Browser, page: Path) -> None:
    with driven(browser, page) as opened:
        opened.keyboard.press("Tab")  # the first term or chip
        opened.locator(".chip").first.focus()
        opened.keyboard.press("Space")
        assert opened.locator(".chip").first.get_attribute("aria-pressed") == "false"
        opened.locator("#answer .term").first.focus()
        assert opened.locator("#tip").is_visible()
        opened.keyboard.press("Escape")
        assert not opened.locator("#tip").is_visible()
        opened.locator("#trials .table").focus()
        assert opened.evaluate("document.activeElement.getAttribute('role')") == "region"


def test_a_term_is_explained_on_hover(browser: Browser, page: Path) -> None:
    with driven(browser, page) as opened:
        opened.locator("#answer .term").first.hover()
        assert len(opened.locator("#tip").inner_text()) > 20


def test_the_ranking_without_a_selection_is_that_of_the_statistics(
    browser: Browser, page: Path
) -> None:
    suite = compare_on(_runs())
    ranks = rank_table(suite)[1].mean(axis=0)
    with driven(browser, page) as opened:
        assert _column(opened, "ranking", 2) == [f"{rank:.2f}" for rank in sorted(ranks)]
        again = opened.evaluate("meanRanks(compared(), lastStep())")
        assert again == pytest.approx(ranks.tolist())
        groups = opened.evaluate("answerNow().groups.map((g) => g.map((i) => optimizers[i]))")
        assert groups == [["a"], ["b"], ["c"]]


def test_without_an_optimizer_the_others_are_ranked_again_in_words_and_pictures(
    browser: Browser,
    page: Path,
) -> None:
    kept = [run for run in _runs() if run.optimizer != "a"]
    ranks = rank_table(compare_on(kept))[1].mean(axis=0)
    with driven(browser, page) as opened:
        opened.locator('.chip[data-optimizer="a"]').click()
        opened.wait_for_selector(READY)
        assert opened.locator("h1").inner_text() == "2 optimizers on 12 objectives"
        assert "144 runs" in opened.locator(".facts").inner_text()
        answer = opened.locator("#answer").inner_text()
        assert answer.startswith("b has the best mean rank") and "a has" not in answer
        assert _column(opened, "ranking", 1) == ["b", "c"]
        assert _column(opened, "ranking", 2) == [f"{rank:.2f}" for rank in sorted(ranks)]
        assert "a" not in _column(opened, "standings", 2)
        held = opened.locator('figure:has([data-chart="performance_profile"]) .held')
        assert "computed over all optimizers" in held.inner_text()


def test_with_some_seeds_medians_and_ranks_are_theirs_and_tests_are_hidden(
    browser: Browser, page: Path
) -> None:
    kept = [run for run in _runs() if run.seed in (0, 1)]
    ranks = rank_table(compare_on(kept))[1].mean(axis=0)
    finals = [float(run.values[~run.failed].min()) for run in kept
              if run.optimizer == "a" and run.objective == "f0"]  # fmt: skip
    with driven(browser, page) as opened:
        opened.locator("#seeds summary").click()
        for seed in (2, 3, 4, 5):
            opened.locator(f'#seeds input[value="{seed}"]').uncheck()
        opened.wait_for_selector(READY)
        assert _column(opened, "ranking", 2) == [f"{rank:.2f}" for rank in sorted(ranks)]
        assert set(_column(opened, "ranking", 3)) == {"–"}
        assert "not computed for a selection of seeds" in opened.locator("#answer").inner_text()
        assert "hidden" in opened.locator("#tests-chosen").inner_text()
        chart = opened.evaluate("chosenChart(charts['convergence_f0']).series[0].y.at(-1)")
        assert chart == pytest.approx(np.median(finals), rel=1e-3)
        held = opened.locator("#convergence .tabled .held")
        assert "computed over all seeds" in held.inner_text()


def test_with_one_objective_its_own_verdict_and_charts_are_shown(
    browser: Browser, page: Path
) -> None:
    with driven(browser, page) as opened:
        opened.locator("#objective").select_option("f3")
        opened.wait_for_selector(READY)
        assert opened.locator("#answer").inner_text().startswith("On f3, ")
        assert opened.locator("#tests-chosen").inner_text().startswith("On f3 ")
        assert opened.locator("#convergence figure:visible h3").all_inner_texts() == ["f3"]
        assert set(_column(opened, "incumbents", 1)) == {"f3"}


def test_one_objective_at_a_time_is_drawn_and_the_chooser_moves_on(
    browser: Browser, page: Path
) -> None:
    with driven(browser, page) as opened:
        assert opened.locator("#convergence figure:visible h3").all_inner_texts() == ["f0"]
        opened.locator("#convergence .after").click()
        opened.wait_for_selector(READY)
        assert opened.locator("#convergence figure:visible h3").all_inner_texts() == ["f1"]
        assert opened.locator("#trials select").input_value() == "f1"


def test_a_section_chooses_among_the_objectives_that_it_has_charts_of(
    browser: Browser, page: Path
) -> None:
    with driven(browser, page) as opened:
        opened.evaluate(
            """() => {
              const select = document.querySelector("#convergence select");
              select.remove(0);  // as if there were no chart of the first objective
              refresh();
            }"""
        )
        opened.wait_for_selector(READY)
        assert opened.locator("#convergence figure:visible h3").all_inner_texts() == ["f1"]
        assert opened.locator("#trials select").input_value() == "f0"


def test_a_point_leads_to_its_trial(browser: Browser, page: Path) -> None:
    with driven(browser, page) as opened:
        opened.locator("#trials .plot").scroll_into_view_if_needed()
        opened.evaluate("document.querySelector('#trials .plot').emit('plotly_click', "
                        "{points: [{data: {name: 'b'}, pointIndex: 2}]})")  # fmt: skip
        said = opened.locator("#pinned").inner_text()
        assert said.startswith("b, seed 0, trial 2: value (minimised)") and "x=0.2" in said
        opened.locator("#pinned a").click()
        row = opened.locator("tr.chosen")
        assert row.locator("td").nth(2).inner_text() == "2"
        assert opened.evaluate("document.activeElement.id") == row.get_attribute("id")


def test_a_row_of_another_table_leads_to_its_trial(browser: Browser, page: Path) -> None:
    with driven(browser, page) as opened:
        link = opened.locator('table[data-table="incumbents"] .to-trial').first
        name = link.inner_text()
        link.click()
        assert f"{name}:" in opened.locator("#pinned").inner_text()
        assert opened.locator("tr.chosen").count() == 1


def _of_two_goals(seed: int, objective: str = "g", kept: bool = True) -> Run:
    """Return a run whose last evaluation breaks a limit, or all of them."""
    f1 = [0.9, 0.5, 0.2 + 0.1 * seed, 0.1]
    metrics = {"f1": f1, "f2": [1.1 - x for x in f1], "c": [1.0 if kept else 3.0] * 3 + [3.0]}
    run = made_run([0.0] * 4, seed=seed, objective=objective, metrics=metrics)
    goals = {name: Goal(minimise=True, reference=2.0) for name in ("f1", "f2")}
    header = replace(
        run.header, goals=goals, limits={"c": Limit(2.0)}, front=[[0.0, 1.0], [1.0, 0.0]]
    )
    return replace(run, header=header, values=np.full(4, np.nan))


def test_a_page_on_two_goals_names_its_marks_and_shows_every_goal_and_limit(
    browser: Browser, tmp_path: Path
) -> None:
    runs = [_of_two_goals(seed) for seed in range(4)]
    page = _written([*runs, *(_of_two_goals(seed, "f", kept=False) for seed in (0, 1))], tmp_path)
    with driven(browser, page) as opened:
        opened.locator("#objective").select_option("g")
        opened.wait_for_selector(READY)
        chart = opened.locator("#fronts figure:visible")
        assert chart.locator("g.legend").text_content() == "known front"
        drawn = "document.querySelector('#fronts figure:not([hidden]) .plot').data"
        bands = opened.evaluate(f"{drawn}.filter((t) => t.fill || t.line?.width === 0)")
        assert len(bands) == 2 and all(None not in trace["y"] for trace in bands)
        columns = _texts(opened, 'table[data-table="trials"] th')
        assert columns[4:8] == ["f1", "f2", "c", "incumbent"]
        assert _column(opened, "trials", 8)[:4] == ["yes", "yes", "yes", "breaks a limit"]
        notes = opened.locator("#notes").inner_text()
        assert "f: in 2 of 2 runs, no evaluation keeps the limits (c at most 2)" in notes


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext is not installed")
def test_printing_gives_numbered_pages_with_legends(
    browser: Browser, page: Path, tmp_path: Path
) -> None:
    with driven(browser, page) as opened:
        opened.pdf(path=tmp_path / "printed.pdf", prefer_css_page_size=True)
        assert opened.locator("html.printing").count() == 0
    done = subprocess.run(
        ["pdftotext", "-layout", tmp_path / "printed.pdf", "-"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    pages = done.stdout.split("\f")[:-1]
    assert len(pages) > 3
    assert all(f"{i} / {len(pages)}" in text for i, text in enumerate(pages, start=1))
    with_chart = next(text for text in pages if "Mean rank over the budget" in text)
    assert all(name in with_chart.split() for name in OPTIMIZERS)
    assert "rows; the page and its files have all" in done.stdout


def test_data_of_the_page_are_bounded(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    start = text.index('id="data">') + len('id="data">')
    data = json.loads(text[start : text.index("</script>", start)])
    assert len(data["trials"]) == 12
    assert all(len(each["id"]) <= each["all"] == 12 * 18 for each in data["trials"])
