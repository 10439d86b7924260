"""Boots such a machine for one command, shows its console, and returns the command's status."""

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from localcluster.errors import LocalClusterError
from localcluster.guest.boot import node_archive
from localcluster.guest.disks import SystemDisk
from localcluster.guest.kernels import GuestKernel
from localcluster.guest.qemu import Emulation, Emulator, command
from localcluster.guest.stock.console import follow
from localcluster.guest.stock.debian import own_files

_STATUS = re.compile(r"^status (\d+)\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class StockMachine:
    """What it is made of; ``checkout`` is a tar archive, ``memory`` is in MiB."""

    kernel: GuestKernel
    modules: SystemDisk
    root: Path
    cache: Path
    checkout: Path
    memory: int
    emulator: Emulator


def run_command(
    machine: StockMachine,
    words: str,
    *,
    log: Path,
    seconds: int,
    show: Callable[[str], None],
    socket: Path | None = None,
) -> int:
    """The exit status of a shell command in the guest's checkout.

    Its clocks count instructions, so that no load of the host makes it too late.
    The console goes to ``log`` and to ``show``. ``socket`` serves the guest's third serial line,
    /dev/ttyS2. Raises ``LocalClusterError`` when the guest has not come to the command's
    end after ``seconds``, or ended before.
    """
    with tempfile.TemporaryDirectory(prefix="k40s-stock-") as scratch:
        initrd, results = Path(scratch) / "initrd", Path(scratch) / "results"
        own = node_archive(own_files(words))
        initrd.write_bytes(machine.modules.boot.read_bytes() + own)
        emulation = Emulation(
            kernel=machine.kernel.image,
            initrd=initrd,
            memory=machine.memory,
            results=results,
            socket=socket,
            counted=True,
            fast=True,
            disks=(machine.root, machine.cache, machine.checkout, machine.modules.image),
        )
        start = command(emulation, machine.emulator)
        finished = follow(start, log=log, seconds=seconds, show=show)
        said = results.read_text(encoding="utf-8", errors="replace") if results.exists() else ""
    if not finished:
        raise LocalClusterError(f"the guest was ended after {seconds} s; its console: {log}")
    status = parse_status(said)
    if status is None:
        raise LocalClusterError(f"the guest ended before its command did; its console: {log}")
    return status


def parse_status(said: str) -> int | None:
    """The command's exit status out of what the guest wrote to its second serial line."""
    match = _STATUS.search(said)
    return int(match[1]) if match else None
