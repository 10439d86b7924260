"""How much memory rubicante takes, hour by hour, and how fast it answers over mutual TLS.

    python -m bench.rubicante.footprint [--minutes N] [--rate ROUNDS_PER_SECOND] [--ordinary]

Needs root and cgroup v1 with CONFIG_RT_GROUP_SCHED. The daemon is the real process on the real
kernel, connected as in a pod to a small API server over TLS. In each round a pod is reserved,
twice, and then either given back, or bound, started, enforced and deleted; state and metrics are
read, and nonsense is refused, in between. Takes a twentieth of the real-time bandwidth of CPU 1 at
most, or none if ``--ordinary``, and removes what it made. The bar: at most 70 MB, and no growth.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import urllib3

from bench.rubicante.memory import Memory, growth
from k40s.http.client import HttpClient
from k40s.kube.connect import MOUNT
from k40s.node_api.messages import format_reservation_request
from k40s.units import NS_PER_S, Nanoseconds
from localcluster.host.ports import free_ports
from tests.fakes.extender.process import ROOT, issue_certificates
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.cluster import Cluster, service_account_tls, serving
from tests.fakes.rubicante.world import ask, container_id, pod, task, uid
from tests.kernel.conftest import CPU, Hog

BAR_MB = 70.0
_STARTED_WITHIN = 60.0
_ENFORCED_WITHIN = 10.0
_SAMPLE_SECONDS = 15.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=2.0, help="rounds per second")
    parser.add_argument("--ordinary", action="store_true", help="make no thread a real-time one")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with ExitStack() as undo:
        churn = Churn(undo, ordinary=options.ordinary)
        churn.run(options.minutes * 60, options.rate)
        churn.report()


class Churn:
    """One rubicante process, and pods that come and go."""

    def __init__(self, undo: ExitStack, *, ordinary: bool) -> None:
        self.module = "bench.rubicante.ordinary" if ordinary else "daemons.rubicante"
        self.name = f"k40s-footprint-{os.getpid()}"
        directory = Path(undo.enter_context(tempfile.TemporaryDirectory()))
        self.parent = CPU / f"{self.name}-node" / "kubepods"
        undo.callback(self._remove_groups)
        self.parent.mkdir(parents=True)
        self.cluster = Cluster()
        account = directory / "account"
        url = undo.enter_context(serving(self.cluster, service_account_tls(account)))
        certificates = issue_certificates(directory)
        self.port, self.probe_port = free_ports(2)
        environment = {
            **{key: text for key, text in os.environ.items() if not key.startswith("K40S_")},
            "K40S_NODE_NAME": NODE,
            "K40S_POD_IP": "127.0.0.1",
            "K40S_CPUS": "1",
            "K40S_CGROUP_ROOT": "/" + self.parent.parent.name,
            "K40S_RT_CAPACITY": "1/20",
            "K40S_GROUP_PREFIX": self.name,
            "K40S_STORE": str(directory / "book.sqlite"),
            "K40S_TLS_DIRECTORY": str(certificates["k40s-rubicante-tls"].cert.parent),
            "K40S_PORT": str(self.port),
            "K40S_PROBE_PORT": str(self.probe_port),
            "K40S_MECHANISMS": "rt-cgroup",
            "KUBERNETES_SERVICE_HOST": "localhost",
            "KUBERNETES_SERVICE_PORT": url.rpartition(":")[2],
        }
        self.log = directory / "log"
        self.daemon = undo.enter_context(self._process(environment, account))
        self.client = HttpClient(
            tls=certificates["k40s-extender-client-tls"],
            server_name="rubicante",
            timeout=Nanoseconds(20 * NS_PER_S),
        )
        undo.callback(self.client.close)
        self.plain = urllib3.PoolManager()
        self.hog = Hog("fork", "ctl", seconds=24 * 3600)
        undo.callback(self.hog.end)
        self.samples: list[tuple[float, Memory]] = []
        self.puts: list[float] = []
        self.repeats: list[float] = []
        self.rounds = self.enforced = 0
        self._wait_ready()

    def run(self, seconds: float, rate: float) -> None:
        began = time.monotonic()
        sample_due = began
        while (now := time.monotonic()) - began < seconds:
            if now >= sample_due:
                self._sample(now - began)
                sample_due = now + _SAMPLE_SECONDS
            self.round(self.rounds)
            self.rounds += 1
            time.sleep(max(0.0, began + self.rounds / rate - time.monotonic()))
        self._sample(time.monotonic() - began)

    def round(self, number: int) -> None:
        record = pod(number)
        self.cluster.add(record)
        body = format_reservation_request(ask(number, task(wcet_ms=1, period_ms=1000)))
        self.puts.append(self._put(number, body, 201))
        self.repeats.append(self._put(number, body, 200))
        self._call("POST", "/v1/admission", body, 200)
        if number % 5 == 0:
            self._call("GET", "/v1/state", None, 200)
            self._call("PUT", f"/v1/reservations/{uid(number)}", b'{"pod":' + b"[" * 999, 422)
            self.plain.request("GET", f"http://127.0.0.1:{self.probe_port}/metrics", timeout=10)
        if number % 4 == 3:
            self._enforce(number)
        else:
            self._call("DELETE", f"/v1/reservations/{uid(number)}", None, 204)
        self.cluster.remove(record)

    def report(self) -> None:
        minutes = self.samples[-1][0] / 60
        print(f"{minutes:.0f} minutes, {self.rounds} pods, {self.enforced} of them enforced")
        if self.module != "daemons.rubicante":
            print("budgets and policies were recorded instead of set: no thread was real-time")
        print(f"{'minute':>8} {'worker':>8} {'all':>8}   (MB resident)")
        step = max(1, len(self.samples) // 12)
        for at, memory in [*self.samples[:-1:step], self.samples[-1]]:
            print(f"{at / 60:8.1f} {memory.worker:8.1f} {memory.total:8.1f}")
        print(f"highest {max(m.total for _, m in self.samples):.1f} MB of {BAR_MB:.0f}")
        print("second half, worker:", growth([(at, m.worker) for at, m in self.samples]))
        print("second half, all:   ", growth([(at, m.total) for at, m in self.samples]))
        show("PUT over TLS, first (201)", self.puts)
        show("PUT over TLS, repeated (200)", self.repeats)

    def _enforce(self, number: int) -> None:
        self.cluster.add(pod(number, node=NODE, phase="Running"))
        container = self.parent / f"pod{uid(number)}" / container_id(number)
        container.mkdir(parents=True)
        (container / "cgroup.procs").write_text(str(self.hog.pid))
        if self._until(self._is_governed):
            self.enforced += 1
        self.cluster.remove(pod(number, node=NODE))
        self._until(lambda: not self._is_governed())
        for path in (container, container.parent):
            assert self._until(partial(self._vacated, path)), f"{path.name} stays"

    def _is_governed(self) -> bool:
        """Whether the thread is in a budget group."""
        groups = Path(f"/proc/{self.hog.pid}/cgroup").read_text()
        return f"/{self.name}-" in groups.replace(f"/{self.name}-node/", "/")

    def _vacated(self, path: Path) -> bool:
        """Take the thread out of its cgroup as often as the daemon moves it back there."""
        (CPU / "cgroup.procs").write_text(str(self.hog.pid))
        with suppress(OSError):
            path.rmdir()
        return not path.exists()

    def _until(self, condition: Callable[[], bool]) -> bool:
        limit = time.monotonic() + _ENFORCED_WITHIN
        while not condition():
            if time.monotonic() > limit:
                return False
            time.sleep(0.005)
        return True

    def _put(self, number: int, body: bytes, expected: int) -> float:
        began = time.perf_counter()
        self._call("PUT", f"/v1/reservations/{uid(number)}", body, expected)
        return time.perf_counter() - began

    def _call(self, method: str, path: str, body: bytes | None, expected: int) -> None:
        status, answer = self.client.request(method, f"https://127.0.0.1:{self.port}{path}", body)
        assert status == expected, (method, path, status, answer)

    def _sample(self, at: float) -> None:
        memory = Memory(self.daemon.pid)
        self.samples.append((at, memory))
        print(f"{at / 60:6.1f} min: {memory}", file=sys.stderr, flush=True)

    @contextmanager
    def _process(
        self, environment: dict[str, str], account: Path
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """The daemon, in a mount namespace of its own with the files of a service account."""
        mount = f"mount -t tmpfs k40s /run && mkdir -p {MOUNT} && cp {account}/* {MOUNT}"
        command = ["unshare", "--mount", "sh", "-ec", f'{mount} && exec "$@"', "sh"]
        command += [sys.executable, "-m", self.module]
        with self.log.open("wb") as log:
            daemon = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log)
            try:
                yield daemon
            finally:
                daemon.terminate()
                daemon.wait(timeout=30)

    def _wait_ready(self) -> None:
        limit = time.monotonic() + _STARTED_WITHIN
        while time.monotonic() < limit:
            with suppress(urllib3.exceptions.HTTPError):
                url = f"http://127.0.0.1:{self.probe_port}/readyz"
                if self.plain.request("GET", url, timeout=5, retries=False).status == 200:
                    return
            time.sleep(0.2)
        raise SystemExit(f"rubicante did not start:\n{self.log.read_text()}")

    def _remove_groups(self) -> None:
        leftovers = [path for path in CPU.glob(f"{self.name}-*") if path.name[-5:] != "-node"]
        for top in (*leftovers, CPU / f"{self.name}-node"):
            for path, _, _ in os.walk(top, topdown=False):
                with suppress(OSError):
                    Path(path).rmdir()


def show(name: str, seconds: list[float]) -> None:
    ordered = sorted(1000 * value for value in seconds)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    median = statistics.median(ordered)
    print(f"{name:34} median {median:7.2f} ms, p95 {p95:7.2f}, max {ordered[-1]:7.2f}")


if __name__ == "__main__":
    main()
