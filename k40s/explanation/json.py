"""Explanations and stories as JSON: ``dataclasses.asdict`` on the way out, read strictly."""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, fields
from typing import NamedTuple, TypeVar

from k40s.errors import InvalidInputError
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
from k40s.strict_json import Json, format_json, read_json

MAX_CHARACTERS = 64 << 20
"""Longest text that is read: 5,000 nodes with some figures each."""
MAX_NODES = 20_000
_MAX_ITEMS = 4096
_MAX_LEVEL = 20
_MAX_SCORE = 10
_MAX_PRIORITY = 99
_TEXT = re.compile(r".*", re.DOTALL)

T = TypeVar("T")


class Told(NamedTuple):
    """insight's answer on one pod: an explanation where it waits, a story where it is bound."""

    explanation: Explanation | None
    running: PodStory | None


def format_explanation(value: Explanation) -> str:
    """Write an explanation; ``parse_explanation`` gives back the same value."""
    return format_json(asdict(value))


def parse_explanation(text: str, *, source: str) -> Explanation:
    """Read an explanation. Raises ``InvalidInputError``."""
    return read_explanation(_whole(text, source))


def format_story(value: PodStory) -> str:
    """Write a story; ``parse_story`` gives back the same value."""
    return format_json(asdict(value))


def parse_story(text: str, *, source: str) -> PodStory:
    """Read a story. Raises ``InvalidInputError``."""
    return read_story(_whole(text, source))


def format_told(value: Told) -> str:
    """Write insight's answer; ``parse_told`` gives back the same value."""
    return format_json(told_json(value))


def told_json(value: Told) -> dict[str, object]:
    """The JSON object of insight's answer."""
    return {
        "explanation": None if value.explanation is None else asdict(value.explanation),
        "running": None if value.running is None else asdict(value.running),
    }


def parse_told(text: str, *, source: str) -> Told:
    """Read insight's answer. Raises ``InvalidInputError``."""
    field = _whole(text, source).fields(("explanation", "running"))
    return Told(
        explanation=_optional(field["explanation"], read_explanation),
        running=_optional(field["running"], read_story),
    )


def read_explanation(place: Json) -> Explanation:
    """Read an explanation's object; raises the place's error."""
    required = [one.name for one in fields(Explanation) if one.default is MISSING]
    field = place.fields(required, ("remarks",))
    return Explanation(
        namespace=_text(field["namespace"]),
        pod=_text(field["pod"]),
        criticality=_text(field["criticality"]),
        fault=_optional(field["fault"], _text),
        nodes=_each(field["nodes"], _node, MAX_NODES),
        remarks=_each(field["remarks"], _text) if "remarks" in field else (),
    )


def read_story(place: Json) -> PodStory:
    """Read a story's object; raises the place's error."""
    field = _fields(place, PodStory)
    return PodStory(
        namespace=_text(field["namespace"]),
        pod=_text(field["pod"]),
        pod_uid=_text(field["pod_uid"]),
        criticality=_text(field["criticality"]),
        node=_text(field["node"]),
        phase=_text(field["phase"]),
        since=_text(field["since"]),
        summary=_text(field["summary"]),
        level=_optional(field["level"], lambda one: one.integer(0, _MAX_LEVEL)),
        level_needed=field["level_needed"].integer(0, _MAX_LEVEL),
        servers=_each(field["servers"], _server),
        networks=_each(field["networks"], _text),
        enforced=_optional(field["enforced"], Json.boolean),
        enforced_why=_text(field["enforced_why"]),
        enforced_since=_text(field["enforced_since"]),
        overruns=_text(field["overruns"]),
        conditions=_each(field["conditions"], _condition),
        happenings=_each(field["happenings"], _happening),
    )


def _node(place: Json) -> NodeExplanation:
    field = _fields(place, NodeExplanation)
    return NodeExplanation(
        name=_text(field["name"]),
        reason=_optional(field["reason"], _text),
        text=_text(field["text"]),
        detail=_text(field["detail"]),
        figures=_each(field["figures"], lambda one: Figure(**_texts(one, Figure))),
        obstacles=_each(field["obstacles"], lambda one: Obstacle(**_texts(one, Obstacle))),
        remedies=_each(field["remedies"], _text),
        score=_optional(field["score"], lambda one: one.integer(0, _MAX_SCORE)),
        parts=_each(field["parts"], _part),
        age=_optional(field["age"], _number),
    )


def _part(place: Json) -> ScorePart:
    field = _fields(place, ScorePart)
    return ScorePart(
        name=_text(field["name"]),
        score=_number(field["score"]),
        weight=_number(field["weight"]),
    )


def _server(place: Json) -> StoryServer:
    field = _fields(place, StoryServer)
    return StoryServer(
        container=_text(field["container"]),
        mechanism=_text(field["mechanism"]),
        core=_text(field["core"]),
        budget=_text(field["budget"]),
        period=_text(field["period"]),
        share=_number(field["share"]),
        tasks=_each(field["tasks"], _task),
    )


def _task(place: Json) -> StoryTask:
    field = _fields(place, StoryTask)
    return StoryTask(
        name=_text(field["name"]),
        thread=_text(field["thread"]),
        wcet=_text(field["wcet"]),
        period=_text(field["period"]),
        deadline=_text(field["deadline"]),
        priority=_optional(field["priority"], lambda one: one.integer(1, _MAX_PRIORITY)),
    )


def _condition(place: Json) -> StoryCondition:
    return StoryCondition(**_texts(place, StoryCondition))


def _happening(place: Json) -> Happening:
    return Happening(**_texts(place, Happening))


def _whole(text: str, source: str) -> Json:
    return read_json(text, source=source, error=InvalidInputError, at_most=MAX_CHARACTERS)


def _fields(place: Json, kind: type) -> Mapping[str, Json]:
    """Exactly the fields of a dataclass."""
    return place.fields([one.name for one in fields(kind)])


def _texts(place: Json, kind: type) -> dict[str, str]:
    """The fields of a dataclass that has nothing but texts."""
    return {name: _text(one) for name, one in _fields(place, kind).items()}


def _text(place: Json) -> str:
    return place.text(_TEXT, "a text")


def _number(place: Json) -> float:
    return place.number("a number")


def _optional(place: Json, read: Callable[[Json], T]) -> T | None:
    return None if place.value is None else read(place)


def _each(place: Json, read: Callable[[Json], T], at_most: int = _MAX_ITEMS) -> tuple[T, ...]:
    return tuple(read(one) for one in place.items(at_most=at_most))
