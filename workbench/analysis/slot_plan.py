"""Grants slots to requests in their order, as the extender would, and says what stays free."""

from dataclasses import dataclass
from math import lcm

from k40s.network.usage import windows_of
from k40s.reasons import Reason
from k40s.tdma import find_grant
from k40s.tdma.expression import Expression, Inexpressible, express
from k40s.tdma.model import SMALLEST_PAYLOAD, SlotGrant, SlotRequest, SlotTable, Window
from k40s.units import Nanoseconds
from workbench.inputs.slot_plan_file import PlannedRequest, SlotPlan

FREE_EVERY = (1, 2, 4, 8, 16)
"""Periods, in cycles, for which the largest packet that still fits is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who sends in some windows; ``reserved`` by the network's state, not by the plan."""

    name: str
    node: str
    windows: tuple[Window, ...]
    reserved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One request and its outcome."""

    asked: PlannedRequest
    form: Expression | Inexpressible
    outcome: SlotGrant | Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotReport:
    """The finished table. ``free``: cycles of a period, and the largest payload that still fits."""

    name: str
    table: SlotTable
    holders: tuple[Holder, ...]
    steps: tuple[Step, ...]
    free: tuple[tuple[int, int | None], ...]

    @property
    def fits(self) -> bool:
        """Whether every request has its slots."""
        return all(isinstance(step.outcome, SlotGrant) for step in self.steps)

    @property
    def cycles(self) -> int:
        """After so many cycles, everything repeats."""
        return lcm(1, *(window.every for window in self.table.windows))


def plan_slots(plan: SlotPlan) -> SlotReport:
    """Find the slots of each request in turn; what does not fit is left out."""
    cycle, held = plan.tdma.cycle, plan.state.reservations
    table = SlotTable(cycle=cycle, windows=windows_of(held))
    holders = [
        Holder(
            name=f"{one.owner.namespace}/{one.owner.name}",
            node=one.node,
            windows=windows_of([one]),
            reserved=True,
        )
        for one in held
        if one.slots
    ]
    steps: list[Step] = []
    for asked in plan.requests:
        jitter = asked.member.jitter
        outcome = find_grant(table, asked.request, jitter=jitter)
        form = express(cycle, asked.request, jitter=jitter)
        steps.append(Step(asked=asked, form=form, outcome=outcome))
        if isinstance(outcome, SlotGrant):
            table = SlotTable(cycle=cycle, windows=table.windows + outcome.windows)
            node = asked.member.node
            holders.append(Holder(name=asked.name, node=node, windows=outcome.windows))
    return SlotReport(
        name=plan.state.network.name,
        table=table,
        holders=tuple(holders),
        steps=tuple(steps),
        free=tuple((every, largest_payload(table, every)) for every in FREE_EVERY),
    )


def largest_payload(table: SlotTable, every: int) -> int | None:
    """The largest packet for which a slot in every ``every``-th cycle is free, without jitter."""
    if not _fits(table, every, SMALLEST_PAYLOAD):
        return None
    low, high = SMALLEST_PAYLOAD, table.cycle.mtu
    while low < high:
        middle = (low + high + 1) // 2
        if _fits(table, every, middle):
            low = middle
        else:
            high = middle - 1
    return low


def _fits(table: SlotTable, every: int, payload: int) -> bool:
    period = Nanoseconds(every * table.cycle.period)
    found = find_grant(table, SlotRequest(period=period, payload=payload))
    return isinstance(found, SlotGrant)
