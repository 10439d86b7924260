"""Slots on stock Linux: classes of ``taprio``, whose gates open in their owners' windows alone.

The kernel's schedule is the only state: it is read, changed as a whole, and replaced at a boundary
of its own period. Cycles are counted from the epoch of ``CLOCK_TAI``, so stations agree on their
numbers as well as their clocks do.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from daemons.scarmiglione.network.back_end import (
    AppliedSlot,
    BackEndName,
    Channel,
    ChannelKind,
    Limits,
    Refusal,
    Role,
    StationState,
)
from daemons.scarmiglione.network.clocks import Clocks
from daemons.scarmiglione.network.hazards import Hazard, refuse
from daemons.scarmiglione.network.preconditions import check_channel, check_numbers, check_windows
from daemons.scarmiglione.network.taprio.changeover import (
    find_changeover,
    schedule_of,
    timetable,
)
from daemons.scarmiglione.network.taprio.device import Facts, GateDevice
from daemons.scarmiglione.network.taprio.gate_schedule import (
    Bounds,
    GateSchedule,
    Holder,
    is_same,
    plan_schedule,
    read_schedule,
)
from daemons.scarmiglione.network.taprio.messages import (
    CLOCK_TAI,
    PRIORITIES,
    Qdisc,
    Taprio,
)
from daemons.scarmiglione.network.taprio.messages import Mapping as QueueMapping
from k40s.errors import KernelError
from k40s.tdma.model import Cycle, Window
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

HANDLE = 0x4030 << 16
"""Of the queueing discipline: by it the daemon knows its own."""
LAST_PRIORITY = 6
"""The largest that a process may choose without ``CAP_NET_ADMIN``."""
_LEAD = 200 * NS_PER_MS
"""How far ahead a schedule is set, so that the kernel has it before it begins."""
_SMALLEST_FRAME = 60
_ETHERNET = 14
_STOPPED = "its gate schedule stands still until it is set again"
_LOOKS = 100
_LOOK_SECONDS = 0.05

Wait = Callable[[float], object]
Problems = tuple[str, ...]


class TaprioBackEnd:
    """One device on one network. ``facts`` are those that it had when this was constructed."""

    def __init__(
        self,
        *,
        interface: str,
        cycle: Cycle,
        device: GateDevice,
        facts: Facts,
        clocks: Clocks,
        wait: Wait,
    ) -> None:
        self._interface = interface
        self._cycle = cycle
        self._device = device
        self._queues = facts.queues
        self._bit_rate = facts.bit_rate
        self._clocks = clocks
        self._wait = wait
        self._released = False
        self._carrier_changes = facts.carrier_changes
        classes = min(facts.queues, LAST_PRIORITY + 1)
        self._bounds = Bounds(classes=classes, shortest=self._duration(_SMALLEST_FRAME))
        self._mapping = queue_mapping(facts.queues, classes)
        self._limits = Limits(
            kind=ChannelKind.PRIORITY, first=1, last=classes - 1, one_per_window=False
        )

    @property
    def name(self) -> BackEndName:
        """``taprio``."""
        return BackEndName.TAPRIO

    @property
    def interface(self) -> str:
        """The device."""
        return self._interface

    @property
    def limits(self) -> Limits:
        """Priorities from 1: one for each queue but the first, 6 at most."""
        return self._limits

    def read(self) -> StationState:
        """One look at the device; a pending schedule counts as the one that holds."""
        facts, root = self._look()
        state = StationState(
            attached=False,
            read_at=Nanoseconds(self._clocks.monotonic()),
            wall_at=Nanoseconds(self._clocks.wall()),
            role=Role.STATION,
            mtu=None if facts is None else facts.mtu,
            received=None if facts is None else facts.received,
        )
        refusal = self._check_device(facts, root)
        if refusal is not None:
            return replace(state, problems=(refusal.detail,))
        schedule = _newest(root)
        slots, problems = self._slots(schedule)
        if schedule is not None and self._is_stopped(facts):
            slots, problems = (), (*problems, f"{self._interface} lost its link: {_STOPPED}")
        shown = "default" if schedule is None else "active"
        return replace(state, attached=True, state=shown, slots=slots, problems=problems)

    def holds(self, state: StationState, channel: Channel, windows: Sequence[Window]) -> bool:
        """Whether the class's gate is open in these windows, and no longer but for short gaps."""
        return is_same(
            [slot for slot in state.slots if slot.number == channel.number],
            windows,
            cycle=self._cycle.period,
            shortest=self._bounds.shortest,
        )

    def apply(self, channel: Channel, windows: Sequence[Window]) -> Refusal | None:
        """As the protocol says; returns once the kernel runs the new schedule."""
        refusal = (
            check_windows(windows, self._cycle)
            or check_channel(channel, windows, self._limits)
            or self._check_lengths(windows)
        )
        return refusal or self._change(channel, windows)

    def remove(self, channel: Channel) -> Refusal | None:
        """As the protocol says. The class is open with class 0 again."""
        return next(check_numbers(channel, self._limits), None) or self._change(channel, ())

    def _change(self, channel: Channel, windows: Sequence[Window]) -> Refusal | None:
        facts, root = self._look()
        if (refusal := self._check_device(facts, root)) is not None:
            return refusal
        former = _newest(root)
        slots, _problems = self._slots(former)
        wanted: Mapping[int, Sequence[Holder]] = {
            **_by_number(slots),
            channel.number: windows,
        }
        plan = plan_schedule(wanted, cycle=self._cycle.period, bounds=self._bounds)
        if isinstance(plan, Refusal):
            return plan
        if former is not None and self._is_stopped(facts):
            self._device.uninstall(handle=HANDLE)
            self._set(plan, None)
        elif plan != former and (windows or former is not None):
            self._replace(plan, former)
        elif former is not None:
            self._await(plan)
        return None

    def _look(self) -> tuple[Facts | None, Qdisc | None]:
        """The device; at the first look, what a killed process has left is put right.

        Classes that it left held are released. An installation that it did not complete could not
        be replaced under traffic, and may stand still: it is removed, and made anew with the next
        slot.
        """
        facts, root = self._device.facts(), self._device.root()
        if not self._released and self._check_device(facts, root) is None:
            if (
                root is not None
                and root.taprio is not None
                and not self._device.release(handle=HANDLE, mapping=self._mapping)
            ):
                self._device.uninstall(handle=HANDLE)
                root = self._device.root()
            self._released = True
        return facts, root

    def _is_stopped(self, facts: Facts | None) -> bool:
        """Whether the link was lost: that stops the kernel's timer, and gates stay as they are.

        A schedule that is set again would then be run through from where it stopped, so a new one
        is installed.
        """
        return facts is None or facts.carrier_changes != self._carrier_changes

    def _slots(self, schedule: GateSchedule | None) -> tuple[tuple[AppliedSlot, ...], Problems]:
        """None for a schedule of another cycle: what it promised ended with that cycle."""
        cycle = self._cycle.period
        if schedule is None:
            return (), ()
        if not schedule.period or schedule.period % cycle:
            problem = (
                f"the gate schedule of {schedule.period} ns is not one of cycles of {cycle} ns"
            )
            return (), (problem,)
        return read_schedule(schedule, cycle), ()

    def _replace(self, plan: GateSchedule, former: GateSchedule | None) -> None:
        try:
            self._set(plan, former)
        except KernelError as error:
            if former is not None:
                self._restore(former, error)
            raise

    def _restore(self, former: GateSchedule, error: KernelError) -> None:
        """Set the former schedule again, unless it runs and nothing is to replace it."""
        try:
            running = self._running()
            if running != former or self._is_pending():
                self._set(former, running or former)
        except KernelError as second:
            raise KernelError(f"{error}; the former schedule was not restored: {second}") from error

    def _set(self, plan: GateSchedule, former: GateSchedule | None) -> None:
        earliest = self._clocks.tai() + _LEAD
        if former is None:
            begin = -(-earliest // plan.period) * plan.period
            self._device.install(handle=HANDLE, mapping=self._mapping, table=timetable(plan, begin))
            self._wait(max(0, begin - self._clocks.tai()) / NS_PER_S)
            facts = self._device.facts()
            self._carrier_changes = -1 if facts is None else facts.carrier_changes
        else:
            changeover = find_changeover(
                former, plan, earliest=earliest, shortest=self._bounds.shortest
            )
            self._device.change(
                handle=HANDLE,
                mapping=self._mapping,
                table=timetable(plan, changeover.begin),
                changeover=changeover,
            )
        self._await(plan)

    def _await(self, plan: GateSchedule) -> None:
        """Until the kernel runs it: it changes over at the end of an entry."""
        for _ in range(_LOOKS):
            if self._running() == plan:
                return
            self._wait(_LOOK_SECONDS)
        raise KernelError(
            f"taprio on {self._interface}: {plan} was set, and {self._running()} runs"
        )

    def _running(self) -> GateSchedule | None:
        root = self._device.root()
        table = None if root is None or root.taprio is None else root.taprio.running
        return None if table is None else schedule_of(table)

    def _is_pending(self) -> bool:
        root = self._device.root()
        return root is not None and root.taprio is not None and root.taprio.pending is not None

    def _check_device(self, facts: Facts | None, root: Qdisc | None) -> Refusal | None:
        if facts is None or root is None:
            return refuse(Hazard.NOT_ATTACHED, f"{self._interface} is absent or down")
        if facts.queues != self._queues or self._bounds.classes <= 1:
            return refuse(
                Hazard.QUEUES, f"{self._interface} has {facts.queues} queues; taprio needs several"
            )
        taprio = root.taprio
        if (taprio is None and root.handle) or (
            taprio is not None and not self._is_own(root, taprio)
        ):
            return refuse(
                Hazard.FOREIGN_QDISC,
                f"{self._interface} has {root.kind} {root.handle >> 16:x}: of someone else",
            )
        return None

    def _is_own(self, root: Qdisc, taprio: Taprio) -> bool:
        return (root.handle, taprio.mapping, taprio.clock, taprio.flags) == (
            HANDLE,
            self._mapping,
            CLOCK_TAI,
            0,
        )

    def _check_lengths(self, windows: Sequence[Window]) -> Refusal | None:
        for window in windows:
            needed = self._duration(window.payload + _ETHERNET)
            if window.length < needed:
                return refuse(
                    Hazard.WINDOW_TOO_SHORT,
                    f"{window.payload} bytes take {needed} ns at {self._bit_rate} bit/s, "
                    f"of {window.length} ns",
                )
        return None

    def _duration(self, frame: int) -> Nanoseconds:
        return Nanoseconds(-(-frame * 8 * NS_PER_S // self._bit_rate))


def queue_mapping(queues: int, classes: int) -> QueueMapping:
    """Priority ``n`` is class ``n`` with one queue; all others are class 0, with those left."""
    first = queues - classes + 1
    return QueueMapping(
        classes=tuple(n if n < classes else 0 for n in range(PRIORITIES)),
        queues=((first, 0), *((1, first + n) for n in range(classes - 1))),
    )


def _newest(root: Qdisc | None) -> GateSchedule | None:
    if root is None or root.taprio is None:
        return None
    table = root.taprio.pending or root.taprio.running
    return None if table is None else schedule_of(table)


def _by_number(slots: Sequence[AppliedSlot]) -> dict[int, list[AppliedSlot]]:
    found: dict[int, list[AppliedSlot]] = {}
    for slot in slots:
        found.setdefault(slot.number, []).append(slot)
    return found
