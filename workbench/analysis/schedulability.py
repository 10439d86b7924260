"""Runs the schedulability test of a bare task set: the chosen one, or the one that suits it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from workbench.analysis.classic import Analysis, ClassicReport
from workbench.analysis.earliest_deadline import analyze_edf
from workbench.analysis.fixed_priority import (
    analyze_below_server,
    analyze_fixed_priority,
    analyze_in_server,
    analyze_on_periodic_resource,
)
from workbench.analysis.mixed_criticality import information_on
from workbench.inputs.bare_task_set import BareTaskSet, Scheduling

_TESTS: Mapping[Analysis, Callable[[BareTaskSet], ClassicReport]] = MappingProxyType(
    {
        Analysis.FIXED_PRIORITY: analyze_fixed_priority,
        Analysis.EDF: analyze_edf,
        Analysis.DEFERRABLE_SERVER: analyze_below_server,
        Analysis.PERIODIC_RESOURCE: analyze_on_periodic_resource,
        Analysis.HIERARCHICAL: analyze_in_server,
    }
)


def analyze_task_set(given: BareTaskSet, test: Analysis | None = None) -> ClassicReport:
    """Analyze a bare task set by a test; None takes the one that suits the set.

    Raises ``UnsuitableTestError`` where the test does not apply to such a set.
    """
    report = _TESTS[test or _suitable(given)](given)
    return replace(report, information=information_on(given.tasks))


def _suitable(given: BareTaskSet) -> Analysis:
    if given.scheduling is Scheduling.EDF:
        return Analysis.EDF if given.server is None else Analysis.PERIODIC_RESOURCE
    return Analysis.FIXED_PRIORITY if given.server is None else Analysis.HIERARCHICAL
