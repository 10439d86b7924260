"""Chapter (d): HI takes the room of LOW, mistakes are refused at apply, a namespace has a bound."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from demo.observer import reasons_in
from demo.pods import LABEL, PLATFORM, Manifest, deployment_of, periodic_pod
from demo.report import Check
from demo.stage import HI_NODE, Stage
from k40s.annotations import ALLOCATION_KEY, CRITICALITY_KEY, ENFORCED_CONDITION
from k40s.node_api.allocation import parse_allocation
from k40s.reasons import Reason
from localcluster.errors import CommandError

LOW, HI = "camera", "brake"
REPLICAS = 2
TYPO = "k40s.io/critcality"
TEAM = "paint"
"""The second namespace, and its Tenant."""
SOON = 180.0


def decide_who_gets_what(stage: Stage) -> list[Check]:
    """(d) HI takes the room of LOW; a mistake is refused at apply; a namespace has its bound."""
    stage.say("(d) Who gets what: HI before LOW, nobody by mistake, no namespace everything")
    with _removed_in_the_end(stage):
        return [*_preempt(stage), _refuse_a_misspelt_key(stage), *_keep_a_bound(stage)]


def refuse_mistakes(stage: Stage) -> list[Check]:
    """(d) A mistake is refused at apply, whatever the nodes can hold."""
    stage.say("(d) Nobody gets anything by mistake; who gets what needs a node that holds budgets")
    return [_refuse_a_misspelt_key(stage)]


@contextmanager
def _removed_in_the_end(stage: Stage) -> Iterator[None]:
    with ExitStack() as undo:
        for kind in ("tenant", "namespace"):
            undo.callback(stage.observer.kubectl, "delete", kind, TEAM, "--ignore-not-found")
        undo.callback(_remove_core_pods, stage)
        yield


def _remove_core_pods(stage: Stage) -> None:
    """The LOW pods with what makes them anew, then the HI pod."""
    words = ("-n", stage.observer.namespace, "delete", "deployment", LOW, "--ignore-not-found")
    stage.observer.kubectl(*words, "--cascade=foreground", "--wait=true")
    stage.observer.delete(HI, f"{LOW}-3")


def _preempt(stage: Stage) -> list[Check]:
    node = stage.real_time_node
    stage.wait_until(f"{node} is fit", lambda: stage.level(node) >= HI_NODE, seconds=SOON)
    others = _others(stage)
    stage.observer.create(deployment_of(_low(LOW, stage), replicas=REPLICAS))
    stage.wait_until("both LOW pods run", lambda: len(_running(stage)) == REPLICAS, seconds=SOON)
    began = time.monotonic()
    stage.observer.create(_hi(HI, stage))
    stage.wait_until("the HI pod is bound", lambda: stage.observer.node_of(HI), seconds=SOON)
    took, where = time.monotonic() - began, stage.observer.node_of(HI)
    stage.wait_until("the kernel holds its budget", lambda: _is_enforced(stage), seconds=SOON)
    stage.say(
        f"    two LOW pods ran on {node}; the HI pod {HI} was bound to {where} {took:.1f} s after "
        f"its creation, and its thread has {_share(stage):.3f} of the core"
    )
    left = set(_others(stage).values())
    return [
        Check(
            claim="a HI pod gets the place of LOW pods",
            expected=f"{node}, within seconds",
            measured=f"{where} after {took:.1f} s",
            held=where == node,
        ),
        _check_victims(stage),
        _check_successors(stage),
        Check(
            claim="the pods beside them stay",
            expected=", ".join(sorted(others.values())),
            measured=", ".join(sorted(left)),
            held=_others(stage) == others,
        ),
    ]


def _is_enforced(stage: Stage) -> bool:
    conditions = stage.observer.pod(HI)["status"].get("conditions", [])
    return any(one["type"] == ENFORCED_CONDITION and one["status"] == "True" for one in conditions)


def _share(stage: Stage) -> float:
    """The HI pod's budget by its period, as it was granted."""
    metadata = stage.observer.pod(HI)["metadata"]
    granted = parse_allocation(metadata["annotations"][ALLOCATION_KEY], pod_uid=metadata["uid"])
    return float(sum(one.server.bandwidth for one in granted))


def _check_victims(stage: Stage) -> Check:
    stage.wait_until(
        "an event tells it", lambda: stage.observer.event(HI, "Preempts"), seconds=SOON
    )
    told = stage.observer.event(HI, "Preempts")
    stage.say(f"    event of {HI}: {told}")
    return Check(
        claim="no more pods go than have to",
        expected=f"{REPLICAS} LOW",
        measured=told.rpartition("(")[2].rstrip(")"),
        held=told.endswith(f"({REPLICAS} LOW)"),
    )


def _check_successors(stage: Stage) -> Check:
    """The Deployment makes two pods anew, which wait."""

    def waiting() -> list[str]:
        pods = [pod for pod in stage.observer.pods(f"app={LOW}") if _is_waiting(pod)]
        return [str(pod["metadata"]["name"]) for pod in pods]

    def told() -> list[str]:
        return list(filter(None, (stage.observer.refusals(name) for name in waiting())))

    stage.wait_until(
        "the new LOW pods wait, and say why", lambda: len(told()) == REPLICAS, seconds=SOON
    )
    texts = told()
    stage.say(f"    event of a new {LOW}: {texts[0].partition(' 0/')[0]}")  # its first one
    codes = reasons_in(" ".join(texts))
    return Check(
        claim="the LOW pods' successors wait, with the reason",
        expected=f"{REPLICAS} Pending",
        measured=f"{len(waiting())} Pending: {codes}",
        held=len(waiting()) == REPLICAS and bool(codes),
    )


