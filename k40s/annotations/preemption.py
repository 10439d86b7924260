"""A claim of a pod that preempts others: its annotation ``status.k40s.io/preemption``.

The controller writes it before the first victim is asked to end, and it is all that the next leader
needs to go on. Until it ends, the extender keeps on its node the room that the pod needs once its
victims are gone.
"""

from dataclasses import dataclass

from k40s.annotations.keys import PREEMPTION_KEY
from k40s.annotations.wall_times import format_time, read_name, read_time
from k40s.errors import InvalidAnnotationError
from k40s.strict_json import Json, format_json, read_json

MAX_VICTIMS = 64
"""Of one preemption."""
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """A pod that is asked to end."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The node whose room a pod claims, from ``at`` until ``until`` (ns since 1970)."""

    node: str
    at: int
    until: int
    victims: tuple[Victim, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.at <= self.until:
            raise ValueError("a claim begins before it ends")
        if len(self.victims) > MAX_VICTIMS:
            raise ValueError(f"a claim has at most {MAX_VICTIMS} victims")
        if len({one.uid for one in self.victims}) < len(self.victims):
            raise ValueError("a victim is named once")

    @property
    def uids(self) -> frozenset[str]:
        """The victims' UIDs."""
        return frozenset(one.uid for one in self.victims)


def parse_claim(text: str) -> Claim:
    """Read the annotation ``status.k40s.io/preemption``. Raises ``InvalidAnnotationError``."""
    whole = read_json(text, source=PREEMPTION_KEY, error=InvalidAnnotationError)
    field = whole.fields(("v", "node", "at", "until", "victims"))
    field["v"].integer(_VERSION, _VERSION)
    at, until = read_time(field["at"]), read_time(field["until"])
    if until < at:
        raise field["until"].invalid("a time that is not before the field at")
    victims = tuple(map(_read_victim, field["victims"].items(at_most=MAX_VICTIMS)))
    if len({one.uid for one in victims}) < len(victims):
        raise field["victims"].invalid("each pod once")
    return Claim(node=read_name(field["node"]), at=at, until=until, victims=victims)


def format_claim(value: Claim) -> str:
    """Write the annotation; ``parse_claim`` gives back the same value, in microseconds."""
    return format_json(
        {
            "v": _VERSION,
            "node": value.node,
            "at": format_time(value.at),
            "until": format_time(value.until),
            "victims": [
                {"namespace": one.namespace, "name": one.name, "uid": one.uid}
                for one in value.victims
            ],
        }
    )


def _read_victim(item: Json) -> Victim:
    field = item.fields(("namespace", "name", "uid"))
    return Victim(
        namespace=read_name(field["namespace"]),
        name=read_name(field["name"]),
        uid=read_name(field["uid"]),
    )
