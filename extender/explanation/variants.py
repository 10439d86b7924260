"""Pods that ask for less than the one in question, each with what is changed. Pure.

None of them has a lower criticality: that would give guarantees up, and is nobody's remedy.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType

from extender.cache.workloads import Contract
from extender.preemption.trial import Applicant
from k40s.cpu.model import MAX_PERIOD
from k40s.cpu.workload import TaskContract, WcetTable, Workload
from k40s.network.model import PathRequirement, Requirement, SlotRequirement
from k40s.units import NS_PER_US, Nanoseconds

Variant = tuple[str, Applicant]
"""What is changed, in words that follow "it fits"; and the pod with it."""

_LONGER = (Fraction(5, 4), Fraction(3, 2), Fraction(2), Fraction(4))
_SHORTER = (Fraction(3, 4), Fraction(1, 2))


def cpu_variants(asked: Applicant) -> Iterator[Sequence[Variant]]:
    """Kinds of changes to the tasks; of each kind the smallest change comes first."""
    workload = asked.workload
    if workload.mechanism is not None:
        free = replace(workload, mechanism=None)
        yield [("without the annotation k40s.io/enforcement", _with(asked, free, "any mechanism"))]
    if any(task.core is not None for task in workload.tasks):
        tasks = tuple(replace(task, core=None) for task in workload.tasks)
        yield [("on any core", _with(asked, replace(workload, tasks=tasks), "any core"))]
    yield [
        (
            f"with periods {_times(factor)} as long",
            _with(asked, _slower(workload, factor), f"period {factor}"),
        )
        for factor in _LONGER
        if all(task.period * factor <= MAX_PERIOD for task in workload.tasks)
    ]
    yield [
        (
            f"with WCETs {_times(factor)} as long",
            _with(asked, _shorter(workload, factor), f"wcet {factor}"),
        )
        for factor in _SHORTER
    ]


def network_variants(asked: Applicant) -> Iterator[Sequence[Variant]]:
    """Kinds of changes to what the pod requires of networks."""
    needs = asked.contract.requirements
    if any(isinstance(one, SlotRequirement) for one in needs):
        yield [
            (f"with slots {_times(factor)} as seldom", _requiring(asked, _seldom(needs, factor)))
            for factor in (2, 4, 8)
        ]
    if any(isinstance(one, PathRequirement) and one.bandwidth for one in needs):
        yield [
            (f"with {part} of the bandwidth", _requiring(asked, _narrower(needs, divisor)))
            for part, divisor in (("half", 2), ("a quarter", 4))
        ]
    if any(isinstance(one, PathRequirement) and one.delay for one in needs):
        yield [
            (f"with delays {_times(factor)} as long", _requiring(asked, _later(needs, factor)))
            for factor in (2, 4)
        ]


def with_runtime_class(asked: Applicant, name: str) -> Applicant:
    """The pod with that RuntimeClass."""
    return replace(asked, pod=replace(asked.pod, runtime_class=name))


def _with(asked: Applicant, workload: Workload, mark: str) -> Applicant:
    """The pod with another workload, whose signature is that of no pod."""
    label, annotation, tasks, enforcement, names, networks = asked.contract.signature
    contract = Contract(
        signature=(label, annotation, f"{tasks}\nif: {mark}", enforcement, names, networks),
        workload=workload,
        requirements=asked.contract.requirements,
    )
    return replace(asked, contract=contract, workload=workload)


def _requiring(asked: Applicant, requirements: tuple[Requirement, ...]) -> Applicant:
    contract = replace(asked.contract, requirements=requirements)
    return replace(asked, contract=contract)


def _slower(workload: Workload, factor: Fraction) -> Workload:
    return replace(workload, tasks=tuple(_slow(task, factor) for task in workload.tasks))


def _slow(task: TaskContract, factor: Fraction) -> TaskContract:
    """An implicit deadline follows the period; another one stays."""
    period = _micros(task.period * factor)
    return replace(
        task, period=period, deadline=period if task.deadline == task.period else task.deadline
    )


def _shorter(workload: Workload, factor: Fraction) -> Workload:
    return replace(
        workload,
        tasks=tuple(replace(task, wcet=_scale(task.wcet, factor)) for task in workload.tasks),
    )


def _scale(table: WcetTable, factor: Fraction) -> WcetTable:
    if table.by_platform is None:
        return WcetTable(baseline=_micros((table.baseline or 0) * factor))
    scaled = {name: _micros(wcet * factor) for name, wcet in table.by_platform.items()}
    return WcetTable(by_platform=MappingProxyType(scaled))


def _micros(time: Fraction) -> Nanoseconds:
    """Whole microseconds, at least one."""
    return Nanoseconds(max(int(time) // NS_PER_US, 1) * NS_PER_US)


def _seldom(needs: Sequence[Requirement], factor: int) -> tuple[Requirement, ...]:
    return tuple(
        replace(one, request=replace(one.request, period=Nanoseconds(one.request.period * factor)))
        if isinstance(one, SlotRequirement)
        else one
        for one in needs
    )


def _narrower(needs: Sequence[Requirement], divisor: int) -> tuple[Requirement, ...]:
    return tuple(
        replace(one, bandwidth=max(one.bandwidth // divisor, 1))
        if isinstance(one, PathRequirement) and one.bandwidth
        else one
        for one in needs
    )


def _later(needs: Sequence[Requirement], factor: int) -> tuple[Requirement, ...]:
    return tuple(
        replace(one, delay=Nanoseconds(one.delay * factor))
        if isinstance(one, PathRequirement) and one.delay
        else one
        for one in needs
    )


def _times(factor: Fraction | int) -> str:
    """``1.5 times``."""
    return f"{float(factor):g} times"
