"""What containers take of a core beside what they declare, as text and as JSON."""

from collections.abc import Iterator

from k40s.cpu.price import PERIOD_FACTOR, Alternative, Price, Way
from workbench.table import as_share, format_table

_WAYS = {
    Way.DEADLINE: "by SCHED_DEADLINE (enforcement deadline)",
    Way.RT_CGROUP: "by an rt-cgroup (enforcement rt-cgroup)",
    Way.HZ_1000: "on a kernel with HZ = 1000",
    Way.LONGER_PERIODS: f"with jobs {PERIOD_FACTOR} times as long and as rare",
}


def format_prices(prices: tuple[Price, ...]) -> str:
    """A table of shares, and below it the ways by which a container would take less."""
    rows = [
        (
            f"{price.pod_uid}/{price.container}",
            as_share(price.declared),
            as_share(price.reserved),
            as_share(price.reserved - price.declared),
        )
        for price in prices
    ]
    table = format_table(("container", "WCETs (C/T)", "reserved (Q/P)", "price"), rows)
    return "\n".join((table, *(line for price in prices for line in _lines(price))))


def prices_json(prices: tuple[Price, ...]) -> list[dict[str, object]]:
    """One object for each container; shares are exact fractions as text."""
    return [
        {
            "pod": price.pod_uid,
            "container": price.container,
            "declared": str(price.declared),
            "reserved": str(price.reserved),
            "alternatives": [
                {
                    "way": str(one.way),
                    "reserved": str(one.share),
                    "saves": str(price.reserved - one.share),
                    "offered": one.offered,
                    "needs_hrtick": one.needs_hrtick,
                }
                for one in price.alternatives
            ],
        }
        for price in prices
    ]


def _lines(price: Price) -> Iterator[str]:
    if price.alternatives:
        yield f"{price.pod_uid}/{price.container}, alone on an empty core, would take"
    for one in price.alternatives:
        saved = as_share(price.reserved - one.share)
        yield f"    {as_share(one.share)} {_WAYS[one.way]}, {saved} less{_conditions(one)}"


def _conditions(one: Alternative) -> str:
    missing = "" if one.offered else "; this node does not offer it"
    lateness = "; beside other pods only with the scheduler feature HRTICK_DL"
    return missing + (lateness if one.needs_hrtick else "")
