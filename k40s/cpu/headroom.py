"""Room that all servers of a core must leave to the kernel's own limits.

Linux throttles the root of all real-time groups at 950 ms in each second, and its fair server
may take 50 ms in a second when ordinary threads starved. ΣQ/P ≤ 0.9 does not keep a core below
that, since each server can spend two budgets nearly back to back. Integers in microseconds.
"""

from collections.abc import Iterable

from k40s.cpu.response import Interference

ROOT_PERIOD = 1_000_000
ROOT_RUNTIME = 950_000
FAIR_SERVER = 50_000


def leaves_headroom(
    servers: Iterable[tuple[int, int]], tick: int, above: Interference = ()
) -> bool:
    """Whether servers (Q, P) of one core, and what else runs ``above``, stay below the limit."""
    inside_period = 0
    inside_runtime = 0
    for budget, period in servers:
        slack = period - budget
        inside_period -= -(ROOT_PERIOD + slack) // period * budget - tick
        inside_runtime -= -(ROOT_RUNTIME + slack) // period * budget - tick
    for budget, period, jitter in above:
        inside_period -= -(ROOT_PERIOD + jitter) // period * budget - tick
        inside_runtime -= -(ROOT_RUNTIME + jitter) // period * budget - tick
    return (
        inside_period <= ROOT_PERIOD - FAIR_SERVER and inside_runtime <= ROOT_RUNTIME - FAIR_SERVER
    )
