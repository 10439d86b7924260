"""Runs in a guest: one root domain of all CPUs, for a node that cannot spare one.

Prints one JSON object a line: the fact's name, and its value.
"""

from contextlib import ExitStack

from k40s.cpu.model import ANY_CORE
from tests.guest.deadline_pods import (
    CORE,
    Viewed,
    enforce,
    held,
    make_pod,
    process,
    start,
    tell,
    uid,
    wait_until_forgotten,
)


def shared_domain() -> None:
    """Both CPUs, no partition: what a node offers that cannot spare a CPU."""
    container = make_pod(4)
    support, back_end = start({0, CORE})
    tell("shared-offer", [support.offer.domain, support.offer.cpus, list(support.warnings)])  # type: ignore[union-attr]  # checked
    wanted = held(4, 50, 100, core=ANY_CORE)
    back_end.know([wanted])
    for _ in range(4):
        with process(container, spins=False) as pid:
            answer = enforce(back_end, pid, wanted, container)
            released = back_end.release(uid(4))
            back_end.know([wanted])
        if answer or not released:
            break
    tell("shared-no-leak", [answer, released])
    with ExitStack() as undo:
        tell("shared-room", [full(back_end, n, undo) for n in (5, 6, 7)])
    wait_until_forgotten()
    back_end.close()


def full(back_end: Viewed, number: int, undo: ExitStack) -> str:
    """Nine tenths of a CPU more, for a sleeping thread that stays."""
    container = make_pod(number)
    pid = undo.enter_context(process(container, spins=False))
    wanted = held(number, 90, 100, core=ANY_CORE)
    back_end.know([wanted])
    return enforce(back_end, pid, wanted, container)


if __name__ == "__main__":
    shared_domain()
