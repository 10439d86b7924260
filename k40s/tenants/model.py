"""Values of a Tenant (custom resource): its bounds, what its pods use, and what one more needs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from k40s.criticality import Criticality
from k40s.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a tenant may have; None is without a bound.

    ``bandwidth`` is in CPUs: the sum of C/T of real-time tasks, or C/D (``k40s.tenants.need``).
    """

    criticalities: frozenset[Criticality] = frozenset(Criticality)
    bandwidth: Fraction | None = None
    hi_pods: int | None = None

    def __post_init__(self) -> None:
        if self.bandwidth is not None and self.bandwidth < 0:
            raise ValueError("a bandwidth is not negative")
        if self.hi_pods is not None and self.hi_pods < 0:
            raise ValueError("a number of pods is not negative")

    def counts(self, need: "Need") -> bool:
        """Whether a pod uses up anything that is bounded."""
        high = need.criticality is Criticality.HI
        return bool(need.bandwidth and self.bandwidth is not None) or (
            high and self.hi_pods is not None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one pod counts for its tenant: ``bandwidth`` in CPUs, on the slowest platform."""

    uid: str
    namespace: str
    criticality: Criticality
    bandwidth: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What pods use together, each counted once, by UID."""

    needs: Mapping[str, Need] = field(default_factory=dict)
    bandwidth: Fraction = Fraction(0)
    high: int = 0

    @classmethod
    def of(cls, needs: Iterable[Need]) -> "Usage":
        """The usage of these; of two for one pod the larger bandwidth and the criticality HI."""
        by_uid: dict[str, Need] = {}
        for one in needs:
            other = by_uid.get(one.uid)
            by_uid[one.uid] = one if other is None else _larger(one, other)
        return cls(
            needs=by_uid,
            bandwidth=sum((one.bandwidth for one in by_uid.values()), Fraction(0)),
            high=sum(one.criticality is Criticality.HI for one in by_uid.values()),
        )

    def beside(self, uid: str) -> tuple[Fraction, int]:
        """Bandwidth and number of HI pods of all others than this one."""
        own = self.needs.get(uid)
        if own is None:
            return self.bandwidth, self.high
        return self.bandwidth - own.bandwidth, self.high - (own.criticality is Criticality.HI)

    def exceeds(self, bounds: Bounds) -> bool:
        """Whether more is used than may be, which a bound that was lowered leaves."""
        return _exceeds(self.bandwidth, bounds.bandwidth) or _exceeds(self.high, bounds.hi_pods)


def find_refusal(bounds: Bounds, held: Iterable[Need], need: Need) -> Reason | None:
    """Why a tenant may not have one more pod beside those that it has, or None.

    An entry of the same pod in ``held`` is replaced by ``need``, not added to it.
    """
    return refuse(bounds, Usage.of(held), need)


def refuse(bounds: Bounds, usage: Usage, need: Need) -> Reason | None:
    """The same as ``find_refusal``, of a usage that is known."""
    if need.criticality not in bounds.criticalities:
        return Reason.TENANT_CRITICALITY
    bandwidth, high = usage.beside(need.uid)
    if need.criticality is Criticality.HI and _exceeds(high + 1, bounds.hi_pods):
        return Reason.TENANT_HI_PODS
    if need.bandwidth and _exceeds(bandwidth + need.bandwidth, bounds.bandwidth):
        return Reason.TENANT_BANDWIDTH
    return None


def _larger(one: Need, other: Need) -> Need:
    """A need that covers both."""
    high = Criticality.HI in (one.criticality, other.criticality)
    return Need(
        uid=one.uid,
        namespace=one.namespace,
        criticality=Criticality.HI if high else one.criticality,
        bandwidth=max(one.bandwidth, other.bandwidth),
    )


def _exceeds(used: Fraction | int, most: Fraction | int | None) -> bool:
    return most is not None and used > most
