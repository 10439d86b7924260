"""What a real API server takes as a Tenant, who may write its status, and binders that race."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from controller.cluster.pod_facts import PodFactTable
from controller.collection.retries import Retries
from controller.collection.tenant_stage import TenantStage
from controller.metrics import ControllerMetrics
from extender.binding.conditional_writes import ConditionalWrites
from extender.binding.entry_lease import EntryLease
from extender.binding.tenant_entries import TenantEntries
from extender.cache.tenants import TenantTable
from extender.cache.workloads import WorkloadCache
from extender.metrics import ExtenderMetrics
from extender.protocol import BindingArgs
from k40s.annotations import CRITICALITY_KEY, TASKS_KEY
from k40s.cpu.workload import TaskContract, WcetTable, Workload
from k40s.criticality import Criticality
from k40s.kube.connect import connect
from k40s.kube.gateway import KubeGateway
from k40s.kube.objects.managed_pods import managed_pod_record
from k40s.kube.records import TenantRecord
from k40s.kube.watching.feed import Feed
from k40s.kube.watching.informer import Informer
from k40s.kube.watching.sources import ApiSource
from k40s.kube.writing.tenant_ledgers import TenantLedgers
from k40s.node_agent.backoff import Backoff
from k40s.reasons import Reason
from k40s.tenants.ledger import TenantReservation, usage_of
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from localcluster.images.binaries import Binaries
from localcluster.plane.control_plane import ControlPlane
from tests.fakes.extender.process import ROOT
from tests.fakes.registered_nodes import (
    MERGE,
    NAMESPACE,
    Api,
    make_spec,
    prepare,
    register_nodes,
    wait_until,
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

BASE = ROOT / "manifests" / "base"
TENANTS = "/apis/k40s.io/v1alpha1/tenants"
PODS = "/api/v1/namespaces/default/pods"
PATHS = {
    "CustomResourceDefinition": "apiextensions.k8s.io/v1/customresourcedefinitions",
    "ClusterRole": "rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "rbac.authorization.k8s.io/v1/clusterrolebindings",
    "ValidatingAdmissionPolicy": "admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": (
        "admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
    ),
}
BINDERS, PODS_OF_EACH = 8, 12
BOUND = Fraction(2)
PATIENCE = Nanoseconds(30 * NS_PER_S)
"""Of one bind: much more than in production, so that no end depends on the machine's load."""
TASKS = '[{"name":"t","period":"100ms","wcet":{"edge":"40ms"}}]'


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory, binaries: Binaries) -> Iterator[ControlPlane]:
    place = tmp_path_factory.mktemp("tenants")
    with ControlPlane.on_loopback(directory=place, binaries=binaries) as plane:
        yield plane


@pytest.fixture(scope="module")
def gateway(plane: ControlPlane) -> KubeGateway:
    """The administrator's."""
    return connect(kubeconfig=str(plane.kubeconfig))


@pytest.fixture(scope="module")
def api(plane: ControlPlane, gateway: KubeGateway) -> Iterator[Api]:
    """With the definition of Tenants, which was missing at first."""
    assert TenantLedgers(gateway.api).tenants().list().records == ()
    administrator = Api(plane)
    prepare(administrator)
    for name in ("tenants.yaml", "rbac.yaml", "admission-tenants.yaml"):
        for document in yaml.safe_load_all((BASE / name).read_text()):
            if document["kind"] in PATHS:
                path = f"/apis/{PATHS[document['kind']]}"
                administrator.request("POST", path, document, accepted=(409,))
    wait_until(lambda: attempt(administrator, "x", {"namespaces": ["a"]}) == "")
    create(administrator, "probe", {"namespaces": ["probe"]})
    wait_until(lambda: "only the k40s" in write(administrator, "", "probe", {"bandwidth": "1"}))
    yield administrator
    administrator.close()


@pytest.fixture(scope="module")
def extender(plane: ControlPlane, api: Api) -> KubeGateway:
    """With the extender's own rights: nobody else may write entries."""
    return gateway_of(plane, api, "k40s-extender")


