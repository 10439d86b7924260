"""A node's speed factor against a reference machine, and what to write on the node.

The factor says how many times longer work may take here than it usually takes on the reference
machine. It scales baselines of LOW workloads. It can never stand for a WCET of a HI workload.
"""

from dataclasses import dataclass
from fractions import Fraction

from k40s.annotations import PLATFORM_FACTOR_KEY, PLATFORM_LABEL
from workbench.calibration.speed_run import SpeedRun, Spread

STEP = Fraction(1, 20)
"""Factors are multiples of this: the figures after it are noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelRatio:
    """Times here over times there; ``usual`` of the medians, ``upper`` of p99 over the median."""

    here: Spread
    there: Spread

    @property
    def usual(self) -> Fraction:
        """Median over median."""
        return Fraction(self.here.median, self.there.median)

    @property
    def least(self) -> Fraction:
        """The fast end of the spread: p5 here over the median there."""
        return Fraction(self.here.p5, self.there.median)

    @property
    def upper(self) -> Fraction:
        """The slow end of the spread: p99 here over the median there."""
        return Fraction(self.here.p99, self.there.median)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A run against a reference run, kernel by kernel."""

    ratios: tuple[KernelRatio, ...]

    @property
    def factor(self) -> Fraction:
        """The greatest upper ratio, rounded up."""
        greatest = max(ratio.upper for ratio in self.ratios)
        return -(-greatest // STEP) * STEP


def compare(run: SpeedRun, reference: SpeedRun) -> Comparison:
    """Both runs are of the same kernels (``check_comparable``)."""
    there = {spread.kernel: spread for spread in reference.spreads}
    return Comparison(ratios=tuple(KernelRatio(here=s, there=there[s.kernel]) for s in run.spreads))


def commands(node: str, run: SpeedRun, comparison: Comparison | None) -> tuple[str, ...]:
    """The commands that label and annotate the node."""
    label = f"kubectl label node {node} {PLATFORM_LABEL}={run.identity.platform} --overwrite"
    if comparison is None:
        return (label,)
    factor = comparison.factor
    return (
        label,
        f"kubectl annotate node {node} {PLATFORM_FACTOR_KEY}={factor} --overwrite",
    )


def warnings(run: SpeedRun) -> tuple[str, ...]:
    """Conditions that make the run's figures unreliable."""
    found = []
    identity = run.identity
    if identity.virtual:
        found.append(
            "This is a virtual machine: the CPU's name may be the hypervisor's, its frequency "
            "policy is hidden, and neighbours share caches and memory. A WCET table for HI "
            "needs a machine that is known."
        )
    if identity.kinds > 1:
        found.append(
            f"There are {identity.kinds} kinds of CPUs, and only core {run.core} was measured: "
            "offer cores of one kind to real-time pods."
        )
    if identity.governor not in ("", "performance"):
        found.append(
            f"The governor is {identity.governor}: times depend on load and heat. "
            "Set performance before measuring."
        )
    if identity.boost:
        found.append("Boost is on: the measured speed lasts only while others are idle.")
    if run.steal > Fraction(1, 100):
        found.append(f"{float(run.steal):.1%} of the time was stolen by the host: measure again.")
    return tuple(found)
