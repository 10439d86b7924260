"""Whatever the kernel's files say, a sample is taken; what is not understood is missing."""

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.malacoda.sampling.cgroup_text import (
    outermost_cgroup,
    parse_count,
    parse_cpu_columns,
    parse_cpu_stat,
    parse_cpuset,
    parse_usage_by_cpu,
)
from daemons.malacoda.sampling.proc_text import (
    parse_interrupts,
    parse_loadavg,
    parse_pressure,
    parse_softirqs,
    parse_stat,
    parse_uptime,
)
from daemons.malacoda.sampling.usage import UsageReader
from tests.fakes.malacoda.cgroups import FakeCgroups, uid
from tests.fakes.malacoda.world import FakeClock

WORDS = [b"cpu", b"CPU0", b"CPU1", b"0", b"1", b"-3", b"1_0", b"18446744073709551615", b"RES:"]
WORDS += [b"IPI0:", b"usage_usec", b"system_usec", b"some", b"total=7", b"max", b"0-1", b"0-99999"]
WORDS += [b"Rescheduling interrupts", b"procs_running", b"ctxt", b"processes", b"\n", b"\xff", b":"]
TEXTS = st.binary(max_size=60) | st.lists(st.sampled_from(WORDS), max_size=30).map(b" ".join)


@pytest.mark.parametrize(
    "parse",
    [
        lambda text: parse_stat(text, {1}),
        lambda text: parse_softirqs(text, {1}),
        lambda text: parse_interrupts(text, {1}),
        lambda text: parse_cpu_columns(text, {1}),
        lambda text: parse_usage_by_cpu(text, (1,)),
        parse_loadavg,
        parse_uptime,
        parse_pressure,
        parse_cpu_stat,
        parse_count,
        parse_cpuset,
        lambda text: outermost_cgroup(text, ()) or "",
    ],
)
@given(text=TEXTS)
def test_any_text_gives_a_value_or_a_value_error(
    parse: Callable[[bytes], object], text: bytes
) -> None:
    with suppress(ValueError):
        assert parse(text) is not None


@given(
    unified=st.booleans(),
    texts=st.dictionaries(
        st.sampled_from(
            [
                "cpuacct.usage_percpu",
                "cpuacct.usage_percpu_sys",
                "cpu.stat",
                "cpuset.cpus.effective",
                "pids.current",
                "cpu.pressure",
            ]
        ),
        TEXTS,
    ),
)
def test_any_file_of_a_pod_leaves_a_sample_of_the_others(
    *, unified: bool, texts: dict[str, bytes]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        cgroups = FakeCgroups(root=Path(directory) / "cgroup", unified=unified)
        for number in (1, 2):
            cgroups.pod(uid(number), used=(0, 5000), system=(0, 1000), cpuset="1")
        for path in cgroups.paths(uid(1)):
            for name, text in texts.items():
                (path / name).write_bytes(text)
        reader = UsageReader(cpus={1}, clock=FakeClock(), root=cgroups.root)

        sample = reader.read({}, stat=None)
        pressures = reader.read_pressure([uid(1), uid(2)])
        reader.close()

    assert set(sample.pods) == {uid(1), uid(2)}
    assert sample.pods[uid(2)].used == 5000
    for pod in sample.pods.values():
        assert all(value is None or value >= 0 for value in (pod.used, pod.system, pod.pids))
    assert pressures.keys() <= {uid(1)}
