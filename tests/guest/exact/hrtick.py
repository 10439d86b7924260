"""Runs in a guest with one CPU whose instructions are its clock: HRTICK_DL on Debian's kernel.

Prints one JSON object a line: the fact's name, and its value. Times are in microseconds, those
seen by the node's own measurement in ns.
"""

import json
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from daemons.rubicante.kernel.probes.hog import LinuxHog, Load
from daemons.rubicante.kernel.sched_attr import LinuxAttributes
from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.mechanisms.deadline.offer import DeadlineAccess
from daemons.rubicante.mechanisms.node import Mechanisms
from daemons.rubicante.mechanisms.paths import find_hrtick
from daemons.rubicante.mechanisms.timer.budget_timer import (
    AGAIN_SECONDS,
    TRUSTED_SECONDS,
    WATCH_SECONDS,
)
from daemons.rubicante.mechanisms.timer.overrun_probe import OverrunProbe
from daemons.rubicante.mechanisms.timer.probes import LINUX_PROGRAMS
from daemons.rubicante.settings import Settings
from k40s.units import NS_PER_US

DEBUG = Path("/sys/kernel/debug/sched")
MARK = Path("/sys/fs/cgroup/k40s-rt-hrtick")
CPU = frozenset({0})
SETTINGS = Settings(
    node_name="guest", pod_ip="10.0.0.1", cpus=(0,), hrtick=True, store=Path("book.sqlite")
)
SYSTEM = LinuxSystem()


def tell(fact: str, value: object) -> None:
    print(json.dumps({"fact": fact, "value": value}), flush=True)


def is_on() -> bool:
    return "HRTICK_DL" in (DEBUG / "features").read_text().split()


def start() -> Mechanisms:
    """What a rubicante finds and does at its start."""
    return Mechanisms(
        SETTINGS,
        system=SYSTEM,
        access=DeadlineAccess(attributes=LinuxAttributes(), programs=LINUX_PROGRAMS),
        held=(),
        stop=threading.Event(),
    )


def overrun(node: Mechanisms) -> int | None:
    offer = node.capability.deadline
    return None if offer is None else offer.tick // NS_PER_US


def look(node: Mechanisms, seconds: float) -> list[object]:
    """What the daemon's loop finds after some seconds: δ, and whether the feature is on."""
    time.sleep(seconds)
    if node.is_due():
        node.look(())
    return [overrun(node), is_on()]


def measured() -> dict[str, int]:
    """The largest overruns as the kernel is now."""
    probe = OverrunProbe(
        attributes=LinuxAttributes(),
        start_hog=LinuxHog,
        stolen=lambda _cores: 0,
        wait=time.sleep,
        clock=time.monotonic,
        samples=20,
    )
    found = probe.measure(CPU, lambda: True)
    return {load.value: sorted(found[load])[-2] // NS_PER_US for load in Load}


def of_a_life() -> None:
    tell("before", [is_on(), MARK.exists()])
    node = start()
    timer = node.timer()
    assert timer is not None
    tell("on", [is_on(), MARK.exists(), timer.by_k40s])
    tell("offer", [timer.model, overrun(node), timer.delay // NS_PER_US])
    seen = timer.measured
    tell("seen", [seen.user, seen.calls, seen.by_calls])
    tell("warnings", list(node.capability.warnings))
    node.end(())
    node.close()
    tell("ended", [is_on(), MARK.exists()])


def of_models() -> None:
    """δ by the model that the kernel is told to have."""
    found = {}
    for model in ("voluntary", "full", "none"):
        with suppress(OSError):
            SYSTEM.write(DEBUG / "preempt", model)
            node = start()
            found[model] = [overrun(node), node.capability.deadline.delay // NS_PER_US]  # type: ignore[union-attr]  # offered
            node.end(())
            node.close()
    tell("models", found)
    SYSTEM.write(DEBUG / "preempt", "full")


def of_a_kill() -> None:
    """A process that dies with the feature on, and giving back."""
    if (child := os.fork()) == 0:
        start()
        os._exit(0)
    os.waitpid(child, 0)
    tell("killed", [is_on(), MARK.exists()])
    tell("given-back", [find_hrtick(SETTINGS, SYSTEM).put_back(), is_on(), MARK.exists()])


def of_a_loss() -> None:
    node = start()
    tell("counted", [overrun(node), node.timer().delay // NS_PER_US])  # type: ignore[union-attr]  # used
    time.sleep(AGAIN_SECONDS)
    SYSTEM.write(DEBUG / "features", "NO_HRTICK_DL")
    tell("lost", look(node, WATCH_SECONDS))
    tell("trusted", look(node, TRUSTED_SECONDS + WATCH_SECONDS))
    node.end(())
    node.close()


def main() -> None:
    tell("late-by-ticks", measured())
    of_a_life()
    of_models()
    of_a_kill()
    of_a_loss()
    SYSTEM.write(DEBUG / "features", "HRTICK_DL")
    tell("late-by-timer", measured())
    somebody = start()
    somebody.end(())
    tell("somebody-elses", [is_on(), MARK.exists()])


if __name__ == "__main__":
    main()
