import shutil
from pathlib import Path

import pytest

from daemons.malacoda.sampling.sampler import SOURCES, Sampler
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.malacoda.world import FakeClock

RECORDED = Path("tests/fixtures/proc")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    root = tmp_path / "proc"
    shutil.copytree(RECORDED, root)
    return root


def sampler(proc: Path, cpus: frozenset[int] = frozenset({1})) -> Sampler:
    return Sampler(cpus=cpus, clock=FakeClock(), root=proc)


def test_a_sample_has_every_source(proc: Path) -> None:
    source = sampler(proc)

    sample = source.sample()
    source.close()

    assert sample.stat is not None
    assert sample.softirqs["RCU"] > 0
    assert sample.interrupts["RES"] > 0
    assert None not in (sample.load, sample.uptime, sample.pressure)
    assert not any(source.faults.values())


@pytest.mark.parametrize("absent", SOURCES)
def test_an_absent_source_is_left_out_and_counted(proc: Path, absent: str) -> None:
    (proc / absent).unlink()
    source = sampler(proc)

    source.sample()
    source.sample()
    source.close()

    assert source.faults == dict.fromkeys(SOURCES, 0) | {absent: 2}


@pytest.mark.parametrize("lost", SOURCES)
def test_a_source_that_fails_at_run_time_takes_no_other_along(proc: Path, lost: str) -> None:
    source = sampler(proc)
    before = source.sample()

    (proc / lost).write_text("")
    after = source.sample()
    source.close()

    fields = {
        "stat": "stat",
        "softirqs": "softirqs",
        "interrupts": "interrupts",
        "loadavg": "load",
        "uptime": "uptime",
        "pressure/cpu": "pressure",
    }
    for name, field in fields.items():
        found = getattr(after, field)
        assert (not found) if name == lost else (found == getattr(before, field))
    assert source.faults == dict.fromkeys(SOURCES, 0) | {lost: 1}


def test_what_no_rule_needs_is_read_more_rarely_and_shown_with_its_time(proc: Path) -> None:
    clock = FakeClock()
    source = Sampler(
        cpus=frozenset({1}), clock=clock, root=proc, details_every=Nanoseconds(450 * NS_PER_MS)
    )
    first = source.sample()
    (proc / "loadavg").write_text("9.99 0 0")

    clock.pass_seconds(0.4)
    second = source.sample()
    clock.pass_seconds(0.1)
    third = source.sample()
    source.close()

    assert (second.at, second.details_at, second.load) == (400 * NS_PER_MS, 0, first.load)
    assert second.softirqs is first.softirqs
    assert (third.at, third.details_at, third.load) == (500 * NS_PER_MS, 500 * NS_PER_MS, 9.99)


def test_a_garbled_source_is_left_out_and_counted(proc: Path) -> None:
    (proc / "stat").write_text("cpu what\n")
    source = sampler(proc)

    assert source.sample().stat is None
    assert source.faults["stat"] == 1
    source.close()


def test_a_descriptor_stays_open_and_shows_what_is_there_now(proc: Path) -> None:
    source = sampler(proc)
    before = source.sample()
    with (proc / "loadavg").open("r+") as file:
        file.write("9.99")

    after = source.sample()
    source.close()

    assert before.load != after.load == 9.99


def test_a_source_that_appears_later_is_found(proc: Path) -> None:
    (proc / "pressure/cpu").rename(proc / "elsewhere")
    source = sampler(proc)
    assert source.sample().pressure is None

    (proc / "elsewhere").rename(proc / "pressure/cpu")

    assert source.sample().pressure is not None
    source.close()


def test_a_source_that_failed_is_opened_anew(proc: Path) -> None:
    (proc / "uptime").write_text("")
    source = sampler(proc)
    assert source.sample().uptime is None

    (proc / "uptime").unlink()
    (proc / "uptime").write_text("12.5 3.0\n")

    assert source.sample().uptime == 12.5
    source.close()


def crowd(proc: Path, running: int, cpus: list[int]) -> None:
    """So many tasks run by the kernel's count; one thread is seen in the queue of each CPU."""
    lines = (proc / "stat").read_text().splitlines()
    (proc / "stat").write_text(
        "\n".join(f"procs_running {running}" if "procs_r" in line else line for line in lines)
    )
    (proc / "thread-self").symlink_to("1/task/1")
    for number, cpu in enumerate(cpus, start=100):
        stat = f"{number} (a) R " + "0 " * 16 + "1 " + "0 " * 18 + f"{cpu} 0\n"
        (proc / f"{number}/task/{number}").mkdir(parents=True)
        (proc / f"{number}/stat").write_text(stat)
        (proc / f"{number}/task/{number}/stat").write_text(stat)
        (proc / f"{number}/task/{number}/status").write_text(f"Cpus_allowed_list:\t{cpu}\n")


def test_on_a_crowded_machine_the_nodes_own_threads_are_counted(proc: Path) -> None:
    crowd(proc, running=5, cpus=[0, 1, 1, 0])
    source = sampler(proc)

    assert source.sample().own_running == 2
    source.close()


def test_on_a_quiet_machine_they_are_not(proc: Path) -> None:
    crowd(proc, running=2, cpus=[1])
    source = sampler(proc)

    assert source.sample().own_running is None
    source.close()


def test_nor_where_the_node_owns_the_machine(proc: Path) -> None:
    crowd(proc, running=9, cpus=[1])
    source = sampler(proc, frozenset({0, 1}))

    assert source.sample().own_running is None
    source.close()
