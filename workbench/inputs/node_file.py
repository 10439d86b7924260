"""The section ``node`` of a task-set file: an empty node, with a default for every field."""

import re
from fractions import Fraction

from k40s.annotations.reserve import read_reserve
from k40s.cpu.model import CpuNode, DeadlineOffer, Domain, Packing
from k40s.strict_json import Json
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from workbench.inputs.document import read_fraction

DEFAULT_NODE = CpuNode(
    cores=(0,),
    tick=Nanoseconds(4 * NS_PER_MS),
    node_capacity=Fraction(95, 100),
    core_capacity=Fraction(9, 10),
    platform="",
    platform_factor=Fraction(1),
    shared_groups=True,
)
"""One core at HZ = 250, rt-cgroups of the usual capacities, no SCHED_DEADLINE."""
DEFAULT_OFFER = DeadlineOffer(
    tick=Nanoseconds(4 * NS_PER_MS), capacity=Fraction(9, 10), domain=Domain.PARTITIONED
)

_FIELDS = (
    *("cores", "tick", "core_capacity", "node_capacity", "platform", "platform_factor"),
    *("groups", "packing", "deadline", "hi_reserve"),
)
_MAX_CORES = 256
_CORES = re.compile(r"[0-9]{1,4}(?:-[0-9]{1,4})?(?:,[0-9]{1,4}(?:-[0-9]{1,4})?)*", re.ASCII)
_PLATFORM = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", re.ASCII)
_MAX_FACTOR = 1000


def read_node(element: Json | None) -> CpuNode:
    """Read the section; None (no such section) is the default node. Raises the element's error."""
    if element is None:
        return DEFAULT_NODE
    field = element.fields((), _FIELDS)
    base = DEFAULT_NODE
    groups = _choice(field.get("groups"), ("shared", "own", "container"), "shared")
    return CpuNode(
        cores=read_cores(field["cores"]) if "cores" in field else base.cores,
        tick=read_tick(field["tick"]) if "tick" in field else base.tick,
        node_capacity=_capacity(field.get("node_capacity"), base.node_capacity, 0),
        core_capacity=_capacity(field.get("core_capacity"), base.core_capacity, 0),
        platform=field["platform"].text(_PLATFORM, "a platform's name")
        if "platform" in field
        else base.platform,
        platform_factor=_factor(field.get("platform_factor")),
        shared_groups=groups == "shared",
        ancestor_period=Nanoseconds(NS_PER_S) if groups == "container" else None,
        packing=Packing(_choice(field.get("packing"), tuple(Packing), Packing.FIRST_FIT.value)),
        deadline=_read_offer(field["deadline"]) if "deadline" in field else None,
        hi_reserve=read_reserve(field["hi_reserve"]) if "hi_reserve" in field else None,
    )


def read_cores(element: Json) -> tuple[int, ...]:
    """Read a number of cores (``2``), or their list (``"1-3,5"``)."""
    if isinstance(element.value, int):
        return tuple(range(element.integer(1, _MAX_CORES)))
    text = element.text(_CORES, f'a number from 1 to {_MAX_CORES}, or a list such as "1-3,5"')
    cores: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        run = range(int(first), int(last or first) + 1)
        if not run or len(cores) + len(run) > _MAX_CORES or set(run) & set(cores):
            raise element.invalid(f"each core once, ranges upwards, at most {_MAX_CORES} cores")
        cores.extend(run)
    return tuple(cores)


def read_tick(element: Json) -> Nanoseconds:
    """Read δ; ``"0ms"`` (with any unit) is exact enforcement."""
    if isinstance(element.value, str) and re.fullmatch(r"0(ns|us|[µμ]s|ms|s)", element.value):
        return Nanoseconds(0)
    tick = element.duration()
    if tick > NS_PER_S:
        raise element.invalid("at most 1s")
    return tick


def _read_offer(element: Json) -> DeadlineOffer | None:
    if isinstance(element.value, bool):
        return DEFAULT_OFFER if element.boolean() else None
    field = element.fields((), ("tick", "capacity", "domain", "cpus", "delay"))
    domain = Domain(_choice(field.get("domain"), tuple(Domain), Domain.PARTITIONED.value))
    cpus = field["cpus"].integer(1, _MAX_CORES) if "cpus" in field else 1
    if domain is not Domain.SHARED and cpus != 1:
        raise field["cpus"].invalid("1, or the domain shared")
    return DeadlineOffer(
        tick=read_tick(field["tick"]) if "tick" in field else DEFAULT_OFFER.tick,
        capacity=_capacity(field.get("capacity"), DEFAULT_OFFER.capacity, Fraction(1, 1000)),
        domain=domain,
        cpus=cpus,
        delay=read_tick(field["delay"]) if "delay" in field else DEFAULT_OFFER.delay,
    )


def _capacity(element: Json | None, default: Fraction, least: Fraction | int) -> Fraction:
    if element is None:
        return default
    capacity = read_fraction(element)
    if not least <= capacity <= 1:
        raise element.invalid(f"a fraction from {least} to 1")
    return capacity


def _factor(element: Json | None) -> Fraction:
    if element is None:
        return DEFAULT_NODE.platform_factor
    factor = read_fraction(element)
    if not 0 < factor <= _MAX_FACTOR:
        raise element.invalid(f"a factor above 0 and at most {_MAX_FACTOR}")
    return factor


def _choice(element: Json | None, allowed: tuple[str, ...], default: str) -> str:
    if element is None:
        return default
    words = [str(word) for word in allowed]
    if element.value not in words:
        raise element.invalid(f"one of {', '.join(words)}")
    return str(element.value)
