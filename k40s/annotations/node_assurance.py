"""A node's assurance as malacoda publishes it, and the operator's parameters on a node."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from k40s.annotations.keys import ASSURANCE_KEY, PLATFORM_FACTOR_KEY
from k40s.assurance.gamma import MOST_FALLS, Severity
from k40s.errors import InvalidAnnotationError
from k40s.strict_json import Json, format_json, read_json
from k40s.units import NS_PER_S, Nanoseconds, format_duration

HIGHEST_PART = 5
"""α (hardware) and β (software) lie in 0..5."""
HIGHEST_STATE = 10
"""γ (state) lies in 0..10; 10 means that no hazard was detected."""
MIN_LEASE = Nanoseconds(NS_PER_S)
MAX_LEASE = Nanoseconds(3600 * NS_PER_S)
MAX_FACTOR = 1000

_VERSION = 1
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{6})?Z", re.ASCII
)
_HAZARD = re.compile(r"[a-z][a-z0-9_.-]{0,31}", re.ASCII)
_MAX_HAZARDS = 16
_CAUSE = re.compile("alarm|harmed|missed", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAssurance:
    """A = α + β + γ(t) of a node, with the time of observation and the lease of its daemon.

    ``observed`` is in UTC. ``hazards`` names the metrics that had an alarm at that time. ``cause``
    is the severity of the hazard by which γ fell, ``falls`` the number of downgrades that are not
    forgotten yet: a restarted daemon continues from them.
    """

    hardware: int
    software: int
    state: int
    observed: datetime
    lease: Nanoseconds
    hazards: tuple[str, ...] = ()
    cause: Severity = Severity.NONE
    falls: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.hardware <= HIGHEST_PART and 0 <= self.software <= HIGHEST_PART):
            raise ValueError("hardware and software assurance lie in 0 to 5")
        if not 0 <= self.state <= HIGHEST_STATE:
            raise ValueError("state assurance lies in 0 to 10")
        if self.observed.utcoffset() != timedelta(0):
            raise ValueError("the time observed is in UTC")
        if not MIN_LEASE <= self.lease <= MAX_LEASE:
            raise ValueError("a lease lasts 1 s to 3600 s")
        if not 0 <= self.falls <= MOST_FALLS:
            raise ValueError("downgrades are counted from 0 to 1000000")

    @property
    def level(self) -> int:
        """A, 0 to 20."""
        return self.hardware + self.software + self.state


def parse_node_assurance(text: str) -> NodeAssurance:
    """Read the annotation ``node.k40s.io/assurance``. Raises ``InvalidAnnotationError``."""
    whole = read_json(text, source=ASSURANCE_KEY, error=InvalidAnnotationError)
    field = whole.fields(
        ("v", "level", "hardware", "software", "state", "observed", "lease"),
        ("hazards", "cause", "falls"),
    )
    field["v"].integer(_VERSION, _VERSION)
    lease = field["lease"].duration()
    if not MIN_LEASE <= lease <= MAX_LEASE:
        raise field["lease"].invalid("1s to 3600s")
    hazards = field["hazards"].items(at_most=_MAX_HAZARDS) if "hazards" in field else []
    value = NodeAssurance(
        hardware=field["hardware"].integer(0, HIGHEST_PART),
        software=field["software"].integer(0, HIGHEST_PART),
        state=field["state"].integer(0, HIGHEST_STATE),
        observed=_read_time(field["observed"]),
        lease=lease,
        hazards=tuple(h.text(_HAZARD, "a metric's name") for h in hazards),
        cause=_read_cause(field["cause"]) if "cause" in field else Severity.NONE,
        falls=field["falls"].integer(0, MOST_FALLS) if "falls" in field else 0,
    )
    if field["level"].integer(0, 2 * HIGHEST_PART + HIGHEST_STATE) != value.level:
        raise field["level"].invalid(f"the sum of the parts, {value.level}")
    return value


def format_node_assurance(value: NodeAssurance) -> str:
    """Write the annotation; ``parse_node_assurance`` gives back the same value."""
    written: dict[str, object] = {
        "v": _VERSION,
        "level": value.level,
        "hardware": value.hardware,
        "software": value.software,
        "state": value.state,
        "observed": value.observed.replace(tzinfo=None).isoformat() + "Z",
        "lease": format_duration(value.lease),
    }
    if value.hazards:
        written["hazards"] = list(value.hazards)
    if value.cause is not Severity.NONE:
        written["cause"] = value.cause.name.lower()
    if value.falls:
        written["falls"] = value.falls
    return format_json(written)


def parse_assurance_part(text: str, *, key: str) -> int:
    """Read an operator's α or β, a whole number from 0 to 5. Raises ``InvalidAnnotationError``."""
    if len(text) == 1 and text in "012345":
        return int(text)
    raise InvalidAnnotationError(
        source=key, path="$", found=text, expected="a whole number from 0 to 5"
    )


def parse_platform_factor(text: str) -> Fraction:
    """Read ``3/2`` or ``1.5``, above 0 and at most 1000. Raises ``InvalidAnnotationError``."""
    place = Json(value=text, source=PLATFORM_FACTOR_KEY, error=InvalidAnnotationError)
    factor = place.fraction()
    if not 0 < factor <= MAX_FACTOR:
        raise place.invalid(f"a factor above 0 and at most {MAX_FACTOR}")
    return factor


def _read_cause(place: Json) -> Severity:
    return Severity[place.text(_CAUSE, '"alarm", "harmed" or "missed"').upper()]


def _read_time(place: Json) -> datetime:
    expected = 'a time in UTC, such as "2026-03-01T12:00:00Z"'
    text = place.text(_TIME, expected)
    try:
        return datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC)
    except ValueError:
        raise place.invalid(expected) from None