@pytest.fixture(scope="module")
def controller(plane: ControlPlane, api: Api) -> KubeGateway:
    """With the controller's own rights."""
    return gateway_of(plane, api, "k40s-controller")


def gateway_of(plane: ControlPlane, api: Api, account: str) -> KubeGateway:
    del api  # the rights are there
    name = f"system:serviceaccount:{NAMESPACE}:{account}"
    return connect(kubeconfig=str(plane.identity(account, name=name)))


def tenant(name: str, spec: object) -> dict[str, Any]:
    return {
        "apiVersion": "k40s.io/v1alpha1",
        "kind": "Tenant",
        "metadata": {"name": name},
        "spec": spec,
    }


def create(api: Api, name: str, spec: object) -> None:
    api.request("POST", TENANTS, tenant(name, spec), accepted=(409,))


def attempt(api: Api, name: str, spec: object) -> str:
    """Return "" when the API server would take it, else what it says."""
    path = f"{TENANTS}?dryRun=All&fieldValidation=Strict"
    answer = api.request("POST", path, tenant(name, spec), accepted=(400, 403, 404, 422, 500))
    return str(answer["message"]) if answer.get("kind") == "Status" else ""


def write(api: Api, account: str, name: str, status: object) -> str:
    """The same of a write of its status, by an account of ours or the administrator."""
    user = f"system:serviceaccount:{NAMESPACE}:{account}"
    answer = api.request(
        "PATCH",
        f"{TENANTS}/{name}/status?dryRun=All",
        {"status": status},
        kind=MERGE,
        accepted=(403, 422),
        headers={"Impersonate-User": user} if account else {},
    )
    return str(answer["message"]) if answer.get("kind") == "Status" else ""


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("line", {"namespaces": ["paint", "weld"], "bandwidth": "1.5", "hiPods": 3}),
        ("line", {"namespaces": ["paint"], "criticalities": ["NO", "LOW"], "bandwidth": "250m"}),
        ("default", {}),
        ("default", {"bandwidth": "0", "hiPods": 0}),
    ],
)
def test_a_tenant_is_taken(api: Api, name: str, spec: object) -> None:
    assert attempt(api, name, spec) == ""


@pytest.mark.parametrize(
    ("name", "spec", "said"),
    [
        ("line", {}, "spec.namespaces names the namespaces; only the Tenant named default"),
        ("default", {"namespaces": ["a"]}, "the Tenant named default names no namespaces"),
        ("line", {"namespaces": []}, "spec.namespaces"),
        ("line", {"namespaces": ["a", "a"]}, "Duplicate value"),
        ("line", {"namespaces": ["A"]}, "spec.namespaces[0]"),
        ("line", {"namespaces": ["a"], "bandwidth": "1.5m"}, "spec.bandwidth"),
        ("line", {"namespaces": ["a"], "bandwidth": "-1"}, "spec.bandwidth"),
        ("line", {"namespaces": ["a"], "bandwidth": 2}, "spec.bandwidth"),
        ("line", {"namespaces": ["a"], "hiPods": -1}, "spec.hiPods"),
        ("line", {"namespaces": ["a"], "criticalities": ["MID"]}, "spec.criticalities[0]"),
        ("line", {"namespaces": ["a"], "criticalities": []}, "spec.criticalities"),
        ("line", {"namespaces": ["a"], "cpus": "1"}, 'unknown field "spec.cpus"'),
    ],
)
def test_a_mistake_is_refused_by_its_field(api: Api, name: str, spec: object, said: str) -> None:
    assert said in attempt(api, name, spec)


def test_only_our_processes_write_a_status(api: Api) -> None:
    entry = {
        "pod": {"uid": "u", "namespace": "probe", "name": "p"},
        "node": "n",
        "criticality": "HI",
        "bandwidth": "0.1",
    }
    ledger, said = {"reservations": [entry]}, {"hiPods": 4}

    assert "only the k40s extender" in write(api, "", "probe", ledger)
    assert "only the k40s controller" in write(api, "", "probe", said)
    assert write(api, "k40s-extender", "probe", ledger) == ""
    assert "only the k40s controller" in write(api, "k40s-extender", "probe", said)
    assert write(api, "k40s-controller", "probe", ledger | said) == ""
    assert "cannot patch" in write(api, "rubicante", "probe", ledger)


