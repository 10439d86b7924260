"""Holds as the actuator keeps them: each value written, beside the one that was there. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from daemons.malacoda.actuator.protocol import Held, parse_off
from k40s.assurance.response.acts import Step
from k40s.errors import InvalidInputError
from k40s.node_agent.kubepods import pod_uid
from k40s.strict_json import Json, format_json, read_json
from k40s.units import format_cpu_list

_MOST_WRITES = 2048
_MOST_HOLD = 1024 * 1024
_NAME = re.compile(r"[ -~]{1,400}", re.ASCII)
_VALUE = re.compile(r"[ -~]{1,400}", re.ASCII)
"""A cpuset of a large machine is long."""
_PATH = re.compile(
    r"(?:(?!\.\.?/)[^/\x00]{1,255}/){2,32}(?:cpu|cpuset|freezer|cgroup)\.[a-z._]{1,40}"
)
"""Of a file in a cgroup, below the directory of all hierarchies; no part is ``.`` or ``..``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One value. ``path`` is relative to /sys/fs/cgroup, ``before`` what is restored."""

    path: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodHold:
    """All that may be in force on a pod: its steps in their order, with their writes in order.

    ``quota`` is the CPUs that a throttled pod keeps, ``off`` those that a moved one was moved off.
    """

    uid: str
    pod: str
    steps: tuple[tuple[Step, tuple[Write, ...]], ...] = ()
    quota: Fraction | None = None
    off: tuple[int, ...] = ()

    @property
    def held(self) -> Held:
        """What the monitor is told."""
        return Held(uid=self.uid, pod=self.pod, steps=tuple(step for step, _ in self.steps))

    def writes(self, step: Step) -> tuple[Write, ...] | None:
        """The writes of a step; None where it is not in force."""
        return next((writes for taken, writes in self.steps if taken is step), None)

    def with_writes(self, step: Step, writes: tuple[Write, ...]) -> "PodHold":
        """The hold with this step in force by these writes."""
        if self.writes(step) is None:
            return replace(self, steps=(*self.steps, (step, writes)))
        steps = tuple((kept, writes if kept is step else old) for kept, old in self.steps)
        return replace(self, steps=steps)

    def without(self, step: Step) -> "PodHold":
        """The hold after that step was undone."""
        return replace(self, steps=tuple(entry for entry in self.steps if entry[0] is not step))


def merge(old: Sequence[Write], new: Iterable[Write]) -> tuple[Write, ...]:
    """The writes of a step whose values somebody else has changed.

    A value that was overwritten is restored to what it was overwritten with; one that is our own
    still, to what stood there first. A cgroup that is new comes first: writes are undone from the
    last to the first, and a child after its parent.
    """
    later = {write.path: write for write in new}
    known = {write.path for write in old}
    added = [write for path, write in later.items() if path not in known]
    return (*added, *(_follow(write, later.get(write.path, write)) for write in old))


def _follow(old: Write, new: Write) -> Write:
    return replace(new, before=old.before) if new.before == old.after else new


def format_hold(hold: PodHold) -> str:
    """One line of JSON for the disk."""
    return format_json(
        {
            "uid": hold.uid,
            "pod": hold.pod,
            "quota": None if hold.quota is None else str(hold.quota),
            **({"off": format_cpu_list(hold.off)} if hold.off else {}),
            "steps": [
                {
                    "step": step.value,
                    "writes": [[write.path, write.before, write.after] for write in writes],
                }
                for step, writes in hold.steps
            ],
        }
    )


def parse_hold(text: str, *, source: str) -> PodHold:
    """Read what ``format_hold`` wrote. Raises ``InvalidInputError`` with the place."""
    whole = read_json(text, source=source, error=InvalidInputError, at_most=_MOST_HOLD)
    fields = whole.fields(("uid", "pod", "quota", "steps"), ("off",))
    quota = fields["quota"]
    uid = fields["uid"].text(_NAME, "a pod's UID")
    return PodHold(
        uid=uid,
        pod=fields["pod"].text(_NAME, "a pod's namespace and name"),
        quota=None if quota.value is None else quota.fraction(),
        off=parse_off(fields["off"]) if "off" in fields else (),
        steps=tuple(_parse_step(item, uid) for item in fields["steps"].items(at_most=len(Step))),
    )


def _parse_step(item: Json, uid: str) -> tuple[Step, tuple[Write, ...]]:
    fields = item.fields(("step", "writes"))
    writes = tuple(
        _parse_write(write, uid) for write in fields["writes"].items(at_most=_MOST_WRITES)
    )
    return fields["step"].member_of(Step), writes


def _parse_write(item: Json, uid: str) -> Write:
    path, before, after = item.items(at_least=3, at_most=3)
    name = path.text(_PATH, "a cgroup's file, below the directory of all hierarchies")
    if uid not in map(pod_uid, name.split("/")):
        raise path.invalid(f"a file of a cgroup of pod {uid}")
    return Write(
        path=name,
        before=before.text(_VALUE, "a value"),
        after=after.text(_VALUE, "a value"),
    )
