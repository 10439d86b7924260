"""CPU time of a real-time group that never stops, charged as Linux charges it.

CPU time is charged at ticks alone while one thread runs on (``update_curr_rt``), and the
replenishment timer charges nothing first: it subtracts at most what is charged so far. Any unit of
time.
"""


def supplied(
    *, budget: int, period: int, tick: int, first_tick: int, periods: int
) -> tuple[int, ...]:
    """Time that the group ran in each period; nothing else runs on the core."""
    charged = since = now = 0
    throttled = False
    next_tick = first_tick
    ran = []
    for end in range(period, period * periods + 1, period):
        got = 0
        while now < end:
            then = min(next_tick, end)
            got += 0 if throttled else then - now
            now = then
            if now == next_tick < end:
                next_tick += tick
                charged += 0 if throttled else now - since
                since = now
                throttled = throttled or charged > budget
        charged -= min(charged, budget)
        if throttled and charged < budget:
            throttled, since = False, now
        ran.append(got)
    return tuple(ran)
