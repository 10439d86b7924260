"""A full disk and a read-only cgroup tree, for real: refused with the cause, nothing left over."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from daemons.rubicante.daemon import Daemon
from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import BudgetGroups
from daemons.rubicante.settings import Settings
from k40s.node_api.messages import format_reservation_request
from k40s.runtime.store import Store
from tests.fakes.rubicante.api_server import FakeApiServer, FakePodSource
from tests.fakes.rubicante.world import ask, pod, uid
from tests.kernel.conftest import CPU, eventually

Mount = Callable[..., Path]


@pytest.fixture
def mount(tmp_path: Path, undo: ExitStack) -> Mount:
    def make(name: str, *options: str) -> Path:
        place = tmp_path / name
        place.mkdir()
        subprocess.run(["mount", *options, str(place)], check=True)
        undo.callback(subprocess.run, ["umount", "--lazy", str(place)], check=True)
        return place

    return make


@pytest.fixture
def start(groups: BudgetGroups, undo: ExitStack) -> Iterator[Callable[[Settings], Daemon]]:
    assert groups.names() == groups.numbers() == ()

    def run(settings: Settings) -> Daemon:
        server = FakeApiServer()
        server.add(pod(1))
        source = FakePodSource(server)
        store = Store(settings.store)
        undo.callback(store.close)
        daemon = Daemon(settings, system=LinuxSystem(), gateway=server, pods=source, store=store)
        undo.callback(source.stop)
        undo.callback(daemon.halt)
        daemon.start()
        eventually(lambda: daemon.reservations.is_open)
        return daemon

    yield run
    undo.close()


def put(daemon: Daemon) -> tuple[int, str]:
    client = daemon.api().test_client()
    answer = client.put(f"/v1/reservations/{uid(1)}", data=format_reservation_request(ask(1)))
    return answer.status_code, answer.text


def test_a_full_disk_is_503_and_a_disk_with_room_again_is_201(
    settings: Settings,
    groups: BudgetGroups,
    start: Callable[[Settings], Daemon],
    mount: Mount,
) -> None:
    disk = mount("disk", "-t", "tmpfs", "-o", "size=256k", "tmpfs")
    daemon = start(replace(settings, store=disk / "book.sqlite"))
    filler = disk / "filler"
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(b"x" * 300_000)

    status, text = put(daemon)
    eventually(lambda: groups.names() == groups.numbers() == ())
    filler.unlink()
    after, _ = put(daemon)

    assert (status, after) == (503, 201)
    assert "disk is full" in text
    assert len(daemon.book.entries()) == 1


def test_a_cgroup_tree_that_becomes_read_only_is_503_with_the_cause(
    settings: Settings,
    groups: BudgetGroups,
    start: Callable[[Settings], Daemon],
    mount: Mount,
) -> None:
    tree = mount("cpu", "--bind", str(CPU))
    daemon = start(replace(settings, cpu_cgroup_path=tree))
    subprocess.run(["mount", "-o", "remount,bind,ro", str(tree)], check=True)

    status, text = put(daemon)
    subprocess.run(["mount", "-o", "remount,bind,rw", str(tree)], check=True)
    after, _ = put(daemon)

    assert (status, after) == (503, 201)
    assert "Read-only file system" in text
    assert groups.numbers() != ()


def test_a_node_whose_cgroup_tree_is_read_only_takes_no_real_time_pod(
    settings: Settings, start: Callable[[Settings], Daemon], mount: Mount
) -> None:
    tree = mount("cpu", "--bind", str(CPU))
    subprocess.run(["mount", "-o", "remount,bind,ro", str(tree)], check=True)

    daemon = start(replace(settings, cpu_cgroup_path=tree))
    status, text = put(daemon)

    assert status == 409
    assert "cpu.no-real-time" in text
    assert "Read-only file system" in " ".join(daemon.capability.problems)
