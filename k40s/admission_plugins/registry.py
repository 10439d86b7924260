"""Schedulability tests as Python entry points: found by name, and run in a process of their own.

A package declares its test in the group ``k40s.admission_tests``; the entry point's name is the
one that a node publishes. The object is called as ``admit(node, demand)`` and answers with an
``Admission`` or a ``Rejection`` (docs/admission-test.md).
"""

import inspect
import logging
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points

from k40s.admission_plugins.isolated import PATIENCE, IsolatedTest
from k40s.annotations.cpu_state import TEST_NAME
from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.hi_reserve import find_reserve_breach
from k40s.cpu.admission.invariants import find_breach
from k40s.cpu.model import CpuNode, PodDemand
from k40s.cpu.outcome import ADMISSION_TEST, Admission, Admit, Rejection
from k40s.criticality import Criticality
from k40s.errors import K40sError
from k40s.reasons import Reason
from k40s.units import Nanoseconds

log = logging.getLogger(__name__)

GROUP = "k40s.admission_tests"
SETTING = "K40S_ADMISSION_TEST"


class AdmissionTestError(K40sError):
    """The test that the settings name cannot be used."""


def load_admission_test(name: str, *, patience: Nanoseconds = PATIENCE) -> Admit:
    """The test of that name: the built-in one, or an installed one in a process of its own.

    An installed one is refused after ``patience``, and is never imported here. Raises
    ``AdmissionTestError``, which names the setting, where none is installed or it cannot be
    imported or called.
    """
    if name == ADMISSION_TEST:
        return admit
    _find(name)
    test = IsolatedTest(name, patience=patience)
    if fault := test.start():
        raise AdmissionTestError(fault)
    return Guarded(name, test)


def import_admission_test(name: str) -> Admit:
    """The installed test itself, in this process. Raises ``AdmissionTestError``."""
    point = _find(name)
    test = _imported(point)
    if not _takes_node_and_demand(test):
        raise _unusable(name, f"{point.value} to be callable as admit(node, demand)")
    return test


def _find(name: str) -> EntryPoint:
    if TEST_NAME.fullmatch(name) is None:
        raise _unusable(name, "1 to 40 of a-z, 0-9, '.', '+' and '-'")
    found = entry_points(group=GROUP, name=name)
    if len(found) != 1:
        installed = ", ".join(
            sorted({ADMISSION_TEST, *(p.name for p in entry_points(group=GROUP))})
        )
        raise _unusable(name, f"one that is installed once: {installed}")
    (point,) = found
    return point


class InstalledTests:
    """The tests that are installed here, each looked up once."""

    def __init__(self, load: Callable[[str], Admit] = load_admission_test) -> None:
        self._load = load
        self._found: dict[str, Admit | None] = {}

    def prepare(self) -> None:
        """Start all that are installed, so that no call waits for a start."""
        for point in entry_points(group=GROUP):
            self.find(point.name)

    def find(self, name: str) -> Admit | None:
        """The test of that name, or None where it is not installed here."""
        if name not in self._found:
            try:
                self._found[name] = self._load(name)
            except AdmissionTestError as error:
                log.info("admission test not run here", extra={"test": name, "cause": str(error)})
                self._found[name] = None
        return self._found[name]


class Guarded:
    """An installed test whose errors and broken invariants become refusals."""

    def __init__(self, name: str, test: Admit) -> None:
        self._name = name
        self._test = test

    def __call__(self, node: CpuNode, demand: PodDemand) -> Admission | Rejection:
        """Run it; an exception, or an answer that breaks the rules, is ``cpu.test-failed``."""
        try:
            outcome = self._test(node, demand)
            breach = _fault_of(outcome, node, demand)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # an installed test may raise anything
            log.exception("admission test raised", extra={"test": self._name})
            return _failed(f"{self._name} raised {type(error).__name__}: {error}")
        if breach is None:
            return self._keeping_reserve(outcome, demand)
        log.error("admission test overruled", extra={"test": self._name, "cause": breach})
        return _failed(f"{self._name}: {breach}")

    def _keeping_reserve(
        self, outcome: Admission | Rejection, demand: PodDemand
    ) -> Admission | Rejection:
        """Refuse a LOW pod that takes the HI reserve of the node, as this test computes it."""
        if isinstance(outcome, Rejection) or demand.criticality is Criticality.HI:
            return outcome
        cores = {held.core for held in outcome.granted}
        return find_reserve_breach(self, outcome.node, cores) or outcome


def _fault_of(outcome: object, node: CpuNode, demand: PodDemand) -> str | None:
    """The fault of an answer, or None; its annotated type is not trusted."""
    match outcome:
        case Rejection(reason=Reason() as reason, detail=str()):
            about_cpus = reason.value.startswith("cpu.")
            return (
                None if about_cpus else f"it refuses with {reason.value}, which is not about CPUs"
            )
        case Admission(node=CpuNode(), granted=tuple()):
            return find_breach(node, demand, outcome)
        case _:
            return f"it answers {type(outcome).__name__}, or what is in it is of another kind"


def _imported(point: EntryPoint) -> Admit:
    try:
        test: Admit = point.load()
    except (Exception, SystemExit) as error:  # importing runs code that may raise anything
        text = f"{type(error).__name__}: {error}"
        raise _unusable(point.name, f"{point.value} to be importable ({text})") from error
    return test


def _takes_node_and_demand(test: object) -> bool:
    if not callable(test):
        return False
    try:
        inspect.signature(test).bind(None, None)
    except (TypeError, ValueError):
        return False
    return True


def _unusable(name: str, expected: str) -> AdmissionTestError:
    return AdmissionTestError(f"{SETTING}: found {name[:80]!r}, expected {expected}")


def _failed(detail: str) -> Rejection:
    return Rejection(reason=Reason.CPU_TEST_FAILED, detail=detail[:1000])
