"""What is played in guest time: a control loop of one pod, and a rogue of another on its core.

Pure: the guest plays the scenes, and the tests know them by their names.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

LEAST_OVERHEAD_US = 120
"""What admission adds to a WCET on any kernel: two switches, a late timer (docs/theory.md)."""


class Rogue(StrEnum):
    """What the other pod's thread does, without end."""

    NOBODY = "nobody"
    SPINS = "spins"
    """In user mode."""
    CALLS = "calls"
    """In the kernel: 8 MB of memory mapped and populated, and unmapped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """WCET and period, the deadline too."""

    wcet_us: int
    period_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The loop keeps its contract, and the rogue breaks its own.

    A rogue without a contract is an ordinary process. With ``fills`` the loop has the largest WCET
    that is admitted beside it, and ``loop`` says what to play where none is.
    """

    name: str
    loop: Contract
    rogue: Rogue
    contract: Contract | None = None
    fills: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How the kernel runs: its preemption model, and whether HRTICK_DL ends budgets."""

    model: str
    timer: bool


LOOP = Contract(wcet_us=300, period_us=2_000)
BRISK = Contract(wcet_us=300, period_us=5_000)
SLOW = Contract(wcet_us=3_000, period_us=20_000)
BELOW = Contract(wcet_us=300, period_us=2_030)
"""Periods below, at and above the tick (4 ms), which they do not divide."""
AT = Contract(wcet_us=1_000, period_us=4_030)
ABOVE = Contract(wcet_us=5_000, period_us=20_300)


def _scene(
    loop: Contract, rogue: Rogue, contract: Contract | None = None, *, fills: bool = False
) -> Scene:
    who = "ordinary" if contract is None else f"{contract.wcet_us}/{contract.period_us}"
    words = [str(rogue.value), *([who] if rogue is not Rogue.NOBODY else [])]
    name = "-".join([f"{'full' if fills else loop.wcet_us}/{loop.period_us}", "beside", *words])
    return Scene(name=name, loop=loop, rogue=rogue, contract=contract, fills=fills)


ALONE = _scene(LOOP, Rogue.NOBODY)
FINE = tuple(_scene(LOOP, Rogue.SPINS, one) for one in (BELOW, AT, ABOVE))
"""A loop of 2 ms beside rogues in user mode: only a timer can end their budgets soon enough."""
CALLING = tuple(_scene(LOOP, Rogue.CALLS, one) for one in (BELOW, ABOVE))
"""The same beside rogues in system calls."""
ORDINARY = _scene(LOOP, Rogue.CALLS)
"""And beside an ordinary process in system calls, which admission knows nothing of."""
MIDDLE = tuple(_scene(BRISK, rogue, ABOVE, fills=True) for rogue in (Rogue.SPINS, Rogue.CALLS))
"""A loop of 5 ms, which any timer makes possible."""
PATIENT = _scene(SLOW, Rogue.CALLS, ABOVE, fills=True)
"""One of 20 ms, which needs none."""
FULL = tuple(_scene(LOOP, rogue, AT, fills=True) for rogue in (Rogue.SPINS, Rogue.CALLS))

FEW: Sequence[Scene] = (ALONE, *FINE, *CALLING, ORDINARY, *MIDDLE, PATIENT, *FULL)
"""Those of every test run."""
_EXACT = tuple(
    Contract(wcet_us=wcet, period_us=period)
    for wcet, period in (
        (300, 2_000),
        (100, 1_000),
        (1_000, 4_000),
        (1_000, 20_300),
        (5_000, 20_000),
    )
)
EVERY: Sequence[Scene] = (
    *FEW,
    *(_scene(LOOP, Rogue.SPINS, one) for one in _EXACT),
    *(_scene(LOOP, Rogue.CALLS, one) for one in (AT, *_EXACT)),
    *(_scene(LOOP, rogue, BELOW, fills=True) for rogue in (Rogue.SPINS, Rogue.CALLS)),
    _scene(LOOP, Rogue.CALLS, None, fills=True),
    _scene(SLOW, Rogue.SPINS, ABOVE, fills=True),
    _scene(SLOW, Rogue.CALLS, None, fills=True),
)

TICKS = Setting(model="voluntary", timer=False)
"""As Debian's kernels come."""
TIMER = Setting(model="voluntary", timer=True)
EXACT = Setting(model="full", timer=True)
FEW_SETTINGS = (TICKS, TIMER, EXACT)
EVERY_SETTING = (TICKS, TIMER, Setting(model="full", timer=False), EXACT)
"""A kernel with PREEMPT_RT takes the place of the model by its own, in both."""
