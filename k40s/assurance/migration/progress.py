"""The next step of a move that has begun: wait, evict the old pod, or give it back."""

from collections.abc import Iterable
from enum import StrEnum

from k40s.assurance.migration.policy import MigrationPolicy
from k40s.assurance.migration.record import PastMove, Phase, Release


class Step(StrEnum):
    """What to do with a released pod."""

    WAIT = "wait"
    EVICT = "evict"
    GIVE_BACK = "give-back"


def is_replaced(release: Release, *, ready: int, desired: int) -> bool:
    """Whether as many pods are ready as before the move, or as are wanted by now.

    ``ready`` counts those of the ReplicaSet without the released one, ``desired`` its replicas.
    """
    return ready >= min(release.wanted, desired)


def find_step(
    release: Release,
    *,
    wanted: bool,
    replaced_for: int | None,
    settle: int,
    policy: MigrationPolicy,
    now: int,
) -> Step:
    """The next step.

    A pod that has ended, or whose ReplicaSet is gone, is not ``wanted``. ``replaced_for`` is how
    long it has been replaced without a break, None if it is not; after ``settle`` everybody who
    follows the endpoints of a Service knows the replacement.
    """
    if not wanted or (replaced_for is not None and replaced_for >= settle):
        return Step.EVICT
    if replaced_for is None and now - release.at >= policy.surge_timeout:
        return Step.GIVE_BACK
    return Step.WAIT


def busy_owners(releases: Iterable[Release], policy: MigrationPolicy, now: int) -> frozenset[str]:
    """Owners none of whose pods is released now.

    One of theirs is released, or was given back lately: their pods start nowhere else, as it
    seems, and their ReplicaSet may have yet to take it back, so that it lacks a ready pod.
    """
    return frozenset(
        one.owner
        for one in releases
        if one.phase is Phase.RELEASED or now - one.at < policy.pod_cooldown
    )


def is_in_progress(release: Release, policy: MigrationPolicy, now: int) -> bool:
    """Whether no other move may begin yet; a pod that cannot be evicted does not block for ever."""
    return release.phase is Phase.RELEASED and now - release.at < policy.surge_timeout


def is_settling(last: PastMove, *, settled: bool, policy: MigrationPolicy, now: int) -> bool:
    """Whether the owner of the last move has yet to get its pods ready: no other one begins.

    ``settled``: all are ready, and none is ending. An evicted pod leaves no trace but the history;
    an owner that never gets there blocks the others for as long as a surge may take.
    """
    return not settled and now - last.at < policy.surge_timeout
