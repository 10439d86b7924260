"""``--give-back`` as a process: by hand without an API server, and kept out while one serves."""

import json
import logging
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from daemons.rubicante.give_back.process import GiveBackProcess
from daemons.rubicante.mechanisms.deadline.offer import DeadlineAccess
from daemons.rubicante.settings import Settings
from k40s.annotations import GIVE_BACK_LABEL
from k40s.errors import UnavailableError
from k40s.runtime.store import Store, StoreInUseError
from tests.fakes.kube.api_server import Answer, serving
from tests.fakes.rubicante.domains import DomainKernel
from tests.fakes.rubicante.kernel import CPU, PROC, FakeKernel
from tests.fakes.rubicante.scene import SETTINGS

GROUP = CPU / "rt-shared-0"


@pytest.fixture
def kernel() -> FakeKernel:
    kernel = FakeKernel()
    kernel.files[PROC / "sys/kernel/random/boot_id"] = "one\n"
    kernel.make_groups(GROUP)
    kernel.groups[GROUP].runtime = 10_000
    return kernel


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(
        SETTINGS,
        store=tmp_path / "book.sqlite",
        cpuset_cgroup_path=Path("/cg/absent"),
        unified_cgroup_path=Path("/cg/absent"),
    )


def process(
    kernel: FakeKernel, settings: Settings, *, stop: threading.Event | None = None
) -> GiveBackProcess:
    """Without an API server, as on a node whose cluster is gone."""
    return GiveBackProcess(
        settings,
        {},
        stop=stop or threading.Event(),
        system=kernel,
        access=DeadlineAccess(attributes=DomainKernel()),
    )


def test_by_hand_it_ends_with_0_when_nothing_is_left(
    kernel: FakeKernel, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    assert process(kernel, settings).run_once(dry_run=False) == 0

    assert GROUP not in kernel.groups
    said = [record.message for record in caplog.records]
    assert "only kernel and book are given back" in said
    assert said[-1] == "node given back"


def test_a_dry_run_says_what_there_is_and_leaves_kernel_and_store_alone(
    kernel: FakeKernel, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    assert process(kernel, settings).run_once(dry_run=True) == 0

    assert kernel.calls == []
    assert not settings.store.exists()
    assert [
        record.what for record in caplog.records if record.message == "would be given back"
    ] == ["budget group rt-shared-0, 0 threads in it"]


def test_by_hand_it_ends_with_1_when_something_is_left(
    kernel: FakeKernel, settings: Settings
) -> None:
    stop = threading.Event()
    stop.set()  # told to end: one turn
    kernel.refuse["remove_directory"] = [PermissionError(1, "no")] * 3

    assert process(kernel, settings, stop=stop).run_once(dry_run=False) == 1

    assert GROUP in kernel.groups


def kubeconfig(path: Path, server: str) -> str:
    text = {
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(text))
    return str(path)


@pytest.mark.parametrize("label", ["dry-run", "other", None])
def test_a_node_that_is_no_longer_given_back_has_its_book_again(
    kernel: FakeKernel, settings: Settings, tmp_path: Path, label: str | None
) -> None:
    def says(wish: str | None) -> Answer:
        labels = {} if wish is None else {GIVE_BACK_LABEL: wish}
        return Answer(body={"metadata": {"name": settings.node_name, "labels": labels}})

    with serving() as server:
        path = kubeconfig(tmp_path / "kubeconfig", f"http://127.0.0.1:{server.port}")
        server.answer("GET", "/api/v1/pods", *[Answer(body={"metadata": {}, "items": []})] * 2)
        work = process(kernel, replace(settings, kubeconfig=path))
        node = f"/api/v1/nodes/{settings.node_name}"
        server.answer("GET", node, says("true"))
        work.turn()
        with pytest.raises(StoreInUseError):
            Store(settings.store)
        server.answer("GET", node, says(label))

        work.turn()

    assert GROUP not in kernel.groups
    Store(settings.store).close()


def test_while_a_rubicante_has_the_book_nothing_is_touched(
    kernel: FakeKernel, settings: Settings
) -> None:
    stop = threading.Event()
    stop.set()
    serving = Store(settings.store)

    with pytest.raises(UnavailableError, match="before the store was free"):
        process(kernel, settings, stop=stop).run_once(dry_run=False)

    serving.close()
    assert kernel.calls == []
    assert GROUP in kernel.groups
