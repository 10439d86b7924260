"""Requests to the actuator and its answers: one JSON object a line. Pure."""

import re
from dataclasses import dataclass
from enum import StrEnum, unique
from fractions import Fraction

from k40s.assurance.response.acts import Step
from k40s.assurance.response.policy import LEAST_QUOTA, MOST_QUOTA
from k40s.errors import InvalidInputError
from k40s.strict_json import Json, format_json, read_json
from k40s.units import format_cpu_list, parse_cpu_list

MOST_REQUEST = 1024
"""Bytes of a request's line."""
MOST_ANSWER = 64 * 1024
"""Bytes of an answer's line."""
_MOST_HELD = 64
_MOST_COUNT = 10**15

_UID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_POD = re.compile(r"[a-z0-9.-]{1,63}/[a-z0-9.-]{1,253}", re.ASCII)
_CPUS = re.compile(r"[0-9,-]{1,400}", re.ASCII)
_TEXT = re.compile(r"[^\x00-\x1f\x7f]{0,400}")


@unique
class Verb(StrEnum):
    """What may be asked for."""

    THROTTLE = "throttle"
    UNTHROTTLE = "unthrottle"
    FREEZE = "freeze"
    THAW = "thaw"
    MOVE = "move"
    MOVE_BACK = "move-back"
    KILL = "kill"
    """SIGKILL for all of the pod's processes; there is nothing to undo."""
    KEEP = "keep"
    """No act: the monitor lives, and judges."""

    @property
    def step(self) -> Step | None:
        """The step that it takes or undoes; None for ``KEEP``."""
        return _STEPS.get(self)

    @property
    def undoes(self) -> bool:
        """Whether it gives a pod back what an act has taken."""
        return self in {Verb.UNTHROTTLE, Verb.THAW, Verb.MOVE_BACK}


_STEPS = {
    Verb.THROTTLE: Step.QUOTA,
    Verb.UNTHROTTLE: Step.QUOTA,
    Verb.FREEZE: Step.FREEZE,
    Verb.THAW: Step.FREEZE,
    Verb.MOVE: Step.MOVE,
    Verb.MOVE_BACK: Step.MOVE,
    Verb.KILL: Step.KILL,
}


@unique
class Result(StrEnum):
    """What became of a request."""

    DONE = "done"
    DRY_RUN = "dry-run"
    """Done, but nothing was written."""
    REFUSED = "refused"
    """A limit or a rule of the actuator's own; ``reason`` says which."""
    FAILED = "failed"
    """The kernel or the disk refused; nothing of the act is left, or ``held`` has it still."""


