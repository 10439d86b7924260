"""Overruns and throttling, from the kernel's figures to metric and event."""

import errno
import gzip
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from daemons.rubicante.kernel.usage import may_charge_stolen_time, parse_throttled
from daemons.rubicante.metrics import BookMetrics
from k40s.cpu.model import ANY_CORE, DeadlineOffer, Domain
from k40s.criticality import Criticality
from k40s.node_agent.overrun_counts import parse_counts
from k40s.units import Nanoseconds
from tests.fakes.rubicante.kernel import PROC
from tests.fakes.rubicante.watched import DEBUG, Watched, usage_of
from tests.fakes.rubicante.world import PREFIX, World, node, task, uid

STEAL = "cpu  1 1 1 1 1 1 1 30 0 0\ncpu0 1 1 1 1 1 1 1 10 0 0\ncpu1 1 1 1 1 1 1 1 20 0 0\n"
RUN_QUEUES = f"""
rt_rq[0]:/{PREFIX}-a
  .rt_nr_running                 : 1
  .rt_throttled                  : 1
  .rt_time                       : 20.000000

rt_rq[0]:/{PREFIX}-b
  .rt_throttled                  : 0

rt_rq[0]:/else
  .rt_throttled                  : 1

rt_rq[1]:/{PREFIX}-a
  .rt_throttled                  : 1

rt_rq[1]:/{PREFIX}-shared-1
  .rt_throttled                  : 1
"""


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def tid(watched: Watched) -> int:
    return started(watched)


def started(watched: Watched) -> int:
    """The thread of a HI pod's task, enforced."""
    watched.world.reserve(1, task(wcet_ms=5), criticality=Criticality.HI)
    thread = watched.world.system.spawn(watched.world.container(), "ctl")
    watched.world.look()
    watched.feedback.look()
    return thread


def test_an_overrun_is_counted_and_told_at_the_pod(watched: Watched, tid: int) -> None:
    watched.run(tid, 120)
    watched.pod_events.send()

    counted = watched.world.metric("k40s_rubicante_overruns_total", {"criticality": "HI"})
    assert counted == 1
    assert watched.world.metric("k40s_rubicante_overruns_total", {"criticality": "LOW"}) == 0
    assert watched.world.server.events == [
        (
            uid(1),
            "Overrun",
            "task ctl used 120 ms in 1.0 s; its contract allows at most 60 ms",
        )
    ]


def test_overruns_are_counted_by_pod_for_the_assurance_monitor(tmp_path: Path) -> None:
    path = tmp_path / "counts.json"
    watched = Watched(path)
    tid = started(watched)
    watched.run(tid, 50)
    quiet = parse_counts(path.read_text(), source="f")
    watched.run(tid, 220)

    assert quiet == {uid(1): 0}
    assert parse_counts(path.read_text(), source="f") == {uid(1): 1}


def test_a_task_within_its_contract_is_left_in_peace(watched: Watched, tid: int) -> None:
    for _ in range(60):
        watched.run(tid, 50)
    watched.pod_events.send()

    assert watched.world.server.events == []


def test_a_thread_that_is_gone_is_forgotten(watched: Watched, tid: int) -> None:
    del watched.world.system.threads[tid]

    watched.feedback.look()

    assert watched.world.metric("k40s_rubicante_overruns_total", {"criticality": "HI"}) == 0


def test_a_task_without_a_thread_is_told_at_the_pod(watched: Watched) -> None:
    watched.world.reserve(1, task("ctl"), task("other"))
    watched.world.system.spawn(watched.world.container(), "ctl")
    watched.world.look()
    watched.world.seconds += 11
    watched.world.look()

    watched.feedback.look()
    watched.pod_events.send()

    text = "no thread bears the name of other (container main): it runs as an ordinary one"
    assert watched.world.server.events == [(uid(1), "TaskWithoutThread", text)]
    shown = watched.world.metric("k40s_rubicante_conditions", {"trouble": "thread-missing"})
    assert shown == 1


