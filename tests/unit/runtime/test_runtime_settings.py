from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

from k40s.runtime.settings import SettingsError, node_environment, parse_cpu_list, read_settings
from k40s.units import DURATION_FORM, Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    node_name: str
    port: int = 8441
    dry_run: bool = False
    store: Path = Path("/var/lib/store")
    capacity: Fraction = Fraction(9, 10)
    lease: Nanoseconds = Nanoseconds(30)
    cpus: tuple[int, ...] = ()
    clients: tuple[str, ...] = ("k40s-extender",)
    tick: Nanoseconds | None = None

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
        "K40S_DRY_RUN": "true",
        "K40S_STORE": "/tmp/x",  # noqa: S108  # never opened
        "K40S_CAPACITY": "0.45",
        "K40S_LEASE": "10ms",
        "K40S_CPUS": "3,0-1",
        "K40S_CLIENTS": "a, b",
        "K40S_TICK": "4ms",
    }

    assert read_settings(Example, environ) == Example(
        node_name="edge-1",
        port=9000,
        dry_run=True,
        store=Path("/tmp/x"),  # noqa: S108  # never opened
        capacity=Fraction(9, 20),
        lease=Nanoseconds(10_000_000),
        cpus=(0, 1, 3),
        clients=("a", "b"),
        tick=Nanoseconds(4_000_000),
    )


def test_reports_all_bad_variables_at_once() -> None:
    environ = {
        "K40S_PORT": "https",
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
        'K40S_DRY_RUN: found \'yes\', expected "true" or "false"',
        'K40S_CAPACITY: found \'1/0\', expected a number such as "0.45" or "9/20"',
        f"K40S_LEASE: found '30', expected {DURATION_FORM}",
        "K40S_CPUS: found '3-1', expected a CPU list such as \"0,2-3\"",
    )


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
