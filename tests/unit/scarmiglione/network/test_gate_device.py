"""Messages of rtnetlink, and a device that is there on every machine: ``lo``."""

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from daemons.scarmiglione.network.child import Finished, run_child
from daemons.scarmiglione.network.taprio.changeover import Changeover, Timetable
from daemons.scarmiglione.network.taprio.device import Facts, LinuxGateDevice
from daemons.scarmiglione.network.taprio.gate_schedule import Entry, GateSchedule
from daemons.scarmiglione.network.taprio.messages import (
    CLOCK_TAI,
    DELETE_QDISC,
    Qdisc,
    Taprio,
    band_request,
    check_answer,
    hold_request,
    parse_root,
    release_request,
    replace_request,
)
from daemons.scarmiglione.network.taprio.station import HANDLE, queue_mapping
from k40s.errors import KernelError
from k40s.units import Nanoseconds

MAPPING = queue_mapping(4, 4)
TABLE = Timetable(
    base=1_795_962_790_800_000_000,
    schedule=GateSchedule(
        entries=(
            Entry(gates=0b1001, interval=Nanoseconds(30_000_000)),
            Entry(gates=0b0010, interval=Nanoseconds(70_000_000)),
        )
    ),
)


def request(index: int = 7) -> bytes:
    return replace_request(index, handle=HANDLE, mapping=MAPPING, timetable=TABLE)


def test_what_is_set_is_what_a_dump_of_it_reads() -> None:
    found = parse_root(request(), 7)

    assert found == Qdisc(
        kind="taprio",
        handle=HANDLE,
        taprio=Taprio(mapping=MAPPING, clock=CLOCK_TAI, flags=0, running=TABLE, pending=None),
    )


def test_other_devices_in_a_dump_are_passed_over() -> None:
    assert parse_root(request(6), 7) is None
    assert parse_root(request(6) + request(7), 7) is not None
    assert parse_root(b"", 7) is None


def test_taprio_with_attributes_of_another_form_is_an_error() -> None:
    cut = bytearray(request())
    begin = cut.index(struct.pack("=HH", 86, 1))
    cut[begin : begin + 4] = struct.pack("=HH", 86, 77)

    with pytest.raises(KernelError, match="attributes are not understood"):
        parse_root(bytes(cut), 7)


def error(number: int, text: bytes = b"") -> bytes:
    echoed = struct.pack("=IHHII", 16, 36, 5, 1, 0)
    attribute = struct.pack("=HH", 4 + len(text), 1) + text + bytes(-len(text) % 4)
    body = struct.pack("=i", -number) + echoed + (attribute if text else b"")
    return struct.pack("=IHHII", 16 + len(body), 2, 0x200 if text else 0, 1, 0) + body


def test_the_kernels_own_text_is_in_the_error() -> None:
    with pytest.raises(KernelError, match=r"errno 95: Multi-queue device is required\."):
        check_answer(error(95, b"Multi-queue device is required.\0"))
    with pytest.raises(KernelError, match="errno 1: no text"):
        check_answer(error(1))
    check_answer(error(0))
    check_answer(b"")


def test_every_priority_has_a_class_and_every_class_a_queue_of_its_own() -> None:
    assert MAPPING.classes == (0, 1, 2, 3) + (0,) * 12
    assert MAPPING.queues == ((1, 0), (1, 1), (1, 2), (1, 3))
    assert queue_mapping(16, 7).queues[:2] == ((10, 0), (1, 10))
    assert queue_mapping(16, 7).queues[-1] == (1, 15)


def test_the_loopback_device_is_read_from_the_kernel() -> None:
    device = LinuxGateDevice("lo")
    facts, root = device.facts(), device.root()

    assert facts is not None
    assert facts.queues == 1
    assert root is not None
    assert (root.kind, root.taprio) == ("noqueue", None)


