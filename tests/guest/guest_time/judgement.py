"""What a guest found, scene by scene, and what is to be said of it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from k40s.units import NS_PER_US
from tests.guest.guest_time.scenes import LEAST_OVERHEAD_US, Setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A scene in one setting: the verdict of admission, and what became of the loop; times in ns.

    ``waited`` is the longest time from a release to the job's first instruction, ``charged`` the
    most that the kernel counted as one job's CPU time.
    """

    name: str
    setting: Setting
    reason: str
    wcet: int
    budget: int
    jobs: int
    late: int
    worst: int
    waited: int
    charged: int

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Self:
        """From the guest's words."""
        rest = {name: value for name, value in told.items() if name not in {"model", "timer"}}
        return cls(setting=Setting(model=told["model"], timer=told["timer"]), **rest)

    @property
    def is_admitted(self) -> bool:
        """Whether rubicante would have taken both pods."""
        return not self.reason

    def __str__(self) -> str:
        timer = "HRTICK_DL" if self.setting.timer else "the tick"
        return (
            f"{self.setting.model}, {timer}: {self.name}, {self.reason or 'admitted'}, C "
            f"{self.wcet // 1000} us: {self.late} of {self.jobs} late, "
            f"response {self.worst // 1000} us, charged {self.charged // 1000} us"
        )


def unsound(played: Iterable[Played]) -> list[str]:
    """What was admitted, and was late all the same, but for ``unmeasured`` ones."""
    late = [one for one in played if one.is_admitted and one.late]
    return [str(one) for one in late if one not in unmeasured(late)]


def unmeasured(played: Iterable[Played]) -> list[Played]:
    """What was late because the kernel charged a job more than its whole budget, unbeknown.

    The stated limit (docs/theory.md): how long system calls keep a thread from its CPU counts only
    where the node measured it. Where it did not, as budgets show, voluntary preemption makes it
    more than what is assumed of every kernel.
    """
    return [
        one
        for one in played
        if one.is_admitted
        and one.late
        and one.setting.model == "voluntary"
        and one.budget == one.wcet + LEAST_OVERHEAD_US * NS_PER_US < one.charged
    ]
