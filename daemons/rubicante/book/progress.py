"""An exchange of servers under way: where it stands, and its text for the store.

The plan is ``k40s.cpu.admission.exchange``; here is which of its steps is done. Every change is one
value after another, and the book writes each with the entries that it concerns in one transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from k40s.cpu.admission.exchange import Exchange, Step, without_pod
from k40s.cpu.model import Reservation
from k40s.errors import InvalidInputError, UnavailableError
from k40s.node_api.allocation import format_allocation, parse_allocation
from k40s.node_api.messages import MAX_BODY
from k40s.strict_json import Json, format_json, read_json

_KEY = "exchange/"
_MAX_TEXT = 64 * MAX_BODY
_MOST = 200
"""Reservations of one core, and steps: more than any core has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """``done`` steps of the exchange have ended; the next one has begun where it ``overlaps``.

    The pod that room is made for may be gone, ``withdrawn``: the step that has begun is completed,
    and no other begins.
    """

    exchange: Exchange
    done: int = 0
    overlaps: bool = False
    withdrawn: bool = False

    def __post_init__(self) -> None:
        steps = len(self.exchange.steps)
        if not 0 <= self.done <= steps or (self.overlaps and self.done == steps):
            raise ValueError(f"step {self.done} of {steps}")
        if self.withdrawn and not self.overlaps:
            raise ValueError("a withdrawn exchange has a step to complete")

    @property
    def core(self) -> int:
        """The core that changes."""
        return self.exchange.core

    @property
    def newcomer(self) -> str | None:
        """The UID of the pod that room is made for; None when it is gone."""
        return None if self.withdrawn else self.exchange.pod_uid

    @property
    def step(self) -> Step | None:
        """The step that is next, or has begun; None when the newcomer's arrival is."""
        steps = self.exchange.steps
        return steps[self.done] if self.done < len(steps) else None

    @property
    def second(self) -> Reservation | None:
        """The second group of a reservation that has two."""
        return self.step.after if self.overlaps and self.step is not None else None

    def begun(self) -> "Progress":
        """The next step has begun."""
        return replace(self, overlaps=True)

    def completed(self) -> "Progress | None":
        """The step has ended; None when nothing is left to do."""
        if self.withdrawn:
            return None
        return replace(self, done=self.done + 1, overlaps=False)

    def without_pod(self, pod_uid: str) -> "Progress | None":
        """What is left after a pod's departure; None for nothing."""
        step = self.step
        concerned = {one.before.pod_uid for one in self.exchange.steps[self.done :]}
        if pod_uid not in concerned and pod_uid != self.newcomer:
            return self
        overlaps = self.overlaps and step is not None and step.before.pod_uid != pod_uid
        if pod_uid == self.newcomer or self.withdrawn:
            return replace(self, withdrawn=True) if overlaps else None
        left = without_pod(self.exchange, pod_uid, done=self.done)
        if left is None:
            return replace(self, done=len(self.exchange.steps), overlaps=False)
        return Progress(exchange=left, overlaps=overlaps)


def format_progress(progress: Mapping[int, Progress | None]) -> dict[str, str | None]:
    """By core → what the store is to hold; None removes it."""
    return {
        f"{_KEY}{core}": None if one is None else _format(one) for core, one in progress.items()
    }


def parse_progress(stored: Mapping[str, str]) -> dict[int, Progress]:
    """All exchanges in the store, by core. Raises ``UnavailableError`` for a damaged one."""
    found = {}
    for key in stored:
        if key.startswith(_KEY):
            progress = _parse(stored[key])
            if key != f"{_KEY}{progress.core}":
                raise UnavailableError(f"the store is damaged: {key!r} is of {progress.core}")
            found[progress.core] = progress
    return found


def _format(progress: Progress) -> str:
    exchange = progress.exchange
    return format_json(
        {
            "core": exchange.core,
            "done": progress.done,
            "overlaps": progress.overlaps,
            "withdrawn": progress.withdrawn,
            "granted": _rows(exchange.granted),
            "others": _rows(exchange.others),
            "steps": [
                {
                    "before": _rows((step.before,)),
                    "after": _rows((step.after,)),
                    "others": _rows(step.others),
                }
                for step in exchange.steps
            ],
        }
    )


def _parse(text: str) -> Progress:
    try:
        whole = read_json(text, source="store", error=InvalidInputError, at_most=_MAX_TEXT)
        field = whole.fields(
            ("core", "done", "overlaps", "withdrawn", "granted", "others", "steps")
        )
        exchange = Exchange(
            core=field["core"].integer(0, 2**20),
            steps=tuple(_read_step(step) for step in field["steps"].items(at_most=_MOST)),
            granted=_reservations(field["granted"]),
            others=_reservations(field["others"]),
        )
        return Progress(
            exchange=exchange,
            done=field["done"].integer(0, _MOST),
            overlaps=field["overlaps"].boolean(),
            withdrawn=field["withdrawn"].boolean(),
        )
    except (InvalidInputError, ValueError) as error:
        raise UnavailableError(f"the store's exchange is damaged: {error}") from error


def _read_step(place: Json) -> Step:
    field = place.fields(("before", "after", "others"))
    (before,), (after,) = _reservations(field["before"]), _reservations(field["after"])
    return Step(before=before, after=after, others=_reservations(field["others"]))


def _rows(held: Sequence[Reservation]) -> list[list[str]]:
    """Each with its pod, because an allocation is of one pod."""
    return [[one.pod_uid, format_allocation((one,))] for one in held]


def _reservations(place: Json) -> tuple[Reservation, ...]:
    return tuple(_reservation(row) for row in place.items(at_most=_MOST))


def _reservation(row: Json) -> Reservation:
    uid, text = row.items(at_least=2, at_most=2)
    (held,) = parse_allocation(str(text.value), pod_uid=str(uid.value))
    return held