def test_only_administrators_write_bounds(api: Api) -> None:
    for account in ("k40s-extender", "k40s-controller", "k40s-scheduler", "rubicante"):
        headers = {"Impersonate-User": f"system:serviceaccount:{NAMESPACE}:{account}"}
        answer = api.request(
            "PATCH",
            f"{TENANTS}/probe?dryRun=All",
            {"spec": {"hiPods": 9}},
            kind=MERGE,
            accepted=(403,),
            headers=headers,
        )
        assert "cannot patch" in str(answer.get("message"))


@dataclass
class Binder:
    """One extender's side of Tenants. It has no watch: it learns of the others by conflicts."""

    ledgers: TenantLedgers
    name: str

    def __post_init__(self) -> None:
        self.metrics = ExtenderMetrics(CollectorRegistry())
        self.table = TenantTable(workloads=WorkloadCache(), on_change=lambda: None)
        self.table.feed.replace(self.ledgers.tenants().list().records)
        self.entries = TenantEntries(
            table=self.table,
            tenants=self.ledgers,
            writes=ConditionalWrites(
                clock=time.monotonic_ns,
                pause=lambda pause: threading.Event().wait(pause / NS_PER_S),
                jitter=lambda: 0.5,
            ),
            clock=time.monotonic_ns,
            lease=EntryLease(
                duration=PATIENCE, clock=time.monotonic_ns, wall=lambda: datetime.now(UTC)
            ),
            timeout=PATIENCE,
            conflicts=self.metrics.tenant_conflicts,
        )

    def bind(self, number: int) -> list[Reason | None]:
        """Each third bind fails after it has reserved."""
        ends = []
        for index in range(PODS_OF_EACH):
            uid = f"{self.name}-{number}-{index}"
            args = BindingArgs(uid=uid, namespace="storm", name=uid, node="n1")
            with ExitStack() as undo:
                end = self.entries.reserve(args, WORKLOAD, undo)
                ends.append(end)
                if index % 3:
                    undo.pop_all()
        return ends


_PERIOD = Nanoseconds(100 * NS_PER_MS)
WORKLOAD = Workload(
    criticality=Criticality.LOW,
    tasks=(
        TaskContract(
            name="t",
            container="main",
            period=_PERIOD,
            deadline=_PERIOD,
            wcet=WcetTable(baseline=Nanoseconds(30 * NS_PER_MS)),
        ),
    ),
)


