"""What RTnet's commands and structures are, to the bit, and the second check of each structure."""

import ctypes
import errno
import os
import sys
from pathlib import Path

import pytest

from daemons.scarmiglione.network.child import Finished, python, run_child
from daemons.scarmiglione.network.rtnet.ioctl import (
    SET_SLOT,
    IoctlCommands,
    TdmaConfig,
    linux_ioctl,
)
from daemons.scarmiglione.network.rtnet.orders import SlotOrder
from daemons.scarmiglione.network.rtnet.tdmacfg import Tdmacfg, time_limit
from k40s.errors import KernelError
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.scarmiglione.rtnet import FakeRtnet
from tests.fakes.scarmiglione.stations import install_tdmacfg

ORDER = SlotOrder(number=4, offset=Nanoseconds(45_000_000), phase=1, every=4, payload=200, joins=3)


class Recorded:
    def __init__(self, answer: int = 0) -> None:
        self.calls: list[tuple[int, bytes]] = []
        self._answer = answer

    def __call__(self, request: int, argument: bytes) -> int:
        self.calls.append((request, argument))
        return self._answer


def commands(ioctl: Recorded) -> IoctlCommands:
    return IoctlCommands(ioctl=ioctl, cycle=Nanoseconds(100 * NS_PER_MS), mtu=1500, last=15)


def test_a_slot_is_packed_as_the_kernel_reads_it() -> None:
    ioctl = Recorded()

    commands(ioctl).add("rteth0", ORDER)

    ((request, packed),) = ioctl.calls
    assert (request, len(packed)) == (SET_SLOT, 80)
    assert packed[:16] == b"rteth0".ljust(16, b"\0")
    assert packed[16:20] == (4).to_bytes(4, "little")
    assert packed[20:24] == (4).to_bytes(4, "little")
    assert packed[24:32] == (45_000_000).to_bytes(8, "little")
    assert packed[32:36] == (1).to_bytes(4, "little")
    assert packed[36:40] == (200).to_bytes(4, "little")
    assert packed[40:44] == (3).to_bytes(4, "little")
    assert packed[44:] == bytes(36)


def test_a_slot_that_joins_none_says_minus_one() -> None:
    ioctl = Recorded()

    commands(ioctl).add(
        "rteth0", SlotOrder(number=2, offset=Nanoseconds(0), phase=0, every=1, payload=60)
    )

    assert ioctl.calls[0][1][40:44] == b"\xff" * 4


def test_the_structure_is_80_bytes() -> None:
    assert ctypes.sizeof(TdmaConfig) == 80


@pytest.mark.parametrize(
    ("order", "what"),
    [
        (SlotOrder(number=16, offset=Nanoseconds(0), phase=0, every=1, payload=60), "id"),
        (
            SlotOrder(number=2, offset=Nanoseconds(100 * NS_PER_MS), phase=0, every=1, payload=60),
            "offset",
        ),
        (SlotOrder(number=2, offset=Nanoseconds(1_500), phase=0, every=1, payload=60), "offset"),
        (SlotOrder(number=2, offset=Nanoseconds(0), phase=0, every=1, payload=1501), "size"),
        (
            SlotOrder(number=2, offset=Nanoseconds(0), phase=0, every=1, payload=60, joins=15),
            "joint slot",
        ),
    ],
)
def test_what_the_kernel_would_take_is_checked_once_more(order: SlotOrder, what: str) -> None:
    ioctl = Recorded()

    with pytest.raises(KernelError, match=f"would not survive this {what}"):
        commands(ioctl).add("rteth0", order)

    assert ioctl.calls == []


@pytest.mark.parametrize("number", [0, -1, 16])
def test_no_slot_is_removed_that_the_table_needs_or_lacks(number: int) -> None:
    ioctl = Recorded()

    with pytest.raises(KernelError, match="REMOVE_SLOT"):
        commands(ioctl).remove("rteth0", number)

    assert ioctl.calls == []


@pytest.mark.parametrize("name", ["", "sixteen-letters-", "rtéth0"])
def test_a_name_that_does_not_fit_the_structure_is_an_error(name: str) -> None:
    with pytest.raises(KernelError, match="no name of an interface"):
        commands(Recorded()).remove(name, 2)


def test_an_errno_is_told_by_its_name() -> None:
    with pytest.raises(KernelError, match="REMOVE_SLOT 2: ENOTTY"):
        commands(Recorded(errno.ENOTTY)).remove("rteth0", 2)


def test_a_real_call_on_a_device_that_is_none_of_rtnets_returns_its_errno() -> None:
    call = linux_ioctl(Path(os.devnull), 10.0)

    assert call(SET_SLOT, bytes(80)) == errno.ENOTTY


def test_a_device_that_is_absent_is_an_errno_too(tmp_path: Path) -> None:
    assert linux_ioctl(tmp_path / "none", 10.0)(SET_SLOT, bytes(80)) == errno.ENOENT


def test_a_call_whose_process_dies_is_an_error() -> None:
    def run(_command: object, _seconds: float) -> Finished:
        return Finished(status=-9, output="", errors="")

    with pytest.raises(KernelError, match="ended with -9"):
        linux_ioctl(Path(os.devnull), 1.0, run)(SET_SLOT, bytes(80))


def test_the_commands_words_are_tdmacfgs() -> None:
    told: list[tuple[str, ...]] = []

    def run(command: object, _seconds: float) -> Finished:
        told.append(tuple(command))  # type: ignore[call-overload]  # a sequence of words
        return Finished(status=0, output="", errors="")

    tdmacfg = Tdmacfg(command="tdmacfg", seconds=1.0, run=run)
    tdmacfg.add("rteth0", ORDER)
    tdmacfg.remove("rteth0", 4)

    assert [" ".join(words) for words in told] == [
        "tdmacfg rteth0 slot 4 45000 -p 2/4 -s 200 -j 3",
        "tdmacfg rteth0 slot 4",
    ]


def test_tdmacfg_is_never_told_a_fraction_of_a_microsecond() -> None:
    fine = SlotOrder(number=2, offset=Nanoseconds(1_500), phase=0, every=1, payload=60)

    with pytest.raises(KernelError, match="whole microseconds"):
        Tdmacfg(command="/bin/true", seconds=1.0).add("rteth0", fine)


def test_what_tdmacfg_says_is_in_the_error(tmp_path: Path) -> None:
    rtnet = FakeRtnet(tmp_path, cycle=NS_PER_MS)
    tdmacfg = Tdmacfg(command=str(install_tdmacfg(rtnet)), seconds=10.0)

    with pytest.raises(KernelError, match="slot 4: ioctl: Inappropriate ioctl for device"):
        tdmacfg.remove("rteth0", 4)
    with pytest.raises(KernelError, match="ioctl: No such device"):
        tdmacfg.remove("rteth1", 4)


def test_the_time_limit_covers_the_calibration_of_a_first_slot() -> None:
    assert time_limit(Nanoseconds(100 * NS_PER_MS)) == 45.0


def test_a_command_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KernelError, match="cannot be started"):
        run_child(("/none/tdmacfg",), 1.0)


def test_a_child_that_ignores_sigterm_is_killed() -> None:
    stubborn = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "while True: time.sleep(60)"
    )

    with pytest.raises(KernelError, match="no end after"):
        run_child(python(stubborn), 0.5)


def test_a_small_program_returns_its_output_and_status() -> None:
    done = run_child(python("import sys; print(sys.argv[1]); sys.exit(3)", "word"), 10.0)

    assert (done.status, done.output.strip()) == (3, "word")
    assert Path(sys.executable).name.startswith("python")
