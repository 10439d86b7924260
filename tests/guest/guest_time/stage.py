"""Plays scenes in a guest, each under the verdict of rubicante's admission on this very kernel.

Prints one JSON object a line. The guest has one CPU, whose instructions are its clock.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from daemons.rubicante.kernel.sched_attr import LinuxAttributes, deadline_attr
from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.mechanisms.deadline.offer import DeadlineAccess
from daemons.rubicante.mechanisms.node import Mechanisms
from daemons.rubicante.mechanisms.timer.probes import LINUX_PROGRAMS
from daemons.rubicante.settings import Settings
from k40s.cpu.admission.admit import admit
from k40s.cpu.model import ContainerDemand, CpuNode, PodDemand, Server, Task
from k40s.cpu.outcome import Rejection
from k40s.criticality import Criticality
from k40s.units import NS_PER_US, Nanoseconds
from tests.guest.guest_time.programs import PHASES, Child, Cost, calibrate, loop, rogue
from tests.guest.guest_time.scenes import LEAST_OVERHEAD_US, Contract, Rogue, Scene, Setting

SCHED = Path("/sys/kernel/debug/sched")
REALTIME = Path("/sys/kernel/realtime")
ATTRIBUTES = LinuxAttributes()
LOOP_POD, ROGUE_POD = 1, 2
_SETTLE_SECONDS = 3.0
"""After the boot; then measuring may begin."""
_FORGET_SECONDS = 0.2
"""Until the kernel has given back the bandwidth of threads that are gone: a period."""
_STEP_US = 10


def tell(fact: str, value: object) -> None:
    sys.stdout.write(json.dumps({"fact": f"time-{fact}", "value": value}) + "\n")
    sys.stdout.flush()


def settings(wanted: Sequence[Setting]) -> Iterator[Setting]:
    """Put in force one after the other, as far as this kernel has the models.

    A kernel with PREEMPT_RT has one of its own.
    """
    file = SCHED / "preempt"
    if REALTIME.exists():
        wanted = [Setting(model="rt", timer=timer) for timer in (False, True)]
    for setting in wanted:
        if setting.model != "rt":
            file.write_text(setting.model)
        (SCHED / "features").write_text("HRTICK_DL" if setting.timer else "NO_HRTICK_DL")
        yield setting


def find_node() -> CpuNode:
    """As rubicante finds it at its start."""
    found = Mechanisms(
        Settings(
            node_name="guest",
            pod_ip="127.0.0.1",
            cpus=(0,),
            store=Path("/run/rubicante.sqlite"),
        ),
        system=LinuxSystem(),
        access=DeadlineAccess(attributes=ATTRIBUTES, programs=LINUX_PROGRAMS),
        held=(),
        stop=threading.Event(),
    )
    try:
        return found.node()
    finally:
        found.close()


def demand(pod: int, contract: Contract) -> PodDemand:
    period = Nanoseconds(contract.period_us * NS_PER_US)
    wcet = Nanoseconds(contract.wcet_us * NS_PER_US)
    task = Task(name="ctl", wcet=wcet, period=period, deadline=period)
    return PodDemand(
        pod_uid=f"00000000-0000-4000-8000-{pod:012d}",
        criticality=Criticality.HI,
        containers=(ContainerDemand(container="main", tasks=(task,)),),
    )


def ask(node: CpuNode, contracts: Mapping[int, Contract]) -> CpuNode | str:
    """The node with both pods, the rogue's first; or why one of them is refused."""
    for pod, contract in contracts.items():
        outcome = admit(node, demand(pod, contract))
        if isinstance(outcome, Rejection):
            return str(outcome.reason)
        node = outcome.node
    return node


def fill(node: CpuNode, scene: Scene, others: Mapping[int, Contract]) -> Contract:
    """The loop with the largest WCET that is admitted; that of the scene where none is."""

    def with_wcet(steps: int) -> Contract:
        return Contract(wcet_us=steps * _STEP_US, period_us=scene.loop.period_us)

    fits, refused = 0, scene.loop.period_us // _STEP_US
    while refused - fits > 1:
        middle = (fits + refused) // 2
        if isinstance(ask(node, {**others, LOOP_POD: with_wcet(middle)}), str):
            refused = middle
        else:
            fits = middle
    return with_wcet(fits) if fits else scene.loop


def servers(node: CpuNode | str, contracts: Mapping[int, Contract]) -> dict[int, Server]:
    """What was granted, or what a kernel that is never late would get: C and the least overhead."""
    if isinstance(node, str):
        return {
            pod: Server(
                budget=Nanoseconds((one.wcet_us + LEAST_OVERHEAD_US) * NS_PER_US),
                period=Nanoseconds(one.period_us * NS_PER_US),
            )
            for pod, one in contracts.items()
        }
    return {
        pod: held.server
        for pod in contracts
        for held in node.reservations
        if held.pod_uid == demand(pod, contracts[pod]).pod_uid
    }


def play(scene: Scene, node: CpuNode, cost: Cost, jobs: int) -> dict[str, object]:
    """The verdict on a scene, and what became of it; admitted or not, it is played."""
    others = {} if scene.contract is None else {ROGUE_POD: scene.contract}
    own = fill(node, scene, others) if scene.fills else scene.loop
    contracts = {**others, LOOP_POD: own}
    verdict = ask(node, contracts)
    held = servers(verdict, contracts)
    period = own.period_us * NS_PER_US
    with ExitStack() as stack:
        steps = cost.steps(own.wcet_us * NS_PER_US)
        control = stack.enter_context(Child(partial(loop, steps=steps, period=period, jobs=jobs)))
        children = {LOOP_POD: control}
        if scene.rogue is not Rogue.NOBODY:
            children[ROGUE_POD] = stack.enter_context(Child(partial(rogue, kind=scene.rogue)))
        for pod, server in held.items():
            ATTRIBUTES.set(children[pod].pid, deadline_attr(server, server.period))
        for child in reversed(children.values()):
            child.go()
        figures = control.figures()
    time.sleep(_FORGET_SECONDS)
    return {
        "reason": verdict if isinstance(verdict, str) else "",
        "wcet": own.wcet_us * NS_PER_US,
        "budget": held[LOOP_POD].budget,
        **figures,
    }


def run(scenes: Sequence[Scene], wanted: Sequence[Setting], *, guest_ms: int) -> None:
    """All scenes in all settings; the jobs of each take so long in the guest."""
    time.sleep(_SETTLE_SECONDS)
    cost = calibrate()
    tell("cost", [cost.step, cost.job])
    for setting in settings(wanted):
        node = find_node()
        where = {"model": setting.model, "timer": setting.timer}
        offer = None if node.deadline is None else str(node.deadline)
        tell("offer", {**where, "offer": offer, "release": os.uname().release})
        for scene in scenes:
            jobs = guest_ms * 1000 // scene.loop.period_us // PHASES
            tell("scene", {**where, "name": scene.name, **play(scene, node, cost, jobs)})