def test_a_device_that_is_absent_has_no_facts_and_no_root() -> None:
    device = LinuxGateDevice("none-of-these")

    assert (device.facts(), device.root()) == (None, None)
    with pytest.raises(KernelError, match="there is no such device"):
        device.install(handle=HANDLE, mapping=MAPPING, table=TABLE)


def make_device(
    sys: Path, *, flags: str = "0x1003", speed: str = "1000", mtu: str = "1500"
) -> None:
    net = sys / "class/net/eth9"
    for number in range(4):
        (net / f"queues/tx-{number}").mkdir(parents=True)
    (net / "statistics").mkdir()
    for name, value in (
        ("flags", flags),
        ("speed", speed),
        ("mtu", mtu),
        ("statistics/rx_packets", "5"),
        ("carrier_changes", "3"),
    ):
        (net / name).write_text(f"{value}\n", encoding="ascii")


def test_a_devices_facts_are_read_from_sysfs(tmp_path: Path) -> None:
    make_device(tmp_path)

    assert LinuxGateDevice("eth9", sys=tmp_path).facts() == Facts(
        queues=4, bit_rate=1_000_000_000, mtu=1500, received=5, carrier_changes=3
    )


def test_a_device_of_unknown_speed_is_as_slow_as_the_kernel_takes_it(tmp_path: Path) -> None:
    make_device(tmp_path, speed="-1")

    facts = LinuxGateDevice("eth9", sys=tmp_path).facts()

    assert facts is not None
    assert facts.bit_rate == 10_000_000


def test_a_device_that_is_down_has_no_facts(tmp_path: Path) -> None:
    make_device(tmp_path, flags="0x1002")

    assert LinuxGateDevice("eth9", sys=tmp_path).facts() is None


def test_facts_that_are_no_numbers_are_an_error(tmp_path: Path) -> None:
    make_device(tmp_path, mtu="large")

    with pytest.raises(KernelError, match="cannot be read"):
        LinuxGateDevice("eth9", sys=tmp_path).facts()


def test_a_refusal_names_the_device_and_what_the_kernel_said() -> None:
    def run(_command: object, _seconds: float) -> Finished:
        return Finished(status=0, output=error(22, b"Invalid interval\0").hex(), errors="")

    device = LinuxGateDevice("lo", run=run)

    with pytest.raises(KernelError, match="lo: errno 22: Invalid interval"):
        device.install(handle=HANDLE, mapping=MAPPING, table=TABLE)


def test_a_process_that_fails_is_an_error_with_its_last_line() -> None:
    def run(_command: object, _seconds: float) -> Finished:
        return Finished(status=1, output="", errors="Traceback\nTimeoutError: timed out")

    with pytest.raises(KernelError, match=r"rtnetlink: .*timed out"):
        LinuxGateDevice("lo", run=run).root()


def test_the_program_of_the_child_reads_one_dump_after_one_acknowledgement() -> None:
    lines: list[str] = []

    def run(command: object, seconds: float) -> Finished:
        done = run_child(command, seconds)  # type: ignore[arg-type]  # a sequence of words
        lines.extend(done.output.split())
        return done

    LinuxGateDevice("lo", run=run).root()

    assert len(lines) >= 2


def test_a_plug_is_told_to_hold_and_to_release() -> None:
    hold, release = (one(7, handle=HANDLE, queue=2) for one in (hold_request, release_request))

    for request_, action in ((hold, 0), (release, 2)):
        band = HANDLE + (3 << 16)
        assert request_[24:32] == struct.pack("=II", band + (0x1000 << 16), band | 1)
        assert request_[-8:] == struct.pack("=iI", action, 1 << 22)
        assert b"plug" in request_


def test_a_plug_is_in_a_band_that_takes_what_was_looked_at() -> None:
    band = band_request(7, handle=HANDLE, queue=2)

    assert band[24:32] == struct.pack("=II", HANDLE + (3 << 16), HANDLE | 3)
    assert b"prio\0" in band
    assert band[-20:] == struct.pack("=i", 2) + bytes(16)


