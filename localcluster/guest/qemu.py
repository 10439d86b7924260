"""The command line of an emulated machine. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAM = "qemu-system-x86_64"
CPUS = 2

_CPU = "max,cx16=off"
"""QEMU 7's cmpxchg16b leaves garbage in the flags; kernels do without where the CPU has none."""

_KERNEL_ARGUMENTS = ("quiet", "tsc=reliable", "no_timer_check", "rdinit=/init", "panic=-1")
"""An emulator is late on a busy machine: the kernel must not take its clocks for broken."""
_COUNTED = ("-rtc", "base=2026-01-01,clock=vm", "-seed", "1")
"""Of a machine that repeats itself."""
_REPEATABLE = ("nokaslr", "norandmaps")
"""With the same chances and addresses each time, a guest whose clock is counted repeats itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulator:
    """A program of QEMU, and the directories of its firmware: none, those that it knows itself."""

    program: str = PROGRAM
    firmware: Sequence[Path] = ()


INSTALLED = Emulator()


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulation:
    """One machine: ``memory`` in MiB, and what QEMU connects to it.

    ``counted``: its clocks count the instructions of its CPUs, which take turns, so a busy host
    changes nothing that the guest can see, and only makes it take longer. Such an instruction takes
    2 ns, or 1 ns with ``fast``, which makes what goes on in the background a smaller part of the
    CPUs. Time in which nothing runs is skipped. Two CPUs so need a QEMU that shares evenly
    (``ensure_emulator``).

    ``results`` is a file that gets what the guest writes to its second serial line; the first one
    is the console, QEMU's standard output. ``socket`` is where QEMU serves one more such line, for
    a shell. ``disks`` are read by the guest and never changed: what
    it writes there is gone with it. ``tap`` names an existing interface that becomes its eth0.
    """

    kernel: Path
    initrd: Path
    memory: int
    results: Path | None = None
    socket: Path | None = None
    disks: Sequence[Path] = ()
    tap: str = ""
    hardware_address: str = ""
    counted: bool = False
    fast: bool = False
    cpus: int = CPUS


def command(emulation: Emulation, emulator: Emulator = INSTALLED) -> list[str]:
    """The command line; QEMU ends with the guest's power-off, panic or reboot."""
    arguments = (*_KERNEL_ARGUMENTS, *(_REPEATABLE if emulation.counted else ()))
    return [
        *(emulator.program, *(word for path in emulator.firmware for word in ("-L", str(path)))),
        *("-accel", "tcg,thread=single", "-cpu", _CPU, "-smp", str(emulation.cpus)),
        *(("-icount", f"shift={int(not emulation.fast)},sleep=off") if emulation.counted else ()),
        *(_COUNTED if emulation.counted else ()),
        *("-m", str(emulation.memory), "-nodefaults", "-no-user-config", "-display", "none"),
        *("-no-reboot", "-monitor", "none"),
        *("-kernel", str(emulation.kernel), "-initrd", str(emulation.initrd)),
        *("-append", " ".join(("console=ttyS0", *arguments))),
        *("-serial", "stdio"),
        *(word for pair in _devices(emulation) for word in pair),
    ]


def _devices(emulation: Emulation) -> Iterator[tuple[str, str]]:
    if emulation.results is not None:
        yield ("-serial", f"file:{emulation.results}")
    if emulation.socket is not None:
        yield ("-serial", f"unix:{emulation.socket},server=on,wait=off")
    for disk in emulation.disks:
        yield ("-drive", f"file={disk},format=raw,if=virtio,snapshot=on,cache=unsafe")
    if emulation.tap:
        yield ("-netdev", f"tap,id=net,ifname={emulation.tap},script=no,downscript=no")
        address = emulation.hardware_address
        yield ("-device", f"virtio-net-pci,netdev=net,romfile=,mac={address}")
