from pathlib import Path

import pytest

from workbench.calibration.machine import MachineError, read_identity, read_steal

X86 = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 167
model name\t: Intel(R) Xeon(R) Processor
stepping\t: 8
flags\t\t: fpu vme{flags}

processor\t: 1
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 167
model name\t: Intel(R) Xeon(R) Processor
stepping\t: 8
flags\t\t: fpu vme{flags}
"""
ARM = """processor\t: 0
BogoMIPS\t: 108.00
CPU implementer\t: 0x41
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

processor\t: 1
CPU implementer\t: 0x41
CPU variant\t: 0x4
CPU part\t: 0xd03
CPU revision\t: 4

Hardware\t: BCM2711
"""


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def policy(root: Path, number: int, governor: str, most: str) -> None:
    base = f"sys/devices/system/cpu/cpufreq/policy{number}"
    write(root, f"{base}/scaling_governor", governor + "\n")
    write(root, f"{base}/scaling_min_freq", "800000\n")
    write(root, f"{base}/scaling_max_freq", most + "\n")


def test_a_physical_x86_machine(tmp_path: Path) -> None:
    write(tmp_path, "proc/cpuinfo", X86.format(flags=""))
    policy(tmp_path, 0, "performance", "3600000")
    policy(tmp_path, 1, "performance", "3600000")
    write(tmp_path, "sys/devices/system/cpu/intel_pstate/no_turbo", "0\n")
    write(tmp_path, "sys/devices/system/cpu/smt/active", "1\n")

    found = read_identity(tmp_path)

    assert found.model == "Intel(R) Xeon(R) Processor"
    assert found.microarchitecture == "intel-6-167-8"
    assert (found.kinds, found.virtual, found.smt, found.boost) == (1, False, True, True)
    assert (found.governor, found.min_mhz, found.max_mhz) == ("performance", 800, 3600)
    assert found.platform == "intel-6-167-8-performance-3600mhz-boost"


def test_a_virtual_machine_hides_its_frequency(tmp_path: Path) -> None:
    write(tmp_path, "proc/cpuinfo", X86.format(flags=" hypervisor"))

    found = read_identity(tmp_path)

    assert found.virtual
    assert (found.governor, found.max_mhz, found.boost, found.smt) == ("", None, None, None)
    assert found.platform == "intel-6-167-8-vm"


def test_an_arm_board_with_two_kinds_of_cores(tmp_path: Path) -> None:
    write(tmp_path, "proc/cpuinfo", ARM)
    policy(tmp_path, 0, "ondemand", "1500000")
    policy(tmp_path, 1, "performance", "1800000")
    write(tmp_path, "sys/devices/system/cpu/cpufreq/boost", "0\n")

    found = read_identity(tmp_path)

    assert found.microarchitecture == "arm-0x41-0xd08-0x0-3"
    assert (found.kinds, found.governor, found.boost) == (2, "mixed", False)
    assert found.max_mhz == 1800
    assert found.platform == "arm-0x41-0xd08-0x0-3-mixed-1800mhz"


def test_a_machine_that_shows_nothing_has_a_name_still(tmp_path: Path) -> None:
    write(tmp_path, "proc/cpuinfo", "")

    found = read_identity(tmp_path)

    assert found.platform == "unknown-unknown"
    assert found.kinds == 0


def test_a_hypervisor_shows_in_sysfs_too(tmp_path: Path) -> None:
    write(tmp_path, "proc/cpuinfo", ARM)
    write(tmp_path, "sys/hypervisor/type", "xen\n")

    assert read_identity(tmp_path).virtual


def test_stolen_time_is_the_eighth_figure(tmp_path: Path) -> None:
    write(tmp_path, "proc/stat", "cpu  100 0 50 800 5 1 2 42 9 9\ncpu0 1 2\n")

    assert read_steal(tmp_path) == (42, 1000)


@pytest.mark.parametrize("text", ["", "cpu 1 2 3\n", "intr 1 2 3 4 5 6 7 8 9\n"])
def test_another_form_of_proc_stat_is_an_error(tmp_path: Path, text: str) -> None:
    write(tmp_path, "proc/stat", text)

    with pytest.raises(MachineError, match="does not start with the times of all CPUs"):
        read_steal(tmp_path)
