"""``python -m daemons.malacoda``: reads the environment, runs until SIGTERM or SIGINT."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

from daemons.malacoda.daemon import Malacoda
from daemons.malacoda.settings import Settings
from k40s.runtime.kube import connect
from k40s.runtime.log import configure
from k40s.runtime.settings import SettingsError, node_environment, read_settings

log = logging.getLogger("daemons.malacoda")

_NODE_FILES = Path("/etc/k40s/node")
_BAD_SETTINGS = 2


def main(environ: Mapping[str, str], stop: threading.Event) -> int:
    """Run until ``stop`` is set; returns the exit code."""
    configure("info", sys.stderr)
    try:
        settings = read_settings(Settings, node_environment(environ, _NODE_FILES))
        configure(settings.log_level, sys.stderr)
    except (SettingsError, ValueError) as error:
        log.error("settings are invalid", extra={"problems": str(error)})  # noqa: TRY400  # the text says it all
        return _BAD_SETTINGS
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    gateway = connect(kubeconfig=settings.kubeconfig, environment=environ)
    daemon = Malacoda(settings, gateway=gateway, registry=registry)
    daemon.start()
    stop.wait()
    daemon.stop()
    return 0


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop


if __name__ == "__main__":
    sys.exit(main(os.environ, _stop_on_signals()))
