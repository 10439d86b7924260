"""Why something beside the node refuses the pod: its tenant, a claim, its runtime class."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from extender.cache.claims import ClaimTable
from extender.cache.pods import PodTable
from extender.cache.tenants import TenantTable
from extender.explanation.case import Case, Finding
from extender.explanation.wording import free, listed, needed
from k40s.criticality import Criticality
from k40s.explanation.model import Figure, Obstacle
from k40s.reasons import Reason
from k40s.tenants.model import Bounds, Need, Usage, refuse
from k40s.tenants.need import need_of
from k40s.units import NS_PER_S, WallClock


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundFigures:
    """Explains refusals by tenants, claims and isolation. Any thread may call."""

    tenants: TenantTable
    claims: ClaimTable
    pods: PodTable
    classes: Mapping[Criticality, str]
    wall: WallClock

    def explain(self, case: Case) -> Finding:
        """The figures of the check that refuses."""
        if case.reason is Reason.CLAIM_HELD:
            return self._of_claims(case)
        if case.reason in (Reason.ISOLATION_CLASS, Reason.ISOLATION_NO_RUNTIME):
            return self._of_isolation(case)
        return self._of_tenant(case)

    def _of_tenant(self, case: Case) -> Finding:
        pod, workload = case.asked.pod, case.asked.workload
        tenant = self.tenants.find(pod.namespace)
        if tenant is None or isinstance(tenant, Reason):
            return Finding(detail=self._unbounded(pod.namespace), lacking=0.0)
        need = need_of(workload, uid=pod.uid, namespace=pod.namespace)
        bounds = tenant.bounds
        bandwidth, high = self.tenants.usage(tenant, pod.namespace).beside(pod.uid)
        figures = []
        if bounds.bandwidth is not None:
            left = max(bounds.bandwidth - bandwidth, Fraction(0))
            figures.append(
                Figure(
                    what=f"tenant {tenant.name}, CPUs",
                    needed=needed(need.bandwidth),
                    free=f"{free(left)} of {free(bounds.bandwidth)}",
                )
            )
        if bounds.hi_pods is not None:
            figures.append(
                Figure(
                    what=f"tenant {tenant.name}, HI pods",
                    needed="1" if need.criticality is Criticality.HI else "0",
                    free=f"{max(bounds.hi_pods - high, 0)} of {bounds.hi_pods}",
                )
            )
        allowed = listed(one.name for one in sorted(bounds.criticalities))
        return Finding(
            detail=f"Tenant {tenant.name} bounds the namespace {pod.namespace}: criticalities "
            f"{allowed}; its pods use {needed(bandwidth)} CPUs and count {high} HI pods.",
            figures=tuple(figures),
            remedies=_raised(tenant.name, bounds, self.tenants.usage(tenant, pod.namespace), need),
            lacking=0.0,
        )

    def _unbounded(self, namespace: str) -> str:
        """Why no Tenant can be told for a namespace: the faults of those that may hold for it."""
        faults = [
            f"Tenant {one.name}: {one.fault}"
            for one in self.tenants.states().values()
            if one.fault is not None and (one.namespaces is None or namespace in one.namespaces)
        ]
        said = "; ".join(faults) or "several Tenants name it, or they are not known"
        return f"Which Tenant bounds the namespace {namespace} cannot be told: {said}."

    def _of_claims(self, case: Case) -> Finding:
        now = int(self.wall().timestamp() * NS_PER_S)
        claims = [one for one in self.claims.on(case.name) if one.uid != case.asked.pod.uid]
        obstacles = []
        for one in claims:
            known = self.pods.find(one.uid)
            rest = max((one.until - now) // NS_PER_S, 0)
            obstacles.append(
                Obstacle(
                    namespace=one.namespace if known is None else known.namespace,
                    pod="" if known is None else known.name,
                    pod_uid=one.uid,
                    criticality=one.workload.criticality.name,
                    what=f"holds room on {case.name} for {rest}s at most",
                )
            )
        longest = max((one.until - now for one in claims), default=0) // NS_PER_S
        return Finding(
            detail=f"Room on the node is held for {len(claims)} other pods of at least its "
            f"criticality, for {max(longest, 0)}s at most; it ends when they are bound.",
            obstacles=tuple(obstacles),
            lacking=0.0,
        )

    def _of_isolation(self, case: Case) -> Finding:
        workload, pod = case.asked.workload, case.asked.pod
        wanted = self.classes.get(workload.criticality, "")
        if case.reason is Reason.ISOLATION_CLASS:
            has = pod.runtime_class or "none"
            detail = f"A {workload.criticality.name} pod needs runtimeClassName: {wanted}"
            return Finding(detail=f"{detail}; this one has {has}.", lacking=0.0)
        return Finding(
            detail=f"The node has no runtime handler of the RuntimeClass {wanted}.", lacking=1.0
        )


def _raised(name: str, bounds: Bounds, usage: Usage, need: Need) -> tuple[str, ...]:
    """The least bound with which the same test passes; every other test has passed already.

    Which criticalities a tenant may use is its operator's to say, and no figure.
    """
    bandwidth, high = usage.beside(need.uid)
    tried = []
    if bounds.bandwidth is not None:
        wanted = bandwidth + need.bandwidth
        text = f"it fits once Tenant {name} may use {needed(wanted)} CPUs"
        tried.append((text, replace(bounds, bandwidth=wanted)))
    if bounds.hi_pods is not None:
        text = f"it fits once Tenant {name} may have {high + 1} HI pods"
        tried.append((text, replace(bounds, hi_pods=high + 1)))
    return tuple(text for text, raised in tried if refuse(raised, usage, need) is None)
