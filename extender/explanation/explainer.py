"""The explanation of one pod over some nodes: verdicts, figures, remedies, scores, ages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from extender.cache.node_entry import Heard
from extender.cache.nodes import NodeCache
from extender.cache.snapshot import Snapshot
from extender.cache.workloads import Contract
from extender.explanation.assurance import explain_assurance
from extender.explanation.bounds import BoundFigures
from extender.explanation.case import Case, Finding
from extender.explanation.cpu import CpuFigures
from extender.explanation.holders import keep_most
from extender.explanation.networks import NetworkFigures
from extender.explanation.remedies import Remedies
from extender.explanation.score_parts import explain_scores
from extender.placement.candidates import Split
from extender.placement.node_scores import NodeScores
from extender.placement.pod_admission import PodAdmission
from extender.placement.refusal_texts import TEXTS, name_hazards
from extender.preemption.trial import Applicant
from extender.protocol import PodFacts
from k40s.annotations.unknown_keys import MOST_NAMED, describe_unknown, unknown_keys
from k40s.assurance.level import Thresholds
from k40s.criticality import Criticality
from k40s.explanation.model import Explanation, NodeExplanation
from k40s.reasons import Reason
from k40s.units import NS_PER_S, Clock, Nanoseconds

IsLate = Callable[[], bool]
_STAGES = ("tenant", "claim", "isolation", "network", "cpu", "assurance")
"""Kinds of reasons, the last test first: a node that came further is nearer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explainer:
    """Any thread may call. ``admission`` and ``scores`` are those of filter, without counters."""

    cache: NodeCache
    admission: PodAdmission
    scores: NodeScores
    thresholds: Thresholds
    cpu: CpuFigures
    networks: NetworkFigures
    bounds: BoundFigures
    remedies: Remedies
    breathe: Callable[[], None]
    """Yields the process to the scheduler's calls for a millisecond."""
    clock: Clock
    patience: Nanoseconds
    """Bounds the figures and the trials of an explanation, after filter's own verdicts."""

    def explain(self, pod: PodFacts, names: Sequence[str], contract: Contract) -> Explanation:
        """The nodes in question, the nearest one first; all of them where none is named."""
        snapshot = self.cache.snapshot()
        asked = list(dict.fromkeys(names)) or sorted(snapshot.nodes)
        workload = contract.workload
        if workload is None:
            nodes = [_node(name, Reason.POD_INVALID, contract.fault) for name in asked]
            return _explanation(pod, "", contract.fault, nodes)
        applicant = Applicant(pod=pod, contract=contract, workload=workload)
        split = self.admission.split(snapshot, asked, pod, contract, workload)
        heard = self.cache.heard(asked)
        nodes = [
            *self._fitting(snapshot, split, applicant),
            *self._refusing(snapshot, split, applicant, heard),
        ]
        aged = [replace(one, age=_age(heard.get(one.name), applicant, one.reason)) for one in nodes]
        return _explanation(pod, workload.criticality.name, None, aged)

    def _fitting(self, snapshot: Snapshot, split: Split, asked: Applicant) -> list[NodeExplanation]:
        """The nodes that fit, the best score first."""
        workload, pod = asked.workload, asked.pod
        terms = self.scores.terms(snapshot, split.fit, pod, asked.contract, workload)
        scored = explain_scores(snapshot, split.fit, workload, terms)
        detail = "The pod fits."
        if split.exchanging:
            detail = (
                "The pod fits once servers of pods there are exchanged for others, which takes "
                "up to a minute and no deadline. No node takes it as it is."
            )
        if pod.group and workload.is_real_time:
            detail += f" As a member of group {pod.group} it is passed the best node alone."
        ranked = sorted(scored.items(), key=lambda one: (-one[1][0], one[0]))
        return [
            replace(_node(name, None, ""), detail=detail, score=score, parts=parts)
            for name, (score, parts) in ranked
        ]

    def _refusing(
        self, snapshot: Snapshot, split: Split, asked: Applicant, heard: Mapping[str, Heard]
    ) -> list[NodeExplanation]:
        """The nodes that refuse, the nearest one first; remedies are tried in this order."""
        deadline = self.clock() + self.patience

        def late() -> bool:
            return self.clock() >= deadline

        texts = name_hazards(split.refused, snapshot)
        found: list[tuple[Case, Finding]] = []
        for name, reason in split.refused.items():
            case = Case(
                asked=asked,
                name=name,
                reason=reason,
                view=snapshot.nodes.get(name),
                heard=heard.get(name),
            )
            found.append((case, self._find(snapshot, case, late)))
        found.sort(key=_distance)
        return [
            self._with_remedies(snapshot, case, finding, texts[case.name], late)
            for case, finding in found
        ]

    def _find(self, snapshot: Snapshot, case: Case, late: IsLate) -> Finding:
        kind = case.reason.value.partition(".")[0]
        if case.view is None:
            return Finding(detail="The extender knows no node of that name.")
        if kind == "assurance":
            return explain_assurance(case, self.thresholds)
        if kind == "cpu":
            self.breathe()
            return self.cpu.explain(case, late)
        if kind == "network":
            return self.networks.explain(snapshot, case)
        if kind in ("tenant", "claim", "isolation"):
            return self.bounds.explain(case)
        return Finding(detail=f"{TEXTS[case.reason]}.")

    def _with_remedies(
        self, snapshot: Snapshot, case: Case, finding: Finding, text: str, late: IsLate
    ) -> NodeExplanation:
        tried = self.remedies.find(snapshot, case, late)
        return replace(
            _node(case.name, case.reason, text),
            detail=" ".join(filter(None, (finding.detail, tried.remark))),
            figures=finding.figures,
            obstacles=keep_most(finding.obstacles, tried.named),
            remedies=(*finding.remedies, *tried.remedies),
        )


