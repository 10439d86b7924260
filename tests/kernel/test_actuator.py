"""The actuator on the real kernel: cgroup v1's quotas and freezer, and the freezer of v2."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from daemons.malacoda.actuator.protocol import Refusal, Result, Verb
from tests.fakes.malacoda.kernel import CONTAINER
from tests.kernel.actuator_scene import CPU, ROOT, UNIFIED, Pod, Process
from tests.kernel.conftest import eventually, is_removed
from tests.kernel.undisturbed import undisturbed

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0
    or not (ROOT / "cpu/cpu.cfs_quota_us").exists()
    or not (ROOT / "freezer/tasks").exists()
    or CPU not in os.sched_getaffinity(0),
    reason=f"needs root, cpu and freezer of cgroup v1, and CPU {CPU}",
)
COOLDOWN = 0.6


@pytest.fixture
def pod() -> Iterator[Pod]:
    with ExitStack() as stack:
        yield Pod(
            name=f"k40s-act-{os.getpid()}", trees=(ROOT / "cpu", ROOT / "freezer"), stack=stack
        )


@pytest.fixture
def actuator(pod: Pod, tmp_path: Path) -> Process:
    return Process(pod=pod, directory=tmp_path)


def test_a_throttled_hog_gets_a_tenth_of_a_cpu_and_all_of_it_back(
    pod: Pod, actuator: Process
) -> None:
    actuator.ask(Verb.KEEP)
    free = pod.share()
    begun = time.perf_counter()
    answer = actuator.ask(Verb.THROTTLE)
    took = time.perf_counter() - begun

    assert answer.result is Result.DONE
    throttled = undisturbed(
        lambda: keep(pod, actuator),
        lambda share, host_took: 0.05 - host_took < share < 0.13 + host_took,
    )
    print(f"free {free:.3f}, throttled {throttled:.3f}; the act took {took * 1e3:.1f} ms")  # noqa: T201  # figures
    assert 0.05 < throttled < 0.13
    assert pod.quota == "10000"
    actuator.ask(Verb.UNTHROTTLE)
    assert pod.free
    eventually(lambda: pod.share() > 0.15)


def test_a_frozen_hog_does_not_run_at_all_and_runs_on_when_thawed(
    pod: Pod, actuator: Process
) -> None:
    begun = time.perf_counter()
    actuator.ask(Verb.KEEP)
    begun = time.perf_counter()
    answer = actuator.ask(Verb.FREEZE)
    took = time.perf_counter() - begun

    assert answer.result is Result.DONE
    state = pod.path(ROOT / "freezer") / "freezer.state"
    eventually(lambda: state.read_text() == "FROZEN\n")
    frozen = keep(pod, actuator)
    print(f"frozen {frozen:.4f}; the act took {took * 1e3:.1f} ms")  # noqa: T201  # as above
    assert frozen == 0
    actuator.ask(Verb.THAW)
    assert pod.free
    eventually(lambda: pod.share() > 0)


def keep(pod: Pod, actuator: Process) -> float:
    """The hog's share in a second, while the actuator hears that the monitor lives."""
    share = pod.share(1.0)
    actuator.ask(Verb.KEEP)
    return share


def test_it_is_undone_when_the_monitor_is_killed(pod: Pod, actuator: Process) -> None:
    actuator.ask(Verb.KEEP)
    actuator.client.close()
    code = (
        "import sys, time; from fractions import Fraction; from pathlib import Path\n"
        "from daemons.malacoda.actuator.protocol import Request, Verb\n"
        "from daemons.malacoda.response.client import ActuatorClient\n"
        "client = ActuatorClient(Path(sys.argv[1])); uid = sys.argv[2]\n"
        "throttle = Request(verb=Verb.THROTTLE, uid=uid, pod='a/b', quota=Fraction(1, 10))\n"
        "client.ask(throttle); time.sleep(0.6)\n"
        "client.ask(Request(verb=Verb.FREEZE, uid=uid, pod='a/b'))\n"
        "print('held', flush=True); time.sleep(60)\n"
    )
    monitor = subprocess.Popen(
        [sys.executable, "-c", code, str(actuator.socket), pod.path(ROOT).name[3:]],
        stdout=subprocess.PIPE,
    )
    assert monitor.stdout is not None
    assert monitor.stdout.readline() == b"held\n"
    assert pod.frozen

    monitor.kill()
    begun = time.monotonic()
    eventually(lambda: pod.free)
    print(f"free {time.monotonic() - begun:.3f} s after kill -9 of the monitor")  # noqa: T201  # as above
    monitor.wait(timeout=60)
    monitor.stdout.close()


