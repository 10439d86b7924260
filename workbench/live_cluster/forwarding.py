"""A port of this machine that leads to a Service: ``kubectl port-forward`` as a child.

kubectl follows every kubeconfig (proxies, exec plugins, client certificates), and whoever runs
k40s as its plugin has it.
"""

import re
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import Empty, Queue

from k40s.errors import UnavailableError

READY_S = 15.0
"""How long kubectl may take until the port is open."""
_END_S = 5.0
_FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) ->")


@contextmanager
def forwarded_port(
    service: str,
    port: int,
    *,
    namespace: str,
    kubeconfig: str = "",
    context: str = "",
    kubectl: Sequence[str] = ("kubectl",),
) -> Iterator[int]:
    """The local port, on 127.0.0.1, while the context lasts. Raises ``UnavailableError``."""
    options = [f"--kubeconfig={kubeconfig}"] * bool(kubeconfig)
    options += [f"--context={context}"] * bool(context)
    command = [*kubectl, *options, "--namespace", namespace, "port-forward"]
    command += ["--address", "127.0.0.1", f"service/{service}", f":{port}"]
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    except OSError as error:
        raise UnavailableError(
            f"{kubectl[0]} cannot be run ({error.strerror}), by which a port is forwarded to "
            f"service {service}; or give --server URL"
        ) from error
    try:
        yield _wait_for_port(child, service)
    finally:
        _end(child)


def _wait_for_port(child: "subprocess.Popen[str]", service: str) -> int:
    """The port that kubectl names; what it said instead, where it ends."""
    lines: Queue[str | None] = Queue()
    threading.Thread(target=_read, args=(child, lines), daemon=True).start()
    said: list[str] = []
    while True:
        try:
            line = lines.get(timeout=READY_S)
        except Empty:
            raise UnavailableError(f"no port to service {service} within {READY_S:g}s") from None
        if line is None:
            text = " ".join(said) or "it ended without a word"
            raise UnavailableError(f"no port to service {service}: {text}")
        found = _FORWARDING.search(line)
        if found:
            return int(found[1])
        said.append(line.strip())


def _read(child: "subprocess.Popen[str]", lines: "Queue[str | None]") -> None:
    """Hands on each line, so that the child never blocks on its output; None at its end."""
    if child.stdout is not None:
        with child.stdout as output:
            for line in output:
                lines.put(line)
    lines.put(None)


def _end(child: "subprocess.Popen[str]") -> None:
    child.terminate()
    try:
        child.wait(_END_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
