"""The response times that the analysis promises for what a node holds."""

from k40s.cpu.cores import deadline_tick_figure, tick_figure
from k40s.cpu.deadline import interference
from k40s.cpu.figures import server_figures, task_figures
from k40s.cpu.hierarchy import server_tasks_response
from k40s.cpu.model import CpuNode
from k40s.cpu.servers import deferrable
from tests.oracles.replay import name_of


def promised(node: CpuNode) -> dict[tuple[str, str], int]:
    """Microseconds by names of server and task, for all that rt-cgroups serve."""
    found = {}
    for held in node.reservations:
        if not held.priorities:
            continue
        deadline = [server_figures(r.server) for r in node.deadline_on(held.core)]
        above = (
            *interference(deadline, deadline_tick_figure(node), tick_figure(node)),
            *(
                deferrable(*server_figures(r.server))
                for r in node.on_core(held.core)
                if max(r.priorities) > max(held.priorities)
            ),
        )
        order = sorted(range(len(held.tasks)), key=lambda i: -held.priorities[i])
        tasks = tuple(task_figures(held.tasks[i]) for i in order)
        responses = server_tasks_response(
            tasks, server_figures(held.server), above, tick_figure(node)
        )
        if responses is None:
            raise AssertionError(f"{name_of(held)} is held, but not schedulable")
        for index, response in zip(order, responses, strict=True):
            found[name_of(held), held.tasks[index].name] = response
    return found
