"""An admission report as JSON. Durations are text with a unit, fractions exact text."""

from k40s.annotations.reserve import format_reserve
from k40s.cpu.model import ANY_CORE, CpuNode, Reservation, Server
from k40s.units import format_duration
from workbench.analysis.admission import AdmissionReport, Growth, Step
from workbench.analysis.bounds import ServerBound, TaskBound
from workbench.reports.price import prices_json

VERSION = 1
"""Grows when a field changes its meaning or goes; new fields may come at any time."""


def report_json(report: AdmissionReport) -> dict[str, object]:
    """The object that ``k40s analyze --json`` prints for pods."""
    return {
        "v": VERSION,
        "kind": "admission",
        "test": report.test,
        "schedulable": report.schedulable,
        "node": node_json(report.node),
        "pods": [_step_json(step) for step in report.steps],
        "servers": [_server_json(bound) for bound in report.bounds],
        "prices": prices_json(report.prices),
        "cores": [
            {"core": core, "utilization": str(report.node.utilization(core))}
            for core in report.node.cores
        ],
    }


def node_json(node: CpuNode) -> dict[str, object]:
    """The node's offer, without its reservations."""
    offer = node.deadline
    return {
        "cores": list(node.cores),
        "tick": format_duration(node.tick),
        "core_capacity": str(node.core_capacity),
        "node_capacity": str(node.node_capacity),
        "platform": node.platform,
        "platform_factor": str(node.platform_factor),
        "groups": _groups(node),
        "packing": str(node.packing),
        "hi_reserve": None if node.hi_reserve is None else format_reserve(node.hi_reserve),
        "deadline": None
        if offer is None
        else {
            "tick": format_duration(offer.tick),
            "capacity": str(offer.capacity),
            "domain": str(offer.domain),
            "cpus": offer.cpus,
        },
    }


def or_null(value: int | None) -> str | None:
    """A duration, or null where there is none."""
    return None if value is None else format_duration(value)


def _step_json(step: Step) -> dict[str, object]:
    rejection = step.rejection
    return {
        "name": step.pod.name,
        "criticality": step.pod.workload.criticality.name,
        "schedulable": rejection is None,
        "reason": None if rejection is None else str(rejection.reason),
        "text": None if rejection is None else rejection.reason.text,
        "detail": None if rejection is None else rejection.detail,
        "granted": [_place_json(held) for held in step.granted],
        "grown": [_growth_json(growth) for growth in step.grown],
    }


def _growth_json(growth: Growth) -> dict[str, object]:
    return {
        "pod": growth.pod,
        "container": growth.container,
        "tasks": list(growth.tasks),
        "core": growth.core,
        "before": _figures_json(growth.before),
        "after": _figures_json(growth.after),
    }


def _figures_json(server: Server) -> dict[str, object]:
    return {"budget": format_duration(server.budget), "period": format_duration(server.period)}


def _place_json(held: Reservation) -> dict[str, object]:
    return {
        "pod": held.pod_uid,
        "container": held.container,
        "core": None if held.core == ANY_CORE else held.core,
        "mechanism": str(held.mechanism),
        "group": held.group,
        **_figures_json(held.server),
    }


def _server_json(bound: ServerBound) -> dict[str, object]:
    return {
        **_place_json(bound.reservation),
        "utilization": str(bound.reservation.server.bandwidth),
        "response": or_null(bound.response),
        "rule": bound.rule,
        "contained": bound.contained,
        "tasks": [_task_json(task) for task in bound.tasks],
    }


def _task_json(bound: TaskBound) -> dict[str, object]:
    task = bound.task
    return {
        "name": task.name,
        "wcet": format_duration(task.wcet),
        "period": format_duration(task.period),
        "deadline": format_duration(task.deadline),
        "rt_priority": bound.priority,
        "response": or_null(bound.response),
    }


def _groups(node: CpuNode) -> str:
    if node.ancestor_period is not None:
        return "container"
    return "shared" if node.shared_groups else "own"
