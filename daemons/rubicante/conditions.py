"""What is wrong with the enforcement of a reservation, from a closed set of codes."""

from dataclasses import dataclass
from enum import StrEnum

from daemons.rubicante.container import SETTLED_AFTER
from daemons.rubicante.entry import Phase
from daemons.rubicante.followed import Followed
from daemons.rubicante.kernel.mechanism import Held


class Trouble(StrEnum):
    """Codes: never changed or reused."""

    THREAD_MISSING = "thread-missing"
    """The container runs, and a task has no thread of its name for ten seconds."""
    CONTAINER_UNKNOWN = "container-unknown"
    """The pod's cgroup is there, but not which of its containers this one is."""
    CORE_CHANGING = "core-changing"
    """The thread is there and waits for neighbours' servers to grow, for ten seconds."""
    REFUSED_BY_KERNEL = "refused-by-kernel"
    """The kernel refused a step; it is tried again each second."""
    NOT_RELEASED = "not-released"
    """The pod is gone and the kernel still holds its bandwidth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One trouble of one reservation.

    ``tasks`` are the tasks concerned, ``detail`` is text for people, ``since`` the moment on the
    enforcer's clock (seconds) from which it counts.
    """

    pod_uid: str
    container: str
    tasks: tuple[str, ...]
    trouble: Trouble
    detail: str
    since: float


def judge(phase: Phase, held: Held, followed: Followed, now: float) -> Condition | None:
    """What is wrong with one reservation at ``now``, if anything is for long enough to say so."""
    part = followed.part(held.name)

    def condition(
        trouble: Trouble, since: float, detail: str = "", tasks: tuple[str, ...] = ()
    ) -> Condition:
        return Condition(
            pod_uid=held.name.pod_uid,
            container=held.reservation.container,
            tasks=tasks or tuple(task.name for task in held.reservation.tasks),
            trouble=trouble,
            detail=detail,
            since=since,
        )

    if phase is Phase.RELEASING:
        failed = followed.failure
        return condition(Trouble.NOT_RELEASED, followed.failed, failed) if failed else None
    if part.failure:
        return condition(Trouble.REFUSED_BY_KERNEL, part.failed, part.failure)
    if followed.seen is None or now - followed.seen < SETTLED_AFTER:
        return None
    if not part.found:
        return condition(Trouble.CONTAINER_UNKNOWN, followed.seen)
    if part.missing:
        return condition(Trouble.THREAD_MISSING, followed.seen, tasks=part.missing)
    waiting = tuple(t.name for t in held.reservation.tasks if t.name not in part.threads)
    return condition(Trouble.CORE_CHANGING, followed.seen, tasks=waiting) if waiting else None
