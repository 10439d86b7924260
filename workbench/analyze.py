"""``k40s analyze``: from a file, and perhaps a node's state, to a schedulability report."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from k40s.admission_plugins.registry import AdmissionTestError, load_admission_test
from k40s.cpu.outcome import Rejection
from k40s.errors import InvalidInputError
from k40s.node_api.allocation import core_name
from k40s.node_api.messages import PodRef, ReservationRequest
from k40s.strict_json import Json
from workbench.analysis.admission import BUILT_IN, AdmissionReport, AdmissionTest, admit_in_order
from workbench.analysis.bounds import ServerBound
from workbench.analysis.classic import Analysis, ClassicReport, UnsuitableTestError
from workbench.analysis.fit import Answer, FitReport, find_fit
from workbench.analysis.schedulability import analyze_task_set
from workbench.inputs.bare_task_set import BareTaskSet
from workbench.inputs.document import read_documents
from workbench.inputs.manifests import Remark, is_manifest, read_manifest
from workbench.inputs.node_state import NodeQuery, NodeState
from workbench.inputs.pods import Pod
from workbench.inputs.task_set_file import PodSet, parse_task_set_file
from workbench.plots.curves import SupplyPicture
from workbench.plots.server_curves import curves_of_server, tightest
from workbench.plots.set_curves import curves_of_set
from workbench.reports import admission_json, admission_text, classic, fit
from workbench.table import as_time

Report = AdmissionReport | ClassicReport | FitReport

_NO_UID = "00000000-0000-4000-8000-000000000000"
"""The UID of a pod that does not exist yet."""
_TLS_HINT = (
    "--tls DIRECTORY asks it, with the tls.crt, tls.key and ca.crt of a client that it answers "
    "(docs/analyze.md)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisInput:
    """The input of ``k40s analyze``: pods for a node, or a bare task set.

    ``node`` is a published state, which replaces the file's own node. ``remarks`` name objects of
    the file that are not analyzed.
    """

    task_set: PodSet | BareTaskSet
    node: NodeState | None = None
    remarks: tuple[Remark, ...] = ()


def read_input(text: str, *, source: str, node: NodeState | None) -> AnalysisInput:
    """Read a task-set file, or manifests, which need a node's state. ``InvalidInputError``."""
    documents = read_documents(text, source=source)
    held = () if node is None else tuple(r.pod_uid for r in node.state.node.reservations)
    if any(map(is_manifest, documents)):
        found = read_manifest(documents, source=source, taken=held)
        if node is None:
            raise _at(source).invalid(
                "a node to ask about: --node NAME or --state FILE", found="a manifest alone"
            )
        asked = PodSet(node=node.state.node, pods=found.pods, stated=False)
        return AnalysisInput(task_set=asked, node=node, remarks=found.remarks)
    if len(documents) != 1:
        what = f"{len(documents)} documents" if documents else "nothing but spaces and comments"
        raise _at(source).invalid(
            "one task set, in one document, or Kubernetes manifests", found=what
        )
    task_set = parse_task_set_file(documents[0])
    if node is not None:
        _check_for_node(documents[0], task_set, held)
    return AnalysisInput(task_set=task_set, node=node)


def _at(source: str) -> Json:
    """The root element of a text."""
    return Json(value=None, source=source, error=InvalidInputError)


def _check_for_node(place: Json, task_set: PodSet | BareTaskSet, held: tuple[str, ...]) -> None:
    """A file that is analyzed with a node's state has pods, and no node of its own."""
    if isinstance(task_set, BareTaskSet) or task_set.stated:
        raise place.invalid(
            "pods without a field node, because --node or --state gives the node",
            found="tasks" if isinstance(task_set, BareTaskSet) else "a node",
        )
    for pod in task_set.pods:
        if pod.name in held:
            raise place.invalid(
                "another name, because the node holds a pod of that one", found=f"pod {pod.name}"
            )


def analyze_input(given: AnalysisInput, test: str | None, query: NodeQuery | None = None) -> Report:
    """Analyze it; ``query``, if there is one, decides what only the node's daemon can.

    Raises ``UnsuitableTestError`` where the test does not suit the input.
    """
    task_set = given.task_set
    if isinstance(task_set, BareTaskSet):
        return analyze_task_set(task_set, _analysis(test))
    if given.node is not None:
        if test is not None:
            raise UnsuitableTestError("the node names its test: leave --test out")
        found = find_fit(given.node, task_set.pods, installed_test)
        if found.answer is not Answer.NODE_DECIDES:
            return found
        if query is None:
            return replace(found, because=f"{found.because}; {_TLS_HINT}")
        return _query_daemon(found, task_set.pods, query)
    return admit_in_order(task_set.node, task_set.pods, test=_admission_test(test))


