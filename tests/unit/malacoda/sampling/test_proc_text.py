from collections.abc import Callable
from pathlib import Path

import pytest

from daemons.malacoda.sampling.proc_text import (
    parse_interrupts,
    parse_loadavg,
    parse_pressure,
    parse_softirqs,
    parse_stat,
    parse_uptime,
)
from k40s.assurance.counters import CpuTimes

RECORDED = Path("tests/fixtures/proc")

STAT = b"""\
cpu  100 10 30 400 5 6 7 8 9 1
cpu0 60 4 20 300 3 4 5 6 9 1
cpu1 40 6 10 100 2 2 2 2 0 0
cpu10 1 1 1 1 1 1 1 1 0 0
intr 5 1 2
ctxt 1234
btime 1
processes 77
procs_running 3
procs_blocked 0
softirq 9 0
"""


def recorded(name: str) -> bytes:
    return (RECORDED / name).read_bytes()


def test_stat_is_split_into_the_nodes_cpus_and_the_others() -> None:
    stat = parse_stat(STAT, {1})

    assert stat.own == CpuTimes(user=46, system=10, idle=100, iowait=2, irq=4, steal=2)
    assert stat.others == CpuTimes(user=66, system=21, idle=301, iowait=4, irq=11, steal=7)
    assert (stat.own_cpus, stat.other_cpus) == (1, 2)
    assert (stat.contexts, stat.forks, stat.running) == (1234, 77, 3)


def test_a_recorded_machine_is_understood() -> None:
    stat = parse_stat(recorded("stat"), {1})
    softirqs = parse_softirqs(recorded("softirqs"), {1})
    interrupts = parse_interrupts(recorded("interrupts"), {1})

    assert (stat.own_cpus, stat.other_cpus) == (1, 1)
    assert stat.own.user > stat.own.system > 0
    assert {"TIMER", "NET_RX", "BLOCK", "RCU"} <= set(softirqs)
    assert set(interrupts) == {"device", "LOC", "RES", "CAL", "TLB"}
    assert min(interrupts.values()) > 0
    assert parse_loadavg(recorded("loadavg")) > 0
    assert parse_uptime(recorded("uptime")) > 0
    assert parse_pressure(recorded("pressure/cpu")) > 0


def test_all_cpus_together_are_the_sum_of_each() -> None:
    for parse in (parse_softirqs, parse_interrupts):
        name = parse.__name__.removeprefix("parse_")
        first, second, both = (parse(recorded(name), cpus) for cpus in ({0}, {1}, {0, 1}))
        assert both == {key: first[key] + second[key] for key in first}


def test_only_device_rows_and_the_watched_rows_of_the_architecture_count() -> None:
    text = b"""\
           CPU0       CPU1
  8:          1          2  IO-APIC   8-edge      rtc0
 24:         10         20  PCI-MSI   0-edge      nvme0
NMI:        100        200  Non-maskable interrupts
RES:          3          4  Rescheduling interrupts
ERR:          0
"""

    assert parse_interrupts(text, {1}) == {"device": 22, "RES": 4}


ARM64 = b"""\
           CPU0       CPU1
 11:       4000       3000     GICv3  27 Level     arch_timer
 13:          5          6     GICv3  62 Level     uart-pl011
 37:         17          2   ITS-MSI 524288 Edge      nvme0q0
IPI0:        30        101       Rescheduling interrupts
IPI1:      1800       1400       Function call interrupts
IPI2:         0          0       CPU stop interrupts
IPI3:         0          0       CPU stop (for crash dump) interrupts
IPI4:         7          7       Timer broadcast interrupts
IPI5:         8          9       IRQ work interrupts
IPI6:         0          0       CPU wake-up interrupts
Err:          0
"""
ARM = b"""\
           CPU0       CPU1
 29:       4000       3000     GIC-0  29 Edge      twd
 57:         11          8     GIC-0  52 Level     eth0
IPI0:          0          1  CPU wakeup interrupts
IPI1:          0          0  Timer broadcast interrupts
IPI2:         30        101  Rescheduling interrupts
IPI3:       1800       1400  Function call interrupts
IPI4:          0          0  CPU stop interrupts
IPI5:         42        358  IRQ work interrupts
Err:          0
"""
RISCV64 = b"""\
           CPU0       CPU1
  1:          2          3  SiFive PLIC   5 Edge      virtio0
  4:         57          5  SiFive PLIC   1 Edge      ttyS0
  5:       4000       3000  RISC-V INTC   5 Edge      riscv-timer
IPI0:        30        101  Rescheduling interrupts
IPI1:      1800       1400  Function call interrupts
IPI2:         0          0  CPU stop interrupts
IPI3:         0          0  IRQ work interrupts
IPI4:         0          0  Timer broadcast interrupts
"""


@pytest.mark.parametrize("text", [ARM64, ARM, RISCV64], ids=["arm64", "arm", "riscv64"])
def test_other_architectures_rows_are_known_by_their_description(text: bytes) -> None:
    assert parse_interrupts(text, {1}) == {"device": 8, "LOC": 3000, "RES": 101, "CAL": 1400}
    assert parse_interrupts(text, {0, 1})["RES"] == 131


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (lambda text: parse_stat(text, {7}), STAT),
        (lambda text: parse_stat(text, {1}), b""),
        (lambda text: parse_stat(text, {1}), STAT.replace(b"ctxt", b"x")),
        (lambda text: parse_stat(text, {1}), STAT.replace(b"ctxt 1234", b"ctxt many")),
        (lambda text: parse_stat(text, {1}), STAT.replace(b"cpu1 40 6 10", b"cpu1 40 6")[:60]),
        (lambda text: parse_stat(text, {1}), b"cpu1 1 2 3\n"),
        (lambda text: parse_softirqs(text, {1}), b""),
        (lambda text: parse_softirqs(text, {1}), b"CPU0\nRCU: 1\n"),
        (lambda text: parse_softirqs(text, {1}), b"CPU0 CPU1\nRCU: 1\n"),
        (lambda text: parse_softirqs(text, {1}), b"zero one\nRCU: 1 2\n"),
        (lambda text: parse_interrupts(text, {1}), b"CPU0 CPU1\n8: 1\n"),
        (lambda text: parse_interrupts(text, {1}), b"CPU0 CPU1\nRES: 1 x\n"),
        (
            lambda text: parse_interrupts(text, {1}),
            b"CPU0 CPU1\nIPI0: 1 x Rescheduling interrupts\n",
        ),
        (parse_loadavg, b"\n"),
        (parse_loadavg, b"high 1 2"),
        (parse_uptime, b""),
        (parse_pressure, b""),
        (parse_pressure, b"some avg10=0.00\n"),
        (parse_pressure, b"full avg10=0.00 total=5\n"),
    ],
)
def test_what_is_not_such_a_file_is_a_value_error(
    parse: Callable[[bytes], object], text: bytes
) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text)
