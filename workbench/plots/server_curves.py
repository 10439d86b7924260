"""Curves of a container's server: its least supply, and the demand of its tasks."""

from collections.abc import Sequence

from k40s.cpu.linux import quantize_server, quantize_task, quantize_tick
from k40s.cpu.model import CpuNode, Mechanism
from k40s.units import NS_PER_US
from workbench.analysis.bounds import ServerBound, interference_on
from workbench.analysis.classic import UnsuitableTestError
from workbench.plots.curves import (
    Ranked,
    SupplyPicture,
    figures_text,
    in_server,
    left_by,
    left_out,
    requests,
)


def curves_of_server(node: CpuNode, bound: ServerBound) -> SupplyPicture:
    """The supply of a container's deferrable server and the requests of its tasks."""
    held = bound.reservation
    if held.mechanism is Mechanism.DEADLINE:
        raise UnsuitableTestError(
            f"{held.pod_uid}/{held.container} is held by SCHED_DEADLINE and has no server to draw"
        )
    order = sorted(range(len(held.tasks)), key=lambda index: -held.priorities[index])
    ranked = Ranked(
        names=tuple(held.tasks[index].name for index in order),
        tasks=tuple(_scaled(quantize_task(held.tasks[index])) for index in order),
        priorities=tuple(held.priorities[index] for index in order),
        responses=tuple(bound.tasks[index].response for index in order),
    )
    budget, period = (figure * NS_PER_US for figure in quantize_server(held.server))
    title = f"{held.pod_uid}/{held.container}: {figures_text(budget, period)}"
    above = tuple(_scaled(rival) for rival in interference_on(node, held))
    tick = quantize_tick(node) * NS_PER_US
    if not bound.contained:
        return in_server(title, ranked, (budget, period), above, tick)
    return SupplyPicture(
        title=f"{title}, which contains its tasks",
        supply=left_by(above, tick, ranked.horizon),
        supply_label="what those above leave",
        demands=requests(ranked),
        note=left_out(ranked),
    )


def tightest(bounds: Sequence[ServerBound]) -> ServerBound | None:
    """The rt-cgroup server with the task whose bound is nearest to its deadline; None if none."""
    servers = [b for b in bounds if b.reservation.mechanism is Mechanism.RT_CGROUP]
    return max(servers, key=_tension, default=None)


def _tension(bound: ServerBound) -> float:
    return max(
        2.0 if task.response is None else task.response / task.task.deadline for task in bound.tasks
    )


def _scaled(figures: tuple[int, int, int]) -> tuple[int, int, int]:
    first, second, third = figures
    return (first * NS_PER_US, second * NS_PER_US, third * NS_PER_US)
