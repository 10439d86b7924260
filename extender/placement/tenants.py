"""Whether the tenant of a pod may have it: the same answer for every node.

By what this replica has seen. Bind decides on the newest version of the Tenant.
"""

from collections.abc import Mapping, Sequence

from extender.cache.claims import ClaimTable
from extender.cache.snapshot import Snapshot
from extender.cache.tenants import TenantTable
from extender.cache.workloads import Contract
from extender.protocol import PodFacts
from k40s.reasons import Reason
from k40s.tenants.model import find_refusal, refuse
from k40s.tenants.need import need_of


class TenantCheck:
    """A check of the admission; asked only while there are Tenants. Any thread may call."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table

    def refusals(
        self, snapshot: Snapshot, names: Sequence[str], pod: PodFacts, contract: Contract
    ) -> Mapping[str, Reason]:
        """All of the nodes, or none; the contract is valid."""
        del snapshot
        tenant = self._table.find(pod.namespace)
        if tenant is None or contract.workload is None:
            return {}
        if isinstance(tenant, Reason):
            return dict.fromkeys(names, tenant)
        need = need_of(contract.workload, uid=pod.uid, namespace=pod.namespace)
        refusal = refuse(tenant.bounds, self._table.usage(tenant, pod.namespace), need)
        return {} if refusal is None else dict.fromkeys(names, refusal)


class ClaimedBounds:
    """A check of preemption alone: what others have claimed counts as if they were bound already.

    Else two pods of one tenant would each have its victims evicted where only one of them may be
    bound. Of two that have claimed at once the first goes on. Any thread may call.
    """

    def __init__(self, table: TenantTable, claims: ClaimTable) -> None:
        self._table = table
        self._claims = claims

    def refusals(
        self, snapshot: Snapshot, names: Sequence[str], pod: PodFacts, contract: Contract
    ) -> Mapping[str, Reason]:
        """All of the nodes, or none; the contract is valid."""
        del snapshot
        tenant = self._table.find(pod.namespace)
        if tenant is None or isinstance(tenant, Reason) or contract.workload is None:
            return {}
        claimed = [
            need_of(one.workload, uid=one.uid, namespace=one.namespace)
            for one in self._claims.before(pod.uid)
            if one.namespace in tenant.scope(pod.namespace)
        ]
        used = self._table.usage(tenant, pod.namespace).needs.values()
        need = need_of(contract.workload, uid=pod.uid, namespace=pod.namespace)
        refusal = find_refusal(tenant.bounds, (*used, *claimed), need) if claimed else None
        return {} if refusal is None else dict.fromkeys(names, refusal)
