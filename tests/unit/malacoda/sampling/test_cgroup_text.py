from collections.abc import Callable

import pytest

from daemons.malacoda.sampling.cgroup_text import (
    outermost_cgroup,
    parse_count,
    parse_cpu_columns,
    parse_cpu_stat,
    parse_cpuset,
    parse_usage_by_cpu,
)

USAGE_ALL = b"cpu user system\n0 10 1\n2 20 2\n3 30 3\n"
CPU_STAT = b"usage_usec 7000\nuser_usec 6000\nsystem_usec 1000\nnice_usec 7\nnr_periods 0\n"


def test_columns_of_cpus_are_found_by_number() -> None:
    assert parse_cpu_columns(USAGE_ALL, {2, 3, 9}) == (1, 2)
    assert parse_usage_by_cpu(b"100 200 300 \n", (1, 2)) == 500


def test_cpu_stat_is_nanoseconds() -> None:
    assert parse_cpu_stat(CPU_STAT) == (7_000_000, 1_000_000)


def test_small_files() -> None:
    assert parse_count(b"12\n") == 12
    assert parse_cpuset(b"0-1,3\n") == {0, 1, 3}


def test_the_outermost_cgroup_of_some_names() -> None:
    text = b"4:cpu,cpuacct:/kubepods/podx/a:b/pody\n0::/../../pody\n"

    assert outermost_cgroup(text, {"podx", "pody"}) == "podx"
    assert outermost_cgroup(text, {"a:b"}) == "a:b"
    assert outermost_cgroup(text, {"pody"}) == "pody"
    assert outermost_cgroup(text, {"podz"}) is None
    assert outermost_cgroup(b"", {"podx"}) is None


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (lambda text: parse_cpu_columns(text, {1}), USAGE_ALL),
        (lambda text: parse_cpu_columns(text, {1}), b""),
        (lambda text: parse_cpu_columns(text, {1}), b"cpu user system\none 1 2\n"),
        (lambda text: parse_usage_by_cpu(text, (1,)), b"5\n"),
        (lambda text: parse_usage_by_cpu(text, (0,)), b"-5\n"),
        (lambda text: parse_usage_by_cpu(text, (0,)), b"five\n"),
        (parse_cpu_stat, b""),
        (parse_cpu_stat, b"usage_usec 7\nuser_usec 7\n"),
        (parse_cpu_stat, b"usage_usec 7\nsystem_usec -1\n"),
        (parse_cpu_stat, b"usage_usec 7\nsystem_usec\n"),
        (parse_count, b"max\n"),
        (parse_count, b"-1\n"),
        (parse_count, b""),
        (parse_cpuset, b"\n"),
        (parse_cpuset, b"1-0\n"),
        (parse_cpuset, "1\N{EN DASH}2".encode()),
    ],
)
def test_what_is_not_such_a_file_is_a_value_error(
    parse: Callable[[bytes], object], text: bytes
) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text)
