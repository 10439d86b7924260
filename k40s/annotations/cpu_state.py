"""A node's per-core state as rubicante publishes it: compact, versioned, at most 1 KB.

The format is terse, for machines; ``GET /v1/state`` returns the readable one. Times are whole
microseconds, fractions exact text, utilizations of a state without its reservations millionths
rounded down (so the necessary bandwidth condition never rejects what could fit).

A new field: optional here (``_WIDENED``) with a version of its own (``_VERSION``), since readers
refuse fields that they do not know; extenders are updated before the nodes that write it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

from k40s.annotations.keys import CPU_STATE_KEY
from k40s.annotations.node_assurance import MAX_LEASE, MIN_LEASE
from k40s.annotations.reservation_rows import (
    UID_LENGTH,
    format_reservation,
    read_reservations,
    read_uid,
)
from k40s.annotations.reserve import format_reserve, read_reserve
from k40s.cpu.model import ANY_CORE, CpuNode, DeadlineOffer, Domain, Packing
from k40s.cpu.outcome import ADMISSION_TEST
from k40s.errors import InvalidAnnotationError
from k40s.strict_json import MAX_TEXT, Json, format_json, read_json
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds, format_duration

MAX_STATE = 1024
"""Longest annotation with reservations, in bytes; beyond it only utilizations are written."""
MAX_WHOLE_STATE = MAX_TEXT
"""Longest state with reservations that a daemon answers to ``GET /v1/state?form=published``."""

NO_MECHANISM = "none"
"""The published ``mechanism`` of a node on which nothing enforces budgets."""
_VERSION = 4
_BEFORE_WORDS = 3
"""Without the delay by system calls and without exchanges switched off. A node that has neither to
tell still writes it, for old readers."""
_BEFORE_RESERVE = 2
"""Without a reserve for HI. A node without one still writes it."""
_FIRST_VERSION = 1
"""Without budget groups, SCHED_DEADLINE and packing; it is still read."""
_HEAD = (
    *("v", "gen", "test", "mech", "url", "lease"),
    *("tick", "cap", "core_cap", "platform", "factor", "cores"),
)
_WIDENED = ("groups", "dl", "delay", "pack", "nest", "hi", "exch")
_SHARED = "shared"
_OFF = "off"
_MILLION = 1_000_000
_MAX_CORES = 1024
_MAX_GENERATION = 10**18 - 1
TEST_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]{0,39}", re.ASCII)
_ENDPOINT = re.compile(
    r"https://(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}", re.ASCII
)
_PLATFORM = re.compile(r"[A-Za-z0-9_.-]{0,63}", re.ASCII)
_CORES = re.compile(r"(?:[0-9]{1,4}(?:-[0-9]{1,4})?(?:,[0-9]{1,4}(?:-[0-9]{1,4})?)*)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuState:
    """The state by which the extender filters a node without a query to its daemon.

    ``test`` names the schedulability test, ``mechanism`` what enforces budgets ("rt-cgroup",
    "deadline", "rt-cgroup+deadline", "none"), ``endpoint`` where the daemon answers. ``complete``
    says whether ``node`` holds all reservations; where it does not, only ``utilization`` is known:
    by core, and under ``ANY_CORE`` where the node has a shared root domain. ``leased`` are then the
    UIDs of pods that hold a reservation and were not bound yet when this was written, or None where
    they are too many: such a pod must not be filtered as if it held nothing. ``exchanges`` is False
    where the operator has switched off that servers are exchanged for a pod that has no room.
    """

    generation: int
    test: str
    mechanism: str
    endpoint: str
    lease: Nanoseconds
    node: CpuNode
    utilization: Mapping[int, Fraction]
    complete: bool
    leased: frozenset[str] | None = frozenset()
    exchanges: bool = True

    def __post_init__(self) -> None:
        if set(self.utilization) != set(_possible_cores(self.node)):
            raise ValueError("utilization names other cores than the node")
        if not MIN_LEASE <= self.lease <= MAX_LEASE:
            raise ValueError("a lease lasts 1 s to 3600 s")
        if not 0 <= self.generation <= _MAX_GENERATION:
            raise ValueError("the generation counts from 0 and has at most 18 digits")

    @property
    def tells_exchanges(self) -> bool:
        """Whether ``find_exchange`` finds here what the node itself would do, and nothing else.

        One that says less than all of its reservations, or runs another test, must be asked. None
        is made where each reservation has a group of its own.
        """
        built_in = self.test == ADMISSION_TEST
        return built_in and self.exchanges and self.complete and self.node.shared_groups


def format_cpu_state(value: CpuState, *, at_most: int = MAX_STATE) -> str:
    """Write the annotation, with all reservations where they fit into that many bytes.

    ``parse_cpu_state`` gives back the same value but for names and uids: uids keep their first
    8 characters, containers and tasks are numbered.
    """
    node = value.node
    head: dict[str, object] = {
        "v": _version_of(value),
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
        **_widened(node),
        **({} if value.exchanges else {"exch": _OFF}),
    }
    if value.complete:
        whole = format_json(head | {"res": [format_reservation(r) for r in node.reservations]})
        if len(whole) <= at_most:
            return whole
    rest = head | {
        "util": [int(value.utilization[core] * _MILLION) for core in _possible_cores(node)]
    }
    if value.leased is not None:
        named = format_json(rest | {"leased": sorted({uid[:UID_LENGTH] for uid in value.leased})})
        if len(named) <= MAX_STATE:
            return named
    return format_json(rest)


def parse_cpu_state(text: str) -> CpuState:
    """Read the annotation ``node.k40s.io/cpu-state``. Raises ``InvalidAnnotationError``."""
    whole = read_json(text, source=CPU_STATE_KEY, error=InvalidAnnotationError)
    version = whole.members().get("v")
    if version is not None:
        version.integer(_FIRST_VERSION, _VERSION)
    field = whole.fields(_HEAD, (*_WIDENED, "res", "util", "leased"))
    if ("res" in field) == ("util" in field):
        raise whole.invalid("either res or util")
    if "leased" in field and "res" in field:
        raise field["leased"].invalid("no such field where all reservations are written")
    if "delay" in field and "dl" not in field:
        raise field["delay"].invalid("no such field without SCHED_DEADLINE")
    written = field["v"].integer(_FIRST_VERSION, _VERSION)
    for name, first in (("hi", _BEFORE_WORDS), ("delay", _VERSION), ("exch", _VERSION)):
        if name in field and written < first:
            raise field[name].invalid(f"no such field before version {first}")
    if "exch" in field and field["exch"].value != _OFF:
        raise field["exch"].invalid(f'"{_OFF}", or no such field')
    node = _read_node(field)
    cores = _possible_cores(node)
    complete = "res" in field
    if complete:
        node = node.holding(read_reservations(field["res"], cores))
        utilization = node.utilizations()
    else:
        utilization = _read_millionths(field["util"], node)
    lease = field["lease"].duration()
    if not MIN_LEASE <= lease <= MAX_LEASE:
        raise field["lease"].invalid("1s to 3600s")
    return CpuState(
        generation=field["gen"].integer(0, _MAX_GENERATION),
        test=field["test"].text(TEST_NAME, "a test's name"),
        mechanism=field["mech"].text(TEST_NAME, "a mechanism's name"),
        endpoint=field["url"].text(_ENDPOINT, "https://address:port"),
        lease=lease,
        node=node,
        utilization=utilization,
        complete=complete,
        leased=frozenset() if complete else _read_leased(field.get("leased")),
        exchanges="exch" not in field,
    )


def _version_of(value: CpuState) -> int:
    """The oldest version that has all that the state says."""
    deadline = value.node.deadline
    if not value.exchanges or (deadline is not None and deadline.delay):
        return _VERSION
    return _BEFORE_RESERVE if value.node.hi_reserve is None else _BEFORE_WORDS


def _read_leased(place: Json | None) -> frozenset[str] | None:
    if place is None:
        return None
    return frozenset(read_uid(item) for item in place.items(at_most=MAX_STATE))


def _possible_cores(node: CpuNode) -> tuple[int, ...]:
    """The cores of the node, and ``ANY_CORE`` for a shared root domain."""
    shared = node.deadline is not None and node.deadline.domain is Domain.SHARED
    return (*node.cores, ANY_CORE) if shared else node.cores


def _widened(node: CpuNode) -> dict[str, object]:
    """Fields that are absent for rt-cgroups alone, one for each reservation, and first fit."""
    written: dict[str, object] = {}
    if node.shared_groups:
        written["groups"] = _SHARED
    if node.deadline is not None:
        offer = node.deadline
        tick, capacity = format_duration(offer.tick), str(offer.capacity)
        written["dl"] = [tick, capacity, offer.domain.value, offer.cpus]
        if offer.delay:
            written["delay"] = format_duration(offer.delay)
    if node.packing is not Packing.FIRST_FIT:
        written["pack"] = node.packing.value
    if node.ancestor_period is not None:
        written["nest"] = format_duration(node.ancestor_period)
    if node.hi_reserve is not None:
        written["hi"] = format_reserve(node.hi_reserve)
    return written


def _read_node(field: Mapping[str, Json]) -> CpuNode:
    cores = _read_cores(field["cores"])
    if "groups" in field and field["groups"].value != _SHARED:
        raise field["groups"].invalid(f'"{_SHARED}", or no such field')
    if "groups" in field and "nest" in field:
        raise field["nest"].invalid("no such field where groups are shared")
    return CpuNode(
        cores=cores,
        tick=_read_tick(field["tick"]),
        node_capacity=_read_capacity(field["cap"], len(cores)),
        core_capacity=_read_capacity(field["core_cap"], 1),
        platform=field["platform"].text(_PLATFORM, "a platform's name"),
        platform_factor=_read_factor(field["factor"]),
        shared_groups="groups" in field,
        deadline=_read_offer(field["dl"], field.get("delay")) if "dl" in field else None,
        packing=field["pack"].member_of(Packing) if "pack" in field else Packing.FIRST_FIT,
        ancestor_period=_read_ancestor_period(field["nest"]) if "nest" in field else None,
        hi_reserve=read_reserve(field["hi"]) if "hi" in field else None,
    )


def _read_offer(place: Json, delay: Json | None) -> DeadlineOffer:
    tick, capacity, domain, cpus = place.items(at_least=4, at_most=4)
    kind = domain.member_of(Domain)
    share = _read_capacity(capacity, 1)
    if share == 0:
        raise capacity.invalid("a capacity above zero")
    return DeadlineOffer(
        tick=_read_tick(tick),
        capacity=share,
        domain=kind,
        cpus=cpus.integer(1, _MAX_CORES if kind is Domain.SHARED else 1),
        delay=Nanoseconds(0) if delay is None else _read_tick(delay),
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
    tick = Nanoseconds(0) if place.value == "0ns" else place.duration()
    if tick > NS_PER_S:
        raise place.invalid("at most 1s")
    return tick


def _read_ancestor_period(place: Json) -> Nanoseconds:
    period = place.duration()
    if not NS_PER_MS <= period <= 10 * NS_PER_S:
        raise place.invalid("1ms to 10s")
    return period


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


def _read_millionths(place: Json, node: CpuNode) -> dict[int, Fraction]:
    """Of a core at most 1, of a shared root domain at most its CPUs."""
    cores = _possible_cores(node)
    counts = place.items(at_least=len(cores), at_most=len(cores))
    cpus = node.deadline.cpus if node.deadline is not None else 1
    most = {core: _MILLION * (cpus if core == ANY_CORE else 1) for core in cores}
    pairs = zip(most.items(), counts, strict=True)
    return {core: Fraction(count.integer(0, limit), _MILLION) for (core, limit), count in pairs}
