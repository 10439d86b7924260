"""Response times under flat fixed priorities, without servers.

Joseph & Pandya 1986, Audsley et al. 1993: exact for sporadic tasks with D ≤ T on one core. All
numbers are plain integers of one unit; tasks are tuples, because these loops are the hot ones.
"""

MAX_STEPS = 200
"""Steps of a fixed-point iteration. Ordinary sets need fewer than twenty.

After that the limit itself is tried: what is released up to it either is served by then, which
is a sound bound though not the least one, or the set counts as not schedulable. So a contract
with a period of an hour over one of a millisecond cannot occupy a daemon.
"""

Interference = tuple[tuple[int, int, int], ...]
"""Everything that pre-empts, each as (C, T, J): demand C at least T apart with release jitter J."""


def demand_completion(
    demand: int, above: Interference, *, limit: int, penalty: int = 0
) -> int | None:
    """Least x with x = demand + Σ (⌈(x + J)/T⌉·C + penalty) over ``above``; None beyond ``limit``.

    A larger bound, still within the limit, where the least is not found in ``MAX_STEPS``.

    ``penalty`` is δ, by which one budget of a tick-enforced server is overrun.
    """
    fixed = demand + len(above) * penalty
    window = fixed
    for cost, _period, _jitter in above:
        window += cost
    for _ in range(MAX_STEPS):
        if window > limit:
            return None
        following = fixed
        for cost, period, jitter in above:
            following -= -(window + jitter) // period * cost
        if following == window:
            return window
        window = following
    for cost, period, jitter in above:
        fixed -= -(limit + jitter) // period * cost
    return fixed if fixed <= limit else None


def response_time(
    *, wcet: int, deadline: int, above: Interference, blocking: int = 0, jitter: int = 0
) -> int | None:
    """Worst response time R ≤ ``deadline`` of a task, or None where it can be missed."""
    window = demand_completion(wcet + blocking, above, limit=deadline - jitter)
    return None if window is None else window + jitter
