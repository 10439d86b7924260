from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import pytest

from k40s.annotations import CpuState, format_cores, format_cpu_state, parse_cpu_state
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
from k40s.criticality import Criticality
from k40s.errors import InvalidAnnotationError
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

MS = NS_PER_MS


def reservation(number: int = 0, core: int = 1, priority: int | None = None) -> Reservation:
    task = Task(
        name="t0",
        wcet=Nanoseconds(2 * MS),
        period=Nanoseconds(100 * MS),
        deadline=Nanoseconds(90 * MS),
        priority=priority,
    )
    return Reservation(
        pod_uid=f"{number:08x}",
        container=f"c{number}",
        core=core,
        criticality=Criticality.HI,
        server=Server(budget=Nanoseconds(3 * MS), period=Nanoseconds(100 * MS)),
        tasks=(task,),
        priorities=(98 - number,),
    )


def state(reservations: tuple[Reservation, ...] = (), tick: int = 4 * MS) -> CpuState:
    node = CpuNode(
        cores=(1, 2),
        tick=Nanoseconds(tick),
        node_capacity=Fraction(9, 20),
        core_capacity=Fraction(9, 10),
        platform="edge",
        platform_factor=Fraction(3, 2),
        reservations=reservations,
    )
    return CpuState(
        generation=7,
        test="tick-aware",
        mechanism="rt-cgroup",
        endpoint="https://10.88.1.5:8441",
        lease=Nanoseconds(30 * NS_PER_S),
        node=node,
        utilization={core: node.utilization(core) for core in node.cores},
        complete=True,
    )


def deadline(number: int = 0, core: int = 1) -> Reservation:
    return replace(
        reservation(number), core=core, priorities=(), mechanism=Mechanism.DEADLINE, group=None
    )


def wide_state(
    reservations: tuple[Reservation, ...] = (), domain: Domain = Domain.SHARED
) -> CpuState:
    """A node that offers everything that there is."""
    narrow = state()
    node = replace(
        narrow.node,
        reservations=reservations,
        shared_groups=True,
        packing=Packing.BEST_FIT,
        deadline=DeadlineOffer(
            tick=Nanoseconds(4 * MS),
            capacity=Fraction(9, 10),
            domain=domain,
            cpus=2 if domain is Domain.SHARED else 1,
        ),
    )
    return replace(
        narrow,
        node=node,
        utilization=node.utilizations(),
        mechanism="rt-cgroup+deadline",
    )


def test_writes_groups_and_deadline_reservations_as_tersely() -> None:
    shared = replace(reservation(1), group=3)

    assert format_cpu_state(wide_state((deadline(core=ANY_CORE), shared))) == (
        '{"v":2,"gen":7,"test":"tick-aware","mech":"rt-cgroup+deadline",'
        '"url":"https://10.88.1.5:8441","lease":"30s","tick":"4ms","cap":"9/20","core_cap":"9/10",'
        '"platform":"edge","factor":"3/2","cores":"1-2","groups":"shared",'
        '"dl":["4ms","9/10","shared",2],"pack":"best-fit",'
        '"res":[["00000000",-1,"HI",3000,100000,[],[[2000,100000,90000]]],'
        '["00000001",1,"HI",3000,100000,[97],[[2000,100000,90000]],3]]}'
    )


@pytest.mark.parametrize(
    ("domain", "core"),
    [(Domain.SHARED, ANY_CORE), (Domain.PARTITIONED, 2), (Domain.EXCLUSIVE, 2)],
)
@pytest.mark.parametrize("count", [0, 1, 14])
def test_a_state_of_every_kind_reads_back(domain: Domain, core: int, count: int) -> None:
    grouped = tuple(replace(reservation(n), group=n) for n in range(1, count))
    value = wide_state((deadline(0, core), *grouped)[:count], domain)

    read = parse_cpu_state(format_cpu_state(value))

    assert read.complete == (count < 14)
    assert read.utilization == value.utilization
    if read.complete:
        assert read == value


