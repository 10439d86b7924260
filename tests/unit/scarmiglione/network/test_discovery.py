from dataclasses import replace
from pathlib import Path

import pytest

from daemons.scarmiglione.network.back_end import BackEndName, Refusal, SlotBackEnd
from daemons.scarmiglione.network.discovery import Host, discover, open_back_end
from k40s.reasons import Reason
from k40s.tdma.model import Cycle
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.scarmiglione.rtnet import FakeRtnet
from tests.fakes.scarmiglione.stations import (
    CHARACTER_DEVICE,
    FakeTime,
    attached,
    install_tdmacfg,
)

CYCLE = Cycle(
    period=Nanoseconds(5 * NS_PER_MS), bit_rate=100_000_000, mtu=1500, guard=Nanoseconds(0)
)


def host(rtnet: FakeRtnet, *, tdmacfg: bool = True, device: bool = True) -> Host:
    return Host(
        proc=rtnet.proc,
        sys=rtnet.sys,
        device=CHARACTER_DEVICE if device else rtnet.root / "none",
        tdmacfg=install_tdmacfg(rtnet) if tdmacfg else rtnet.root / "none",
        last_channel=15,
        clocks=FakeTime().clocks,
    )


def opened(name: BackEndName | None, where: Host, interface: str = "rteth0") -> SlotBackEnd:
    found = open_back_end(name, interface=interface, cycle=CYCLE, host=where, wait=FakeTime().wait)
    assert not isinstance(found, Refusal), found
    return found


def refusal(name: BackEndName | None, where: Host, interface: str = "rteth0") -> str:
    found = open_back_end(name, interface=interface, cycle=CYCLE, host=where, wait=FakeTime().wait)
    assert isinstance(found, Refusal)
    assert found.reason is Reason.NETWORK_NO_MECHANISM
    return found.detail


def test_a_node_of_rtnet_says_what_it_has(tmp_path: Path) -> None:
    found = discover(host(attached(tmp_path)))

    assert (found.xenomai, found.rtnet) == ("3.3.1", "RTnet for Xenomai v3.3.1")
    assert (found.tdma, found.rtnet_device, found.tdmacfg) == (True, True, True)
    assert found.rtnet_interfaces == ("rteth0",)


def test_a_node_without_rtnet_has_nothing_of_it(tmp_path: Path) -> None:
    where = Host(proc=tmp_path, device=tmp_path / "rtnet", tdmacfg=tmp_path / "tdmacfg")

    found = discover(where)

    assert (found.xenomai, found.rtnet, found.tdma) == ("", "", False)
    assert (found.rtnet_interfaces, found.rtnet_device, found.tdmacfg) == ((), False, False)
    assert refusal(None, where) == f"the node has no {tmp_path}/rtnet"


def test_the_command_is_taken_where_it_is_there_and_else_the_ioctl(tmp_path: Path) -> None:
    rtnet = attached(tmp_path)

    assert opened(None, host(rtnet)).name is BackEndName.TDMACFG
    assert opened(None, host(rtnet, tdmacfg=False)).name is BackEndName.IOCTL
    assert opened(BackEndName.IOCTL, host(rtnet)).name is BackEndName.IOCTL
    assert opened(BackEndName.TDMACFG, host(rtnet)).limits.last == 15


def test_what_is_absent_is_refused_by_name(tmp_path: Path) -> None:
    rtnet = attached(tmp_path)

    assert refusal(None, host(rtnet), "rteth7") == "RTnet has no interface rteth7"
    assert refusal(None, host(rtnet), "rtlo") == "RTnet has no interface rtlo"
    assert refusal(BackEndName.TDMACFG, host(rtnet, tdmacfg=False)).endswith("none is not there")
    assert refusal(None, host(rtnet, device=False)).endswith("none is not there")
    (rtnet.proc / "rtnet/rtmac/disciplines").write_text("Name\t\tID\n", encoding="utf-8")
    assert refusal(None, host(rtnet)) == "RTnet has no TDMA: its module is not loaded"


def test_a_plain_file_is_no_device(tmp_path: Path) -> None:
    (tmp_path / "rtnet").touch()

    assert not discover(Host(proc=tmp_path, device=tmp_path / "rtnet")).rtnet_device


def test_taprio_is_refused_on_one_queue_and_on_nothing(tmp_path: Path) -> None:
    where = Host(clocks=FakeTime().clocks)

    assert refusal(BackEndName.TAPRIO, where, "lo") == "lo has a single queue; taprio needs several"
    assert refusal(BackEndName.TAPRIO, where, "none7") == "none7 is absent or down"
    del tmp_path


def test_taprio_is_taken_where_it_is_named_and_there_are_queues(tmp_path: Path) -> None:
    net = tmp_path / "class/net/eth9"
    for number in range(4):
        (net / f"queues/tx-{number}").mkdir(parents=True)
    (net / "statistics").mkdir()
    for name, value in (
        ("flags", "0x1003"),
        ("mtu", "1500"),
        ("statistics/rx_packets", "0"),
        ("carrier_changes", "2"),
    ):
        (net / name).write_text(value, encoding="ascii")

    found = opened(BackEndName.TAPRIO, replace(Host(), sys=tmp_path), "eth9")

    assert (found.name, found.interface, found.limits.last) == (BackEndName.TAPRIO, "eth9", 3)


def test_a_dry_run_is_made_only_where_the_operator_names_it(tmp_path: Path) -> None:
    where = Host(proc=tmp_path, last_channel=15)

    found = opened(BackEndName.NONE, where, "anything")

    assert (found.name, found.interface, found.limits.enforced) == (
        BackEndName.NONE,
        "anything",
        False,
    )
    with pytest.raises(AssertionError):
        opened(None, where)
