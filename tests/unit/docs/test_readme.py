"""The README: its figures are those of docs/bench, and what it shows and links to is there."""

import re
from pathlib import Path

from tests.fixtures.documents import DOCS, rows

README = DOCS.parent / "README.md"
FIGURE_COLUMNS = 4


def figures(page: Path) -> set[tuple[str, ...]]:
    """Rows of what, measured, goal and met; a link of one page is that of another."""
    cells = [row for row in rows(page) if len(row) >= FIGURE_COLUMNS - 1 and row[0] != "what"]
    return {
        (re.sub(r"\]\([^)]*\)", "]", cell[0]), *(one.strip(" |") for one in cell[1:]))
        for cell in cells
    }


def figures_of_readme() -> set[tuple[str, ...]]:
    section = README.read_text(encoding="utf-8").partition("## Figures\n")[2].partition("\n## ")[0]
    return {row for row in figures(README) if row[1] in section and row[0].split("[")[0] in section}


def test_every_figure_is_one_of_the_bench() -> None:
    shown = figures_of_readme()

    assert len(shown) >= 10
    assert shown <= figures(DOCS / "bench" / "README.md")


def test_what_it_links_to_and_shows_is_there() -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", README.read_text(encoding="utf-8"))

    assert len(targets) > 40
    assert [one for one in targets if not (README.parent / one).exists()] == []
