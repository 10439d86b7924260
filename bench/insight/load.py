"""What insight costs: CPU, memory and latency, with live pages and changes each second.

Usage: ``python bench/insight/load.py [--nodes 200] [--pods 20] [--streams 8] [--seconds 20]
[--changes 1]``. The real process, over TLS, against an API server in memory; clients take gzip as
browsers do. Half of the streams may see everything, half the pods of one namespace. The CPU time is
that of insight's processes alone.
"""

import argparse
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from k40s.http.tls import TlsFiles
from localcluster.host.ports import free_ports
from tests.fakes.extender.process import ROOT, issue_certificates
from tests.fakes.insight.api import LEASES, NODES, PODS, FakeApi, allow_all
from tests.fakes.insight.http_api import serving, write_kubeconfig
from tests.fakes.insight.objects import CORES, lease_object, node_object, pod_object

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_KB = os.sysconf("SC_PAGE_SIZE") / 1024


def pods_of_one(attributes: dict[str, str]) -> bool:
    """As a viewer's Role in one namespace, with the right to list nodes."""
    if attributes["resource"] == "nodes":
        return True
    return attributes["resource"] == "pods" and attributes["namespace"] == "team-1"


def make_api(nodes: int, pods: int) -> FakeApi:
    api = FakeApi(users={"all": "all", "one": "one"}, rights={"all": allow_all, "one": pods_of_one})
    for number in range(nodes):
        name = f"node-{number:03}"
        api.put(NODES, node_object(name))
        for daemon in ("malacoda", "rubicante"):
            api.put(LEASES, lease_object(daemon, name, renewed="2026-03-01T12:00:00.000000Z"))
        for turn in range(pods):
            api.put(PODS, a_pod(number, turn))
    return api


def a_pod(node: int, turn: int, overruns: int = 0) -> dict[str, object]:
    pod = pod_object(
        f"pod-{node:03}-{turn:02}",
        namespace=f"team-{turn}",
        node=f"node-{node:03}",
        core=1 + turn % CORES,
        priority=10 + turn // CORES,
        overruns=overruns,
    )
    if overruns:  # what a page shows of it changes
        pod["status"]["conditions"][0] |= {"status": "False", "message": f"overruns: {overruns}"}
    return pod


@contextmanager
def insight(
    place: Path, api_port: int, streams: int
) -> Iterator[tuple[subprocess.Popen[bytes], int, TlsFiles]]:
    certificates = issue_certificates(place / "certificates")
    kubeconfig = write_kubeconfig(place / "kubeconfig", api_port)
    port, probes = free_ports(2)
    tls = certificates["k40s-insight-tls"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "K40S_HOST": "127.0.0.1",
        "K40S_PORT": str(port),
        "K40S_PROBE_PORT": str(probes),
        "K40S_KUBECONFIG": str(kubeconfig),
        "K40S_TLS_DIRECTORY": str(tls.cert.parent),
        "K40S_CLIENT_TLS_DIRECTORY": str(certificates["k40s-insight-client-tls"].cert.parent),
        "K40S_STREAMS": str(max(64, streams)),
        "K40S_STREAMS_PER_USER": str(max(64, streams)),
        "K40S_LOG_LEVEL": "WARNING",
    }
    process = subprocess.Popen([sys.executable, "-m", "insight"], env=environment)
    try:
        wait_ready(probes)
        yield process, port, tls
    finally:
        process.terminate()
        process.wait(60)


def wait_ready(port: int) -> None:
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
                probe.sendall(b"GET /readyz HTTP/1.1\r\n\r\n")
                if probe.recv(100).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            pass
        time.sleep(0.2)


class Client(threading.Thread):
    """One live page: how many events and bytes it got, and when the last one came."""

    def __init__(self, port: int, tls: TlsFiles, token: str) -> None:
        super().__init__(daemon=True)
        context = ssl.create_default_context(cafile=str(tls.ca))
        raw = socket.create_connection(("127.0.0.1", port))
        self._sock = context.wrap_socket(raw, server_hostname="localhost")
        self._sock.sendall(
            (
                "GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n"
                f"Authorization: Bearer {token}\r\n\r\n"
            ).encode()
        )
        self.events = 0
        self.bytes = 0
        self.last = 0.0
        self.newest = b""

    def run(self) -> None:
        unpack = zlib.decompressobj(wbits=31)
        rest = b""
        head = True
        while received := self._sock.recv(65536):
            self.bytes += len(received)
            if head:
                rest += received
                if b"\r\n\r\n" not in rest:
                    continue
                received, rest, head = rest.partition(b"\r\n\r\n")[2], b"", False
            rest += unpack.decompress(received)
            while b"\n\n" in rest:
                event, _, rest = rest.partition(b"\n\n")
                if event.startswith(b"event"):
                    self.newest = event
                    self.last = time.monotonic()
                    self.events += 1


def processes_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def cpu_seconds(pids: list[int]) -> float:
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split() for pid in pids]
    return sum(int(one[11]) + int(one[12]) for one in fields) / _TICKS


def memory_mb(pids: list[int]) -> float:
    """Private memory of all, in MB."""
    pages = [Path(f"/proc/{pid}/statm").read_text().split() for pid in pids]
    return sum(int(one[1]) - int(one[2]) for one in pages) * _PAGE_KB / 1024


def measure(arguments: argparse.Namespace) -> None:
    api = make_api(arguments.nodes, arguments.pods)
    with (
        tempfile.TemporaryDirectory() as directory,
        serving(api) as api_port,
        insight(Path(directory), api_port, arguments.streams) as (process, port, tls),
    ):
        pids = processes_of(process.pid)
        before = memory_mb(pids)
        clients = [
            Client(port, tls, "all" if number % 2 == 0 else "one")
            for number in range(arguments.streams)
        ]
        for client in clients:
            client.start()
        while not all(client.events for client in clients):
            time.sleep(0.1)
        time.sleep(3)
        begun, spent = time.monotonic(), cpu_seconds(pids)
        sizes = [client.bytes for client in clients]
        late: list[float] = []
        for turn in range(1, round(arguments.seconds * arguments.changes) + 1):
            changed = time.monotonic()
            api.put(PODS, a_pod(turn % arguments.nodes, 1, overruns=turn))
            mark = f'"overruns: {turn}"'.encode()
            while time.monotonic() < changed + 1 / arguments.changes:
                time.sleep(0.005)
                if len(late) < turn and clients and mark in clients[0].newest:
                    late.append(clients[0].last - changed)
        passed = time.monotonic() - begun
        share = 100 * (cpu_seconds(pids) - spent) / passed
        events = sum(client.events for client in clients)
        sent = sum(client.bytes for client in clients) - sum(sizes)
        print(
            f"{arguments.nodes} nodes, {arguments.nodes * arguments.pods} pods, "
            f"{arguments.streams} streams, {arguments.changes:g} changes per second: "
            f"{share:.1f} % of a core, {memory_mb(pids):.0f} MB ({before:.0f} without streams), "
            f"{sent / passed / 1024:.0f} KB/s, {events} events"
        )
        if late:
            worst = max(late)
            print(f"from change to page: median {median(late):.2f} s, worst {worst:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=200)
    parser.add_argument("--pods", type=int, default=20)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--changes", type=float, default=1)
    measure(parser.parse_args())


if __name__ == "__main__":
    main()