def test_an_installation_makes_bands_sets_the_schedule_again_and_makes_plugs_last() -> None:
    told: list[str] = []

    def run(command: Sequence[str], _seconds: float) -> Finished:
        told.extend(command)
        return Finished(status=0, output="", errors="")

    LinuxGateDevice("lo", run=run).install(handle=HANDLE, mapping=MAPPING, table=TABLE)

    kinds = [
        name
        for one in told[told.index("exchange") + 1 :]
        for name in ("taprio", "prio", "plug")
        if bytes.fromhex(one).find(struct.pack("=HH", 5 + len(name), 1) + name.encode()) >= 0
    ]
    assert kinds == ["taprio", *["prio"] * 3, "taprio", *["plug"] * 6]


def test_an_installation_that_is_refused_in_part_is_removed() -> None:
    told: list[Sequence[str]] = []

    def run(command: Sequence[str], _seconds: float) -> Finished:
        told.append(command)
        answer = error(2, b"Specified qdisc kind is unknown\0") if len(told) == 1 else error(0)
        return Finished(status=0, output=answer.hex(), errors="")

    with pytest.raises(KernelError, match="kind is unknown"):
        LinuxGateDevice("lo", run=run).install(handle=HANDLE, mapping=MAPPING, table=TABLE)

    (kind,) = struct.unpack_from("=H", bytes.fromhex(told[-1][-1]), 4)
    assert kind == DELETE_QDISC


NOW = 10_000_000_000


def change(answer: bytes, *, begin: int) -> tuple[list[str], float]:
    """The words and the time limit of the child that changes the schedule."""
    told: list[tuple[list[str], float]] = []

    def run(command: object, seconds: float) -> Finished:
        told.append((list(command), seconds))  # type: ignore[call-overload]  # a sequence of words
        return Finished(status=0, output=answer.hex(), errors="")

    device = LinuxGateDevice("lo", run=run, tai=lambda: NOW)
    times = Changeover(hold_at=begin - 5, begin=begin, release_at=begin + 7)
    device.change(handle=HANDLE, mapping=MAPPING, table=TABLE, changeover=times)
    return told[0]


def test_a_change_is_one_child_that_is_given_the_times_and_all_requests() -> None:
    words, seconds = change(error(0), begin=NOW + 1_000_000_000)

    assert words[-8:-4] == ["10999999995", "11000000000", "11000000007", "100000000"]
    assert [len(word.split()) for word in words[-4:]] == [3, 1, 1, 3]
    assert seconds == pytest.approx(13.2)


def test_a_refused_change_is_an_error_of_the_device() -> None:
    with pytest.raises(KernelError, match="lo: errno 22: Invalid interval"):
        change(error(22, b"Invalid interval\0"), begin=NOW + 1)


def test_the_child_of_a_change_lets_classes_go_on_though_the_change_is_refused() -> None:
    lines: list[str] = []

    def run(command: object, seconds: float) -> Finished:
        done = run_child(command, seconds)  # type: ignore[arg-type]  # a sequence of words
        lines.extend(done.output.split())
        return done

    device = LinuxGateDevice("lo", run=run)
    times = Changeover(hold_at=0, begin=1, release_at=2)

    with pytest.raises(KernelError, match="lo: errno"):
        device.change(handle=HANDLE, mapping=MAPPING, table=TABLE, changeover=times)

    assert len(lines) == 7


def test_a_release_says_whether_there_is_what_holds() -> None:
    assert not LinuxGateDevice("lo").release(handle=HANDLE, mapping=MAPPING)
    assert LinuxGateDevice("none-of-these").release(handle=HANDLE, mapping=MAPPING)


def test_a_release_whose_child_fails_says_nothing_of_what_is_there() -> None:
    device = LinuxGateDevice(
        "lo", run=lambda _command, _seconds: Finished(status=1, output="", errors="killed")
    )

    with pytest.raises(KernelError, match="killed"):
        device.release(handle=HANDLE, mapping=MAPPING)
