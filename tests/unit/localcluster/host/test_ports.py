"""Free ports: what servers that start later may rely on."""

import socket
from pathlib import Path

import pytest

from localcluster.host.ports import free_ports


def kernel_takes(path: Path, first: int, last: int) -> Path:
    path.write_text(f"{first}\t{last}\n")
    return path


def test_ports_are_different_and_can_be_bound() -> None:
    ports = free_ports(20)

    assert len(set(ports)) == 20
    for port in ports:
        with socket.create_server(("127.0.0.1", port)):
            pass


def test_no_port_is_one_that_an_outgoing_connection_may_take(tmp_path: Path) -> None:
    local_range = kernel_takes(tmp_path / "range", 12005, 60999)

    assert set(free_ports(3, local_range=local_range)) <= set(range(12000, 12005))


def test_a_port_in_use_is_passed_over(tmp_path: Path) -> None:
    local_range = kernel_takes(tmp_path / "range", 12000, 29997)

    with socket.create_server(("127.0.0.1", 29998)):
        assert free_ports(1, local_range=local_range) == [29999]


def test_too_few_free_ports_are_an_error_that_names_the_range(tmp_path: Path) -> None:
    local_range = kernel_takes(tmp_path / "range", 1024, 60999)

    with pytest.raises(OSError, match="no free port from 12000 to 29999"):
        free_ports(1, local_range=local_range)