def test_the_period_above_containers_is_written_where_there_is_one() -> None:
    plain = state()
    node = replace(plain.node, ancestor_period=Nanoseconds(NS_PER_S))
    text = format_cpu_state(replace(plain, node=node))

    assert '"cores":"1-2","nest":"1s","res"' in text
    assert parse_cpu_state(text).node == node
    for wrong in ("0s", "1us", "11s"):
        with pytest.raises(InvalidAnnotationError, match="nest"):
            parse_cpu_state(text.replace('"nest":"1s"', f'"nest":"{wrong}"'))
    with pytest.raises(InvalidAnnotationError, match="nest"):
        parse_cpu_state(text.replace('"nest"', '"groups":"shared","nest"'))


def test_the_room_for_hi_is_written_as_version_3_and_read_back() -> None:
    plain = state((reservation(),))
    reserve = Server(budget=Nanoseconds(20 * MS), period=Nanoseconds(100 * MS))
    value = replace(plain, node=replace(plain.node, hi_reserve=reserve))

    text = format_cpu_state(value)

    assert text.startswith('{"v":3,')
    assert '"hi":"20ms/100ms"' in text
    assert parse_cpu_state(text) == value


def test_the_utilization_of_a_shared_domain_may_exceed_one_cpu() -> None:
    value = wide_state()
    busy = {1: Fraction(0), 2: Fraction(1, 2), ANY_CORE: Fraction(9, 5)}

    read = parse_cpu_state(format_cpu_state(replace(value, complete=False, utilization=busy)))

    assert read.utilization == busy


def test_a_state_of_the_first_version_is_of_a_node_with_plain_rt_cgroups() -> None:
    value = state((reservation(),))

    assert parse_cpu_state(format_cpu_state(value).replace('"v":2', '"v":1')) == value


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ('"groups":"shared"', '"groups":"own"', "$.groups"),
        ('"pack":"best-fit"', '"pack":"tight"', "$.pack"),
        ('"shared",2]', '"none",2]', "$.dl[2]"),
        ('"shared",2]', '"partitioned",2]', "$.dl[3]"),
        ('"shared",2]', '"shared",0]', "$.dl[3]"),
        ('["4ms","9/10"', '["2s","9/10"', "$.dl[0]"),
        ('["4ms","9/10"', '["4ms","0"', "$.dl[1]"),
        ('"dl":[', '"dl":[1,', "$.dl"),
        (',"dl":["4ms","9/10","shared",2]', "", "$.res[0][1]"),
        ('",-1,"HI"', '",-2,"HI"', "$.res[0][1]"),
        ("100000,[],", "100000,[98],", "$.res[0][1]"),
        (",[97],", ",[],", "$.res[1][7]"),
        (",3]]}", ",-3]]}", "$.res[1][7]"),
        (",3]]}", ",3,3]]}", "$.res[1]"),
    ],
)
def test_each_mistake_of_the_wider_state_names_its_place(old: str, new: str, path: str) -> None:
    text = format_cpu_state(wide_state((deadline(core=ANY_CORE), replace(reservation(1), group=3))))
    assert old in text

    with pytest.raises(InvalidAnnotationError) as caught:
        parse_cpu_state(text.replace(old, new))

    assert caught.value.path == path


def test_writes_one_terse_line() -> None:
    assert format_cpu_state(state((reservation(priority=5),))) == (
        '{"v":2,"gen":7,"test":"tick-aware","mech":"rt-cgroup","url":"https://10.88.1.5:8441",'
        '"lease":"30s","tick":"4ms","cap":"9/20","core_cap":"9/10","platform":"edge",'
        '"factor":"3/2","cores":"1-2",'
        '"res":[["00000000",1,"HI",3000,100000,[98],[[2000,100000,90000,5]]]]}'
    )


@pytest.mark.parametrize("tick", [0, 4 * MS, 3_333_333])
@pytest.mark.parametrize("count", [0, 1, 8])
def test_a_state_with_its_reservations_reads_back(count: int, tick: int) -> None:
    value = state(tuple(reservation(n) for n in range(count)), tick)

    assert parse_cpu_state(format_cpu_state(value)) == value


