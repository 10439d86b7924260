from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

from k40s.http.listening import EVERY_ADDRESS, HOST_FORM, Host
from k40s.runtime.settings import (
    DEFAULT_LEVEL,
    LogLevel,
    Port,
    SettingsError,
    node_environment,
    read_settings,
)
from k40s.units import DURATION_FORM, Nanoseconds, parse_cpu_list


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    node_name: str
    port: int = 8441
    host: Host = EVERY_ADDRESS
    probe_port: Port = Port(8442)
    dry_run: bool = False
    store: Path = Path("/var/lib/store")
    capacity: Fraction = Fraction(9, 10)
    lease: Nanoseconds = Nanoseconds(30)
    cpus: tuple[int, ...] = ()
    clients: tuple[str, ...] = ("k40s-extender",)
    tick: Nanoseconds | None = None
    log_level: LogLevel = DEFAULT_LEVEL

    def __post_init__(self) -> None:
        if self.capacity > 1:
            raise ValueError("K40S_CAPACITY is above 1")


def test_leaves_defaults_where_nothing_is_set() -> None:
    assert read_settings(Example, {"K40S_NODE_NAME": "edge-1"}) == Example(node_name="edge-1")


def test_counts_an_empty_variable_as_absent() -> None:
    environ = {"K40S_NODE_NAME": "edge-1", "K40S_PORT": " ", "K40S_TICK": ""}

    assert read_settings(Example, environ) == Example(node_name="edge-1")


def test_reads_every_type() -> None:
    environ = {
        "K40S_NODE_NAME": "edge-1",
        "K40S_PORT": "9000",
        "K40S_HOST": "[fd00::1]",
        "K40S_PROBE_PORT": "65535",
        "K40S_DRY_RUN": "true",
        "K40S_STORE": "/tmp/x",  # noqa: S108  # never opened
        "K40S_CAPACITY": "0.45",
        "K40S_LEASE": "10ms",
        "K40S_CPUS": "3,0-1",
        "K40S_CLIENTS": "a, b",
        "K40S_TICK": "4ms",
        "K40S_LOG_LEVEL": "warning",
    }

    assert read_settings(Example, environ) == Example(
        node_name="edge-1",
        port=9000,
        host=Host("fd00::1"),
        probe_port=Port(65_535),
        dry_run=True,
        store=Path("/tmp/x"),  # noqa: S108  # never opened
        capacity=Fraction(9, 20),
        lease=Nanoseconds(10_000_000),
        cpus=(0, 1, 3),
        clients=("a", "b"),
        tick=Nanoseconds(4_000_000),
        log_level=LogLevel("WARNING"),
    )


def test_reports_all_bad_variables_at_once() -> None:
    environ = {
        "K40S_PORT": "https",
        "K40S_HOST": "::1:8443]",
        "K40S_PROBE_PORT": "65536",
        "K40S_DRY_RUN": "yes",
        "K40S_CAPACITY": "1/0",
        "K40S_LEASE": "30",
        "K40S_CPUS": "3-1",
    }

    with pytest.raises(SettingsError) as caught:
        read_settings(Example, environ)

    assert caught.value.problems == (
        "K40S_NODE_NAME: not set, expected text",
        "K40S_PORT: found 'https', expected a whole number",
        f"K40S_HOST: found '::1:8443]', expected {HOST_FORM}",
        "K40S_PROBE_PORT: found '65536', expected a port from 0 to 65535",
        'K40S_DRY_RUN: found \'yes\', expected "true" or "false"',
        'K40S_CAPACITY: found \'1/0\', expected a number such as "0.45" or "9/20"',
        f"K40S_LEASE: found '30', expected {DURATION_FORM}",
        "K40S_CPUS: found '3-1', expected a CPU list such as \"0,2-3\"",
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("CAPACITY", text) for text in ("nan", "1e-400000000", "1_0/20", "\u0661", "1/0", "/2")),
        *(("PORT", text) for text in ("1_0", "\u0661", "9" * 5000, "1.0")),
        *(("LOG_LEVEL", text) for text in ("verbose", "notset", "10")),
    ],
)
def test_what_python_takes_for_a_number_or_a_level_is_not_enough(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=rf"^K40S_{name}: found .*, expected "):
        read_settings(Example, {"K40S_NODE_NAME": "n", f"K40S_{name}": text})


def test_reports_what_the_settings_themselves_refuse() -> None:
    with pytest.raises(SettingsError, match="K40S_CAPACITY is above 1"):
        read_settings(Example, {"K40S_NODE_NAME": "n", "K40S_CAPACITY": "2"})


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("0", (0,)), ("0,2-3", (0, 2, 3)), ("3, 1", (1, 3)), ("1-1", (1,)), ("0-2,1", (0, 1, 2))],
)
def test_reads_cpu_lists(text: str, cpus: tuple[int, ...]) -> None:
    assert parse_cpu_list(text) == cpus


