"""What a guest found, scene by scene, and what is to be said of it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from k40s.units import NS_PER_US
from tests.guest.guest_time.scenes import LEAST_OVERHEAD_US, Setting

RARE = 0.01
"""Part of a loop's jobs."""


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

    @property
    def measured(self) -> int:
        """What its budget has beyond what every kernel's has, in ns."""
        return self.budget - self.wcet - LEAST_OVERHEAD_US * NS_PER_US

    def __str__(self) -> str:
        timer = "HRTICK_DL" if self.setting.timer else "the tick"
        return (
            f"{self.setting.model}, {timer}: {self.name}, {self.reason or 'admitted'}, C "
            f"{self.wcet // 1000} us: {self.late} of {self.jobs} late, "
            f"response {self.worst // 1000} us, charged {self.charged // 1000} us"
        )


def unsound(played: Iterable[Played]) -> list[str]:
    """What was admitted, and was late all the same; without PREEMPT_RT, more than now and then.

    Such a kernel has no bound on how long it keeps a thread waiting, and a measurement finds none
    (docs/theory.md); what is left is said in ``rare``.
    """
    return [str(one) for one in _late(played) if not _is_rare(one)]


def rare(played: Iterable[Played]) -> list[str]:
    """Admitted, and late in so few jobs that no measurement of seconds would have shown why."""
    return [str(one) for one in _late(played) if _is_rare(one)]


def _late(played: Iterable[Played]) -> Iterable[Played]:
    return (one for one in played if one.is_admitted and one.late)


def _is_rare(one: Played) -> bool:
    return one.setting.model != "rt" and one.late <= RARE * one.jobs
