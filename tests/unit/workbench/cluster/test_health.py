"""Findings about an installation, and what of it this version expects."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from k40s.reasons import Reason
from tests.fakes.observed_cluster import NOW, ObservedCluster, lease_item, node_item
from workbench.cluster_health.digest import digest
from workbench.cluster_health.expected import DAEMON_SETS, DEFINITIONS, DEPLOYMENTS
from workbench.cluster_health.facts import (
    CertificateFacts,
    Installation,
    Kind,
    LeaderFacts,
    PodFacts,
    Unknown,
    WorkloadFacts,
)
from workbench.cluster_health.judge import Finding, Verdict, judge, overall
from workbench.cluster_health.objects import pod_facts, workload_facts
from workbench.cluster_health.renaming import Renaming, find_renaming
from workbench.cluster_health.report import findings_document, findings_table

BASE = Path("manifests/base")
_KINDS = {
    "CustomResourceDefinition": "kind",
    "ValidatingAdmissionPolicy": "policy",
    "ValidatingAdmissionPolicyBinding": "binding",
}


def manifests() -> list[dict[str, Any]]:
    return [
        one
        for path in sorted(BASE.glob("*.yaml"))
        for one in yaml.safe_load_all(path.read_text())
        if one is not None and "kind" in one
    ]


def well() -> Installation:
    """An installation without a fault."""
    cluster = ObservedCluster()
    cluster.add_node("edge-1")
    workloads = {
        name: WorkloadFacts(kind=kind, name=name, resource=name, wanted=1, ready=1, tag="0.1.0")
        for kind, names in ((Kind.DEPLOYMENT, DEPLOYMENTS), (Kind.DAEMON_SET, DAEMON_SETS))
        for name in names
    }
    return Installation(
        at=NOW,
        namespace="k40s-system",
        workloads=workloads,
        pods=(),
        leader=LeaderFacts(name="k40s-controller", holder="one", silent=None),
        nodes=cluster.overview().nodes,
        certificates=(
            CertificateFacts(
                name="ca.crt", begin=NOW - timedelta(days=10), end=NOW + timedelta(days=300)
            ),
        ),
        definitions=DEFINITIONS,
    )


def faults(installation: Installation) -> list[Finding]:
    return [one for one in judge(installation) if one.verdict is not Verdict.OK]


def workload(installation: Installation, name: str, **changes: Any) -> Installation:  # noqa: ANN401
    changed = replace((installation.workloads or {})[name], **changes)
    return replace(installation, workloads={**(installation.workloads or {}), name: changed})


def test_what_is_expected_is_what_the_manifests_have() -> None:
    found = {
        f"{_KINDS[one['kind']]} {one['metadata']['name']}": digest(one)
        for one in manifests()
        if one["kind"] in _KINDS
    }

    assert dict(DEFINITIONS) == found, "expected.py: write down what is found here"


def test_every_workload_of_the_manifests_is_judged() -> None:
    found = {
        one["metadata"]["name"] for one in manifests() if one["kind"] in ("Deployment", "DaemonSet")
    }

    assert found - {"k40s-give-back"} <= {*DEPLOYMENTS, *DAEMON_SETS}


def test_a_healthy_installation_has_no_fault() -> None:
    assert faults(well()) == []
    assert overall(judge(well())) is Verdict.OK


def test_a_missing_part_is_a_fault_unless_it_is_optional() -> None:
    installation = well()
    workloads = dict(installation.workloads or {})
    del workloads["rubicante"], workloads["k40s-insight"]

    (fault,) = faults(replace(installation, workloads=workloads))

    assert (fault.part, fault.text) == ("rubicante", "not installed in namespace k40s-system")


def test_a_pod_that_does_not_run_is_named_with_its_node_and_cause() -> None:
    installation = workload(well(), "malacoda", wanted=2)
    pod = PodFacts(
        name="malacoda-x",
        owner="malacoda",
        node="edge-2",
        ready=False,
        tag="0.1.0",
        trouble="monitor: CrashLoopBackOff",
    )

    (fault,) = faults(replace(installation, pods=(pod,)))

    assert fault.text == ("1 of 2 nodes ready, 0.1.0; not on edge-2: monitor: CrashLoopBackOff")
    assert "describe pod malacoda-x" in fault.remedy


def test_parts_of_different_versions_are_a_fault() -> None:
    (fault,) = faults(workload(well(), "k40s-webhook", tag="0.0.9"))

    assert fault.part == "versions"
    assert "k40s-webhook 0.0.9" in fault.text


def test_the_schedulers_version_is_its_own() -> None:
    assert faults(workload(well(), "k40s-scheduler", tag="v1.35.4")) == []


def test_a_node_with_another_version_of_a_daemon_is_a_fault() -> None:
    old = PodFacts(name="r", owner="rubicante", node="edge-7", ready=True, tag="0.0.9")

    (fault,) = faults(replace(well(), pods=(old,)))

    assert fault.text == "rubicante should be 0.1.0 and is not on edge-7 (0.0.9)"


def test_a_silent_daemon_is_a_fault() -> None:
    leases = [lease_item("malacoda-edge-1", age=90), lease_item("rubicante-edge-1")]
    cluster = ObservedCluster(nodes=[node_item("edge-1")], leases=leases)

    (fault,) = faults(replace(well(), nodes=cluster.overview().nodes))

    assert fault.text.startswith("malacoda of node edge-1 is silent for 90 s")


def test_remedies_are_commands_that_work_under_other_names() -> None:
    cluster = ObservedCluster()
    cluster.add_node("edge-1")
    (node,) = cluster.overview().nodes
    expired = CertificateFacts(name="a", begin=NOW - timedelta(days=9), end=NOW)
    installation = replace(
        workload(well(), "k40s-scheduler", resource="line1-k40s-scheduler"),
        leader=LeaderFacts(name="k40s-controller", holder="", silent=None),
        certificates=(expired,),
        nodes=(replace(node, cpu_refusal=Reason.CPU_PLATFORM_CHANGED),),
    )

    remedies = {one.part: one.remedy for one in faults(installation)}

    label = "kubectl -n k40s-system {} -l app.kubernetes.io/name={} {}"
    assert remedies == {
        "leader": label.format("logs", "k40s-controller", "--prefix"),
        "certificates": "k40s certificates renew --output DIRECTORY; kubectl apply -k DIRECTORY; "
        "kubectl -n k40s-system rollout restart deployment/line1-k40s-scheduler",
        "annotations": label.format(
            "delete pods", "rubicante", "--field-selector spec.nodeName=edge-1"
        ),
    }


@pytest.mark.parametrize("holder", ["", "one"])
def test_nobody_leading_is_a_fault(holder: str) -> None:
    leader = LeaderFacts(name="k40s-controller", holder=holder, silent=40.0)

    assert [one.part for one in faults(replace(well(), leader=leader))] == ["leader"]


@pytest.mark.parametrize(
    ("days", "told"),
    [(-1, "has expired on 2026-02-28"), (5, "expires on 2026-03-06"), (300, None)],
)
def test_a_certificate_that_ends_soon_is_a_fault(days: int, told: str | None) -> None:
    one = CertificateFacts(
        name="k40s-extender-tls", begin=NOW - timedelta(days=60), end=NOW + timedelta(days=days)
    )

    found = faults(replace(well(), certificates=(one,)))

    assert [fault.text for fault in found] == (
        [] if told is None else [f"k40s-extender-tls {told}"]
    )


def test_a_policy_that_is_missing_or_another_one_is_a_fault() -> None:
    definitions = dict(DEFINITIONS) | {"policy k40s-pods": "other"}
    del definitions["kind networks.k40s.io"]

    texts = [one.text for one in faults(replace(well(), definitions=definitions))]

    assert texts == [
        "kind networks.k40s.io is missing",
        "policy k40s-pods is of another version than this command",
    ]


def test_unreadable_annotations_are_faults() -> None:
    (fault,) = faults(replace(well(), unreadable=("node edge-1: no JSON",)))

    assert (fault.part, fault.text) == ("annotations", "node edge-1: no JSON")


def test_what_cannot_be_judged_leaves_it_open_unless_something_is_wrong() -> None:
    unknown = Unknown(part="pods", cause="no right to read pods", remedy="the right to list pods")
    installation = replace(well(), pods=None, unknown=(unknown,))

    assert overall(judge(installation)) is Verdict.UNKNOWN
    assert overall(judge(workload(installation, "malacoda", ready=0))) is Verdict.FAULT


def test_a_report_has_one_line_a_finding_with_what_to_do() -> None:
    findings = judge(replace(well(), leader=LeaderFacts(name="l", holder="", silent=None)))

    first, *_ = findings_table(findings).splitlines()[1:]

    assert first.split()[:2] == ["FAULT", "leader"]
    assert "->  kubectl -n k40s-system logs" in first
    assert findings_document(findings)["state"] == "fault"


def test_a_digest_ignores_defaults_and_line_breaks() -> None:
    own = {"spec": {"validations": [{"expression": "a\n  && b", "message": "m"}]}}
    stored = {
        "spec": {
            "failurePolicy": "Fail",
            "validations": [{"expression": "a && b", "message": "m"}],
        }
    }

    assert digest(own) == digest(stored)
    assert digest(own) != digest({"spec": {"validations": [{"expression": "a || b"}]}})


def test_a_policy_that_fails_open_is_another_one() -> None:
    policy = {"failurePolicy": "Fail", "validations": [{"expression": "a", "message": "m"}]}

    assert digest({"spec": policy}) != digest({"spec": policy | {"failurePolicy": "Ignore"}})


def test_objects_are_read_as_facts() -> None:
    image = "registry:5000/k40s:0.1.0@sha256:00"
    template = {"spec": {"containers": [{"image": image}]}}
    daemon_set = {
        "metadata": {"name": "x-malacoda", "labels": {"app.kubernetes.io/name": "malacoda"}},
        "spec": {"template": template},
        "status": {"desiredNumberScheduled": 3, "numberReady": 2},
    }
    waiting = {"name": "monitor", "state": {"waiting": {"reason": "ImagePullBackOff"}}}
    pod = {
        "metadata": {"name": "m", "labels": {"app.kubernetes.io/name": "malacoda"}},
        "spec": {"nodeName": "edge", "containers": [{"image": "registry:5000/k40s"}]},
        "status": {"phase": "Pending", "containerStatuses": [waiting]},
    }

    assert workload_facts("daemonsets", daemon_set) == WorkloadFacts(
        kind=Kind.DAEMON_SET,
        name="malacoda",
        resource="x-malacoda",
        wanted=3,
        ready=2,
        tag="0.1.0",
    )
    assert pod_facts(pod) == PodFacts(
        name="m",
        owner="malacoda",
        node="edge",
        ready=False,
        tag="",
        trouble="monitor: ImagePullBackOff",
    )
    assert pod_facts({"metadata": {"name": "other"}}) is None


@pytest.mark.parametrize(("prefix", "suffix"), [("", ""), ("line1-", ""), ("a-", "-eu")])
def test_policies_under_other_names_are_those_of_this_version(prefix: str, suffix: str) -> None:
    facts = workload(well(), "malacoda", resource="malacoda-second-pool").workloads or {}
    renaming = find_renaming(
        one if one.resource != one.name else replace(one, resource=f"{prefix}{one.name}{suffix}")
        for one in facts.values()
    )

    assert renaming == Renaming(prefix=prefix, suffix=suffix)
    for one in manifests():
        if one["kind"] == "ValidatingAdmissionPolicyBinding":
            spec = one["spec"] | {"policyName": f"{prefix}{one['spec']['policyName']}{suffix}"}
            assert digest(renaming.undo(one | {"spec": spec})) == digest(one)


def test_the_names_of_kinds_have_no_prefix() -> None:
    assert Renaming(prefix="a-").name("networks.k40s.io") == "networks.k40s.io"


def test_without_workloads_names_are_as_shipped() -> None:
    assert find_renaming(()) == Renaming()