def _distance(found: tuple[Case, Finding]) -> tuple[int, float, str]:
    case, finding = found
    kind = case.reason.value.partition(".")[0]
    stage = _STAGES.index(kind) if kind in _STAGES else len(_STAGES)
    return stage, finding.lacking, case.name


_ASSURANCE = "assurance."


def _age(heard: Heard | None, asked: Applicant, reason: str | None) -> float | None:
    """Seconds since the least recent renewal of the daemons whose word was judged.

    None: one of them has never renewed its Lease; 0 for a pod that depends on none. A node that
    is not real-time runs no rubicante, and none is missed where the assurance refuses before.
    """
    if heard is None:
        return None
    ages: list[int | None] = []
    if asked.workload.criticality is not Criticality.NO:
        ages.append(heard.malacoda)
    unjudged = reason == Reason.CPU_NO_REAL_TIME or (reason or "").startswith(_ASSURANCE)
    if asked.workload.is_real_time and not (heard.rubicante is None and unjudged):
        ages.append(heard.rubicante)
    if asked.contract.requirements:
        ages.append(heard.scarmiglione)
    known = [one for one in ages if one is not None]
    if len(known) < len(ages):
        return None
    return max(known, default=0) / NS_PER_S


def _node(name: str, reason: Reason | None, text: str) -> NodeExplanation:
    return NodeExplanation(
        name=name,
        reason=None if reason is None else reason.value,
        text=text,
        detail="",
        figures=(),
        obstacles=(),
        remedies=(),
        score=None,
        parts=(),
        age=None,
    )


def _explanation(
    pod: PodFacts, criticality: str, fault: str | None, nodes: Sequence[NodeExplanation]
) -> Explanation:
    unknown = unknown_keys(labels=pod.labels, annotations=pod.annotations)
    return Explanation(
        namespace=pod.namespace,
        pod=pod.name,
        criticality=criticality,
        fault=fault,
        nodes=tuple(nodes),
        remarks=tuple(describe_unknown(noun, key) for noun, key in unknown[:MOST_NAMED]),
    )
