"""An admission report as text for a terminal."""

from collections.abc import Iterator

from k40s.annotations import format_cores
from k40s.cpu.figures import JOB_OVERHEAD
from k40s.cpu.model import ANY_CORE, CpuNode, DeadlineOffer, Reservation
from k40s.units import NS_PER_US, format_duration
from workbench.admitting import AdmissionReport, Step
from workbench.bounds import ServerBound, TaskBound
from workbench.table import as_percent, as_share, format_table, or_dash


def format_report(report: AdmissionReport) -> str:
    """The whole report: node, pods, servers, tasks, cores, verdict."""
    parts = [
        format_node(report.node) + f"\ntest: {report.test}",
        "\n".join(_pods(report.steps)),
    ]
    if report.bounds:
        parts += [_servers(report), _tasks(report), _cores(report.node)]
        overhead = format_duration(JOB_OVERHEAD * NS_PER_US)
        parts.append(f"Bounds contain {overhead} of overheads for each job.")
    refused = sum(step.rejection is not None for step in report.steps)
    parts.append(
        "schedulable"
        if not refused
        else f"not schedulable: {refused} of {len(report.steps)} pods refused"
    )
    return "\n\n".join(parts)


def format_node(node: CpuNode) -> str:
    """One line of what the node offers."""
    words = [
        f"cores {format_cores(node.cores)}",
        f"tick {format_duration(node.tick)}",
        f"capacity {as_share(node.core_capacity)} per core",
        f"{as_share(node.node_capacity)} for all budget groups"
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


def core_name(core: int) -> str:
    """A core's number; "any" for threads that migrate."""
    return "any" if core == ANY_CORE else str(core)


def title_of(held: Reservation, bounds: tuple[ServerBound, ...]) -> str:
    """Pod and container, and the tasks where the container has several servers."""
    siblings = [
        other
        for other in bounds
        if (other.reservation.pod_uid, other.reservation.container)
        == (held.pod_uid, held.container)
    ]
    title = f"{held.pod_uid}/{held.container}"
    if len(siblings) == 1:
        return title
    return f"{title} ({', '.join(task.name for task in held.tasks)})"


def _offer(offer: DeadlineOffer) -> str:
    cpus = f" over {offer.cpus} CPUs" if offer.cpus > 1 else ""
    return (
        f"SCHED_DEADLINE {offer.domain}{cpus}: capacity {as_share(offer.capacity)}, "
        f"tick {format_duration(offer.tick)}"
    )


def _pods(steps: tuple[Step, ...]) -> Iterator[str]:
    width = max(len(step.pod.name) for step in steps)
    for step in steps:
        line = f"pod {step.pod.name:<{width}}  {step.pod.workload.criticality.name:<4}"
        if step.rejection is None:
            yield f"{line}  admitted"
        else:
            yield f"{line}  refused, {step.rejection.reason}: {step.rejection.reason.text}"
            for part in step.rejection.detail.split("; "):
                yield f"    {part}"
        for grown in step.grown:
            yield (
                f"    {grown.pod}/{grown.container} grows for it: "
                f"{format_duration(grown.before.budget)} to {format_duration(grown.after.budget)}"
                f" in {format_duration(grown.after.period)}"
            )


def _servers(report: AdmissionReport) -> str:
    rows = []
    for bound in report.bounds:
        held = bound.reservation
        rows.append(
            (
                title_of(held, report.bounds),
                core_name(held.core),
                str(held.mechanism),
                "-" if held.group is None else str(held.group),
                format_duration(held.server.budget),
                format_duration(held.server.period),
                as_share(held.server.bandwidth),
                bound.rule,
                or_dash(bound.response),
            )
        )
    figures = ("group", "budget", "period", "Q/P")
    head = ("server", "core", "mechanism", *figures, "rule", "has it within")
    return format_table(head, rows)


def _tasks(report: AdmissionReport) -> str:
    rows = []
    for server in report.bounds:
        held = server.reservation
        for bound in server.tasks:
            task = bound.task
            rows.append(
                (
                    f"{held.pod_uid}/{held.container}/{task.name}",
                    core_name(held.core),
                    "-" if bound.priority is None else str(bound.priority),
                    format_duration(task.wcet),
                    format_duration(task.period),
                    format_duration(task.deadline),
                    *_response(bound),
                )
            )
    head = ("task", "core", "priority", "wcet", "period", "deadline", "response", "of deadline")
    return format_table(head, rows)


def _response(bound: TaskBound) -> tuple[str, str]:
    """Response and per cent of the deadline; EDF's test tells only that the deadline is met."""
    if bound.priority is None:
        return "in time", "-"
    if bound.response is None:
        return "-", "-"
    return format_duration(bound.response), as_percent(bound.response, bound.task.deadline)


def _cores(node: CpuNode) -> str:
    shared = node.deadline is not None and any(r.core == ANY_CORE for r in node.reservations)
    cores = (*node.cores, ANY_CORE) if shared else node.cores
    rows = [
        (
            core_name(core),
            as_share(node.utilization(core)),
            "-" if core == ANY_CORE else as_share(node.core_capacity),
        )
        for core in cores
    ]
    return format_table(("core", "utilization", "capacity"), rows)
