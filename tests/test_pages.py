"""The pages in Markdown: their tables are tables."""

import re

import pytest

from processes import ROOT

_RULE = re.compile(r"\|(?: ?:?-+:? ?\|)+")
_CELL_ENDS = re.compile(r"(?<!\\)\|")


FOLDERS = ("conf", "experiments", "objectives", "optimizers", "paper", "results", "tests")
PAGES = [
    *ROOT.glob("*.md"),
    *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md")),
]


@pytest.mark.parametrize("page", sorted(str(page.relative_to(ROOT)) for page in PAGES))
def test_every_row_of_a_table_has_as_many_cells_as_its_header(page: str) -> None:
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if not _RULE.fullmatch(line.strip()):
            continue
        n_cells = len(_CELL_ENDS.findall(line))
        assert len(_CELL_ENDS.findall(lines[number - 1])) == n_cells, lines[number - 1]
        for row in lines[number + 1 :]:
            if not row.startswith("|"):
                break
            assert row.endswith("|") and len(_CELL_ENDS.findall(row)) == n_cells, row
