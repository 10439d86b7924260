"""``python -m daemons.malacoda.actuator``: runs until SIGTERM or SIGINT, and undoes every hold."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from daemons.malacoda.actuator.actuator import Actuator
from daemons.malacoda.actuator.book import HoldBook
from daemons.malacoda.actuator.kernel import DryRun, LinuxCgroups
from daemons.malacoda.actuator.real_time import ReservationFile
from daemons.malacoda.actuator.server import Server
from daemons.malacoda.actuator.settings import ActuatorSettings
from k40s.errors import KernelError, UnavailableError
from k40s.runtime.log import configure
from k40s.runtime.settings import NODE_FILES, SettingsError, node_environment, read_settings
from k40s.runtime.store import Store

log = logging.getLogger("daemons.malacoda.actuator")

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_UNAVAILABLE = 1
_BAD_SETTINGS = 2


def main(environ: Mapping[str, str], stop: threading.Event) -> int:
    """Run until ``stop`` is set; returns the exit code."""
    configure("info", sys.stderr)
    try:
        settings = read_settings(ActuatorSettings, node_environment(environ, NODE_FILES))
        configure(settings.log_level, sys.stderr)
    except (SettingsError, ValueError) as error:
        log.error("settings are invalid", extra={"problems": str(error)})  # noqa: TRY400  # the text says it all
        return _BAD_SETTINGS
    try:
        return _run(settings, stop)
    except (KernelError, UnavailableError, OSError) as error:
        log.error("cannot run", extra={"cause": str(error)})  # noqa: TRY400  # as above
        return _UNAVAILABLE


def _run(settings: ActuatorSettings, stop: threading.Event) -> int:
    """Undo what an earlier process has left, serve, and undo everything at the end."""
    boot = _BOOT.read_text(encoding="ascii").strip()
    store = Store(settings.actuator_store)
    book = HoldBook(store, boot=boot)
    actuator = make(settings, book)
    clean = actuator.undo_all("restarted")  # first: a full disk need not keep a pod throttled
    book.put_acts(book.acts())  # a disk that cannot be written is found now, not at the first act
    if settings.dry_run:
        if not clean:
            raise KernelError("holds of an earlier process are left, which a dry run must not keep")
        dry = HoldBook(Store(Path(":memory:")), boot=boot)
        actuator = make(settings, dry, dry_run=True)
    server = Server(
        actuator,
        path=settings.actuator_socket,
        peer=settings.actuator_peer,
        silence=settings.actuator_silence,
    )
    log.info(
        "actuator ready",
        extra={
            "allowed": sorted(settings.culprit.steps),
            "dry_run": settings.dry_run,
            "left": [hold.uid for hold in actuator.holds],
        },
    )
    try:
        while not stop.is_set():
            server.turn()
    finally:
        left = not actuator.undo_all("the actuator ends")
        server.close()
        store.close()
    return _UNAVAILABLE if left else 0


def make(settings: ActuatorSettings, book: HoldBook, *, dry_run: bool = False) -> Actuator:
    """The actuator of these settings."""
    files = LinuxCgroups(settings.cgroup_path)
    return Actuator(
        files=DryRun(files) if dry_run else files,
        book=book,
        policy=settings.gate,
        cgroup_root=settings.cgroup_root,
        real_time=ReservationFile(settings.overruns_path),
        dry_run=dry_run,
    )


if __name__ == "__main__":
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopped.set())
    sys.exit(main(os.environ, stopped))