def _refuse_a_misspelt_key(stage: Stage) -> Check:
    _remove_core_pods(stage)
    wrong = json.loads(json.dumps(deployment_of(_low(LOW, stage))).replace(CRITICALITY_KEY, TYPO))
    said = _apply(stage, wrong)
    words = ("-n", stage.observer.namespace, "get", "deployment", LOW, "--ignore-not-found")
    stored = stage.observer.kubectl(*words, "-o", "name").strip()
    stage.say(f"    kubectl apply of a Deployment with {TYPO}: {said or 'accepted'}")
    return Check(
        claim="a misspelt key is refused at kubectl apply",
        expected="refused, nothing stored",
        measured=f"{reasons_in(said) or 'accepted'}, {stored or 'nothing'} stored",
        held=TYPO in said and CRITICALITY_KEY in said and not stored,
    )


def _keep_a_bound(stage: Stage) -> list[Check]:
    team = replace(stage, observer=replace(stage.observer, namespace=TEAM))
    bound = stage.sizes().bound
    stage.observer.create(_namespace(), _tenant(bound))
    account = ("-n", TEAM, "get", "serviceaccount", "default", "--ignore-not-found", "-o", "name")
    stage.wait_until("pods may be made", lambda: stage.observer.kubectl(*account), seconds=SOON)
    team.create_and_wait([_low(f"{LOW}-1", team)], [f"{LOW}-1"])
    team.observer.create(_low(f"{LOW}-2", team))
    stage.wait_until(
        "its next is refused", lambda: team.observer.refusals(f"{LOW}-2"), seconds=SOON
    )
    refusal, phase = team.observer.refusals(f"{LOW}-2"), team.observer.phase_of(f"{LOW}-2")
    stage.observer.create(_low(f"{LOW}-3", stage))
    stage.wait_until("another's is bound", lambda: stage.observer.node_of(f"{LOW}-3"), seconds=SOON)
    stage.wait_until("what it uses is shown", lambda: _used(stage), seconds=SOON)
    stage.say(f"    event of {TEAM}/{LOW}-2: {refusal}")
    stage.say(
        f"    namespace {TEAM} uses {_used(stage)} of the {bound} CPUs of its Tenant; the same "
        f"pod in namespace {stage.observer.namespace} runs on {stage.observer.node_of(f'{LOW}-3')}"
    )
    return [
        Check(
            claim="a namespace has no more than its bound",
            expected=Reason.TENANT_BANDWIDTH.value,
            measured=f"{phase}: {reasons_in(refusal)}",
            held=phase == "Pending" and Reason.TENANT_BANDWIDTH.value in refusal,
        ),
        Check(
            claim="what it may not have is there for others",
            expected=stage.real_time_node,
            measured=stage.observer.node_of(f"{LOW}-3"),
            held=stage.observer.node_of(f"{LOW}-3") == stage.real_time_node,
        ),
    ]


def _apply(stage: Stage, manifest: Mapping[str, object]) -> str:
    """What the API server objected to; "" where it accepted."""
    try:
        stage.observer.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    except CommandError as error:
        return str(error).rpartition("denied the request: ")[2]
    return ""


def _running(stage: Stage) -> list[str]:
    """The LOW pods of the Deployment that run on the real-time node, by name."""
    return [
        str(pod["metadata"]["name"])
        for pod in stage.observer.pods(f"app={LOW}")
        if pod["status"].get("phase") == "Running"
        and pod["spec"].get("nodeName") == stage.real_time_node
    ]


def _is_waiting(pod: Mapping[str, Mapping[str, object]]) -> bool:
    return not pod["spec"].get("nodeName") and "deletionTimestamp" not in pod["metadata"]


def _others(stage: Stage) -> dict[str, str]:
    """The story's running pods of other chapters, by UID."""
    return {
        str(pod["metadata"]["uid"]): str(pod["metadata"]["name"])
        for pod in stage.observer.pods(f"{LABEL},app!={LOW}")
        if pod["status"].get("phase") == "Running"
        and pod["metadata"]["name"] != HI
        and "deletionTimestamp" not in pod["metadata"]
    }


def _used(stage: Stage) -> str:
    path = "jsonpath={.status.bandwidth}"
    return stage.observer.kubectl("get", "tenant", TEAM, "-o", path).strip()


def _low(name: str, stage: Stage) -> Manifest:
    wcet, namespace = f"{stage.sizes().low}ms", stage.observer.namespace
    return periodic_pod(name, criticality="LOW", wcet=wcet, period_ms=200, namespace=namespace)


def _hi(name: str, stage: Stage) -> Manifest:
    wcet = {PLATFORM: f"{stage.sizes().high}ms"}
    return periodic_pod(name, criticality="HI", wcet=wcet, period_ms=100)


def _namespace() -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM}}


def _tenant(bound: str) -> Manifest:
    return {
        "apiVersion": "k40s.io/v1alpha1",
        "kind": "Tenant",
        "metadata": {"name": TEAM, "labels": dict([LABEL.split("=")])},
        "spec": {"namespaces": [TEAM], "bandwidth": bound},
    }
