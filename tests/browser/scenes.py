"""Overviews and explanations that the page is shown: a small plant, and a large fleet."""

from dataclasses import replace

from k40s.explanation.json import Told, told_json
from k40s.explanation.model import (
    Explanation,
    Figure,
    NodeExplanation,
    Obstacle,
    PodStory,
    ScorePart,
    StoryCondition,
    StoryServer,
    StoryTask,
)
from k40s.overview.model import (
    CoreRow,
    DaemonRow,
    Happening,
    NetworkRow,
    NodeRow,
    Overview,
    PodRow,
    ServerRow,
    SlotRow,
    SuspectRow,
)

MS = 1000.0
AT = "2026-03-02T10:15:{:02d}Z"
LINE, PAINT = "line-1", "paint"

_ON_EDGE_1 = (
    (0, "HI", LINE, "press-control", 4.02, 16.666),
    (0, "LOW", LINE, "vision", 24.1, 100.0),
    (0, "", "", "", 15.0, 100.0),
    (1, "HI", LINE, "brake", 12.0, 50.0),
    (1, "LOW", PAINT, "nozzle", 9.6, 40.0),
    (2, "LOW", PAINT, "camera-1", 30.0, 100.0),
)
_ON_EDGE_2 = (
    (0, "HI", LINE, "robot-arm", 10.0, 20.0),
    (1, "LOW", LINE, "labels", 8.0, 100.0),
    (1, "LOW", PAINT, "oven", 22.0, 100.0),
)
_ON_EDGE_3 = ((0, "LOW", PAINT, "dryer", 12.0, 60.0),)

Placed = tuple[int, str, str, str, float, float]


def uid(namespace: str, pod: str) -> str:
    return f"uid-{namespace}-{pod}" if pod else ""


def _server(placed: Placed) -> ServerRow:
    _, criticality, namespace, pod, budget, period = placed
    return ServerRow(
        pod_uid=uid(namespace, pod),
        namespace=namespace,
        pod=pod,
        container="main" if pod else "",
        criticality=criticality,
        mechanism="rt-cgroup" if pod else "",
        budget=budget * MS,
        period=period * MS,
        share=budget / period,
    )


def _cores(number: int, placed: tuple[Placed, ...]) -> tuple[CoreRow, ...]:
    return tuple(
        CoreRow(
            core=str(core),
            capacity=0.95,
            servers=tuple(_server(one) for one in placed if one[0] == core),
        )
        for core in range(number)
    )


def node(name: str, *, cores: tuple[CoreRow, ...] = (), level: int | None = 17) -> NodeRow:
    return NodeRow(
        name=name,
        ready=True,
        real_time=bool(cores),
        level=level,
        hardware=None if level is None else 5,
        software=None if level is None else 2,
        reduced=0,
        hazards=(),
        suspects=(),
        assurance_refusal=None if level is not None else "assurance.stale",
        cpu_refusal=None if cores else "cpu.no-real-time",
        platform="edge" if cores else "",
        cores=cores,
        daemons=(
            DaemonRow(name="malacoda", silent=None),
            *((DaemonRow(name="rubicante", silent=None),) if cores else ()),
        ),
    )


def pod(
    namespace: str, name: str, criticality: str, on: str = "", state: str = "running", why: str = ""
) -> PodRow:
    return PodRow(
        namespace=namespace,
        name=name,
        uid=uid(namespace, name),
        criticality=criticality,
        node=on,
        phase="Running" if on else "Pending",
        state=state,
        why=why,
        tasks=0 if criticality == "NO" else 1,
        enforced=True if on and criticality != "NO" else None,
        enforced_why="",
        since=AT.format(1),
    )


def _pods_of(placed: tuple[Placed, ...], on: str) -> tuple[PodRow, ...]:
    return tuple(pod(one[2], one[3], one[1], on) for one in placed if one[3])


