"""Groups inside groups: ancestors never throttle, and admission counts what they need."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.invariants import find_breach
from k40s.cpu.admission.necessary_condition import may_fit
from k40s.cpu.admission.schedulability import node_holds
from k40s.cpu.analysis.deferrable_server import least_ancestor_budget
from k40s.cpu.linux import quantize_server
from k40s.cpu.model import Mechanism
from k40s.cpu.outcome import Admission
from k40s.units import NS_PER_S, Nanoseconds
from tests.oracles.pods import empty_node, random_large_pod
from tests.oracles.random_groups import banded, harmful_run

Segment = tuple[str, int, int]


class Ancestor:
    """A group that is charged for what runs below it, and refilled, as Linux does it."""

    def __init__(self, budget: int, period: int, refill: int) -> None:
        self.budget, self.period, self.refill = budget, period, refill
        self.used = 0
        self.timer_runs = True
        self.throttled = False

    def start(self, now: int) -> None:
        """Something begins to run below it."""
        self.refill_until(now)
        if not self.timer_runs:
            self.timer_runs, self.refill = True, now + self.period

    def charge(self, now: int, amount: int, *, refill_first: bool) -> None:
        self.refill_until(now if refill_first else now - 1)
        self.used += amount
        self.throttled |= self.used > self.budget
        self.refill_until(now)

    def refill_until(self, now: int) -> None:
        while self.timer_runs and self.refill <= now:
            self.timer_runs = self.used > 0
            self.used -= min(self.used, self.budget)
            self.refill += self.period


def charges(segments: Sequence[Segment], tick: int, phase: int) -> Iterator[tuple[int, int, int]]:
    """When Linux charges what ran: at ticks and at the end; (start, charged at, amount)."""
    for _, start, end in segments:
        since = start
        for at in range(start + 1, end + 1):
            if at == end or not tick or (at - phase) % tick == 0:
                yield start, at, at - since
                since = at


def throttled(
    segments: Sequence[Segment], tick: int, phase: int, ancestor: Ancestor, *, refill_first: bool
) -> bool:
    for start, at, amount in charges(segments, tick, phase):
        ancestor.start(start)
        ancestor.charge(at, amount, refill_first=refill_first)
    return ancestor.throttled


@pytest.mark.parametrize("tick", [0, 1, 4])
def test_no_ancestor_at_any_level_ever_throttles(tick: int) -> None:
    chance = Random(tick)
    sums_alone = 0

    for _ in range(12):
        groups = banded(chance, tick, contained=0.5)
        core = harmful_run(
            chance, groups, tick, rogue=chance.randrange(len(groups)), late_charges=tick > 0
        )
        period = chance.choice((50, 200, 1_000))
        split = chance.randint(1, len(groups))
        for below in (range(len(groups)), range(split), range(split, len(groups))):
            servers = [groups[number].server for number in below]
            ran = [part for part in core.consumed if int(part[0]) in below]
            phase, first = chance.randrange(period), chance.random() < 0.5
            budget = least_ancestor_budget(servers, period, tick)
            enough = Ancestor(budget, period, phase)
            assert not throttled(ran, tick, core.tick_phase, enough, refill_first=first)
            share = sum((Fraction(*server) for server in servers), Fraction(0))
            bare = Ancestor(-int(-share * period // 1), period, phase)
            sums_alone += throttled(ran, tick, core.tick_phase, bare, refill_first=first)

    assert sums_alone > 0


@given(st.integers(0, 2**32), st.integers(1, 6))
def test_what_is_admitted_fits_with_its_ancestors(seed: int, number: int) -> None:
    chance = Random(seed)
    node = replace(
        empty_node(4, chance.randint(1, 3)),
        node_capacity=Fraction(95, 100),
        ancestor_period=Nanoseconds(NS_PER_S),
    )

    for index in range(number):
        demand = random_large_pod(chance, f"p{index}", len(node.cores))
        outcome = admit(node, demand)
        if not isinstance(outcome, Admission):
            continue
        assert may_fit(core_utilizations=node.utilizations(), node=node, demand=demand) is None, (
            "the necessary condition refused what was admitted"
        )
        assert find_breach(node, demand, outcome) is None
        node = outcome.node
        assert node_holds(node)
        held = [r for r in node.reservations if r.mechanism is Mechanism.RT_CGROUP]
        need = least_ancestor_budget([quantize_server(r.server) for r in held], 1_000_000, 4_000)
        assert need <= 950_000
        assert len({(r.pod_uid, r.container) for r in held}) == len(held)
