"""The test that a bare task set is judged by."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from workbench.classic import Analysis, ClassicReport
from workbench.earliest_deadline import judge_edf
from workbench.fixed_priority import (
    judge_below_server,
    judge_flat,
    judge_in_server,
    judge_on_periodic_resource,
)
from workbench.mixed import information_on
from workbench.plain_set import PlainSet, Scheduling

_JUDGES: Mapping[Analysis, Callable[[PlainSet], ClassicReport]] = MappingProxyType(
    {
        Analysis.FIXED_PRIORITY: judge_flat,
        Analysis.EDF: judge_edf,
        Analysis.DEFERRABLE_SERVER: judge_below_server,
        Analysis.PERIODIC_RESOURCE: judge_on_periodic_resource,
        Analysis.HIERARCHICAL: judge_in_server,
    }
)


def judge(given: PlainSet, test: Analysis | None = None) -> ClassicReport:
    """Judge a bare task set by a test; None takes the one that suits what the file says.

    Raises ``UnsuitableTestError`` where the test does not judge such a set.
    """
    report = _JUDGES[test or _suitable(given)](given)
    return replace(report, information=information_on(given.tasks))


def _suitable(given: PlainSet) -> Analysis:
    if given.scheduling is Scheduling.EDF:
        return Analysis.EDF if given.server is None else Analysis.PERIODIC_RESOURCE
    return Analysis.FIXED_PRIORITY if given.server is None else Analysis.HIERARCHICAL
