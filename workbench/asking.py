"""From what a person hands in, files or a node's name, to a report: what ``k40s analyze`` does."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from k40s.allocation import core_name
from k40s.cpu.outcome import Rejection
from k40s.errors import InvalidInputError
from k40s.node_api import AdmissionAnswer, PodRef, ReservationRequest
from k40s.runtime.admission_tests import AdmissionTestError, load_admission_test
from k40s.units import format_duration
from workbench import admission_json, admission_text, classic_report, fit_report
from workbench.admitting import BUILT_IN, AdmissionReport, AdmissionTest, admit_in_order
from workbench.bounds import ServerBound
from workbench.classic import Analysis, ClassicReport, UnsuitableTestError
from workbench.curves import SupplyPicture
from workbench.document import read_documents
from workbench.fitting import Answer, FitReport, find_fit
from workbench.judging import judge
from workbench.manifests import is_manifest, read_manifest_pods
from workbench.node_state import NodeState
from workbench.plain_set import PlainSet
from workbench.pods import Pod
from workbench.problem import PodSet, problem_of
from workbench.server_curves import curves_of_server, tightest
from workbench.set_curves import curves_of_set

Report = AdmissionReport | ClassicReport | FitReport
Judge = Callable[[str, ReservationRequest], AdmissionAnswer]
"""The daemon at an endpoint: what a reservation would be answered. ``UnavailableError``."""

_NOBODY = "00000000-0000-4000-8000-000000000000"
"""The UID of a pod that does not exist yet."""
_HOW = (
    "--tls DIRECTORY asks it, with the tls.crt, tls.key and ca.crt of a client that it answers "
    "(docs/analyze.md)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the file of ``k40s analyze`` asks: pods for a node, or a bare task set.

    ``node`` is the state that was handed in; it takes the place of the file's own node.
    """

    problem: PodSet | PlainSet
    node: NodeState | None = None


def read_question(text: str, *, source: str, node: NodeState | None) -> Question:
    """Read a task-set file, or manifests, which need a node's state. ``InvalidInputError``."""
    documents = read_documents(text, source=source)
    if documents and is_manifest(documents[0]):
        pods = read_manifest_pods(documents)
        if node is None:
            raise documents[0].invalid(
                "a node to ask about: --node NAME or --state FILE", found="a manifest alone"
            )
        return Question(problem=PodSet(node=node.state.node, pods=pods, stated=False), node=node)
    if len(documents) != 1:
        raise InvalidInputError(
            source=source, path="$", found=len(documents), expected="one task set in one document"
        )
    problem = problem_of(documents[0])
    if node is not None and (isinstance(problem, PlainSet) or problem.stated):
        raise documents[0].invalid(
            "pods without a field node, because --node or --state gives the node",
            found="tasks" if isinstance(problem, PlainSet) else "a node",
        )
    return Question(problem=problem, node=node)


def answer(question: Question, test: str | None, judge_there: Judge | None = None) -> Report:
    """Judge it; what only the node can say, ``judge_there`` is asked, if it is given.

    Raises ``UnsuitableTestError`` where the test does not suit the question.
    """
    problem = question.problem
    if isinstance(problem, PlainSet):
        return judge(problem, _analysis(test))
    if question.node is not None:
        if test is not None:
            raise UnsuitableTestError("the node names its test: leave --test out")
        found = find_fit(question.node, problem.pods, installed_test)
        if found.answer is not Answer.NODE_DECIDES:
            return found
        if judge_there is None:
            return replace(found, because=f"{found.because}; {_HOW}")
        return _asked(found, problem.pods, judge_there)
    return admit_in_order(problem.node, problem.pods, test=_admission_test(test))


def _asked(report: FitReport, pods: tuple[Pod, ...], judge_there: Judge) -> FitReport:
    """What the node's daemon says. It judges each pod alone, so several stay undecided."""
    refusals: list[tuple[Pod, Rejection]] = []
    granted: list[str] = []
    for pod in pods:
        request = ReservationRequest(
            pod=PodRef(uid=_NOBODY, namespace="default", name=pod.name), workload=pod.workload
        )
        said = judge_there(report.node.state.endpoint, request)
        if said.reason is not None:
            refusals.append((pod, Rejection(reason=said.reason, detail=said.detail)))
        granted += [
            f"{pod.name}/{held.container} {format_duration(held.server.budget)} in "
            f"{format_duration(held.server.period)} on core {core_name(held.core)}"
            for held in said.granted
        ]
    if refusals:
        because = "its daemon was asked"
        return replace(report, answer=Answer.NO, because=because, refusals=tuple(refusals))
    because = f"its daemon was asked, and would grant {', '.join(granted)}"
    if len(pods) > 1:
        return replace(report, because=f"{because}, each pod alone")
    return replace(report, answer=Answer.YES, because=because)


def installed_test(name: str) -> AdmissionTest | None:
    """The admission test of that name, or None where it is not installed here."""
    try:
        return AdmissionTest(name=name, admit=load_admission_test(name))
    except AdmissionTestError:
        return None


def text_and_json(report: Report) -> tuple[Callable[[], str], Callable[[], dict[str, object]]]:
    """Both forms of a report, made when they are asked for."""
    match report:
        case AdmissionReport():
            return (
                lambda: admission_text.format_report(report),
                lambda: admission_json.report_json(report),
            )
        case ClassicReport():
            return (
                lambda: classic_report.format_report(report),
                lambda: classic_report.report_json(report),
            )
        case FitReport():
            return (
                lambda: fit_report.format_report(report),
                lambda: fit_report.report_json(report),
            )


def verdict(report: Report) -> bool | None:
    """Yes, no, or None where nobody here can say."""
    if not isinstance(report, FitReport):
        return report.schedulable
    return {Answer.YES: True, Answer.NO: False, Answer.NODE_DECIDES: None}[report.answer]


def picture(question: Question, report: Report, server: str | None) -> SupplyPicture:
    """Supply against demand, of the server named (``pod/container``) or the tightest one.

    Raises ``UnsuitableTestError`` where there is nothing to draw.
    """
    if isinstance(report, ClassicReport) and isinstance(question.problem, PlainSet):
        return curves_of_set(question.problem, report)
    admitted = report.report if isinstance(report, FitReport) else report
    if not isinstance(admitted, AdmissionReport):
        raise UnsuitableTestError("there is no server to draw")
    return curves_of_server(admitted.node, _chosen(admitted.bounds, server))


def _chosen(bounds: tuple[ServerBound, ...], server: str | None) -> ServerBound:
    names = {f"{b.reservation.pod_uid}/{b.reservation.container}": b for b in reversed(bounds)}
    if server is not None and server not in names:
        raise UnsuitableTestError(
            f"no server {server} was admitted; there are {', '.join(names) or 'none'}"
        )
    found = names[server] if server is not None else tightest(bounds)
    if found is None:
        raise UnsuitableTestError("nothing was admitted whose server could be drawn")
    return found


def _analysis(test: str | None) -> Analysis | None:
    if test is None:
        return None
    if test not in tuple(map(str, Analysis)):
        raise UnsuitableTestError(
            f"no test {test} for a bare task set; there are {', '.join(Analysis)}"
        )
    return Analysis(test)


def _admission_test(name: str | None) -> AdmissionTest:
    if name in (None, Analysis.HIERARCHICAL.value, BUILT_IN.name):
        return BUILT_IN
    found = installed_test(str(name))
    if found is None:
        raise UnsuitableTestError(
            f"no admission test {name} is installed; {', '.join(Analysis)} "
            f"other than hierarchical judge bare task sets (a file with the field tasks)"
        )
    return found
