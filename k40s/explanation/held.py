"""What a bound pod holds, from the annotations that its Binding gave it. Pure.

What cannot be understood is told as one sentence instead.
"""

from collections.abc import Iterable, Mapping

from k40s.annotations import (
    ALLOCATION_KEY,
    NETWORK_GRANT_KEY,
    GrantedSlots,
    parse_network_grants,
)
from k40s.annotations.network import GrantedPath, NetworkGrant
from k40s.cpu.model import ANY_CORE, Mechanism, Reservation
from k40s.errors import InvalidAnnotationError
from k40s.explanation.model import StoryServer, StoryTask
from k40s.network.text import format_bit_rate
from k40s.node_api.allocation import parse_allocation
from k40s.units import format_duration

_LONGEST_THREAD = 15
"""Characters of a thread's name that the kernel keeps."""


def read_servers(annotations: Mapping[str, str], uid: str) -> tuple[tuple[StoryServer, ...], str]:
    """The servers, and the fault of an allocation that cannot be understood, or ""."""
    text = annotations.get(ALLOCATION_KEY)
    if text is None:
        return (), ""
    try:
        return tuple(map(_server, parse_allocation(text, pod_uid=uid))), ""
    except InvalidAnnotationError as error:
        return (), str(error)


def read_networks(annotations: Mapping[str, str]) -> tuple[str, ...]:
    """One sentence for each grant of a network."""
    text = annotations.get(NETWORK_GRANT_KEY)
    if text is None:
        return ()
    try:
        return tuple(_sentences(parse_network_grants(text)))
    except InvalidAnnotationError as error:
        return (str(error),)


def _server(held: Reservation) -> StoryServer:
    levels = held.priorities or (None,) * len(held.tasks)
    return StoryServer(
        container=held.container,
        mechanism=held.mechanism.value,
        core="any" if held.core == ANY_CORE else str(held.core),
        budget=format_duration(held.server.budget),
        period=format_duration(held.server.period),
        share=float(held.server.bandwidth),
        tasks=tuple(
            StoryTask(
                name=task.name,
                thread=task.name[:_LONGEST_THREAD],
                wcet=format_duration(task.wcet),
                period=format_duration(task.period),
                deadline=format_duration(task.deadline),
                priority=None if held.mechanism is Mechanism.DEADLINE else level,
            )
            for task, level in zip(held.tasks, levels, strict=True)
        ),
    )


def _sentences(grants: Iterable[NetworkGrant]) -> Iterable[str]:
    for one in grants:
        if isinstance(one, GrantedSlots):
            yield _slots(one)
        elif isinstance(one, GrantedPath):
            bandwidth = one.path.bandwidth
            what = format_bit_rate(bandwidth) if bandwidth else "a path"
            yield f"{one.network}: {what} to {one.path.peer} by {'-'.join(one.path.nodes)}"


def _slots(one: GrantedSlots) -> str:
    places = ", ".join(
        f"{format_duration(slot.offset)} (each {slot.every}. cycle, {slot.payload}B)"
        if slot.every > 1
        else f"{format_duration(slot.offset)} ({slot.payload}B)"
        for slot in one.slots
    )
    many = "slots" if len(one.slots) != 1 else "slot"
    return f"{one.network}: {many} on {one.interface} at {places}"