@pytest.mark.parametrize("text", ["", "a", "-1", "1-", "2-1", "0,,1", "0-99999", "\u0661"])
def test_refuses_what_is_no_cpu_list(text: str) -> None:
    with pytest.raises(ValueError, match="not a CPU list"):
        parse_cpu_list(text)


def test_lays_the_nodes_file_over_the_environment(tmp_path: Path) -> None:
    (tmp_path / "edge-1.env").write_text("# CPUs\n\nK40S_CPUS = 1\nK40S_PORT=9\n")
    environ = {"K40S_NODE_NAME": "edge-1", "K40S_PORT": "8", "HOME": "/"}

    assert node_environment(environ, tmp_path) == {
        "K40S_NODE_NAME": "edge-1",
        "K40S_PORT": "9",
        "K40S_CPUS": "1",
        "HOME": "/",
    }


@pytest.mark.parametrize("environ", [{}, {"K40S_NODE_NAME": "edge-2"}, {"K40S_NODE_NAME": "../x"}])
def test_needs_no_file_for_the_node(environ: dict[str, str], tmp_path: Path) -> None:
    assert node_environment(environ, tmp_path) == environ


def test_says_that_the_nodes_file_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "n.env").mkdir()

    with pytest.raises(SettingsError, match=r"n\.env: .*Is a directory"):
        node_environment({"K40S_NODE_NAME": "n"}, tmp_path)


def test_names_the_lines_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "n.env").write_text("CPUS=1\nK40S_PORT\n")

    with pytest.raises(SettingsError) as caught:
        node_environment({"K40S_NODE_NAME": "n"}, tmp_path)

    assert caught.value.problems == (
        f"{tmp_path}/n.env line 1: found 'CPUS=1', expected K40S_NAME=value",
        f"{tmp_path}/n.env line 2: found 'K40S_PORT', expected K40S_NAME=value",
    )


def test_a_name_that_stands_twice_in_the_nodes_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "n.env").write_text("K40S_CPUS=1\n\nK40S_CPUS = 2\nK40S_CPUS=1\n")

    with pytest.raises(SettingsError) as caught:
        node_environment({"K40S_NODE_NAME": "n", "K40S_CPUS": "7"}, tmp_path)

    assert caught.value.problems == tuple(
        f"{tmp_path}/n.env line {number}: found K40S_CPUS again, expected it once (line 1 has it)"
        for number in (3, 4)
    )


NODE = {"K40S_NODE_NAME": "n"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("K40S_CPU", "; did you mean K40S_CPUS?"),
        ("K40S_RESERVATIONS_LEASE", "; did you mean K40S_RESERVATION_LEASE"),
        ("K40S_THIS_IS_NONE_AT_ALL_9", ""),
        ("K40S_", ""),
        ("K40S_PROBES_PORT", "; did you mean K40S_PROBE_PORT"),
        ("K40S_cpus", ""),
    ],
)
def test_a_name_that_no_process_knows_is_an_error_with_its_nearest_relatives(
    name: str, said: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(Example, {**NODE, name: "8"})

    (problem,) = caught.value.problems
    assert problem.startswith(f"{name}: not a setting of any process of k40s{said}")


def test_all_unknown_names_are_reported_with_the_bad_values() -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(Example, {"K40S_PORTT": "1", "K40S_CPUUS": "1", "K40S_PORT": "x"})

    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        *["K40S_CPUUS", "K40S_PORTT", "K40S_NODE_NAME", "K40S_PORT"]
    ]


def test_settings_of_other_processes_and_names_of_others_are_left_alone() -> None:
    environ = {
        **NODE,
        "K40S_GAMMA_QUIET": "?",
        "K40S_RT_CAPACITY": "",
        "HOME": "/",
        "K40": "1",
    }

    assert read_settings(Example, environ) == Example(node_name="n")


def service(name: str) -> dict[str, str]:
    """What kubelet sets for a Service with one port."""
    url = "tcp://10.96.0.7:8443"
    return {
        f"{name}_SERVICE_HOST": "10.96.0.7",
        f"{name}_SERVICE_PORT": "8443",
        f"{name}_SERVICE_PORT_HTTPS": "8443",
        f"{name}_PORT": url,
        f"{name}_PORT_8443_TCP": url,
        f"{name}_PORT_8443_TCP_PROTO": "tcp",
        f"{name}_PORT_8443_TCP_PORT": "8443",
        f"{name}_PORT_8443_TCP_ADDR": "10.96.0.7",
    }


@pytest.mark.parametrize("name", ["K40S_EXTENDER", "K40S", "K40S_PROBE", "K40S_NODE_NAME"])
def test_what_kubernetes_sets_for_a_service_is_no_setting(name: str) -> None:
    assert read_settings(Example, {**NODE, **service(name)}) == Example(node_name="n")


def test_a_port_that_is_set_beside_a_service_of_that_name_counts() -> None:
    environ = {**NODE, **service("K40S"), "K40S_PORT": "9000"}

    assert read_settings(Example, environ).port == 9000
