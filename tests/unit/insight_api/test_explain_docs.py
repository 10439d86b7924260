"""What docs/explain.md shows is what the command prints."""

from pathlib import Path

import pytest

from tests.fakes.explained_scenes import fitting, refused, running
from workbench.cluster_tables.explanation import explanation_text
from workbench.cluster_tables.story import story_text

DOCUMENT = Path(__file__).parents[3] / "docs" / "explain.md"


@pytest.mark.parametrize(
    "text",
    [
        explanation_text(refused(), wide=False),
        explanation_text(fitting(), wide=False),
        story_text(running(), wide=False),
    ],
    ids=["refused", "fitting", "running"],
)
def test_every_output_in_the_document_is_the_real_one(text: str) -> None:
    assert text in DOCUMENT.read_text(encoding="utf-8")
