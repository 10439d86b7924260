"""Cycles, requests and windows that cannot exist are refused, with the field's name."""

from collections.abc import Callable

import pytest

from k40s.tdma.model import Cycle, Window
from tests.unit.tdma.tdma_builders import make_cycle, make_request, make_window, us


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: make_cycle(0), "cycle: found 0ns, expected 1us to 10s"),
        (lambda: make_cycle(-1), "cycle: "),
        (lambda: make_cycle(11_000_000), "cycle: "),
        (lambda: make_cycle(1_000.5), "cycle: found 1000500ns, expected whole microseconds"),
        (lambda: make_cycle(20), "cycle: found 20us, expected room for a Sync"),
        (lambda: make_cycle(rate=0), "bitRate: "),
        (lambda: make_cycle(mtu=59), "mtu: found 59, expected 60 to 1500 bytes"),
        (lambda: make_cycle(mtu=1_501), "mtu: "),
        (lambda: make_cycle(guard=-1), "guard: "),
        (lambda: make_cycle(guard=1_001), "guard: "),
        (lambda: make_cycle(lateness=-1), "syncLateness: "),
        (lambda: make_cycle(lateness=990), "cycle: "),
        (lambda: make_cycle(backups=(-5,)), "backupMasters: "),
        (lambda: make_cycle(backups=(20,)), "backupMasters: found offset 20us, expected one from"),
        (lambda: make_cycle(backups=(50.5,)), "backupMasters: "),
        (lambda: make_cycle(backups=(980,)), "backupMasters: "),
        (lambda: make_cycle(backups=(1_000,)), "backupMasters: "),
        (lambda: make_cycle(backups=(50, 60)), "backupMasters: found offset 60us"),
        (lambda: make_cycle(backups=(50, 50)), "backupMasters: "),
        (lambda: make_request(payload=1, length=1), "length, payload: "),
        (make_request, "length, payload: "),
        (lambda: make_request(0, payload=1), "period: "),
        (lambda: make_request(payload=0), "payload: "),
        (lambda: make_request(length=-1), "length: "),
        (lambda: make_window(-1, 5), "offset: "),
        (lambda: make_window(1.5, 5), "offset: "),
        (lambda: make_window(1, 0), "length, payload: "),
        (lambda: make_window(1, 5, payload=0), "length, payload: "),
    ],
)
def test_what_cannot_exist_is_refused_with_its_field(
    build: Callable[[], object], field: str
) -> None:
    with pytest.raises(ValueError, match=f"^{field}"):
        build()


def test_a_slot_in_every_zeroth_cycle_is_refused_because_it_hangs_a_station() -> None:
    with pytest.raises(ValueError, match=r"^every: found 0, expected at least 1"):
        make_window(100, 10, every=0)


@pytest.mark.parametrize("phase", [-1, 4, 5])
def test_a_phase_that_never_comes_is_refused(phase: int) -> None:
    with pytest.raises(ValueError, match=r"^phase: found -?\d, expected 0 to 3"):
        make_window(100, 10, phase=phase, every=4)


def test_syncs_are_reserved_with_lateness_and_guard() -> None:
    cycle = make_cycle(guard=10, lateness=5, backups=(500, 100))

    assert cycle.sync_time == us(6.72 + 5 + 10)
    assert [(w.offset, w.end, w.every) for w in cycle.reserved] == [
        (us(0), us(21.72), 1),
        (us(100), us(121.72), 1),
        (us(500), us(521.72), 1),
    ]


def test_values_are_immutable() -> None:
    cycle = make_cycle()

    assert isinstance(cycle, Cycle)
    assert isinstance(cycle.reserved[0], Window)
    assert hash(cycle) == hash(make_cycle())
