from pathlib import Path

import pytest

from daemons.scarmiglione.network.back_end import AppliedSlot, Role
from daemons.scarmiglione.network.rtnet.proc_text import (
    Discipline,
    parse_devices,
    parse_disciplines,
    parse_received,
    parse_slots,
    parse_tdma,
    parse_version,
    parse_vnics,
)
from k40s.errors import KernelError
from k40s.units import NS_PER_MS, NS_PER_US, Nanoseconds

RECORDED = Path("tests/fixtures/rtnet")


def text(name: str) -> str:
    return (RECORDED / name).read_text(encoding="utf-8")


def us(number: int) -> Nanoseconds:
    return Nanoseconds(number * NS_PER_US)


def test_a_master_shows_its_cycle() -> None:
    assert parse_tdma(text("tdma.master")) == {
        "rteth0": Discipline(
            interface="rteth0",
            role=Role.MASTER,
            cycle=Nanoseconds(100 * NS_PER_MS),
            state="active",
        )
    }


def test_the_mode_of_a_backup_master_is_two_words() -> None:
    (found,) = parse_tdma(text("tdma.backup")).values()

    assert (found.role, found.cycle, found.state) == (
        Role.BACKUP,
        Nanoseconds(100 * NS_PER_MS),
        "stand-by",
    )


def test_a_station_knows_no_cycle() -> None:
    (found,) = parse_tdma(text("tdma.slave")).values()

    assert (found.role, found.cycle, found.state) == (Role.STATION, None, "active")


def test_a_cycle_of_ten_seconds_is_wider_than_its_column() -> None:
    long = text("tdma.master").replace("100000 ", "10000000")

    (found,) = parse_tdma(long).values()

    assert (found.cycle, found.state) == (Nanoseconds(10_000 * NS_PER_MS), "active")


def test_slots_are_read_with_periods_sizes_and_joints() -> None:
    assert parse_slots(text("tdma_slots.station"))["rteth0"].slots == (
        AppliedSlot(number=0, offset=us(30_000), phase=0, every=1, payload=1500),
        AppliedSlot(number=2, offset=us(70_000), phase=1, every=4, payload=256),
        AppliedSlot(number=3, offset=us(20_000), phase=0, every=1, payload=200),
        AppliedSlot(number=4, offset=us(45_000), phase=0, every=1, payload=200, joins=3),
    )


def test_a_backup_master_shows_where_its_sync_would_be() -> None:
    found = parse_slots(text("tdma_slots.backup"))["rteth0"]

    assert (found.backup, len(found.slots)) == (us(20_000), 1)


def test_a_station_without_slots_has_none() -> None:
    header = text("tdma_slots.station").splitlines()[0]

    assert parse_slots(f"{header}\nrteth0          \n")["rteth0"].slots == ()


def test_the_number_of_a_vnic_is_read_and_not_assumed() -> None:
    assert parse_vnics(text("vnics")) == {"rteth0": "vnic1"}


def test_devices_counters_disciplines_and_the_version_are_read() -> None:
    devices = parse_devices(text("devices"))

    assert (devices["rteth0"].up, devices["rtlo"].loopback) == (True, True)
    assert parse_received(text("stats"))["rteth0"] == 1523
    assert parse_disciplines(text("disciplines")) == {"TDMA"}
    assert parse_version(text("version")) == "RTnet for Xenomai v3.3.1"


def test_absent_files_are_empty_tables() -> None:
    assert parse_tdma("") == parse_slots("") == parse_vnics("") == parse_devices("") == {}
    assert parse_received("") == {}
    assert parse_disciplines("") == frozenset()
    assert parse_version("") == ""


@pytest.mark.parametrize(
    ("parse", "bad"),
    [
        (parse_tdma, "Something else\n"),
        (parse_tdma, "Interface       API\nrteth0 TDMA0 Master 1000 active\n"),
        (parse_tdma, f"Interface\n{'rteth0':16}{'TDMA0':16}{'King':16}{'1000':8}active\n"),
        (parse_tdma, f"Interface\n{'rteth0':16}{'TDMA0':16}{'Master':16}{'soon':8}active\n"),
        (parse_slots, "Interface       Slots\nrteth0 0:30000:1/1\n"),
        (parse_slots, "Interface       Slots\nrteth0 0:30000:2/1:60\n"),
        (parse_slots, "Interface       Slots\nrteth0 0:30000:0/1:60\n"),
        (parse_vnics, "RT-NIC name\tVNIC name\nrteth0\n"),
        (parse_devices, "Index\tName\n1 rteth0\n"),
        (parse_received, "rteth0: 1 x 2\n"),
    ],
)
def test_another_form_is_an_error_that_shows_the_line(parse: object, bad: str) -> None:
    with pytest.raises(KernelError, match="form that is not known"):
        parse(bad)  # type: ignore[operator]  # one of several parsers
