"""Free ports: what servers that start later may rely on."""

import socket
import subprocess
import sys
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
    with socket.create_server(("127.0.0.1", 0)) as server:
        used = server.getsockname()[1]
        local_range = kernel_takes(tmp_path / "range", 1, 2)

        with pytest.raises(OSError, match=f"no free port from {used} to {used}"):
            free_ports(1, among=range(used, used + 1), local_range=local_range)


def test_a_port_is_nobody_elses_before_its_server_starts() -> None:
    (port,) = free_ports(1)

    code = (
        "import sys; from localcluster.host.ports import free_ports; "
        "free_ports(1, among=range(int(sys.argv[1]), int(sys.argv[1]) + 1))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(port)],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert f"no free port from {port} to {port}" in ended.stderr
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_too_few_free_ports_are_an_error_that_names_the_range(tmp_path: Path) -> None:
    local_range = kernel_takes(tmp_path / "range", 1024, 60999)

    with pytest.raises(OSError, match="no free port from 12000 to 29999"):
        free_ports(1, local_range=local_range)