def test_a_thread_that_the_kernel_refuses_is_told_with_the_cause(watched: Watched) -> None:
    watched.world.reserve(1)
    watched.world.system.spawn(watched.world.container(), "ctl")
    watched.world.system.refuse["set_policy"] = [PermissionError(errno.EPERM, "not now")]
    watched.world.look()

    watched.feedback.look()
    watched.pod_events.send()

    ((pod_uid, reason, text),) = watched.world.server.events
    assert (pod_uid, reason) == (uid(1), "EnforcementFailed")
    assert "ctl (container main) is not enforced" in text
    assert "not now" in text


def test_throttled_time_is_sampled_per_core(watched: Watched) -> None:
    watched.world.system.files[DEBUG] = RUN_QUEUES
    watched.feedback.look()
    watched.world.seconds += 1

    watched.feedback.look()

    name = "k40s_rubicante_throttled_seconds_total"
    assert watched.world.metric(name, {"core": "0"}) == 1
    assert watched.world.metric(name, {"core": "1"}) == 2


def test_a_long_silence_is_not_taken_for_throttling(watched: Watched) -> None:
    watched.world.system.files[DEBUG] = RUN_QUEUES
    watched.world.seconds += 3600

    watched.feedback.look()

    assert watched.world.metric("k40s_rubicante_throttled_seconds_total", {"core": "0"}) is None


def test_groups_of_others_are_not_counted() -> None:
    assert parse_throttled(RUN_QUEUES, prefix="/nobody-") == {}


def test_stolen_time_that_no_thread_is_charged_for_is_left_out() -> None:
    world = World()
    world.system.files[PROC / "stat"] = STEAL

    assert usage_of(world, charges_stolen_time=False).stolen(0) == 0


@pytest.mark.parametrize(
    ("option", "command_line", "expected"),
    [
        ("CONFIG_PARAVIRT_TIME_ACCOUNTING=y", "root=/dev/sda", False),
        ("CONFIG_PARAVIRT_TIME_ACCOUNTING=y", "root=/dev/sda no-steal-acc", True),
        ("# CONFIG_PARAVIRT_TIME_ACCOUNTING is not set", "root=/dev/sda", True),
    ],
)
def test_the_kernel_tells_whether_threads_are_charged_for_stolen_time(
    tmp_path: Path, option: str, command_line: str, expected: bool
) -> None:
    (tmp_path / "config.gz").write_bytes(gzip.compress(f"CONFIG_SMP=y\n{option}\n".encode()))
    (tmp_path / "cmdline").write_text(command_line + "\n")

    assert may_charge_stolen_time(tmp_path) is expected


TORN = gzip.compress(b"\xff" * 99, mtime=0)[:-9]
"""Without the time: the name of a test must be the same in every process."""


@pytest.mark.parametrize("content", [None, b"", b"no gzip", TORN])
def test_threads_of_a_kernel_that_does_not_tell_may_be_charged(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "config.gz").write_bytes(content)

    assert may_charge_stolen_time(tmp_path)


def test_stolen_time_is_that_of_the_core() -> None:
    world = World()
    world.system.files[PROC / "stat"] = STEAL
    usage = usage_of(world)

    shares = [usage.stolen(core) for core in (0, 1, ANY_CORE, 7)]

    assert shares[1] == 2 * shares[0]
    assert shares[2] == 3 * shares[0]
    assert shares[3] == 0


def test_what_cannot_be_read_is_no_error() -> None:
    world = World()
    usage = usage_of(world)
    world.system.refuse["read"] = [PermissionError(errno.EACCES, "no")] * 3

    assert (usage.cpu_time(1), usage.stolen(0), usage.throttled()) == (None, 0, None)


def test_the_utilization_of_a_shared_root_domain_has_a_name_of_its_own() -> None:
    registry = CollectorRegistry()
    offer = DeadlineOffer(
        tick=Nanoseconds(0), capacity=Fraction(9, 10), domain=Domain.SHARED, cpus=2
    )

    BookMetrics(registry).show(replace(node(), deadline=offer))

    shown = [
        registry.get_sample_value("k40s_rubicante_core_utilization", {"core": core})
        for core in ("1", "any", "-1")
    ]
    assert shown == [0, 0, None]
