"""An admission report as text for a terminal."""

from collections.abc import Iterator
from fractions import Fraction

from k40s.annotations import format_cores
from k40s.cpu.linux import JOB_OVERHEAD
from k40s.cpu.model import ANY_CORE, CpuNode, DeadlineOffer
from k40s.node_api.allocation import core_name
from k40s.units import NS_PER_US
from workbench.analysis.admission import AdmissionReport, Step
from workbench.analysis.bounds import ServerBound, TaskBound, server_title
from workbench.reports import price
from workbench.table import as_limit, as_percent, as_share, as_time, format_table, or_dash


def format_report(report: AdmissionReport) -> str:
    """The whole report: node, pods, servers, tasks, cores, verdict."""
    parts = [
        format_node(report.node) + f"\ntest: {report.test}",
        "\n".join(_pods(report.steps)),
    ]
    if report.bounds:
        parts += [_servers(report), _tasks(report), price.format_prices(report.prices)]
        parts.append(_cores(report.node))
        overhead = as_time(JOB_OVERHEAD * NS_PER_US)
        parts.append(f"Bounds contain {overhead} of overheads for each job.")
    refused = sum(step.rejection is not None for step in report.steps)
    parts.append(
        "schedulable"
        if not refused
        else f"not schedulable: {refused} of {len(report.steps)} pods refused"
    )
    return "\n\n".join(parts)


def format_node(node: CpuNode) -> str:
    """The node's offer in one line."""
    words = [
        f"cores {format_cores(node.cores)}",
        f"tick {as_time(node.tick)}",
        f"capacity {as_limit(node.core_capacity)} per core",
        f"{as_limit(node.node_capacity)} for all budget groups"
        + (", which cores share" if node.shared_groups else "")
        + (", with their ancestors" if node.ancestor_period is not None else ""),
    ]
    if node.platform:
        words.append(f"platform {node.platform}")
    if node.platform_factor != 1:
        words.append(f"factor {node.platform_factor}")
    if node.deadline is not None:
        words.append(_offer(node.deadline))
    return "node: " + ", ".join(words)


def _offer(offer: DeadlineOffer) -> str:
    cpus = f" over {offer.cpus} CPUs" if offer.cpus > 1 else ""
    return (
        f"SCHED_DEADLINE {offer.domain}{cpus}: capacity {as_limit(offer.capacity)}, "
        f"tick {as_time(offer.tick)}"
    )


def _pods(steps: tuple[Step, ...]) -> Iterator[str]:
    width = max(len(step.pod.name) for step in steps)
    for step in steps:
        line = f"pod {step.pod.name:<{width}}  {step.pod.workload.criticality.name:<4}"
        if not step.pod.workload.is_real_time and step.rejection is None:
            yield f"{line}  has no real-time tasks: only the node's assurance counts"
        elif step.rejection is None:
            yield f"{line}  admitted"
        else:
            yield f"{line}  refused, {step.rejection.reason}: {step.rejection.reason.text}"
            for part in step.rejection.detail.split("; "):
                yield f"    {part}"
        for grown in step.grown:
            yield (
                f"    {grown.pod}/{grown.container} grows for it: "
                f"{as_time(grown.before.budget)} to {as_time(grown.after.budget)}"
                f" in {as_time(grown.after.period)}"
            )


def _servers(report: AdmissionReport) -> str:
    rows = []
    for bound in report.bounds:
        held = bound.reservation
        rows.append(
            (
                server_title(held, report.bounds),
                str(core_name(held.core)),
                str(held.mechanism),
                "-" if held.group is None else str(held.group),
                as_time(held.server.budget),
                as_time(held.server.period),
                as_share(held.server.bandwidth),
                bound.rule,
                or_dash(bound.response),
            )
        )
    figures = ("group", "budget", "period", "Q/P")
    head = ("server", "core", "mechanism", *figures, "rule", "has it within")
    return "\n".join((format_table(head, rows), *_dashes(report.bounds)))


def _dashes(bounds: tuple[ServerBound, ...]) -> Iterator[str]:
    """Explanations of the dashes in the table of servers."""
    if any(bound.response is None for bound in bounds):
        yield "has it within -: others can hold up its whole budget for longer than its period;"
        yield "its tasks meet their deadlines all the same, by containment"


def _tasks(report: AdmissionReport) -> str:
    rows = []
    for server in report.bounds:
        held = server.reservation
        for bound in server.tasks:
            task = bound.task
            rows.append(
                (
                    f"{held.pod_uid}/{held.container}/{task.name}",
                    str(core_name(held.core)),
                    "-" if bound.priority is None else str(bound.priority),
                    as_time(task.wcet),
                    as_time(task.period),
                    as_time(task.deadline),
                    *_response(bound),
                )
            )
    head = ("task", "core", "priority", "wcet", "period", "deadline", "response", "of deadline")
    return format_table(head, rows)


def _response(bound: TaskBound) -> tuple[str, str]:
    """Response and per cent of the deadline; EDF's test guarantees only the deadline."""
    if bound.priority is None:
        return "in time", "-"
    if bound.response is None:
        return "-", "-"
    return as_time(bound.response), as_percent(bound.response, bound.task.deadline)


def _cores(node: CpuNode) -> str:
    shared = node.deadline is not None and any(r.core == ANY_CORE for r in node.reservations)
    cores = (*node.cores, ANY_CORE) if shared else node.cores
    rows = [
        (
            str(core_name(core)),
            as_share(node.utilization(core), node.core_capacity, Fraction(1)),
            "-" if core == ANY_CORE else as_limit(node.core_capacity),
        )
        for core in cores
    ]
    return format_table(("core", "utilization", "capacity"), rows)