def test_one_binder_writes_an_entry_for_each_pod(
    api: Api, extender: KubeGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    create(api, "calm", {"namespaces": ["storm"]})
    spec = {"spec": {"bandwidth": "100"}}
    api.request("PATCH", f"{TENANTS}/calm", spec, kind=MERGE)
    binder, taken = Binder(TenantLedgers(extender.api), "calm"), []
    for index in range(50):
        args = BindingArgs(uid=f"c{index}", namespace="storm", name=f"c{index}", node="n1")
        begin = time.perf_counter()
        with ExitStack() as undo:
            assert binder.entries.reserve(args, WORKLOAD, undo) is None
            undo.pop_all()
        taken.append((time.perf_counter() - begin) * 1000)

    figures = f"entries: median {sorted(taken)[25]:.1f} ms, most {max(taken):.1f} ms"
    with capsys.disabled():
        print(figures)  # noqa: T201  # the figures belong into the test's report
    (found,) = [
        one.state
        for one in TenantLedgers(extender.api).tenants().list().records
        if one.state.name == "calm"
    ]
    assert usage_of(found, "storm", ()).bandwidth == Fraction(15)
    api.request("DELETE", f"{TENANTS}/calm")


def test_binders_that_race_never_pass_the_bound(api: Api, extender: KubeGateway) -> None:
    """96 pods of 0.3 CPUs want room in a bound of 2; every version that was stored is looked at."""
    create(api, "storm", {"namespaces": ["storm"], "bandwidth": "2"})
    most: list[Fraction] = []

    class Watched(TenantLedgers):
        def update_tenant_reservations(
            self,
            name: str,
            reservations: Sequence[TenantReservation],
            *,
            version: str,
            timeout: Nanoseconds | None = None,
        ) -> TenantRecord:
            record = super().update_tenant_reservations(
                name, reservations, version=version, timeout=timeout
            )
            most.append(usage_of(record.state, "storm", ()).bandwidth)
            return record

    binders = [Binder(Watched(extender.api), f"b{n}") for n in range(BINDERS)]
    with ThreadPoolExecutor(BINDERS) as pool:
        ends = [end for some in pool.map(Binder.bind, binders, range(BINDERS)) for end in some]

    (found,) = [
        one.state
        for one in TenantLedgers(extender.api).tenants().list().records
        if one.state.name == "storm"
    ]
    assert max(most) <= BOUND
    assert usage_of(found, "storm", ()).bandwidth == Fraction(18, 10)
    assert set(ends) == {None, Reason.TENANT_BANDWIDTH}
    assert sum(binder.metrics.tenant_conflicts._value.get() for binder in binders) > 0  # noqa: SLF001


class Leader:
    """It leads."""

    leading = True


def test_pods_from_before_a_tenant_are_counted_and_given_back(
    plane: ControlPlane, api: Api, controller: KubeGateway
) -> None:
    register_nodes(api, ["n1"])
    notes = {CRITICALITY_KEY: "HI", TASKS_KEY: TASKS}
    api.request("POST", PODS, make_spec("old", scheduler="k40s-scheduler", annotations=notes))
    target = {"target": {"kind": "Node", "name": "n1"}, "metadata": {"name": "old"}}
    api.request("POST", f"{PODS}/old/binding", target)
    stop = threading.Event()
    facts, registry = PodFactTable(), CollectorRegistry()
    metrics = ControllerMetrics(registry)
    stage = TenantStage(
        api=controller.api,
        live=controller,
        cached=facts.facts,
        leadership=Leader(),
        retries=Retries(
            nodes=controller,
            backoff=Backoff(pause=PATIENCE, clock=time.monotonic_ns),
            clock=time.monotonic_ns,
            wall=lambda: datetime.now(UTC),
        ),
        registry=registry,
        metrics=metrics,
        stop=stop,
        clock=time.monotonic_ns,
        wall=lambda: datetime.now(UTC),
    )
    pods = Informer(
        name="pods",
        source=ApiSource(controller.api, "/api/v1/pods", "", managed_pod_record),
        handler=Feed.of(facts).and_then(Feed.of(stage.pods)),
        stop=stop,
        on_error=metrics.watch_errors.inc,
        on_unreadable=metrics.unreadable["pods"].inc,
    )
    pods.start()
    stage.informer.start()

    def shown(*words: str) -> bool:
        stage.tick()
        lines = plane.kubectl("get", "tenants", "late").splitlines()
        return all(word in lines[-1].split() for word in words)

    try:
        create(api, "late", {"namespaces": ["default"], "bandwidth": "300m", "hiPods": 4})
        wait_until(lambda: shown("0.4", "300m", "1", "4", "True", "False"))
        create(api, "rival", {"namespaces": ["default"]})
        wait_until(lambda: shown("0.4", "False"))
        api.request("DELETE", f"{TENANTS}/rival")
        api.request("DELETE", f"{PODS}/old?gracePeriodSeconds=0")
        wait_until(lambda: shown("0", "300m", "0", "4", "True"))
    finally:
        stop.set()
    sample = "k40s_controller_tenant_reservations_collected_total"
    collected = registry.get_sample_value(sample, {"cause": "gone"})
    assert collected is not None
    assert collected >= 1  # Tenants of other tests may have entries of pods that are gone as well
