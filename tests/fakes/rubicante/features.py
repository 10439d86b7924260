"""Rubicantes that share the scheduler features of one kernel in memory."""

from pathlib import Path

from daemons.rubicante.kernel.sched_features import SchedFeatures
from daemons.rubicante.kernel.system import System
from daemons.rubicante.mechanisms.timer.hrtick import HrtickFeature
from daemons.rubicante.mechanisms.timer.marks import Marks
from tests.fakes.rubicante.domains import V2, DomainKernel

DEBUG = Path("/debug/sched")
FEATURES = DEBUG / "features"
ON, OFF = "HRTICK_DL", "NO_HRTICK_DL"


def kernel_with(features: str) -> DomainKernel:
    """A kernel whose scheduler has these features, as the file lists them."""
    kernel = DomainKernel()
    kernel.folders |= {DEBUG}
    kernel.files[FEATURES] = features
    return kernel


def feature(
    kernel: DomainKernel,
    *,
    prefix: str = "k40s-rt",
    permitted: bool = True,
    system: System | None = None,
) -> HrtickFeature:
    """One rubicante's part in HRTICK_DL; ``system`` is its way to the kernel."""
    system = system or kernel
    return HrtickFeature(
        features=SchedFeatures(system=system, debug=DEBUG),
        marks=Marks(system=system, top=V2, prefix=prefix),
        permitted=permitted,
    )


def is_on(kernel: DomainKernel) -> bool:
    return ON in kernel.files[FEATURES].split()


def marks(kernel: DomainKernel) -> set[str]:
    return {name for name in kernel.directories(V2) if name.endswith("-hrtick")}
