"""A machine's identity from /proc and /sys: CPU, frequency policy, virtual or not."""

import re
from dataclasses import dataclass
from pathlib import Path

from k40s.errors import K40sError

_LABEL_LENGTH = 63
_KHZ_PER_MHZ = 1000
_VENDORS = {"genuineintel": "intel", "authenticamd": "amd", "hygongenuine": "hygon"}


class MachineError(K40sError):
    """A file of /proc or /sys has an unexpected form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A machine's identity; "" or None where the machine does not show it.

    ``microarchitecture`` is vendor, family, model and stepping (x86), or implementer, part,
    variant and revision (Arm). ``kinds`` counts the different CPUs of the machine.
    """

    model: str
    microarchitecture: str
    kinds: int
    governor: str
    min_mhz: int | None
    max_mhz: int | None
    boost: bool | None
    smt: bool | None
    virtual: bool

    @property
    def platform(self) -> str:
        """A value for the label ``k40s.io/platform``."""
        parts = [
            self.microarchitecture or "unknown",
            "vm" if self.virtual else "",
            self.governor or ("" if self.virtual else "unknown"),
            f"{self.max_mhz}mhz" if self.max_mhz else "",
            "boost" if self.boost else "",
        ]
        text = re.sub(r"[^a-z0-9.]+", "-", "-".join(filter(None, parts)).lower())
        return text[:_LABEL_LENGTH].strip("-.")


def read_identity(root: Path) -> Identity:
    """Read it below ``root``, which is ``/`` but in tests. Raises ``OSError``."""
    blocks = _cpus((root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
    cpus = root / "sys/devices/system/cpu"
    policies = sorted(cpus.glob("cpufreq/policy*"))
    first = blocks[0] if blocks else {}
    return Identity(
        model=first.get("model name") or first.get("Model") or first.get("Hardware") or "",
        microarchitecture=_microarchitecture(first),
        kinds=len({(b.get("model name"), _microarchitecture(b)) for b in blocks}),
        governor=_common([_line(policy / "scaling_governor") for policy in policies]),
        min_mhz=_mhz([_line(policy / "scaling_min_freq") for policy in policies]),
        max_mhz=_mhz([_line(policy / "scaling_max_freq") for policy in policies]),
        boost=_boost(cpus),
        smt=_truth(_line(cpus / "smt/active")),
        virtual="hypervisor" in first.get("flags", "").split()
        or bool(_line(root / "sys/hypervisor/type")),
    )


def read_steal(root: Path) -> tuple[int, int]:
    """Time stolen from all CPUs, and all time, since start, in the kernel's clock ticks.

    Raises ``OSError``; ``MachineError`` where /proc/stat reads otherwise.
    """
    line = (root / "proc/stat").read_text(encoding="ascii").partition("\n")[0]
    words = line.split()
    times = [int(word) for word in words[1:] if word.isdigit()]
    if words[:1] != ["cpu"] or len(times) < _STEAL + 1:
        raise MachineError("/proc/stat does not start with the times of all CPUs")
    return times[_STEAL], sum(times[: _STEAL + 1])


_STEAL = 7


def _cpus(text: str) -> list[dict[str, str]]:
    """The fields of each CPU; Arm repeats some of them at the end, once for all."""
    blocks = []
    for block in text.strip().split("\n\n"):
        pairs = (line.partition(":") for line in block.splitlines())
        fields = {key.strip(): value.strip() for key, _, value in pairs}
        if "processor" in fields:
            blocks.append(fields)
    return blocks


def _microarchitecture(cpu: dict[str, str]) -> str:
    if "cpu family" in cpu:
        vendor = cpu.get("vendor_id", "").lower()
        names = (cpu["cpu family"], cpu.get("model", ""), cpu.get("stepping", ""))
        return "-".join([_VENDORS.get(vendor, vendor) or "x86", *filter(None, names)])
    parts = ("CPU implementer", "CPU part", "CPU variant", "CPU revision")
    found = [cpu[part] for part in parts if cpu.get(part)]
    return "-".join(["arm", *found]) if found else ""


def _boost(cpus: Path) -> bool | None:
    general = _truth(_line(cpus / "cpufreq/boost"))
    if general is not None:
        return general
    off = _truth(_line(cpus / "intel_pstate/no_turbo"))
    return None if off is None else not off


def _common(values: list[str]) -> str:
    """The value of all policies; "mixed" where they differ."""
    different = set(filter(None, values))
    return "mixed" if len(different) > 1 else "".join(different)


def _mhz(values: list[str]) -> int | None:
    figures = [int(value) for value in values if value.isdigit()]
    return max(figures) // _KHZ_PER_MHZ if figures else None


def _truth(text: str) -> bool | None:
    return {"0": False, "1": True}.get(text)


def _line(path: Path) -> str:
    """A file's one line; "" where the machine has no such file."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
