"""How large the story's pods are, so that they meet on a core as it tells.

By SCHED_DEADLINE a core holds twice as much as by budget groups of the same kernel: these give a
task more than it needs, to have it in time.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from k40s.cpu.model import Mechanism


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """WCETs in ms. ``too_much`` of 100 does not fit beside the first two pods.

    Two pods with ``low`` of 200 fit beside them; one with ``high`` of 100 does not fit beside one
    of those. ``bound`` is a Tenant's, in CPUs: one ``low`` is within it, two are not.
    """

    too_much: int
    low: int
    high: int
    bound: str


SIZES: Mapping[Mechanism, Sizes] = {
    Mechanism.RT_CGROUP: Sizes(too_much=60, low=10, high=12, bound="80m"),
    Mechanism.DEADLINE: Sizes(too_much=80, low=40, high=50, bound="300m"),
}