def test_a_uid_keeps_its_beginning_and_names_are_numbered() -> None:
    held = replace(reservation(), pod_uid="0123456789ab", container="control-loop")

    (read,) = parse_cpu_state(format_cpu_state(state((held,)))).node.reservations

    assert (read.pod_uid, read.container, read.tasks[0].name) == ("01234567", "c0", "t0")


def test_a_state_above_1024_bytes_keeps_its_utilization_alone() -> None:
    value = state(tuple(reservation(n) for n in range(15)))

    text = format_cpu_state(value)
    read = parse_cpu_state(text)

    assert len(text) <= 1024
    assert not read.complete
    assert read.node.reservations == ()
    assert read.utilization == {1: Fraction(45, 100), 2: Fraction(0)}
    assert format_cpu_state(read) == text


@pytest.mark.parametrize(("count", "named"), [(0, True), (40, True), (200, False)])
def test_a_state_above_1024_bytes_names_who_waits_to_be_bound_or_says_that_it_does_not(
    count: int, named: bool
) -> None:
    uids = frozenset(f"{number:08x}-0000-4000-8000-000000000000" for number in range(count))

    text = format_cpu_state(replace(state(), complete=False, leased=uids))

    assert len(text) <= 1024
    assert parse_cpu_state(text).leased == ({uid[:8] for uid in uids} if named else None)


def test_an_older_state_without_its_reservations_names_nobody() -> None:
    text = format_cpu_state(replace(state(), complete=False, leased=None))

    assert "leased" not in text
    assert parse_cpu_state(text).leased is None


@pytest.mark.parametrize("wrong", ["1", "[1]", '["123456789"]', '[""]', "null"])
def test_a_mistake_in_the_names_of_the_waiting_names_its_place(wrong: str) -> None:
    text = format_cpu_state(replace(state(), complete=False))

    with pytest.raises(InvalidAnnotationError, match="leased"):
        parse_cpu_state(text.replace('"leased":[]', f'"leased":{wrong}'))


def test_a_whole_state_needs_no_names_of_the_waiting() -> None:
    text = format_cpu_state(state((reservation(),)))

    assert "leased" not in text
    with pytest.raises(InvalidAnnotationError, match="leased"):
        parse_cpu_state(text.replace('"res":', '"leased":[],"res":'))


def test_utilization_is_rounded_down_so_that_nothing_is_refused_that_could_fit() -> None:
    value = replace(state(), complete=False, utilization={1: Fraction(2, 3), 2: Fraction(0)})

    assert parse_cpu_state(format_cpu_state(value)).utilization[1] == Fraction(666_666, 1_000_000)


def test_refuses_to_write_a_time_that_is_not_whole_microseconds() -> None:
    held = replace(
        reservation(), server=Server(budget=Nanoseconds(2_000_001), period=Nanoseconds(100 * MS))
    )

    with pytest.raises(ValueError, match="2000001 ns is not a whole number of microseconds"):
        format_cpu_state(state((held,)))


@pytest.mark.parametrize(
    "changes",
    [{"utilization": {}}, {"lease": Nanoseconds(0)}, {"generation": -1}, {"generation": 10**18}],
)
def test_a_state_that_cannot_be_is_refused_at_birth(changes: Mapping[str, object]) -> None:
    with pytest.raises(ValueError, match=r"other cores|1 s to 3600 s|generation"):
        replace(state(), **changes)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    ("cores", "text"), [((), ""), ((0,), "0"), ((0, 1, 2), "0-2"), ((3, 1, 2, 7), "3,1-2,7")]
)
def test_cores_are_written_as_the_kernel_does(cores: tuple[int, ...], text: str) -> None:
    assert format_cores(cores) == text


ROW = '["00000000",1,"HI",3000,100000,[98],[[2000,100000,90000]]]'