@unique
class Refusal(StrEnum):
    """Why the actuator refuses. ``transient`` ones may be asked again later."""

    INVALID = "invalid"
    """The request cannot be understood."""
    NOT_ALLOWED = "not-allowed"
    """K40S_CULPRIT does not allow this act."""
    OWN_POD = "own-pod"
    """The pod is the actuator's own."""
    UNKNOWN_POD = "unknown-pod"
    """No cgroup of this node bears this UID."""
    AMBIGUOUS = "ambiguous"
    """Several cgroups bear this UID."""
    GUARANTEED = "guaranteed"
    """The pod is of QoS class Guaranteed: its CPU time was promised to it."""
    REAL_TIME = "real-time"
    """The pod has real-time tasks, or it is not known which pods have: to these nothing is done but
    a quota."""
    NO_CONTROLLER = "no-controller"
    """The pod's cgroup has no quota, no cpuset, no freezer, or no cgroup.kill (as with v1)."""
    NO_OTHER_CPU = "no-other-cpu"
    """The pod, or one of its containers, may run on no other CPU."""
    AWAY = "away"
    """The pod runs on none of these CPUs."""
    NOT_HELD = "not-held"
    """A pod is killed only after it was throttled, and while it is."""
    KILLS = "kills"
    """As many pods were killed in the last hour as may be."""
    ALREADY_LOWER = "already-lower"
    """The pod's own quota is as low already."""
    ALREADY_FROZEN = "already-frozen"
    """Somebody else has frozen the pod."""
    TOO_MANY_CGROUPS = "too-many-cgroups"
    """The pod has more cgroups than are looked through."""
    HOLDS = "holds"
    """As many pods are held as may be at once."""
    ACTS = "acts"
    """As many acts were carried out in the last hour as may be."""
    COOLDOWN = "cooldown"
    """The last act was too short a time ago."""

    @property
    def transient(self) -> bool:
        """Whether the same request may be granted later, for the same pod."""
        return self in {Refusal.HOLDS, Refusal.ACTS, Refusal.COOLDOWN, Refusal.KILLS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One line from the monitor. ``pod`` is its namespace and name, for the log alone.

    ``quota`` is in CPUs, for ``THROTTLE`` alone; ``off`` are the CPUs that a pod is moved off, for
    ``MOVE`` alone.
    """

    verb: Verb
    uid: str = ""
    pod: str = ""
    quota: Fraction | None = None
    off: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A pod that is held, with the steps in force in their order."""

    uid: str
    pod: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to one request. ``held`` is whatever is in force after it.

    ``reason`` is a ``Refusal``, or empty; ``text`` says more, for people. ``overwritten`` counts
    values of held pods that somebody else had changed, since the actuator's start.
    """

    result: Result
    reason: str = ""
    text: str = ""
    held: tuple[Held, ...] = ()
    overwritten: int = 0


def format_request(request: Request) -> bytes:
    """One line."""
    fields: dict[str, object] = {"do": request.verb.value}
    if request.verb is not Verb.KEEP:
        fields |= {"uid": request.uid, "pod": request.pod}
    if request.quota is not None:
        fields["quota"] = str(request.quota)
    if request.off:
        fields["off"] = format_cpu_list(request.off)
    return _line(fields)


def parse_request(line: bytes) -> Request:
    """Read a request. Raises ``InvalidInputError`` with the place and what would be right."""
    whole = _read(line, source="request", at_most=MOST_REQUEST)
    verb = whole.fields(("do",), ("uid", "pod", "quota", "off"))["do"].member_of(Verb)
    if verb is Verb.KEEP:
        whole.fields(("do",))
        return Request(verb=verb)
    own = {Verb.THROTTLE: ("quota",), Verb.MOVE: ("off",)}.get(verb, ())
    fields = whole.fields(("do", "uid", "pod", *own))
    return Request(
        verb=verb,
        uid=fields["uid"].text(_UID, "a pod's UID in lower case, with dashes"),
        pod=fields["pod"].text(_POD, "a pod's namespace and name, such as default/web"),
        quota=_parse_quota(fields["quota"]) if verb is Verb.THROTTLE else None,
        off=parse_off(fields["off"]) if verb is Verb.MOVE else (),
    )


def format_answer(answer: Answer) -> bytes:
    """One line."""
    return _line(
        {
            "result": answer.result.value,
            "reason": answer.reason,
            "text": "".join(map(_printable, answer.text))[:400],
            "held": [
                {"uid": held.uid, "pod": held.pod, "steps": [step.value for step in held.steps]}
                for held in answer.held
            ],
            "overwritten": answer.overwritten,
        }
    )


def parse_answer(line: bytes) -> Answer:
    """Read an answer. Raises ``InvalidInputError``."""
    whole = _read(line, source="answer", at_most=MOST_ANSWER)
    fields = whole.fields(("result", "reason", "text", "held", "overwritten"))
    return Answer(
        result=fields["result"].member_of(Result),
        reason=fields["reason"].text(_TEXT, "a reason"),
        text=fields["text"].text(_TEXT, "a text"),
        held=tuple(_parse_held(item) for item in fields["held"].items(at_most=_MOST_HELD)),
        overwritten=fields["overwritten"].integer(0, _MOST_COUNT),
    )


def _parse_held(item: Json) -> Held:
    fields = item.fields(("uid", "pod", "steps"))
    steps = tuple(step.member_of(Step) for step in fields["steps"].items(at_most=len(Step)))
    if len(set(steps)) < len(steps) or not all(step.reversible for step in steps):
        raise fields["steps"].invalid("steps that can be undone, each once")
    return Held(
        uid=fields["uid"].text(_UID, "a pod's UID"),
        pod=fields["pod"].text(_POD, "a pod's namespace and name"),
        steps=steps,
    )


def parse_off(item: Json) -> tuple[int, ...]:
    """Read the CPUs that a pod is moved off, one at least. Raises ``InvalidInputError``."""
    text = item.text(_CPUS, "a list of CPUs such as 0,2-3")
    try:
        return parse_cpu_list(text)
    except ValueError:
        raise item.invalid("a list of CPUs such as 0,2-3") from None


def _parse_quota(item: Json) -> Fraction:
    quota = item.fraction()
    if not LEAST_QUOTA <= quota <= MOST_QUOTA:
        raise item.invalid(f"a quota of {LEAST_QUOTA} to {MOST_QUOTA} CPUs")
    return quota


def _read(line: bytes, *, source: str, at_most: int) -> Json:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        whole = Json(value=None, source=source, error=InvalidInputError)
        raise whole.invalid("UTF-8", found="bytes that are not UTF-8") from None
    return read_json(text, source=source, error=InvalidInputError, at_most=at_most)


def _line(fields: dict[str, object]) -> bytes:
    return format_json(fields).encode() + b"\n"


def _printable(character: str) -> str:
    return character if character.isprintable() else "?"
