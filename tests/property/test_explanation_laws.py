"""Laws of explanations as text."""

from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k40s.errors import InvalidInputError
from k40s.explanation.json import (
    Told,
    format_explanation,
    format_story,
    format_told,
    parse_explanation,
    parse_story,
    parse_told,
)
from k40s.explanation.model import (
    Explanation,
    Figure,
    NodeExplanation,
    Obstacle,
    PodStory,
    ScorePart,
    StoryCondition,
    StoryServer,
    StoryTask,
)
from k40s.overview.model import Happening
from k40s.strict_json import format_json

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
LEVELS = st.integers(0, 20)
TEXTS = st.text(max_size=8)


def some(one: st.SearchStrategy) -> st.SearchStrategy:
    """A few of these."""
    return st.lists(one, max_size=3).map(tuple)


NODES = st.builds(
    NodeExplanation,
    reason=st.none() | TEXTS,
    figures=some(st.builds(Figure)),
    obstacles=some(st.builds(Obstacle)),
    score=st.none() | st.integers(0, 10),
    parts=some(st.builds(ScorePart, score=NUMBERS, weight=NUMBERS)),
    age=st.none() | NUMBERS,
)
EXPLANATIONS = st.builds(Explanation, nodes=some(NODES), remarks=some(TEXTS))
SERVERS = st.builds(
    StoryServer,
    share=NUMBERS,
    tasks=some(st.builds(StoryTask, priority=st.none() | st.integers(1, 99))),
)
STORIES = st.builds(
    PodStory,
    level=st.none() | LEVELS,
    level_needed=LEVELS,
    servers=some(SERVERS),
    conditions=some(st.builds(StoryCondition)),
    happenings=some(st.builds(Happening)),
)


@given(value=EXPLANATIONS)
def test_an_explanation_survives_its_text(value: Explanation) -> None:
    assert parse_explanation(format_explanation(value), source="reply") == value


@given(value=STORIES)
def test_a_story_survives_its_text(value: PodStory) -> None:
    assert parse_story(format_story(value), source="reply") == value


@given(value=st.builds(Told, st.none() | EXPLANATIONS, st.none() | STORIES))
def test_an_answer_survives_its_text(value: Told) -> None:
    assert parse_told(format_told(value), source="reply") == value


@given(text=st.text() | st.recursive(st.none() | NUMBERS | TEXTS, st.lists).map(format_json))
def test_any_other_text_is_refused_by_one_error(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_told(text, source="reply")


@given(value=EXPLANATIONS, name=TEXTS.filter(lambda one: one not in Explanation.__slots__))
def test_an_unknown_field_is_refused(value: Explanation, name: str) -> None:
    text = format_json(asdict(value) | {name: 1})

    with pytest.raises(InvalidInputError, match="unknown field"):
        parse_explanation(text, source="reply")
