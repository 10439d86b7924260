"""The process as it is started: who may have the store, and how it ends when it cannot start."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from k40s.errors import UnavailableError
from k40s.node_agent.store_handover import open_store
from k40s.runtime.store import Store, StoreInUseError
from tests.fakes.extender.process import ROOT, issue_certificates
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.cluster import Cluster, serving, write_kubeconfig


def test_a_daemon_waits_for_the_one_before_it_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = Store(tmp_path / "book")
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            before.close()

    store = open_store(tmp_path / "book", wait=wait, clock=lambda: sum(waits))

    assert len(waits) == 3
    assert [record.message for record in caplog.records] == [
        "waiting for the former process to end"
    ]
    store.close()


def test_a_daemon_that_does_not_end_is_not_waited_for_without_end(tmp_path: Path) -> None:
    before = Store(tmp_path / "book")
    waits: list[float] = []

    with pytest.raises(StoreInUseError, match="another process has it open"):
        open_store(tmp_path / "book", wait=waits.append, clock=lambda: sum(waits))

    assert sum(waits) > 30
    before.close()


def test_a_file_that_is_no_store_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "book").write_bytes(b"something else" * 500)

    with pytest.raises(UnavailableError, match="not a database"):
        open_store(tmp_path / "book", wait=pytest.fail, clock=lambda: 0.0)


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    certificates = issue_certificates(tmp_path)
    with serving(Cluster()) as url:
        yield {
            **{key: text for key, text in os.environ.items() if not key.startswith("K40S_")},
            "K40S_NODE_NAME": NODE,
            "K40S_POD_IP": "127.0.0.1",
            "K40S_CPUS": "0",
            "K40S_DRY_RUN": "true",
            "K40S_STORE": str(tmp_path / "book"),
            "K40S_TLS_DIRECTORY": str(certificates["k40s-rubicante-tls"].cert.parent),
            "K40S_LISTEN_HOST": "127.0.0.1",
            "K40S_PORT": "0",
            "K40S_PROBE_PORT": "0",
            "K40S_KUBECONFIG": str(write_kubeconfig(tmp_path / "kubeconfig", url)),
        }


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("generation", "many", "the store is damaged: generation 'many'"),
        ("pod/x", "{}", "the store's entry of pod x is damaged"),
    ],
)
def test_a_damaged_store_ends_the_process_with_one_clear_line(
    environment: Mapping[str, str], key: str, text: str, said: str
) -> None:
    store = Store(Path(environment["K40S_STORE"]))
    store.put(key, text)
    store.close()

    ended = subprocess.run(
        [sys.executable, "-m", "daemons.rubicante"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert ended.returncode != 0
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    kept = sqlite3.connect(environment["K40S_STORE"])
    assert kept.execute("SELECT text FROM entry WHERE key = ?", (key,)).fetchone() == (text,)
    kept.close()
