"""SCHED_DEADLINE reservations: their interference on a core, and their schedulability.

Linux serves reservations by a constant bandwidth server (Abeni & Buttazzo, RTSS 1998) under EDF.
Two things make it differ from sporadic tasks (docs/theory.md, "Admission with several mechanisms"):

- A thread that suspends and wakes keeps its deadline as long as what is left of its budget fits
  its bandwidth until then, and otherwise gets a fresh one. So a thread that breaks its contract
  demands up to U·t in any interval t, and not only whole budgets.
- Budgets are checked at ticks and when a thread is descheduled. An overrun is debt, but a later
  deadline pays it, and what is left of a budget runs at once: in any window up to two ticks.

Integers in microseconds.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import ceil

from k40s.cpu.analysis.edf import demand_bound, gfb_holds, last_deadline_before, utilization
from k40s.cpu.analysis.response_time import Interference, ServerParameters, TaskParameters
from k40s.cpu.bandwidth import SCALE_BITS, fits_capacity, share_below
from k40s.cpu.linux import quantize_server, quantize_task
from k40s.cpu.model import DeadlineOffer, Domain, Reservation, Task
from k40s.units import NS_PER_US

ENDLESS = 1 << 60
MAX_STEPS = 2_000
"""Intervals examined; a set that needs more is refused, so that none can occupy a daemon."""


def interference(reservations: Sequence[ServerParameters], tick: int, penalty: int) -> Interference:
    """Worst interference of SCHED_DEADLINE (Q, P) on servers below, whatever the threads do.

    In a window w that is 2Q + (w − 2Q)·Q/P and two overruns of a ``tick``; a jitter of 2(P − Q)
    covers the former. ``penalty`` is what the tests of servers add for each element by themselves;
    what it does not cover is a further element that interferes once.
    """
    if not reservations:
        return ()
    found = tuple((budget, period, 2 * (period - budget)) for budget, period in reservations)
    uncovered = len(found) * (2 * tick - penalty)
    return (*found, (max(0, uncovered - penalty), ENDLESS, 0)) if uncovered > 0 else found


def domain_holds(reservations: Sequence[Reservation], offer: DeadlineOffer) -> bool:
    """Whether reservations that share a root domain all meet their deadlines."""
    tasks = [quantize_reservation(held) for held in reservations]
    pods = [held.pod_uid for held in reservations]
    if not fits_capacity([(c, t) for c, t, _ in tasks], offer.capacity * offer.cpus):
        return False
    if offer.domain is Domain.EXCLUSIVE and len(set(pods)) > 1:
        return False
    return next(late_pods(reservations, offer), None) is None


def late_pods(reservations: Sequence[Reservation], offer: DeadlineOffer) -> Iterator[str]:
    """Pods with threads in one root domain that may miss their deadlines.

    Threads of one pod trust each other to keep their contracts, and nobody else.
    """
    tick = -(-offer.tick // NS_PER_US)
    tasks = [quantize_reservation(held) for held in reservations]
    pods = [held.pod_uid for held in reservations]
    if offer.domain is Domain.SHARED:
        yield from _late_migrating(tasks, pods, offer, tick)
        return
    for pod in dict.fromkeys(pods):
        own = [task for task, owner in zip(tasks, pods, strict=True) if owner == pod]
        others = [task for task, owner in zip(tasks, pods, strict=True) if owner != pod]
        if not deadlines_hold(own, others, tick):
            yield pod


def quantize_deadline_task(task: Task, offer: DeadlineOffer) -> TaskParameters:
    """(Q, P, D) of the reservation that a task needs: its WCET with overheads, and the delay.

    The kernel charges a thread from its wake-up on, also while another one has yet to leave a
    system call. Without that in its budget it is throttled before its job is done.
    """
    wcet, _period, deadline = quantize_task(task)
    return wcet - (-offer.delay // NS_PER_US), deadline, deadline


def quantize_reservation(held: Reservation) -> TaskParameters:
    """(Q, P, D)."""
    budget, period = quantize_server(held.server)
    return budget, period, held.tasks[0].deadline // NS_PER_US


def deadlines_hold(
    own: Sequence[TaskParameters], others: Sequence[TaskParameters], tick: int
) -> bool:
    """Whether ``own`` threads meet their deadlines under EDF on one core, whatever others do.

    Processor demand (Baruah, Mok & Rosier, RTSS 1990) at all deadlines from the first of ``own``
    on, visited downwards as in QPA (Zhang & Burns, IEEE TC 2009): those of ``others`` as well,
    because before them their demand may grow faster than time. Sufficient; exact for ``own``
    alone, except that a full core (U = 1) counts as too much.
    """
    if any(wcet > deadline for wcet, _period, deadline in (*own, *others)):
        return False
    tasks = (*own, *others)
    blocking = tick * len(others)
    horizon = _horizon(tasks, blocking + len(others))
    if horizon is None:
        return False
    first = min((deadline for _wcet, _period, deadline in own), default=ENDLESS)
    interval = last_deadline_before(tasks, horizon)
    for _ in range(MAX_STEPS):
        if interval is None or interval < first:
            return True
        demand = blocking + demand_bound(own, interval) + _any_part(others, interval)
        if demand > interval:
            return False
        interval = last_deadline_before(tasks, demand)
    return False


def _horizon(tasks: Sequence[TaskParameters], blocking: int) -> int | None:
    """From this interval on, demand is less than time (for D ≤ T); None where U ≥ 1.

    By integers, and later than by fractions: by little, unless U is nearly 1. A later one changes
    no verdict but by MAX_STEPS, towards a refusal.
    """
    left = (1 << SCALE_BITS) - sum(share_below(c, t) + 1 for c, t, _d in tasks)
    if left > 0:
        beyond = blocking + sum(-(-c * (t - d) // t) for c, t, d in tasks)
        return -(-(beyond << SCALE_BITS) // left) + 1
    load = utilization(tasks)
    if load >= 1:
        return None
    return ceil(sum((Fraction(c * (t - d), t) for c, t, d in tasks), blocking) / (1 - load)) + 1


def _any_part(tasks: Sequence[TaskParameters], interval: int) -> int:
    """Demand of threads that may wake with any part of their budget left and time to match."""
    demand = 0
    for budget, period, deadline in tasks:
        periods, rest = divmod(interval, period)
        demand += periods * budget + min(budget, -(-rest * budget // deadline))
    return demand


def _late_migrating(
    tasks: Sequence[TaskParameters], pods: Sequence[str], offer: DeadlineOffer, tick: int
) -> Iterator[str]:
    """The pods of tasks that fail GFB (``analysis.edf.gfb_holds``), each in turn.

    The task counts with its WCET and all overruns that other pods may be in debt with. Densities
    are integers in units of 2⁻⁴⁰, rounded up.
    """
    densities = [-(-(wcet << SCALE_BITS) // deadline) for wcet, _period, deadline in tasks]
    total = sum(densities)
    top = sorted(densities)[-2:]
    speed = (offer.capacity.numerator << SCALE_BITS) // offer.capacity.denominator
    for (wcet, _period, deadline), density, pod in zip(tasks, densities, pods, strict=True):
        overruns = tick * (len(pods) - pods.count(pod))
        swollen = -(-((wcet + overruns) << SCALE_BITS) // deadline)
        others = top[0] if density == top[-1] and len(top) > 1 else top[-1]
        largest = max(swollen, others if len(tasks) > 1 else 0)
        if not gfb_holds(total - density + swollen, largest, offer.cpus, speed):
            yield pod