def _query_daemon(report: FitReport, pods: tuple[Pod, ...], query: NodeQuery) -> FitReport:
    """The daemon's answer. It checks each pod alone, so for several pods a yes stays undecided."""
    refusals: list[tuple[Pod, Rejection]] = []
    granted: list[str] = []
    demanding = [pod for pod in pods if pod.workload.is_real_time]
    for pod in demanding:
        request = ReservationRequest(
            pod=PodRef(uid=_NO_UID, namespace="default", name=pod.name), workload=pod.workload
        )
        answered = query(report.node.state.endpoint, request)
        if answered.reason is not None:
            refusals.append((pod, Rejection(reason=answered.reason, detail=answered.detail)))
        granted += [
            f"{pod.name}/{held.container} {as_time(held.server.budget)} in "
            f"{as_time(held.server.period)} on core {core_name(held.core)}"
            for held in answered.granted
        ]
    if refusals:
        because = "its daemon was asked"
        return replace(report, answer=Answer.NO, because=because, refusals=tuple(refusals))
    because = f"its daemon was asked, and would grant {', '.join(granted)}"
    if len(demanding) > 1:
        return replace(report, because=f"{because}, each pod alone")
    return replace(report, answer=Answer.YES, because=because)


def installed_test(name: str) -> AdmissionTest | None:
    """The admission test of that name, or None where it is not installed here."""
    try:
        return AdmissionTest(name=name, admit=load_admission_test(name))
    except AdmissionTestError:
        return None


def text_and_json(
    report: Report, remarks: tuple[Remark, ...] = ()
) -> tuple[Callable[[], str], Callable[[], dict[str, object]]]:
    """Text and JSON of a report, each made on demand, with what was not analyzed."""
    as_text, as_object = _forms(report)
    if not remarks:
        return as_text, as_object
    lines = "\n".join(f"  {remark.about}: {remark.says}" for remark in remarks)
    listed = [{"about": remark.about, "says": remark.says} for remark in remarks]
    return (
        lambda: f"not judged:\n{lines}\n\n{as_text()}",
        lambda: as_object() | {"not_judged": listed},
    )


def _forms(report: Report) -> tuple[Callable[[], str], Callable[[], dict[str, object]]]:
    match report:
        case AdmissionReport():
            return (
                lambda: admission_text.format_report(report),
                lambda: admission_json.report_json(report),
            )
        case ClassicReport():
            return (
                lambda: classic.format_report(report),
                lambda: classic.report_json(report),
            )
        case FitReport():
            return (
                lambda: fit.format_report(report),
                lambda: fit.report_json(report),
            )


def is_schedulable(report: Report) -> bool | None:
    """Yes, no, or None where only the node can decide."""
    if not isinstance(report, FitReport):
        return report.schedulable
    return {Answer.YES: True, Answer.NO: False, Answer.NODE_DECIDES: None}[report.answer]


def supply_picture(given: AnalysisInput, report: Report, server: str | None) -> SupplyPicture:
    """Supply against demand, of the server named (``pod/container``) or the tightest one.

    Raises ``UnsuitableTestError`` where there is nothing to draw.
    """
    if isinstance(report, ClassicReport) and isinstance(given.task_set, BareTaskSet):
        if server is not None:
            raise UnsuitableTestError(
                "a bare task set has no container whose server could be chosen: leave --server out"
            )
        return curves_of_set(given.task_set, report)
    admitted = report.report if isinstance(report, FitReport) else report
    if not isinstance(admitted, AdmissionReport):
        raise UnsuitableTestError("there is no server to draw")
    return curves_of_server(admitted.node, _chosen(admitted.bounds, server))


def _chosen(bounds: tuple[ServerBound, ...], server: str | None) -> ServerBound:
    """The tightest server of the container named, or of all."""
    names = [f"{b.reservation.pod_uid}/{b.reservation.container}" for b in bounds]
    if server is not None and server not in names:
        there = ", ".join(dict.fromkeys(names)) or "none"
        raise UnsuitableTestError(f"no server {server} was admitted; there are {there}")
    wanted = [b for b, name in zip(bounds, names, strict=True) if server in (None, name)]
    found = tightest(wanted)
    if found is not None:
        return found
    if server is not None:
        raise UnsuitableTestError(f"{server} is held by SCHED_DEADLINE and has no server to draw")
    raise UnsuitableTestError(
        "no server was admitted that could be drawn: leave --plot out to see the answer"
    )


def _analysis(test: str | None) -> Analysis | None:
    if test is None:
        return None
    if test not in tuple(map(str, Analysis)):
        raise UnsuitableTestError(
            f"no test {test} judges bare task sets; there are {', '.join(Analysis)}"
        )
    return Analysis(test)


def _admission_test(name: str | None) -> AdmissionTest:
    if name in (None, Analysis.HIERARCHICAL.value, BUILT_IN.name):
        return BUILT_IN
    if name in tuple(map(str, Analysis)):
        raise UnsuitableTestError(
            f"the test {name} judges bare task sets, in files with the field tasks, and no pods: "
            "leave --test out, or name an admission test"
        )
    found = installed_test(str(name))
    if found is None:
        raise UnsuitableTestError(
            f"no admission test {name} is installed; {BUILT_IN.name} is built in"
        )
    return found
