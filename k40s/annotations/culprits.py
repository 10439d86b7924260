"""Requests to evict culprits: the Node's annotation ``node.k40s.io/culprits``.

malacoda names the pods by UID alone, since whoever may read Nodes reads it, and the controller
decides. A request is there for as long as it holds.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from k40s.annotations.keys import CULPRITS_KEY
from k40s.annotations.wall_times import format_time, read_time
from k40s.assurance.metrics import Metric
from k40s.assurance.response.acts import Cause
from k40s.errors import InvalidAnnotationError
from k40s.strict_json import Json, format_json, read_json

MAX_CULPRITS = 8
"""Of one node at once; the response asks for fewer."""
_VERSION = 1
_UID = re.compile(r"[!-~]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Culprit:
    """A pod, by UID, whose eviction is asked for since ``at`` (ns since 1970).

    ``rule`` and ``hazards`` say why. ``harmed`` tells whether critical pods suffered: None where
    no gauge told.
    """

    uid: str
    at: int
    rule: Cause
    hazards: tuple[Metric, ...] = ()
    harmed: bool | None = None


def parse_culprits(text: str) -> tuple[Culprit, ...]:
    """Read the annotation. Raises ``InvalidAnnotationError``."""
    whole = read_json(text, source=CULPRITS_KEY, error=InvalidAnnotationError)
    field = whole.fields(("v", "culprits"))
    field["v"].integer(_VERSION, _VERSION)
    found = tuple(map(_read_culprit, field["culprits"].items(at_most=MAX_CULPRITS)))
    if len({one.uid for one in found}) < len(found):
        raise field["culprits"].invalid("each pod once")
    return found


def format_culprits(culprits: Iterable[Culprit]) -> str:
    """Write the annotation; ``parse_culprits`` gives back the same values, in microseconds."""
    return format_json(
        {
            "v": _VERSION,
            "culprits": [
                {
                    "uid": one.uid,
                    "at": format_time(one.at),
                    "rule": one.rule.value,
                    "hazards": [metric.value for metric in one.hazards],
                    "harmed": one.harmed,
                }
                for one in culprits
            ],
        }
    )


def _read_culprit(item: Json) -> Culprit:
    field = item.fields(("uid", "at", "rule", "hazards", "harmed"))
    harmed = field["harmed"]
    return Culprit(
        uid=field["uid"].text(_UID, "a pod's UID"),
        at=read_time(field["at"]),
        rule=field["rule"].member_of(Cause),
        hazards=tuple(
            metric.member_of(Metric) for metric in field["hazards"].items(at_most=len(Metric))
        ),
        harmed=None if harmed.value is None else harmed.boolean(),
    )
