"""Metrics of kube-scheduler and the extender while pods are scheduled."""

import re
import threading
import time

import urllib3

from localcluster.credentials.certificates import KeyPair
from localcluster.plane.control_plane import ControlPlane

urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
_LIMIT_S = 180


def watch_scheduler(plane: ControlPlane, port: int, pods: int) -> float:
    """Follow the scheduler's own count of pods scheduled, which costs the API server nothing."""
    admin = KeyPair.at(plane.directory / "pki", "admin")
    pause = threading.Event()
    first: tuple[float, int] | None = None
    started = time.monotonic()
    with urllib3.PoolManager(
        cert_reqs="CERT_NONE",  # the scheduler's own certificate, on loopback
        cert_file=str(admin.certificate),
        key_file=str(admin.key),
        retries=False,
        timeout=5,
    ) as pool:
        while time.monotonic() - started < _LIMIT_S:
            try:
                text = pool.request("GET", f"https://127.0.0.1:{port}/metrics").data.decode()
            except urllib3.exceptions.HTTPError:
                text = ""
            now, count, waiting = time.monotonic(), _scheduled(text), _pending(text)
            if count and first is None:
                first = (now, count)
            if first is not None and not waiting:
                return (pods - first[1]) / (now - first[0])
            pause.wait(0.1)
    raise AssertionError(f"not all pods were bound after {_LIMIT_S} s")


def _pending(text: str) -> float:
    """Pods in any of the scheduler's queues, and those being scheduled or bound."""
    waiting = re.findall(r"^scheduler_pending_pods\{[^}]*\} (\S+)", text, re.MULTILINE)
    running = re.findall(r"^scheduler_goroutines\{[^}]*binding[^}]*\} (\S+)", text, re.MULTILINE)
    return sum(float(one) for one in (*waiting, *running))


def _scheduled(text: str) -> int:
    found = re.findall(
        r'^scheduler_schedule_attempts_total\{[^}]*result="scheduled"[^}]*\} (\S+)',
        text,
        re.MULTILINE,
    )
    return int(sum(float(one) for one in found))


def mean_durations(text: str) -> str:
    """The extender's own time per call, of its metrics."""
    parts = []
    for verb in ("filter", "prioritize", "bind"):
        total = _sample(text, f'k40s_extender_call_seconds_sum{{verb="{verb}"}}')
        count = _sample(text, f'k40s_extender_call_seconds_count{{verb="{verb}"}}')
        parts.append(f"{verb} {1000 * total / max(count, 1):.2f} ms")
    return ", ".join(parts)


def _sample(text: str, name: str) -> float:
    found = [line for line in text.splitlines() if line.startswith(name + " ")]
    return float(found[0].rpartition(" ")[2]) if found else 0.0
