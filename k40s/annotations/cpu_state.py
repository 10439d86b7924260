"""A node's per-core state as rubicante publishes it: compact, versioned, at most 1 KB.

The form is for machines and therefore terse; ``GET /v1/state`` gives the readable one. Times are
whole microseconds, fractions exact text, utilizations of a state without its reservations
millionths rounded down (so the necessary condition on bandwidth never refuses what could fit).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

from k40s.annotations.keys import CPU_STATE_KEY
from k40s.annotations.node_assurance import MAX_LEASE, MIN_LEASE
from k40s.annotations.reservation_rows import format_reservation, read_reservations
from k40s.cpu.model import CpuNode
from k40s.errors import InvalidAnnotationError
from k40s.strict_json import Json, format_json, read_json
from k40s.units import NS_PER_S, Nanoseconds, format_duration

MAX_STATE = 1024
"""Longest annotation with reservations, in bytes; beyond it only utilizations are written."""

_VERSION = 1
_HEAD = (
    *("v", "gen", "test", "mech", "url", "lease"),
    *("tick", "cap", "core_cap", "platform", "factor", "cores"),
)
_MILLION = 1_000_000
_MAX_CORES = 1024
_MAX_GENERATION = 10**18 - 1
_TOKEN = re.compile(r"[a-z0-9][a-z0-9.+-]{0,39}", re.ASCII)
_ENDPOINT = re.compile(
    r"https://(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}", re.ASCII
)
_PLATFORM = re.compile(r"[A-Za-z0-9_.-]{0,63}", re.ASCII)
_CORES = re.compile(r"(?:[0-9]{1,4}(?:-[0-9]{1,4})?(?:,[0-9]{1,4}(?:-[0-9]{1,4})?)*)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuState:
    """What the extender must know to judge a pod on a node without asking it.

    ``test`` names the schedulability test, ``mechanism`` what enforces budgets ("rt-cgroup",
    "none"), ``endpoint`` where the daemon answers. ``complete`` tells whether ``node`` holds all
    reservations; where it does not, ``utilization`` (by core) is all there is.
    """

    generation: int
    test: str
    mechanism: str
    endpoint: str
    lease: Nanoseconds
    node: CpuNode
    utilization: Mapping[int, Fraction]
    complete: bool

    def __post_init__(self) -> None:
        if set(self.utilization) != set(self.node.cores):
            raise ValueError("utilization names other cores than the node")
        if not MIN_LEASE <= self.lease <= MAX_LEASE:
            raise ValueError("a lease lasts 1 s to 3600 s")
        if not 0 <= self.generation <= _MAX_GENERATION:
            raise ValueError("the generation counts from 0 and has at most 18 digits")


def format_cpu_state(value: CpuState) -> str:
    """Write the annotation, with all reservations where they fit into 1024 bytes.

    ``parse_cpu_state`` gives back the same value but for names and uids: uids keep their first
    8 characters, containers and tasks are numbered.
    """
    node = value.node
    head: dict[str, object] = {
        "v": _VERSION,
        "gen": value.generation,
        "test": value.test,
        "mech": value.mechanism,
        "url": value.endpoint,
        "lease": format_duration(value.lease),
        "tick": format_duration(node.tick),
        "cap": str(node.node_capacity),
        "core_cap": str(node.core_capacity),
        "platform": node.platform,
        "factor": str(node.platform_factor),
        "cores": format_cores(node.cores),
    }
    if value.complete:
        whole = format_json(head | {"res": [format_reservation(r) for r in node.reservations]})
        if len(whole) <= MAX_STATE:
            return whole
    millionths = [int(value.utilization[core] * _MILLION) for core in node.cores]
    return format_json(head | {"util": millionths})


def parse_cpu_state(text: str) -> CpuState:
    """Read the annotation ``node.k40s.io/cpu-state``. Raises ``InvalidAnnotationError``."""
    whole = read_json(text, source=CPU_STATE_KEY, error=InvalidAnnotationError)
    version = whole.members().get("v")
    if version is not None:
        version.integer(_VERSION, _VERSION)
    field = whole.fields(_HEAD, ("res", "util"))
    if ("res" in field) == ("util" in field):
        raise whole.invalid("either res or util")
    cores = _read_cores(field["cores"])
    complete = "res" in field
    node = CpuNode(
        cores=cores,
        tick=_read_tick(field["tick"]),
        node_capacity=_read_capacity(field["cap"], len(cores)),
        core_capacity=_read_capacity(field["core_cap"], 1),
        platform=field["platform"].text(_PLATFORM, "a platform's name"),
        platform_factor=_read_factor(field["factor"]),
        reservations=read_reservations(field["res"], cores) if complete else (),
    )
    if complete:
        utilization = {core: node.utilization(core) for core in cores}
    else:
        utilization = _read_millionths(field["util"], cores)
    lease = field["lease"].duration()
    if not MIN_LEASE <= lease <= MAX_LEASE:
        raise field["lease"].invalid("1s to 3600s")
    return CpuState(
        generation=field["gen"].integer(0, _MAX_GENERATION),
        test=field["test"].text(_TOKEN, "a test's name"),
        mechanism=field["mech"].text(_TOKEN, "a mechanism's name"),
        endpoint=field["url"].text(_ENDPOINT, "https://address:port"),
        lease=lease,
        node=node,
        utilization=utilization,
        complete=complete,
    )


def format_cores(cores: tuple[int, ...]) -> str:
    """Write cores as the kernel does: ``"0-2,5"``. The order is kept."""
    runs: list[str] = []
    for _, run in groupby(enumerate(cores), key=lambda pair: pair[1] - pair[0]):
        members = [core for _, core in run]
        runs.append(str(members[0]) if len(members) == 1 else f"{members[0]}-{members[-1]}")
    return ",".join(runs)


def _read_cores(place: Json) -> tuple[int, ...]:
    text = place.text(_CORES, 'a list of cores, such as "0-2,5"')
    cores: list[int] = []
    for part in text.split(",") if text else []:
        first, _, last = part.partition("-")
        run = range(int(first), int(last or first) + 1)
        if not run or len(cores) + len(run) > _MAX_CORES:
            raise place.invalid(f"at most {_MAX_CORES} cores, each range upwards")
        cores.extend(run)
    if len(set(cores)) != len(cores):
        raise place.invalid("each core once")
    return tuple(cores)


def _read_tick(place: Json) -> Nanoseconds:
    if place.value == "0ns":
        return Nanoseconds(0)
    tick = place.duration()
    if tick > NS_PER_S:
        raise place.invalid("at most 1s")
    return tick


def _read_capacity(place: Json, highest: int) -> Fraction:
    capacity = place.fraction()
    if capacity > max(highest, 1):
        raise place.invalid(f"a fraction from 0 to {max(highest, 1)}")
    return capacity


def _read_factor(place: Json) -> Fraction:
    factor = place.fraction()
    if factor == 0:
        raise place.invalid("a factor above zero")
    return factor


def _read_millionths(place: Json, cores: tuple[int, ...]) -> dict[int, Fraction]:
    counts = place.items(at_least=len(cores), at_most=len(cores))
    return {
        core: Fraction(count.integer(0, _MILLION), _MILLION)
        for core, count in zip(cores, counts, strict=True)
    }