def _network() -> NetworkRow:
    def slot(name: str, on: str, offset: float, length: float, period: int, phase: int) -> SlotRow:
        return SlotRow(
            pod_uid=uid(LINE, name),
            namespace=LINE if name else "",
            pod=name,
            node=on,
            offset=offset,
            length=length,
            period=period,
            phase=phase,
        )

    slots = (
        slot("brake", "edge-1", 120, 600, 1, 0),
        slot("press-control", "edge-1", 760, 900, 2, 0),
        slot("robot-arm", "edge-2", 760, 1100, 2, 1),
        slot("vision", "edge-1", 2000, 1300, 1, 0),
        slot("", "", 3600, 500, 1, 0),
    )
    return NetworkRow(
        name="cell-a",
        kind="tdma",
        cycle=5 * MS,
        utilization=0.68,
        slots=slots,
        nodes=("edge-1", "edge-2", "edge-3"),
        refusal=None,
    )


def _happening(second: int, kind: str, on: str, name: str, text: str) -> Happening:
    namespace = (PAINT if name in {"noisy", "camera-2", "dryer"} else LINE) if name else ""
    return Happening(
        at=AT.format(second), kind=kind, node=on, namespace=namespace, pod=name, text=text
    )


_HAPPENINGS = (
    _happening(4, "preemption", "edge-1", "brake", "2 LOW pods are evicted for it"),
    _happening(6, "refusal", "", "camera-2", "tenant.bandwidth on 1 of 4 nodes"),
    _happening(12, "alarm", "edge-3", "", "kernel-queue 5.14, run-queue 10.50"),
    _happening(14, "suspect", "edge-3", "noisy", "held 71 % of the rise of run-queue"),
    _happening(15, "act", "edge-3", "noisy", "throttled to 0.20 of a core"),
    _happening(17, "level", "edge-3", "", "from 15 to 11: the hazard harms critical pods"),
    _happening(21, "move", "edge-3", "dryer", "its replacement starts on edge-2"),
    _happening(30, "kernel", "edge-2", "labels", "its thread was throttled 3 times in 10 s"),
    _happening(41, "network", "edge-2", "robot-arm", "its slot was installed again"),
)


def plant() -> Overview:
    """Four nodes: one full, one in a hazard, one that went silent, one ordinary."""
    hazard = replace(
        node("edge-3", cores=_cores(2, _ON_EDGE_3), level=11),
        reduced=4,
        hazards=("run-queue", "kernel-queue"),
        suspects=(
            SuspectRow(namespace=PAINT, pod="noisy", evidence="71 % of the rise", act="throttled"),
        ),
    )
    silent = replace(
        node("office-1", level=None), daemons=(DaemonRow(name="malacoda", silent=94.0),)
    )
    full = "no node has room: cpu.no-bandwidth on 2, tenant.bandwidth on 1, 1 is too low"
    pods = (
        *_pods_of(_ON_EDGE_1, "edge-1"),
        *_pods_of(_ON_EDGE_2, "edge-2"),
        replace(
            pod(PAINT, "dryer", "LOW", "edge-3", "moving", "edge-3 is at 11, its replacement"),
            why="its replacement starts on edge-2",
        ),
        pod(LINE, "gripper", "HI", state="claiming", why="2 LOW pods on edge-2 go for it"),
        pod(PAINT, "camera-2", "LOW", state="refused", why=full),
        pod(PAINT, "noisy", "NO", "edge-3", "throttled", "suspected of the hazard run-queue"),
        pod(LINE, "report", "NO", "office-1"),
        pod(LINE, "backup", "NO", state="waiting", why="not yet tried by the scheduler"),
    )
    return Overview(
        at=AT.format(45),
        nodes=(
            node("edge-1", cores=_cores(4, _ON_EDGE_1)),
            node("edge-2", cores=_cores(2, _ON_EDGE_2), level=15),
            hazard,
            silent,
        ),
        pods=pods,
        networks=(_network(),),
        happenings=_HAPPENINGS,
        unreadable=(),
    )


def with_levels(overview: Overview, *levels: int) -> Overview:
    """The same nodes at other levels, without hazards."""
    nodes = tuple(
        replace(one, level=level, reduced=0, hazards=(), suspects=())
        for one, level in zip(overview.nodes, levels, strict=True)
    )
    return replace(overview, nodes=nodes)