def test_it_is_undone_when_the_monitor_is_silent(pod: Pod, tmp_path: Path) -> None:
    actuator = Process(pod=pod, directory=tmp_path, silence="2s")
    actuator.ask(Verb.KEEP)
    begun = time.monotonic()
    actuator.ask(Verb.THROTTLE)

    eventually(lambda: pod.free)

    assert time.monotonic() - begun >= 1.9
    assert actuator.ask(Verb.KEEP).held == ()


@pytest.mark.parametrize("steps", [(Verb.THROTTLE,), (Verb.FREEZE,), (Verb.THROTTLE, Verb.FREEZE)])
def test_it_is_undone_by_the_next_process_after_kill_9(
    pod: Pod, actuator: Process, steps: tuple[Verb, ...]
) -> None:
    for verb in steps:
        assert actuator.ask(verb).result is Result.DONE
        time.sleep(COOLDOWN)
    actuator.kill()
    assert not pod.free

    actuator.start()

    eventually(lambda: pod.free)
    assert actuator.ask(Verb.KEEP).held == ()


def test_it_is_undone_at_sigterm(pod: Pod, actuator: Process) -> None:
    actuator.ask(Verb.THROTTLE)

    actuator.process.terminate()

    assert actuator.process.wait(timeout=60) == 0
    assert pod.free


