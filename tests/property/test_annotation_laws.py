"""Text from outside gives a value or the one error; what is written reads back."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k40s.annotations import (
    CRITICALITY_KEY,
    ENFORCEMENT_KEY,
    TASKS_KEY,
    CpuState,
    NodeAssurance,
    format_cpu_state,
    format_node_assurance,
    parse_assurance_part,
    parse_cpu_state,
    parse_culprits,
    parse_node_assurance,
    parse_platform_factor,
    parse_pod_metric,
    parse_tasks,
    read_workload,
    task_json,
)
from k40s.assurance.gamma import MOST_FALLS, Severity
from k40s.cpu.model import (
    ANY_CORE,
    CpuNode,
    DeadlineOffer,
    Domain,
    Mechanism,
    Packing,
    Reservation,
    Server,
    Task,
)
from k40s.cpu.workload import TaskContract, WcetTable, Workload
from k40s.criticality import Criticality
from k40s.errors import InvalidAnnotationError, InvalidInputError
from k40s.node_api.messages import (
    PodRef,
    ReservationRequest,
    format_allocation,
    format_reservation_request,
    parse_admission_answer,
    parse_allocation,
    parse_reservation_request,
)
from k40s.units import NS_PER_S, NS_PER_US, Nanoseconds

FIELDS = (
    *("name", "container", "period", "deadline", "wcet", "priority", "v", "level", "hardware"),
    *("software", "state", "observed", "lease", "hazards", "gen", "res", "util", "cores", "test"),
    *("mech", "url", "tick", "cap", "core_cap", "platform", "factor", "pod", "uid", "criticality"),
    *("tasks", "generation", "schedulable", "reason", "detail", "utilization", "granted"),
    *("server", "servers", "core", "budget", "rt_priority", "pod_uid", "enforcement"),
    *("mechanism", "group", "groups", "dl", "pack"),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        [
            *("1ms", "20ms", "100ms", "0ns", "HI", "LOW", "9/20", "1/0", "0-2", "30s", "\ud800"),
            *("deadline", "rt-cgroup", "shared", "any", "best-fit"),
        ]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=4), inner, max_size=8)
    ),
    max_leaves=20,
)
TEXTS = st.one_of(
    st.text(max_size=200),
    VALUES.map(json.dumps),
    st.integers(1, 3_000).map(lambda depth: "[" * depth),
    st.integers(1, 3_000).map(lambda depth: '{"a":' * depth),
    st.integers(1, 6_000).map(lambda length: "[" + "7" * length + "]"),
)


def error_of(read: Callable[[], object]) -> InvalidInputError | None:
    try:
        read()
    except InvalidInputError as error:
        return error
    return None


@pytest.mark.parametrize(
    "read",
    [
        lambda text: read_workload(
            labels={}, annotations={CRITICALITY_KEY: "LOW", TASKS_KEY: text}, containers=("app",)
        ),
        lambda text: read_workload(labels={}, annotations={CRITICALITY_KEY: text}),
        lambda text: read_workload(
            labels={}, annotations={CRITICALITY_KEY: "LOW", TASKS_KEY: "[]", ENFORCEMENT_KEY: text}
        ),
        parse_culprits,
        parse_node_assurance,
        parse_cpu_state,
        parse_platform_factor,
        lambda text: parse_assurance_part(text, key="k"),
        lambda text: parse_allocation(text, pod_uid="u"),
        parse_pod_metric,
    ],
    ids=[
        "tasks",
        "criticality",
        "enforcement",
        "culprits",
        "assurance",
        "cpu-state",
        "factor",
        "part",
        "allocation",
        "metric",
    ],
)
@given(text=TEXTS)
def test_any_annotation_gives_a_value_or_the_one_error(
    read: Callable[[str], object], text: str
) -> None:
    error = error_of(lambda: read(text))

    assert error is None or isinstance(error, InvalidAnnotationError)
    assert len(str(error)) < 1000


@given(value=VALUES)
def test_any_decoded_list_of_tasks_gives_a_value_or_the_one_error(value: object) -> None:
    error = error_of(lambda: parse_tasks(value, source="x", criticality=Criticality.LOW))

    assert error is None or (isinstance(error, InvalidAnnotationError) and error.source == "x")


@pytest.mark.parametrize(
    "read",
    [lambda body: parse_reservation_request(body, pod_uid="u"), parse_admission_answer],
    ids=["request", "answer"],
)
@given(body=st.binary(max_size=100) | TEXTS.map(lambda text: text.encode(errors="replace")))
def test_any_body_gives_a_value_or_the_one_error(
    read: Callable[[bytes], object], body: bytes
) -> None:
    error = error_of(lambda: read(body))

    assert len(str(error)) < 1000


MICROS = st.integers(100, 3_600_000_000)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=15)


@st.composite
def contracts(draw: st.DrawFn, *, table: bool) -> TaskContract:
    period = draw(st.integers(100 * NS_PER_US, 3600 * NS_PER_S))
    deadline = draw(st.integers(1, period))
    wcets = st.integers(1, deadline).map(Nanoseconds)
    return TaskContract(
        name=draw(NAMES),
        container=draw(NAMES),
        period=Nanoseconds(period),
        deadline=Nanoseconds(deadline),
        wcet=WcetTable(
            by_platform=MappingProxyType(draw(st.dictionaries(NAMES, wcets, min_size=1)))
        )
        if table
        else WcetTable(baseline=draw(wcets)),
        priority=draw(st.none() | st.integers(1, 98)),
        core=draw(st.none() | st.integers(0, 9999)),
    )


@st.composite
def workloads(draw: st.DrawFn) -> Workload:
    criticality = draw(st.sampled_from((Criticality.LOW, Criticality.HI)))
    table = criticality is Criticality.HI or draw(st.booleans())
    tasks = draw(
        st.lists(
            contracts(table=table),
            min_size=1,
            max_size=4,
            unique_by=lambda task: (task.container, task.name),
        )
    )
    return Workload(
        criticality=criticality,
        tasks=tuple(tasks),
        mechanism=draw(st.none() | st.sampled_from(Mechanism)),
    )


@given(workload=workloads())
def test_a_written_workload_reads_back(workload: Workload) -> None:
    text = json.dumps([task_json(task) for task in workload.tasks])

    annotations = {CRITICALITY_KEY: workload.criticality.name, TASKS_KEY: text}
    if workload.mechanism is not None:
        annotations[ENFORCEMENT_KEY] = workload.mechanism.value

    assert read_workload(labels={}, annotations=annotations) == workload


@given(workload=workloads(), generation=st.none() | st.integers(0, 10**18 - 1))
def test_a_written_request_reads_back(workload: Workload, generation: int | None) -> None:
    request = ReservationRequest(
        pod=PodRef(uid="u-1", namespace="n", name="p.q"), workload=workload, generation=generation
    )

    body = format_reservation_request(request)

    assert parse_reservation_request(body, pod_uid="u-1") == request


@given(
    parts=st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 10)),
    observed=st.datetimes(min_value=datetime(1000, 1, 1)),  # noqa: DTZ001  # made UTC below
    lease=st.integers(NS_PER_S, 3600 * NS_PER_S),
    cause=st.sampled_from(Severity),
    falls=st.integers(0, MOST_FALLS),
)
def test_a_written_assurance_reads_back(
    parts: tuple[int, int, int], observed: datetime, lease: int, cause: Severity, falls: int
) -> None:
    hardware, software, state = parts
    value = NodeAssurance(
        hardware=hardware,
        software=software,
        state=state,
        observed=observed.replace(tzinfo=UTC),
        lease=Nanoseconds(lease),
        cause=cause,
        falls=falls,
    )

    assert parse_node_assurance(format_node_assurance(value)) == value


@st.composite
def reservations(draw: st.DrawFn, places: tuple[int, ...]) -> Reservation:
    """Of any mechanism; ``places`` are cores, and ``ANY_CORE`` where threads may migrate."""
    tasks = []
    core = draw(st.sampled_from(places))
    by_deadline = core == ANY_CORE or draw(st.booleans())
    for index in range(1 if by_deadline else draw(st.integers(1, 3))):
        period = draw(MICROS)
        deadline = draw(st.integers(1, period))
        tasks.append(
            Task(
                name=f"t{index}",
                wcet=Nanoseconds(draw(st.integers(1, deadline)) * NS_PER_US),
                period=Nanoseconds(period * NS_PER_US),
                deadline=Nanoseconds(deadline * NS_PER_US),
                priority=draw(st.none() | st.integers(1, 98)),
                core=draw(st.none() | st.integers(0, 9999)),
            )
        )
    length = draw(MICROS)
    return Reservation(
        pod_uid=draw(NAMES),
        container="main",
        core=core,
        criticality=draw(st.sampled_from((Criticality.LOW, Criticality.HI))),
        server=Server(
            budget=Nanoseconds(draw(st.integers(1, length)) * NS_PER_US),
            period=Nanoseconds(length * NS_PER_US),
        ),
        tasks=tuple(tasks),
        priorities=() if by_deadline else tuple(draw(st.integers(1, 98)) for _ in tasks),
        mechanism=Mechanism.DEADLINE if by_deadline else Mechanism.RT_CGROUP,
        group=None if by_deadline else draw(st.none() | st.integers(0, 9999)),
    )


@st.composite
def offers(draw: st.DrawFn) -> DeadlineOffer:
    domain = draw(st.sampled_from(Domain))
    return DeadlineOffer(
        tick=Nanoseconds(draw(st.integers(0, NS_PER_S))),
        capacity=draw(st.fractions(Fraction(1, 100), 1, max_denominator=100)),
        domain=domain,
        cpus=draw(st.integers(1, 64)) if domain is Domain.SHARED else 1,
        delay=Nanoseconds(draw(st.integers(0, NS_PER_S))),
    )


def unpinned(task: Task) -> Task:
    return replace(task, core=None)


@given(data=st.data())
def test_a_written_cpu_state_reads_back_but_for_names(data: st.DataObject) -> None:
    cores = tuple(data.draw(st.lists(st.integers(0, 200), min_size=1, max_size=9, unique=True)))
    offer = data.draw(st.none() | offers())
    shared = offer is not None and offer.domain is Domain.SHARED
    places = (*cores, ANY_CORE) if shared else cores
    held = data.draw(st.lists(reservations(places), max_size=6))
    node = CpuNode(
        cores=cores,
        tick=Nanoseconds(data.draw(st.integers(0, NS_PER_S))),
        node_capacity=data.draw(st.fractions(0, 1, max_denominator=100)),
        core_capacity=data.draw(st.fractions(0, 1, max_denominator=100)),
        platform="edge",
        platform_factor=data.draw(st.fractions(Fraction(1, 9), 9, max_denominator=100)),
        reservations=tuple(held),
        shared_groups=data.draw(st.booleans()),
        deadline=offer,
        packing=data.draw(st.sampled_from(Packing)),
    )
    state = CpuState(
        generation=1,
        test="tick-aware",
        mechanism="rt-cgroup",
        endpoint="https://[fd00::1]:8441",
        lease=Nanoseconds(NS_PER_S),
        node=node,
        utilization={place: min(Fraction(1), used) for place, used in node.utilizations().items()},
        complete=True,
    )

    text = format_cpu_state(state)
    read = parse_cpu_state(text)

    assert len(text.encode()) <= 1024
    assert format_cpu_state(read) == text
    if read.complete:
        named = tuple(
            replace(
                r,
                pod_uid=r.pod_uid[:8],
                container=f"c{index}",
                tasks=tuple(unpinned(task) for task in r.tasks),
            )
            for index, r in enumerate(held)
        )
        assert read.node == node.holding(named)
    else:
        for core in places:
            assert 0 <= state.utilization[core] - read.utilization[core] < Fraction(1, 10**6)


@given(held=reservations((0, 1, ANY_CORE)))
def test_a_written_allocation_reads_back(held: Reservation) -> None:
    assert parse_allocation(format_allocation([held]), pod_uid=held.pod_uid) == (held,)