def fleet(nodes: int = 200, each: int = 20) -> Overview:
    """As large as the page has to bear: 4 cores a node, each pod with a server."""
    rows, pods = [], []
    for number in range(nodes):
        name = f"node-{number}"
        placed: tuple[Placed, ...] = tuple(
            (one % 4, ("HI", "LOW")[one % 2], f"team-{one % 7}", f"pod-{number}-{one}", 4.0, 25.0)
            for one in range(each)
        )
        rows.append(node(name, cores=_cores(4, placed), level=8 + number % 12))
        pods.extend(_pods_of(placed, name))
    return Overview(
        at=AT.format(45),
        nodes=tuple(rows),
        pods=tuple(pods),
        networks=(_network(),),
        happenings=_HAPPENINGS,
        unreadable=(),
    )


def _refused(name: str, reason: str, text: str, detail: str) -> NodeExplanation:
    return NodeExplanation(
        name=name,
        reason=reason,
        text=text,
        detail=detail,
        figures=(),
        obstacles=(),
        remedies=(),
        score=None,
        parts=(),
        age=2.0,
    )


def explanation(namespace: str, name: str) -> Explanation:
    """Refused on two nodes for room, on one for its level, fits on one."""
    room = replace(
        _refused(
            "edge-1",
            "cpu.no-bandwidth",
            "no core has the real-time bandwidth that the pod needs",
            "It needs 0.36 of one core; core 3 with 0.31 has the most.",
        ),
        figures=(
            Figure(what="core 0", needed="0.360", free="0.318"),
            Figure(what="core 2", needed="0.360", free="0.250"),
        ),
        obstacles=(
            Obstacle(
                namespace=LINE,
                pod="vision",
                pod_uid=uid(LINE, "vision"),
                criticality="LOW",
                what="core 0: 24.1ms/100ms",
            ),
            Obstacle(namespace="", pod="", pod_uid="", criticality="", what="core 0: 15ms/100ms"),
        ),
        remedies=("without line-1/vision", "with a WCET of 26ms instead of 30ms"),
    )
    fits = replace(
        _refused("edge-2", "", "", "On core 1, as 30.1ms/100ms."),
        reason=None,
        score=7,
        parts=(
            ScorePart(name="assurance", score=6.2, weight=2.0),
            ScorePart(name="CPU", score=7.8, weight=1.0),
        ),
    )
    low = _refused(
        "edge-3",
        "assurance.hazard",
        "a hazard on the node keeps its assurance below what the pod's criticality needs",
        "It needs 14, the node is at 11 and was lowered by 4.",
    )
    none = _refused(
        "office-1", "assurance.stale", "the node's assurance is older than its lease", ""
    )
    return Explanation(
        namespace=namespace,
        pod=name,
        criticality="HI",
        fault=None,
        nodes=(room, fits, low, none),
    )


def story(namespace: str, name: str) -> PodStory:
    task = StoryTask(
        name="control",
        thread="control",
        wcet="20ms",
        period="100ms",
        deadline="100ms",
        priority=98,
    )
    server = StoryServer(
        container="main",
        mechanism="rt-cgroup",
        core="0",
        budget="4.02ms",
        period="16.666ms",
        share=0.2412,
        tasks=(task,),
    )
    condition = StoryCondition(
        kind="k40s.io/enforced",
        status="True",
        reason="Enforced",
        message="1 thread",
        since=AT.format(9),
    )
    return PodStory(
        namespace=namespace,
        pod=name,
        pod_uid=uid(namespace, name),
        criticality="HI",
        node="edge-1",
        phase="Running",
        since=AT.format(5),
        summary="It runs on edge-1, and the kernel enforces its budget.",
        level=17,
        level_needed=14,
        servers=(server,),
        networks=("cell-a: 900 µs each 2 cycles, in cycle 0",),
        enforced=True,
        enforced_why="",
        enforced_since=AT.format(9),
        overruns="",
        conditions=(condition,),
        happenings=(
            _happening(5, "other", "edge-1", name, "bound to edge-1"),
            _happening(9, "kernel", "edge-1", name, "its thread has its budget"),
        ),
    )


def told(namespace: str, name: str) -> dict[str, object]:
    """What insight answers: a story for pods of the plant that run, an explanation for others."""
    if name in {"camera-2", "gripper", "backup"}:
        return told_json(Told(explanation=explanation(namespace, name), running=None))
    return told_json(Told(explanation=None, running=story(namespace, name)))
