"""Stressors on one CPU."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stressed(kind: str, *, cpu: int, seconds: int, number: int = 8) -> Iterator[None]:
    """``number`` stressors of stress-ng, with its options behind the ``kind``.

    They end by themselves after ``seconds`` if nobody ends them.
    """
    name, *options = kind.split()
    with tempfile.TemporaryDirectory() as scratch:
        command = ["taskset", "-c", str(cpu), "stress-ng", f"--{name}", str(number), *options]
        process = subprocess.Popen(
            [*command, "--timeout", str(seconds)],
            cwd=scratch,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=60)
