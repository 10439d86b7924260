"""From what a person hands in, files or a node's name, to a report: what ``k40s analyze`` does."""

from collections.abc import Callable
from dataclasses import dataclass

from k40s.errors import InvalidInputError
from k40s.runtime.admission_tests import AdmissionTestError, load_admission_test
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
from workbench.problem import PodSet, problem_of
from workbench.server_curves import curves_of_server, tightest
from workbench.set_curves import curves_of_set

Report = AdmissionReport | ClassicReport | FitReport


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


def answer(question: Question, test: str | None) -> Report:
    """Judge it. Raises ``UnsuitableTestError`` where the test does not suit the question."""
    problem = question.problem
    if isinstance(problem, PlainSet):
        return judge(problem, _analysis(test))
    if question.node is not None:
        if test is not None:
            raise UnsuitableTestError("the node names its test: leave --test out")
        return find_fit(question.node, problem.pods, installed_test)
    return admit_in_order(problem.node, problem.pods, test=_admission_test(test))


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
