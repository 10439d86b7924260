"""Runs in a guest: a core as the partition of one pod at a time, by the back end itself.

Prints one JSON object a line: the fact's name, and its value.
"""

import os

from tests.guest.deadline_pods import (
    CORE,
    PODS,
    Viewed,
    enforce,
    held,
    is_deadline,
    make_pod,
    process,
    refusal,
    remove_pod,
    share,
    start,
    tell,
    uid,
)


def exclusive_partitions() -> None:
    """Core 1 belongs to one pod at a time."""
    first, second = make_pod(1), make_pod(2)
    partition = first.parent / "cpuset.cpus.partition"
    support, back_end = start({CORE})
    tell("offer", [support.offer.domain, float(support.offer.capacity), list(support.warnings)])  # type: ignore[union-attr]  # checked
    wanted, other = held(1, 30, 100), held(2, 10, 100)
    back_end.know([wanted])
    tell("claim", refusal(lambda: back_end.claim([wanted])))
    back_end.provide(wanted, grow=True)
    tell("partition", partition.read_text().strip())
    with process(first, spins=True) as pid:
        tell("enforced", enforce(back_end, pid, wanted, first))
        tell("policy", is_deadline(pid))
        tell("cpus", sorted(os.sched_getaffinity(pid)))
        tell("share", round(share(pid, 3, expected=0.30), 3))
        back_end.know([wanted, other])
        tell("second-claim", refusal(lambda: back_end.claim([other])))
        tell("second-provide", refusal(lambda: back_end.provide(other, grow=True)))
        _, again = start({CORE})
        again.know([wanted])
        tell("known-again", again.members(wanted) == (pid,))
        tell("released", again.release(uid(1)))
        tell("policy-after", is_deadline(pid))
        tell("cpus-after", sorted(os.sched_getaffinity(pid)))
    tell("partition-after", partition.read_text().strip())
    tell("left", (PODS / "cpuset.cpus.exclusive").read_text().strip())
    again.know([other])
    tell("then-second", refusal(lambda: again.claim([other])))
    again.provide(other, grow=True)
    tell("second-partition", (second.parent / "cpuset.cpus.partition").read_text().strip())
    pod_that_goes(again)
    remove_pod(1)


def pod_that_goes(back_end: Viewed) -> None:
    """Deleted with its partition, and released later; another that the book lost is swept."""
    remove_pod(2)
    tell("gone-released", back_end.release(uid(2)))
    tell("gone-left", (PODS / "cpuset.cpus.exclusive").read_text().strip())
    lost = make_pod(3)
    back_end.know([held(3, 10, 100)])
    back_end.provide(held(3, 10, 100), grow=True)
    back_end.know([])
    tell("swept", [[stray.what, stray.idle] for stray in back_end.sweep()])
    tell("swept-partition", (lost.parent / "cpuset.cpus.partition").read_text().strip())
    remove_pod(3)


if __name__ == "__main__":
    exclusive_partitions()
