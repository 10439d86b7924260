"""What a node has for keeping slots, and the back end that serves an interface.

What is absent is refused. RTnet is found by itself; ``taprio`` and ``none`` only where the operator
names them: the one replaces an interface's queueing discipline, the other keeps nothing.
"""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daemons.scarmiglione.network.back_end import BackEndName, Refusal, SlotBackEnd
from daemons.scarmiglione.network.child import Run, run_child
from daemons.scarmiglione.network.clocks import LINUX, Clocks
from daemons.scarmiglione.network.dry_run import DryRunBackEnd
from daemons.scarmiglione.network.preconditions import DEFAULT_SLOTS
from daemons.scarmiglione.network.rtnet.ioctl import IoctlCommands, linux_ioctl
from daemons.scarmiglione.network.rtnet.proc_rtnet import READ_SECONDS, RtnetFiles, read_files
from daemons.scarmiglione.network.rtnet.proc_text import (
    parse_devices,
    parse_disciplines,
    parse_version,
)
from daemons.scarmiglione.network.rtnet.station import RtnetBackEnd, SlotCommands
from daemons.scarmiglione.network.rtnet.tdmacfg import Tdmacfg, time_limit
from daemons.scarmiglione.network.taprio.device import LinuxGateDevice
from daemons.scarmiglione.network.taprio.station import TaprioBackEnd
from k40s.errors import KernelError
from k40s.reasons import Reason
from k40s.tdma.model import Cycle

_TDMA = "TDMA"
_QUEUES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Where the host's files are, and what the operator says of it.

    ``tdmacfg`` is the command's path. ``last_channel`` is the largest slot id of the tables that
    its interfaces were attached with (``-i``), 7 unless said otherwise; RTnet does not show it.
    ``seconds`` bounds a command; None is what a first slot's calibration takes at most.
    """

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    device: Path = Path("/dev/rtnet")
    tdmacfg: Path = Path("/usr/xenomai/sbin/tdmacfg")
    last_channel: int = 7
    seconds: float | None = None
    clocks: Clocks = LINUX
    run: Run = run_child


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a node has. Versions are "" where there is none."""

    xenomai: str
    rtnet: str
    tdma: bool
    rtnet_interfaces: tuple[str, ...]
    rtnet_device: bool
    tdmacfg: bool


def discover(host: Host) -> Found:
    """Look at the host. Raises ``KernelError`` where RTnet's files cannot be read."""
    files = ("xenomai/version", "rtnet/version", "rtnet/rtmac/disciplines", "rtnet/devices")
    xenomai, rtnet, disciplines, devices = read_files(
        [host.proc / name for name in files], seconds=READ_SECONDS, run=host.run
    )
    there = parse_devices(devices)
    return Found(
        xenomai=parse_version(xenomai),
        rtnet=parse_version(rtnet),
        tdma=_TDMA in parse_disciplines(disciplines),
        rtnet_interfaces=tuple(name for name, one in there.items() if not one.loopback),
        rtnet_device=_is_device(host.device),
        tdmacfg=host.tdmacfg.is_file() and os.access(host.tdmacfg, os.X_OK),
    )


def open_back_end(
    name: BackEndName | None,
    *,
    interface: str,
    cycle: Cycle,
    host: Host,
    wait: Callable[[float], object],
) -> SlotBackEnd | Refusal:
    """The named back end for an interface; None is RTnet's, by its command where that is there.

    Raises ``KernelError`` as ``discover``, and where the interface has slots of pods but the node
    has nothing to remove them with: they must not be taken for gone.
    """
    if name is BackEndName.NONE:
        return DryRunBackEnd(
            interface=interface, cycle=cycle, last=host.last_channel, clocks=host.clocks
        )
    if name is BackEndName.TAPRIO:
        return _taprio(interface, cycle, host, wait)
    found = discover(host)
    if (absence := _rtnet_absence(interface, found, host)) is not None:
        return _absent(absence)
    files = RtnetFiles(proc=host.proc, sys=host.sys, clocks=host.clocks, run=host.run)
    if (absence := _tool_absence(name, found, host)) is not None:
        if any(slot.number not in DEFAULT_SLOTS for slot in files.read(interface).slots):
            raise KernelError(f"{interface} has slots that cannot be removed: {absence}")
        return _absent(absence)
    seconds = time_limit(cycle.period) if host.seconds is None else host.seconds
    commands: SlotCommands
    if name is BackEndName.TDMACFG or (name is None and found.tdmacfg):
        commands = Tdmacfg(command=str(host.tdmacfg), seconds=seconds, run=host.run)
    else:
        commands = IoctlCommands(
            ioctl=linux_ioctl(host.device, seconds, host.run),
            cycle=cycle.period,
            mtu=cycle.mtu,
            last=host.last_channel,
        )
    return RtnetBackEnd(
        interface=interface,
        cycle=cycle,
        last=host.last_channel,
        files=files,
        commands=commands,
        wait=wait,
    )


def _rtnet_absence(interface: str, found: Found, host: Host) -> str | None:
    if not found.rtnet:
        return f"the node has no {host.proc}/rtnet"
    if not found.tdma:
        return "RTnet has no TDMA: its module is not loaded"
    if interface not in found.rtnet_interfaces:
        return f"RTnet has no interface {interface}"
    return None


def _tool_absence(name: BackEndName | None, found: Found, host: Host) -> str | None:
    if name is BackEndName.TDMACFG and not found.tdmacfg:
        return f"{host.tdmacfg} is not there"
    if not found.rtnet_device:
        return f"{host.device} is not there"
    return None


def _taprio(
    interface: str, cycle: Cycle, host: Host, wait: Callable[[float], object]
) -> SlotBackEnd | Refusal:
    device = LinuxGateDevice(interface, sys=host.sys, run=host.run)
    facts = device.facts()
    if facts is None:
        return _absent(f"{interface} is absent or down")
    if facts.queues < _QUEUES:
        return _absent(f"{interface} has a single queue; taprio needs several")
    return TaprioBackEnd(
        interface=interface,
        cycle=cycle,
        device=device,
        facts=facts,
        clocks=host.clocks,
        wait=wait,
    )


def _absent(detail: str) -> Refusal:
    return Refusal(reason=Reason.NETWORK_NO_MECHANISM, hazard="absent", detail=detail)


def _is_device(path: Path) -> bool:
    try:
        return stat.S_ISCHR(path.stat().st_mode)
    except OSError:
        return False
