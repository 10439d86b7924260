import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from k40s.errors import UnavailableError
from k40s.runtime.store import Store, StoreInUseError

WRITER = """
import pathlib, sys
from k40s.runtime.store import Store

store = Store(pathlib.Path(sys.argv[1]))
number = 0
while True:
    number += 1
    store.replace_all({f"pod-{i}": str(number) for i in range(50)})
    print(number, flush=True)
"""

FULL_DISK = """
import pathlib, resource, signal, sys
from k40s.errors import UnavailableError
from k40s.runtime.store import Store

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store(pathlib.Path(sys.argv[1]))
store.put("a", "1")
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
try:
    store.write({"a": "2", "b": "x" * 200_000})
except UnavailableError as error:
    print(list(store.entries()))
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
store.put("c", "3")
print(list(store.entries()))
"""


def test_keeps_what_was_put_across_processes(tmp_path: Path) -> None:
    first = Store(tmp_path / "book")
    first.put("a", "1")
    first.put("b", "2")
    first.put("a", "3")
    first.close()

    second = Store(tmp_path / "book")

    assert second.entries() == {"a": "3", "b": "2"}
    assert (second.get("a"), second.get("z")) == ("3", None)
    second.close()


def test_deletes_even_what_is_absent(tmp_path: Path) -> None:
    store = Store(tmp_path / "book")
    store.put("a", "1")

    store.delete("a")
    store.delete("a")

    assert store.entries() == {}
    store.close()


def test_writes_all_of_a_change_or_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "book")
    store.replace_all({"a": "1", "b": "2"})

    with pytest.raises(UnavailableError):
        store.write({"a": None, "c": {}})  # type: ignore[dict-item]  # unstorable

    assert store.entries() == {"a": "1", "b": "2"}
    store.close()


def test_replaces_all(tmp_path: Path) -> None:
    store = Store(tmp_path / "book")
    store.put("a", "1")

    store.replace_all({"b": "2"})

    assert store.entries() == {"b": "2"}
    store.close()


@pytest.mark.parametrize("writes", [1, 7, 20])
def test_survives_a_kill_in_the_middle_of_writing(tmp_path: Path, writes: int) -> None:
    path = tmp_path / "book"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        done = 0
        while done < writes:
            done = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        reported = [int(line) for line in writer.stdout.read().splitlines(keepends=True) if line]
    done = max([done, *reported])

    store = Store(path)

    values = set(store.entries().values())
    assert len(store.entries()) == 50
    assert values in ({str(done)}, {str(done + 1)})  # whole, and nothing reported is lost
    store.close()


def test_says_which_file_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "book"
    path.write_bytes(b"something else entirely, and long enough to be looked at" * 20)

    with pytest.raises(UnavailableError, match="book: file is not a database"):
        Store(path)


def test_says_that_a_directory_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="unable to open") as caught:
        Store(tmp_path / "none" / "book")

    assert isinstance(caught.value.__cause__, sqlite3.Error)


def test_a_second_process_is_locked_out_until_the_first_ends(tmp_path: Path) -> None:
    path = tmp_path / "book"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()

        with pytest.raises(StoreInUseError, match="book: another process has it open"):
            Store(path)

        writer.kill()
        writer.stdout.read()
    Store(path).close()


def test_a_second_store_in_one_process_is_locked_out_too(tmp_path: Path) -> None:
    first = Store(tmp_path / "book")

    with pytest.raises(StoreInUseError):
        Store(tmp_path / "book")

    first.put("a", "1")
    assert first.get("a") == "1"
    first.close()


def test_reads_what_an_earlier_release_left_in_its_log(tmp_path: Path) -> None:
    path = tmp_path / "book"
    earlier = sqlite3.connect(path, isolation_level=None)
    earlier.execute("PRAGMA journal_mode=WAL")
    earlier.execute("CREATE TABLE entry (key TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID")
    earlier.execute("INSERT INTO entry VALUES ('a', '1')")

    with pytest.raises(StoreInUseError):
        Store(path)

    earlier.close()
    store = Store(path)
    assert store.entries() == {"a": "1"}
    store.close()


def test_a_full_disk_loses_nothing_and_ends_with_the_fullness(tmp_path: Path) -> None:
    path = tmp_path / "book"
    program = [sys.executable, "-c", FULL_DISK, str(path)]

    done = subprocess.run(program, check=True, capture_output=True, text=True, timeout=600)

    kept, error, after = done.stdout.splitlines()
    assert "book: " in error
    assert (kept, after) == ("['a']", "['a', 'c']")
