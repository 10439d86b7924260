"""``python -m daemons.malacoda.actuator`` and its settings."""

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemons.malacoda.actuator.__main__ import main
from daemons.malacoda.actuator.book import HoldBook
from daemons.malacoda.actuator.holds import PodHold, Write
from daemons.malacoda.actuator.protocol import Request, Result, Verb
from daemons.malacoda.actuator.settings import ActuatorSettings
from daemons.malacoda.response.client import ActuatorClient
from k40s.assurance.response.acts import Step
from k40s.errors import UnavailableError
from k40s.runtime.settings import SettingsError, read_settings
from k40s.runtime.store import Store, StoreError
from tests.fakes.malacoda.actuator import TENTH
from tests.fakes.malacoda.kernel import uid

pytestmark = pytest.mark.usefixtures("_own_logging")
THROTTLE = Request(verb=Verb.THROTTLE, uid=uid(1), pod="default/noisy", quota=TENTH)


@pytest.fixture
def _own_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Settings for a directory that looks like cgroup v2, with one pod."""
    pod = tmp_path / "cgroup/kubepods/burstable" / f"pod{uid(1)}"
    pod.mkdir(parents=True)
    (tmp_path / "cgroup/cgroup.controllers").write_text("cpu\n")
    (pod / "cpu.max").write_text("90000 100000")
    return {
        "K40S_CGROUP_PATH": str(tmp_path / "cgroup"),
        "K40S_CULPRIT": "throttle",
        "K40S_ACTUATOR_SOCKET": str(tmp_path / "actuator.sock"),
        "K40S_ACTUATOR_STORE": str(tmp_path / "holds.sqlite"),
        "K40S_ACTUATOR_PEER": str(os.geteuid()),
    }


def value(tmp_path: Path) -> str:
    return (tmp_path / f"cgroup/kubepods/burstable/pod{uid(1)}/cpu.max").read_text()


def running(environ: dict[str, str], tmp_path: Path, *requests: Request) -> tuple[int, list[str]]:
    """Run it, ask it, read the file after each answer, and stop it; its exit code."""
    stop, code = threading.Event(), []
    thread = threading.Thread(target=lambda: code.append(main(environ, stop)))
    thread.start()
    client = ActuatorClient(Path(environ["K40S_ACTUATOR_SOCKET"]), seconds=60)
    seen: list[str] = []
    for request in requests:
        answer = None
        while answer is None:
            try:
                answer = client.ask(request)
            except UnavailableError:
                threading.Event().wait(0.01)
        seen += [answer.result.value, value(tmp_path)]
    stop.set()
    thread.join(60)
    client.close()
    return code[0], seen


def test_it_serves_until_it_is_stopped_and_undoes_everything_then(
    environ: dict[str, str], tmp_path: Path
) -> None:
    code, seen = running(environ, tmp_path, THROTTLE)

    assert (code, seen) == (0, [Result.DONE, "10000 100000"])
    assert value(tmp_path) == "90000 100000"
    assert not (tmp_path / "actuator.sock").exists()


def test_a_dry_run_writes_nothing(environ: dict[str, str], tmp_path: Path) -> None:
    code, seen = running({**environ, "K40S_DRY_RUN": "true"}, tmp_path, THROTTLE)

    assert (code, seen) == (0, [Result.DRY_RUN, "90000 100000"])


def test_bad_settings_end_it_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main({"K40S_ACTUATOR_SILENCE": "5"}, threading.Event()) == 2

    assert "K40S_ACTUATOR_SILENCE: found '5', expected a duration" in capsys.readouterr().err


def test_a_second_process_ends_while_another_one_has_the_store(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    other = Store(Path(environ["K40S_ACTUATOR_STORE"]))

    assert main(environ, threading.Event()) == 1

    assert "another process has it open" in capsys.readouterr().err
    other.close()


@pytest.mark.parametrize(
    ("name", "text", "trouble"),
    [
        ("ACTUATOR_SILENCE", "100ms", "at least 1s"),
        ("ACTUATOR_PEER", "-1", "a user's number"),
        ("ACTUATOR_HOLDS", "0", "at least 1"),
        ("ACTUATOR_ACTS", "0", "at least 1"),
        ("CGROUP_ROOT", "/a/../b", "without .."),
        ("CULPRIT", "stop", '"throttle" or "move" or "freeze"'),
    ],
)
def test_a_bad_variable_is_refused_with_what_would_be_right(
    name: str, text: str, trouble: str
) -> None:
    with pytest.raises(SettingsError, match=trouble):
        read_settings(ActuatorSettings, {f"K40S_{name}": text})


def test_the_gate_has_the_limits_of_the_settings() -> None:
    settings = read_settings(
        ActuatorSettings,
        {
            "K40S_CULPRIT": "freeze",
            "K40S_POD_UID": uid(3),
            "K40S_ACTUATOR_HOLDS": "1",
            "K40S_ACTUATOR_ACTS": "2",
        },
    )

    assert settings.gate.allowed == {Step.QUOTA, Step.MOVE, Step.FREEZE}
    assert (settings.gate.own_pod, settings.gate.most_held, settings.gate.acts_per_hour) == (
        uid(3),
        1,
        2,
    )
    assert ActuatorSettings().gate.allowed == frozenset()


@pytest.mark.parametrize(
    ("mode", "more"), [("throttle", ""), ("move", "move"), ("evict", "move freeze")]
)
def test_an_eviction_is_no_act_of_the_gate(mode: str, more: str) -> None:
    settings = read_settings(ActuatorSettings, {"K40S_CULPRIT": mode})

    assert settings.gate.allowed == {"quota", *more.split()}


def test_killing_has_to_be_asked_for() -> None:
    settings = read_settings(ActuatorSettings, {"K40S_CULPRIT": "kill"})

    assert settings.gate.allowed == frozenset(Step) - {Step.EVICT}


def test_on_a_full_disk_it_does_not_run_but_undoes_what_was_left(
    environ: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = f"kubepods/burstable/pod{uid(1)}/cpu.max"
    writes = (Write(path=path, before="90000 100000", after="10000 100000"),)
    store = Store(Path(environ["K40S_ACTUATOR_STORE"]))
    HoldBook(store, boot="boot-1").put(
        PodHold(uid=uid(1), pod="default/noisy", steps=((Step.QUOTA, writes),), quota=TENTH)
    )
    store.close()
    (tmp_path / "cgroup" / path).write_text("10000 100000")

    def full(_store: Store, _changes: object) -> None:
        raise StoreError("database or disk is full")

    monkeypatch.setattr(Store, "write", full)

    assert main(environ, threading.Event()) == 1
    assert value(tmp_path) == "90000 100000"
    assert "database or disk is full" in capsys.readouterr().err
