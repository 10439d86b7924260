"""Runs an emulator in the foreground, and shows what its guest's console says as it says it."""

import codecs
import os
import selectors
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_CHUNK = 65536
_LOOK_EVERY = 5
_GRACE = 10


def follow(words: Sequence[str], *, log: Path, seconds: int, show: Callable[[str], None]) -> bool:
    """Whether the command came to its end within ``seconds``; otherwise it is ended here.

    What it writes is appended to ``log`` as it is, and given to ``show``.
    """
    deadline = time.monotonic() + seconds
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    process = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None  # noqa: S101  # it is a pipe
    try:
        with process.stdout, log.open("ab") as file, selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0:
                if not selector.select(min(left, _LOOK_EVERY)):
                    continue
                data = os.read(process.stdout.fileno(), _CHUNK)
                if not data:
                    return True
                file.write(data)
                file.flush()
                show(decoder.decode(data).replace("\r", ""))
        return False
    finally:
        process.terminate()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_GRACE)