@pytest.mark.parametrize(
    ("old", "new", "path", "expected"),
    [
        ('"v":2', '"v":5', "$.v", "a whole number from 1 to 4"),
        ('"v":2', '"v":5,"future":true', "$.v", "a whole number from 1 to 4"),
        ('"v":2', '"v":3,"exch":"off"', "$.exch", "no such field before version 4"),
        ('"v":2', '"v":4,"exch":"on"', "$.exch", '"off", or no such field'),
        ('"v":2', '"v":2,"hi":"20ms/100ms"', "$.hi", "no such field before version 3"),
        ('"v":2', '"v":3,"hi":"20ms"', "$.hi", "a WCET and a period in whole microseconds"),
        ('"v":2', '"v":3,"hi":"200ms/100ms"', "$.hi", "a WCET and a period"),
        ('"v":2', '"v":3,"hi":"1.5us/100ms"', "$.hi", "a WCET and a period"),
        ('"v":2', '"v":3,"hi":5', "$.hi", "a WCET and a period"),
        ('"v":2,', "", "$.v", "this field"),
        ('"res":', '"util":[0,0],"res":', "$", "either res or util"),
        (f',"res":[{ROW}]', "", "$", "either res or util"),
        (f'"res":[{ROW}]', '"util":[0]', "$.util", "an array of 2 to 2 items"),
        (f'"res":[{ROW}]', '"util":[0,1000001]', "$.util[1]", "a whole number from 0 to 1000000"),
        ('"cores":"1-2"', '"cores":"1,1"', "$.cores", "each core once"),
        ('"cores":"1-2"', '"cores":"2-1"', "$.cores", "at most 1024 cores"),
        ('"cores":"1-2"', '"cores":"0-9999"', "$.cores", "at most 1024 cores"),
        ('"cores":"1-2"', '"cores":"1;2"', "$.cores", "a list of cores"),
        ('"cores":"1-2"', '"cores":"2"', "$.res[0][1]", "a core of the node"),
        ('"tick":"4ms"', '"tick":"2s"', "$.tick", "at most 1s"),
        ('"cap":"9/20"', '"cap":"5/2"', "$.cap", "a fraction from 0 to 2"),
        ('"core_cap":"9/10"', '"core_cap":"11/10"', "$.core_cap", "a fraction from 0 to 1"),
        ('"core_cap":"9/10"', '"core_cap":0.9', "$.core_cap", "a fraction as text"),
        ('"factor":"3/2"', '"factor":"0"', "$.factor", "a factor above zero"),
        ('"url":"https', '"url":"http', "$.url", "https://address:port"),
        ('"lease":"30s"', '"lease":"1ms"', "$.lease", "1s to 3600s"),
        ('"HI"', '"NO"', "$.res[0][2]", '"LOW" or "HI"'),
        ('"HI"', "[]", "$.res[0][2]", '"LOW" or "HI"'),
        ("3000,100000", "100001,100000", "$.res[0][3]", "a whole number from 1 to 100000"),
        ("[98]", "[99]", "$.res[0][5][0]", "a whole number from 1 to 98"),
        ("[98]", "[98,97]", "$.res[0][6]", "an array of 2 to 2 items"),
        ("[2000,", "[90001,", "$.res[0][6][0][0]", "a whole number from 1 to 90000"),
        ("90000]", "90000,0]", "$.res[0][6][0][3]", "a whole number from 1 to 98"),
        ("90000]", "100001]", "$.res[0][6][0][2]", "a whole number from 1 to 100000"),
        ('"00000000"', '"000000000"', "$.res[0][0]", "the beginning of a pod's uid"),
    ],
)
def test_each_mistake_has_its_one_clear_error(old: str, new: str, path: str, expected: str) -> None:
    text = format_cpu_state(state((reservation(),)))
    assert old in text

    with pytest.raises(InvalidAnnotationError) as caught:
        parse_cpu_state(text.replace(old, new))

    assert caught.value.path == path
    assert caught.value.expected.startswith(expected)


def test_a_node_without_cores_has_a_state_too() -> None:
    value = state()
    bare = replace(value, node=replace(value.node, cores=()), utilization={}, mechanism="none")

    assert parse_cpu_state(format_cpu_state(bare)) == bare


def test_only_a_node_that_exchanges_no_servers_says_so() -> None:
    assert '"exch"' not in format_cpu_state(state())
    text = format_cpu_state(replace(state(), exchanges=False))

    assert '"v":4' in text
    assert '"exch":"off"' in text
    assert not parse_cpu_state(text).exchanges
