"""What is refused before a pod exists: a template that its namespace may never have.

It is judged as if the namespace had nothing else: whether there is room beside the pods that run is
decided when it is scheduled, because room comes and goes.
"""

from k40s.reasons import Reason
from k40s.tenants.assignment import Assignment
from k40s.tenants.cpus import format_cpus
from k40s.tenants.ledger import TenantState
from k40s.tenants.model import Need, Usage, refuse


def refuse_at_apply(assignment: Assignment, need: Need) -> Reason | None:
    """Why no pod of this kind can ever be placed in its namespace, or None."""
    tenant = assignment.find(need.namespace)
    if tenant is None or isinstance(tenant, Reason):
        return tenant
    return refuse(tenant.bounds, Usage(), need)


def refusal_text(assignment: Assignment, need: Need) -> str:
    """The same as one sentence with the figures, "" for None."""
    reason = refuse_at_apply(assignment, need)
    if reason is None:
        return ""
    tenant = assignment.find(need.namespace)
    if not isinstance(tenant, TenantState):
        return f"{reason.value}: {reason.text}"
    return f"{reason.value}: {_explain(reason, tenant, need)}"


def _explain(reason: Reason, tenant: TenantState, need: Need) -> str:
    bounds, whose = tenant.bounds, f"Tenant {tenant.name} allows namespace {need.namespace}"
    if reason is Reason.TENANT_CRITICALITY:
        levels = ", ".join(level.name for level in sorted(bounds.criticalities))
        return f"found criticality {need.criticality.name}, but {whose} {levels}"
    if reason is Reason.TENANT_HI_PODS:
        return f"found criticality HI, but {whose} no HI pods"
    most = format_cpus(bounds.bandwidth) if bounds.bandwidth is not None else ""
    return f"its tasks need {format_cpus(need.bandwidth)} CPUs, but {whose} {most}"