def test_it_needs_no_capability(pod: Pod, tmp_path: Path) -> None:
    none = ("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
    actuator = Process(pod=pod, directory=tmp_path, prefix=("setpriv", *none))

    assert actuator.ask(Verb.THROTTLE).result is Result.DONE
    time.sleep(COOLDOWN)
    assert actuator.ask(Verb.FREEZE).result is Result.DONE
    status = Path(f"/proc/{actuator.process.pid}/status").read_text()

    assert f"CapEff:\t{0:016x}\n" in status
    actuator.ask(Verb.THAW)
    actuator.ask(Verb.UNTHROTTLE)
    assert pod.free


def test_a_container_with_a_limit_is_lowered_with_its_pod_and_restored(
    pod: Pod, actuator: Process
) -> None:
    quota = pod.path(ROOT / "cpu") / "cpu.cfs_quota_us"
    quota.write_text("80000")
    pod.container_quota.write_text("60000")

    assert actuator.ask(Verb.THROTTLE).result is Result.DONE
    assert (pod.quota, pod.container_quota.read_text()) == ("10000", "10000\n")
    with pytest.raises(OSError, match="Invalid argument"):  # of a container that starts meanwhile
        pod.container_quota.write_text("60000")
    actuator.ask(Verb.UNTHROTTLE)

    assert (pod.quota, pod.container_quota.read_text()) == ("80000", "60000\n")
    pod.container_quota.write_text("-1")
    quota.write_text("-1")


def test_what_others_reset_is_set_again(pod: Pod, actuator: Process) -> None:
    actuator.ask(Verb.THROTTLE)
    (pod.path(ROOT / "cpu") / "cpu.cfs_quota_us").write_text("-1")

    for _ in range(300):
        time.sleep(0.2)
        answer = actuator.ask(Verb.KEEP)
        if answer.overwritten:
            break

    assert answer.overwritten == 1
    assert pod.quota == "10000"
    actuator.ask(Verb.UNTHROTTLE)
    assert pod.free


def test_sigkill_reaches_a_frozen_pod_only_when_it_is_thawed(pod: Pod, actuator: Process) -> None:
    actuator.ask(Verb.FREEZE)
    pod.hog.kill()
    with pytest.raises(subprocess.TimeoutExpired):
        pod.hog.wait(timeout=0.5)

    actuator.ask(Verb.THAW)

    assert pod.hog.wait(timeout=60) == -9


def test_on_cgroup_v2_a_pod_is_frozen_and_may_be_killed_meanwhile(tmp_path: Path) -> None:
    if not (UNIFIED / "cgroup.controllers").exists():
        pytest.skip("needs a cgroup2 hierarchy")
    with ExitStack() as stack:
        pod = Pod(name=f"k40s-act2-{os.getpid()}", trees=(UNIFIED,), stack=stack)
        actuator = Process(pod=pod, directory=tmp_path, root=UNIFIED)

        refused = actuator.ask(Verb.THROTTLE)
        frozen = actuator.ask(Verb.FREEZE)

        assert (refused.result, refused.reason) == (Result.REFUSED, Refusal.NO_CONTROLLER)
        assert frozen.result is Result.DONE
        events = pod.path(UNIFIED) / "cgroup.events"
        eventually(lambda: "frozen 1" in events.read_text().splitlines())
        assert keep(pod, actuator) == 0
        actuator.ask(Verb.THAW)
        assert not pod.frozen
        eventually(lambda: keep(pod, actuator) > 0)
        time.sleep(COOLDOWN)
        assert actuator.ask(Verb.FREEZE).result is Result.DONE
        pod.hog.kill()
        assert pod.hog.wait(timeout=60) == -9


@pytest.mark.timeout(2700)
@pytest.mark.parametrize("limited", ["no-limit", "limit"])
def test_killed_at_any_write_nothing_stays_held(pod: Pod, tmp_path: Path, limited: str) -> None:
    quota = pod.path(ROOT / "cpu") / "cpu.cfs_quota_us"
    if limited == "limit":
        quota.write_text("80000")
        pod.container_quota.write_text("60000")
    before = (pod.quota, pod.container_quota.read_text(), pod.frozen)

    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.kernel.actuator_fault_points",
            pod.cgroup_root,
            str(tmp_path),
        ],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=2400,
    )

    lines = ended.stdout.splitlines()
    print(*lines, sep="\n")  # noqa: T201  # which points there were
    assert ended.returncode == 0, ended.stderr
    assert [line for line in lines if not line.endswith(": ok")] == []
    assert len(lines) > 12
    assert (pod.quota, pod.container_quota.read_text(), pod.frozen) == before
    assert (pod.path(ROOT / "cpu") / CONTAINER).exists()


def test_a_hog_is_moved_off_a_cpu_and_back_also_by_the_next_process(tmp_path: Path) -> None:
    cpuset = ROOT / "cpuset"
    if not (cpuset / "tasks").exists() or len(os.sched_getaffinity(0)) == 1:
        pytest.skip("needs cpusets of cgroup v1, and two CPUs")
    with ExitStack() as stack:
        trees = (ROOT / "cpu", cpuset, ROOT / "freezer")
        pod = Pod(name=f"k40s-act3-{os.getpid()}", trees=trees, stack=stack)
        actuator = Process(pod=pod, directory=tmp_path)
        files = [pod.path(cpuset) / "cpuset.cpus", pod.path(cpuset) / CONTAINER / "cpuset.cpus"]
        before = [path.read_text() for path in files]
        eventually(lambda: os.sched_getaffinity(pod.hog.pid) == {CPU})

        assert actuator.ask(Verb.MOVE).result is Result.DONE
        assert CPU not in os.sched_getaffinity(pod.hog.pid)
        later = pod.path(cpuset) / f"d{CONTAINER[1:]}"  # a container that starts meanwhile
        later.mkdir()
        stack.callback(eventually, partial(is_removed, later))
        (later / "cpuset.cpus").write_text(files[0].read_text())
        actuator.ask(Verb.MOVE_BACK)
        assert [path.read_text() for path in (*files, later / "cpuset.cpus")] == [
            *before,
            before[0],
        ]
        assert CPU in os.sched_getaffinity(pod.hog.pid)
        time.sleep(COOLDOWN)
        assert actuator.ask(Verb.MOVE).result is Result.DONE
        actuator.kill()
        actuator.start()

        eventually(lambda: [path.read_text() for path in files] == before)
