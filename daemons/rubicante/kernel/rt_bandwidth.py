"""Real-time bandwidth that the kernel has for budget groups, and foreign holders of some."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from daemons.rubicante.kernel.system import System

IsOwnGroup = Callable[[str], bool]
"""Whether k40s may write the group of this name at the top of the hierarchy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RtShare:
    """``limit`` is for all groups at the top of the hierarchy.

    ``foreign`` are the groups of other programs, by name; they count against the same limit.
    ``unlimited`` are the kernel's own limits that are switched off (-1).
    """

    limit: Fraction
    foreign: dict[str, Fraction]
    unlimited: tuple[str, ...] = ()

    @property
    def free(self) -> Fraction:
        """Bandwidth for k40s, including what its budget groups hold."""
        return max(Fraction(0), self.limit - sum(self.foreign.values(), Fraction(0)))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings for the operator."""
        texts = [
            f"the group {name} holds {float(share):.4f} of the real-time bandwidth"
            for name, share in self.foreign.items()
        ]
        texts += [
            f"{name} is -1: real-time threads outside can take everything"
            for name in self.unlimited
        ]
        return tuple(texts)


class RtBandwidth:
    """Reads the kernel's real-time bandwidth; ``is_own_group`` distinguishes groups by name.

    A foreign group is never touched. One that holds a budget below a group that holds none does not
    exist: the kernel refuses it.
    """

    def __init__(
        self, *, system: System, cpu_root: Path, proc: Path, is_own_group: IsOwnGroup
    ) -> None:
        self._system = system
        self._root = cpu_root
        self._sysctl = proc / "sys/kernel"
        self._is_own_group = is_own_group

    def read(self) -> tuple[RtShare, str]:
        """The current RT bandwidth, or the reason why none is available."""
        root = self._share(self._root)
        if root is None:
            text = "no cpu controller with real-time budgets (cgroup v1 with CONFIG_RT_GROUP_SCHED)"
            return _NOTHING, text
        limit = read_share(self._system, self._sysctl, "sched_rt")
        if limit is None:
            return _NOTHING, "sched_rt_runtime_us is not readable"
        figures = {"sched_rt_runtime_us": limit, "the root group's cpu.rt_runtime_us": root}
        return (
            RtShare(
                limit=min(_whole(limit), _whole(root)),
                foreign=self._foreign(),
                unlimited=tuple(name for name, figure in figures.items() if figure < 0),
            ),
            "",
        )

    def _foreign(self) -> dict[str, Fraction]:
        found: dict[str, Fraction] = {}
        for name in self._system.directories(self._root):
            if self._is_own_group(name):
                continue
            share = self._share(self._root / name)
            if share is not None and share != 0:
                found[name] = _whole(share)
        return found

    def _share(self, cgroup: Path) -> Fraction | None:
        return read_share(self._system, cgroup, "cpu.rt")


def read_share(system: System, directory: Path, prefix: str) -> Fraction | None:
    """Runtime over period in ``<prefix>_runtime_us`` and ``<prefix>_period_us``.

    Below 0 there is no limit, and the whole CPU may be used. None where they cannot be read.
    """
    try:
        runtime, period = (
            int(system.read(directory / f"{prefix}_{name}_us")) for name in ("runtime", "period")
        )
        return Fraction(runtime, period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _whole(share: Fraction) -> Fraction:
    """A limit as a share of the CPU: without one, the kernel counts the whole CPU."""
    return Fraction(1) if share < 0 else share


_NOTHING = RtShare(limit=Fraction(0), foreign={})
