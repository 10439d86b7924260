"""How much real-time bandwidth the kernel has for budget groups, and who else holds some of it."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from daemons.rubicante.kernel.system import System


@dataclass(frozen=True, slots=True, kw_only=True)
class RtShare:
    """``limit`` is for all groups at the top of the hierarchy, whosever they are.

    ``foreign`` are other people's, by name: theirs counts against the same limit.
    """

    limit: Fraction
    foreign: dict[str, Fraction]
    unlimited: bool = False

    @property
    def free(self) -> Fraction:
        """What is left to us, budget groups of ours included."""
        return max(Fraction(0), self.limit - sum(self.foreign.values(), Fraction(0)))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the operator should know of it."""
        texts = [
            f"the group {name} holds {float(share):.4f} of the real-time bandwidth"
            for name, share in self.foreign.items()
        ]
        if self.unlimited:
            texts.append("sched_rt_runtime_us is -1: real-time threads outside can take everything")
        return tuple(texts)


class RtBandwidth:
    """Reads it; ``is_ours`` tells by its name whether a group at the top is one of ours.

    A foreign group is never touched. One that holds a budget below a group that holds none does
    not exist: the kernel refuses it.
    """

    def __init__(
        self, *, system: System, cpu_root: Path, proc: Path, is_ours: Callable[[str], bool]
    ) -> None:
        self._system = system
        self._root = cpu_root
        self._sysctl = proc / "sys/kernel"
        self._is_ours = is_ours

    def read(self) -> tuple[RtShare, str]:
        """What there is at present, and why there is nothing where there is nothing."""
        root = self._ratio(self._root, "cpu.rt_runtime_us", "cpu.rt_period_us")
        if root is None:
            text = "no cpu controller with real-time budgets (cgroup v1 with CONFIG_RT_GROUP_SCHED)"
            return _NOTHING, text
        limit = self._ratio(self._sysctl, "sched_rt_runtime_us", "sched_rt_period_us")
        if limit is None:
            return _NOTHING, "sched_rt_runtime_us is not readable"
        return (
            RtShare(
                limit=root if limit < 0 else min(limit, root),
                foreign=self._foreign(),
                unlimited=limit < 0,
            ),
            "",
        )

    def _foreign(self) -> dict[str, Fraction]:
        found: dict[str, Fraction] = {}
        for name in self._system.directories(self._root):
            if self._is_ours(name):
                continue
            share = self._ratio(self._root / name, "cpu.rt_runtime_us", "cpu.rt_period_us")
            if share is not None and share > 0:
                found[name] = share
        return found

    def _ratio(self, directory: Path, runtime: str, period: str) -> Fraction | None:
        try:
            numerator = int(self._system.read(directory / runtime))
            return Fraction(numerator, int(self._system.read(directory / period)))
        except OSError:
            return None


_NOTHING = RtShare(limit=Fraction(0), foreign={})
