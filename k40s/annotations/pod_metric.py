"""A metric that a pod exports about itself, and the bound within which the pod is well."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from k40s.annotations.keys import METRIC_KEY
from k40s.errors import InvalidAnnotationError
from k40s.strict_json import Json, read_json

MAX_METRIC_TEXT = 2048
_HIGHEST_PORT = 65_535
_MOST_SAMPLES = 60
_MOST_LABELS = 8
_PATH = re.compile(r"/(?:[A-Za-z0-9._~-][A-Za-z0-9._~/-]{0,198})?", re.ASCII)
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,199}", re.ASCII)
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,63}", re.ASCII)
_VALUE = re.compile(r"[ -~]{0,128}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodMetric:
    """Where a pod's metric is, and when it says that the pod suffers.

    The pod is well while the value of every series that has these labels lies within the bound:
    at most ``bound``, or with ``below`` at least that. ``samples`` values outside, one after the
    other, are its report of harm.
    """

    port: int
    metric: str
    bound: float
    below: bool = False
    path: str = "/metrics"
    labels: Mapping[str, str] = field(default_factory=dict)
    samples: int = 3

    def exceeds(self, value: float) -> bool:
        """Whether a value lies outside the bound; what is no number does."""
        if math.isnan(value):
            return True
        return value < self.bound if self.below else value > self.bound


def parse_pod_metric(text: str) -> PodMetric:
    """Read the annotation ``k40s.io/metric``. Raises ``InvalidAnnotationError``."""
    whole = read_json(
        text, source=METRIC_KEY, error=InvalidAnnotationError, at_most=MAX_METRIC_TEXT
    )
    fields = whole.fields(("port", "metric"), ("path", "labels", "above", "below", "samples"))
    bounds = [name for name in ("above", "below") if name in fields]
    if len(bounds) != 1:
        raise whole.invalid("one of the fields above and below", found=f"{len(bounds)} of them")
    found = fields[bounds[0]].number("a number: the value beyond which the pod suffers")
    return PodMetric(
        port=fields["port"].integer(1, _HIGHEST_PORT),
        metric=fields["metric"].text(_NAME, "the name of a Prometheus metric"),
        bound=found,
        below=bounds[0] == "below",
        path=(
            fields["path"].text(_PATH, 'a path such as "/metrics", without a query')
            if "path" in fields
            else "/metrics"
        ),
        labels=_read_labels(fields["labels"]) if "labels" in fields else {},
        samples=fields["samples"].integer(1, _MOST_SAMPLES) if "samples" in fields else 3,
    )


def _read_labels(place: Json) -> Mapping[str, str]:
    members = place.members()
    if len(members) > _MOST_LABELS:
        raise place.invalid(f"at most {_MOST_LABELS} labels")
    for name, member in members.items():
        if _LABEL.fullmatch(name) is None:
            raise member.invalid("under a label's name", found="another name")
    line = "a label's value: at most 128 printable ASCII characters"
    return MappingProxyType({name: one.text(_VALUE, line) for name, one in members.items()})
