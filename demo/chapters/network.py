"""Chapter (f): slots of a TDMA network, from the first to the one that does not fit.

The nodes of a local cluster are no stations of RTnet: slots are granted, written down and given
back as on one, and nothing keeps a pod to them (back end ``none``).
"""

import json

from demo.observer import reasons_in
from demo.pods import LABEL, Manifest, slot_pod
from demo.report import Check
from demo.stage import Stage
from k40s.annotations import NETWORK_STATE_KEY, parse_network_state
from k40s.network.model import NetworkReservation, NetworkState
from k40s.network.objects import parse_network
from k40s.network.usage import windows_of
from k40s.reasons import Reason
from k40s.tdma.conflict import check_table
from k40s.tdma.model import Cycle, SlotTable
from k40s.units import format_duration

NAME = "plant"
CYCLE = "1ms"
PAYLOAD = 400
"""At 10 Mbit/s a packet of it takes 350 us: two fit into the cycle beside the Sync."""
WIDTH = 60
"""Characters of the cycle's picture."""
SECONDS = 120.0


def give_slots_of_a_network(stage: Stage) -> list[Check]:
    """(f) Two pods get slots of a TDMA network, a third waits until one is free."""
    nodes = (stage.real_time_node, stage.general_node)
    stage.say(f"(f) A TDMA network of {' and '.join(nodes)}: 1 ms cycle, 10 Mbit/s, no hardware")
    stage.observer.kubectl("apply", "-f", "-", stdin=json.dumps(_network(nodes)))
    try:
        stage.wait_until("both stations are published", lambda: _is_healthy(stage), seconds=SECONDS)
        return [*_check_slots(stage), _check_refusal(stage), *_check_release(stage)]
    finally:
        stage.observer.delete("pump-1", "pump-2", "pump-3")
        stage.observer.kubectl("delete", "network", NAME, "--ignore-not-found", "--wait=true")


def _check_slots(stage: Stage) -> list[Check]:
    names = ("pump-1", "pump-2")
    stage.create_and_wait([_pump(name) for name in names], names)
    state = read_network(stage)
    for line in draw(state):
        stage.say(f"    {line}")
    held = {one.owner.name: one for one in state.reservations}
    channels = [_channel(stage, name) for name in names]
    apart = len(windows_of(state.reservations)) == len(names) and _free_of_overlap(state)
    published = parse_network_state(
        stage.observer.node_annotation(stage.real_time_node, NETWORK_STATE_KEY)
    )
    back_end = published.networks[NAME].back_end.value
    stage.say(f"    channels {', '.join(channels)}; back end {back_end!r}: nothing enforces them")
    return [
        Check(
            claim="two pods get slots that never meet",
            expected="2 slots, apart",
            measured=f"{len(held)} slots, {'apart' if apart else 'overlapping'}",
            held=sorted(held) == list(names) and apart,
        ),
        Check(
            claim="each on the node that it is bound to",
            expected="the pods' nodes",
            measured=", ".join(f"{name} on {one.node}" for name, one in sorted(held.items())),
            held=all(stage.observer.node_of(name) == held[name].node for name in held),
        ),
    ]


def _check_refusal(stage: Stage) -> Check:
    stage.observer.create(_pump("pump-3"))
    stage.wait_until(
        "pump-3 is refused", lambda: stage.observer.refusals("pump-3"), seconds=SECONDS
    )
    refusal, phase = stage.observer.refusals("pump-3"), stage.observer.phase_of("pump-3")
    stage.say(f"    event of pump-3: {refusal}")
    return Check(
        claim="a third slot does not fit",
        expected=Reason.NETWORK_NO_SLOT.value,
        measured=f"{phase}: {reasons_in(refusal)}",
        held=phase == "Pending" and Reason.NETWORK_NO_SLOT.value in refusal,
    )


def _check_release(stage: Stage) -> list[Check]:
    stage.observer.delete("pump-1")
    stage.wait_running("pump-3")
    taken = {one.owner.name for one in read_network(stage).reservations}
    stage.observer.delete("pump-2", "pump-3")
    stage.wait_until(
        "no slot is taken", lambda: not read_network(stage).reservations, seconds=SECONDS
    )
    left = len(read_network(stage).reservations)
    stage.say(f"    pump-1 is deleted, and pump-3 gets its slot; all deleted: {left} slots taken")
    return [
        Check(
            claim="it gets the slot of a deleted pod",
            expected="pump-3 beside pump-2",
            measured=", ".join(sorted(taken)),
            held=taken == {"pump-2", "pump-3"},
        ),
        Check(
            claim="slots taken once all are deleted",
            expected="0",
            measured=str(left),
            held=left == 0,
        ),
    ]


def read_network(stage: Stage) -> NetworkState:
    """The Network with its reservations."""
    item = json.loads(stage.observer.kubectl("get", "network", NAME, "-o", "json"))
    return parse_network(item)


def draw(state: NetworkState) -> list[str]:
    """The cycle as a line of text: S for the Sync, a letter for each slot, a dot for free time."""
    cycle = _cycle(state)
    line = ["."] * WIDTH
    named = [("S", window) for window in cycle.reserved]
    legend = ["S Sync"]
    for letter, one in zip("abcdefgh", _by_offset(state), strict=False):
        windows = windows_of((one,))
        named += [(letter, window) for window in windows]
        places = ", ".join(
            f"{format_duration(window.offset)} to {format_duration(window.end)}"
            for window in windows
        )
        legend.append(f"{letter} {one.owner.name} on {one.node}: {places}")
    for letter, window in named:
        first = int(window.offset * WIDTH // cycle.period)
        last = max(first + 1, int(-(-window.end * WIDTH // cycle.period)))
        line[first:last] = [letter] * (min(last, WIDTH) - first)
    return [f"|{''.join(line)}| {format_duration(cycle.period)}", *legend]


def _by_offset(state: NetworkState) -> list[NetworkReservation]:
    return sorted(
        (one for one in state.reservations if one.slots),
        key=lambda one: one.slots[0].windows[0].offset,
    )


def _free_of_overlap(state: NetworkState) -> bool:
    table = SlotTable(cycle=_cycle(state), windows=windows_of(state.reservations))
    return check_table(table) is None


def _cycle(state: NetworkState) -> Cycle:
    if state.network.tdma is None:
        raise ValueError(f"network {state.network.name} has no cycle: {state.fault}")
    return state.network.tdma.cycle


def _channel(stage: Stage, name: str) -> str:
    """The channel of the pod's grant, as its annotation says."""
    text = stage.observer.pod(name)["metadata"]["annotations"]["status.k40s.io/network"]
    return f"{name}: {json.loads(text)[0].get('channel')}"


def _is_healthy(stage: Stage) -> bool:
    text = stage.observer.kubectl("get", "network", NAME, "-o", "json")
    conditions = json.loads(text).get("status", {}).get("conditions", [])
    return {(one["type"], one["status"]) for one in conditions} == {
        ("Valid", "True"),
        ("Healthy", "True"),
    }


def _pump(name: str) -> Manifest:
    return slot_pod(name, network=NAME, payload=PAYLOAD, period=CYCLE)


def _network(nodes: tuple[str, ...]) -> dict[str, object]:
    return {
        "apiVersion": "k40s.io/v1alpha1",
        "kind": "Network",
        "metadata": {"name": NAME, "labels": dict([LABEL.split("=")])},
        "spec": {
            "members": [{"node": node, "interface": "rteth0"} for node in nodes],
            "tdma": {
                "cycle": CYCLE,
                "guard": "10us",
                "bitRate": "10Mbit",
                "master": nodes[0],
            },
        },
    }
