"""Documents as the site's parser has to read them: lists, pipes, links and diagrams."""

import importlib.util
from types import ModuleType

import pytest

from tests.fixtures.documents import DOCS, pages


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_hooks", DOCS / "theme" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("text\n- a\n- b", "text\n\n- a\n- b"),
        ("- a\n  - b\n    - c\n- d", "- a\n    - b\n        - c\n- d"),
        ("1. a\n\n   more\n2. b", "1. a\n\n    more\n\n2. b"),
        (
            "1. a\n\n   ```\n   - code\n     deeper\n   ```\n",
            "1. a\n\n    ```\n    - code\n      deeper\n    ```\n",
        ),
        ("- a\nlazy\n\nafter", "- a\n    lazy\n\nafter"),
        ("```\ntext\n- code\n```", "```\ntext\n- code\n```"),
        ("- a\n\n## Title\n", "- a\n\n## Title\n"),
        ("- a\n\n```\n  code\n```\n", "- a\n\n```\n  code\n```\n"),
        ("| a |\n|---|\n| - b |", "| a |\n|---|\n| - b |"),
    ],
)
def test_lists_get_a_blank_line_and_four_columns_a_level(
    hooks: ModuleType, written: str, read: str
) -> None:
    assert hooks.lists_by_four_columns(written) == read


def test_pipes_lose_their_backslash_in_code_of_tables_alone(hooks: ModuleType) -> None:
    assert hooks.pipes_in_code(r"| `a\|b` c\|d |") == r"| `a|b` c\|d |"
    assert hooks.pipes_in_code(r"`a\|b`") == r"`a\|b`"


def test_a_link_out_of_the_documents_becomes_the_files_name(hooks: ModuleType) -> None:
    text = hooks.links_within_the_site("[change](../CONTRIBUTING.md) [a](tdma.md#b)", uri="x.md")

    assert text == "change (`CONTRIBUTING.md`) [a](tdma.md#b)"


def test_a_link_to_a_folder_leads_to_its_first_page(hooks: ModuleType) -> None:
    assert hooks.links_within_the_site("[all](adr/)", uri="x.md") == "[all](adr/README.md)"


def test_a_link_to_a_file_that_is_not_there_stops_the_build(hooks: ModuleType) -> None:
    with pytest.raises(FileNotFoundError, match=r"a link names NOWHERE\.md"):
        hooks.links_within_the_site("[gone](../NOWHERE.md)", uri="x.md")


def test_every_diagram_has_the_picture_drawn_from_it_and_no_other_is_kept(
    hooks: ModuleType,
) -> None:
    needed = {
        hooks.diagram_name(source)
        for page in pages()
        for source in hooks.diagrams(page.read_text(encoding="utf-8"))
    }
    kept = {path.name for path in (DOCS / hooks.DIAGRAMS).glob("*.svg")}

    assert kept == needed, "a diagram was changed: make diagrams"
